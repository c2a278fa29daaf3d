"""Sends severe alerts to the fallback of a receiver that is down. The evidence is our own failed deliveries.

Each step is a commit that may be repeated: the alert names the fallback once, whoever commits first. The digest is
written before: what is in it and was not sent yet is sent by the next run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

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
    keys = sorted(store.keys_with_pending(name))[:AT_ONCE]
    due: list[tuple[Alert, Write]] = []
    for key, alert in store.get(keys).items():
        news = _news(store.waiting_deliveries(key=key), alert, name)
        waited = now - news.created_at if news and news.created_at else timedelta(0)
        if news and failover.is_down(failures, timedelta(seconds=seconds), waited, outage=outage):
            write = failover.failed_over(alert, news, outbox.book, now)
            if write and (news.verb is Verb.OPEN or failover.rise_untold(name, store.timeline(key), alert.episode)):
                due.append((alert, write))
    if not due or not _listed(outbox, pipeline, name, [alert for alert, _ in due], now):
        return 0
    sent = sum(pipeline.commit(write, now) for _, write in due)
    log.warning("failed_over", receiver=name, fallback=outbox.book.receivers[name].fallback, alerts=sent)
    return sent


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
    known, waits = store.get([key]).get(key), key in store.keys_with_pending(name)
    write = failover.digest(known, name, told, outbox.book, now, waits=waits)
    for _ in range(IDS_MAX):
        if write is None:
            return True
        result = pipeline.try_commit(write, now)
        if not isinstance(result, IdTaken):
            return isinstance(result, Done)
        write = replace(write, alert=longer_id(write.alert))
    return False
