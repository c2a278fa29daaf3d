"""Sends severe alerts to the fallback of a receiver that is down. The evidence is our own failed deliveries.

Each step is a commit that may be repeated: the alert names the fallback once, whoever commits first. The digest is
written before: what is in it and was not sent yet is sent by the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

import structlog

from service_event_checker.core import failover
from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.store import Done, IdTaken, Write
from service_event_checker.core.tracker import longer_id
from service_event_checker.core.vocabulary import Kind, Verb
from service_event_checker.engine.outbox import Outbox
from service_event_checker.engine.pipeline import Pipeline

IDS_MAX = 4  # internal ids that are tried
AT_ONCE = 200  # alerts of one run; the rest waits for the next, seconds later

log = structlog.get_logger()


def run(outbox: Outbox, pipeline: Pipeline, kinds: Mapping[str, str], now: datetime) -> int:
    """Send what waits for receivers that are down to their fallbacks; return how many alerts. Raises StoreError.

    `kinds`: the kind of each receiver; an open outage of a source of this name is one of its vendor.
    """
    return sum(
        _of_receiver(outbox, pipeline, name, kinds.get(name, ""), now)
        for name, receiver in outbox.book.receivers.items()
        if receiver.fallback in outbox.destinations and name in outbox.throttles
    )


def _of_receiver(outbox: Outbox, pipeline: Pipeline, name: str, kind: str, now: datetime) -> int:
    store = outbox.store
    failures, seconds = outbox.throttles[name].failing(store)
    if failures < failover.FAILURES_MIN:
        return 0
    outage = any(each.kind is Kind.OUTAGE and not each.test for each in store.open_alerts(kind)) if kind else False
    may_be_down = partial(failover.is_down, failures, timedelta(seconds=seconds), outage=outage)
    due = list(islice(_due(outbox, name, may_be_down, now), AT_ONCE))
    if not due or not _listed(outbox, pipeline, name, [alert for alert, _ in due], now):
        return 0
    sent = sum(pipeline.commit(write, now) for _, write in due)
    log.warning("failed_over", receiver=name, fallback=outbox.book.receivers[name].fallback, alerts=sent)
    return sent


def _due(
    outbox: Outbox, name: str, is_down: Callable[[timedelta], bool], now: datetime
) -> Iterator[tuple[Alert, Write]]:
    """Yield the alerts that a receiver has waited for too long, and the commits that tell its fallback."""
    store = outbox.store
    for alert in _concerned(outbox, name):
        news = _news(store.waiting_deliveries(key=alert.key), alert, name)
        waited = now - news.created_at if news and news.created_at else timedelta(0)
        if news and is_down(waited):
            write = failover.failed_over(alert, news, outbox.book, now)
            opens = news.verb is Verb.OPEN
            if write and (opens or failover.rise_untold(name, store.timeline(alert.key), alert.episode)):
                yield alert, write


def _concerned(outbox: Outbox, name: str) -> Iterator[Alert]:
    """Yield the alerts of which something waits for a receiver and its fallback is not told yet."""
    keys, store = sorted(outbox.store.keys_with_pending(name)), outbox.store
    for first in range(0, len(keys), AT_ONCE):
        for alert in store.get(keys[first : first + AT_ONCE]).values():
            if failover.fallback_of(alert, name, outbox.book):
                yield alert


def _news(waiting: list[Delivery], alert: Alert, name: str) -> Delivery | None:
    """Return the newest opening that waits for a receiver, else the oldest update."""
    mine = [each for each in waiting if each.receiver == name and failover.is_news(each, alert)]
    opening = max((each for each in mine if each.verb is Verb.OPEN), key=lambda each: each.episode, default=None)
    return opening or next(iter(mine), None)


def _listed(outbox: Outbox, pipeline: Pipeline, name: str, alerts: list[Alert], now: datetime) -> bool:
    """Write the digest; False when somebody else writes it at this moment: the next run goes on."""
    if not failover.has_digest(name, outbox.book):
        return True
    key, store = failover.digest_key(name), outbox.store
    told = {alert.internal_id: alert.title for alert in alerts}
    known = store.get([key]).get(key)
    news = _news(store.waiting_deliveries(key=key), known, name) if known else None
    waits = news is not None and news.verb is Verb.OPEN
    write = failover.digest(known, name, told, outbox.book, now, waits=waits)
    for _ in range(IDS_MAX):
        if write is None:
            return True
        result = pipeline.try_commit(write, now)
        if not isinstance(result, IdTaken):
            return isinstance(result, Done)
        write = replace(write, alert=longer_id(write.alert))
    return False
