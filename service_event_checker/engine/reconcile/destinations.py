"""Compares the open objects of each destination with our links and has differences corrected. It decides nothing.

A correction goes the usual way: an event into the pipeline, or a delivery into the outbox. Only an object that was
made twice is closed from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from service_event_checker.core import announcements, mirrors, reconcile, rules, tracker
from service_event_checker.core.errors import DeliveryError, InvalidInput, StoreConflict
from service_event_checker.core.model import Alert, Delivery, Link, Remote
from service_event_checker.core.ports import Destination, Pausable, Reconcilable
from service_event_checker.core.reconcile import Fix, LocalView, Repair
from service_event_checker.core.roles import History, Outbox, Settings, Store
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.store import Done, Query, Write
from service_event_checker.core.vocabulary import Family, Verb, Why
from service_event_checker.engine.outbox import FAILED_FOR_AGE, FAILED_FOR_AGE_BEFORE
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.logs import alert_facts

SINCE = "reconciled_since:"  # + receiver; setting: when it was first looked at
LOOKS_MAX = 200  # objects looked at one by one in a pass; the rest waits for the next
FAILURES_MAX = 5  # looks that may fail; more, and it is the system, which the next pass asks again
LETTERS_MAX = 10_000
LATEST = 20  # of those that ended lately

log = structlog.get_logger()


def look(receiver: str, destination: Destination, store: Store, book: Rulebook, now: datetime) -> list[Repair]:
    """Ask a destination and return what differs; changes nothing. Raises DeliveryError and StoreError."""
    if not isinstance(destination, Reconcilable):
        return []
    if isinstance(destination, Pausable):
        destination.raise_if_paused()
    remotes = destination.open_objects()
    view = _local_view(receiver, remotes, store, book)
    found = reconcile.repairs(remotes, view, now)
    nobodys = {repair.remote.external_id for repair in found if not _concerns(repair, book, now)}
    found = [repair for repair in found if repair.remote.external_id not in nobodys]
    return found + _ended(destination, view, remotes, now) + _late_notes(destination, view, remotes, now)


def _ended(destination: Reconcilable, view: LocalView, remotes: Sequence[Remote], now: datetime) -> list[Repair]:
    """Look at what is not listed as open, others first each time. One that cannot be looked at holds up no other."""
    wanted = reconcile.missing_remotely(view, remotes)
    begin = int(now.timestamp()) // 60 % len(wanted) if len(wanted) > LOOKS_MAX else 0
    found: list[Repair] = []
    failures = 0
    for alert, link in [*wanted[begin:], *wanted[:begin]][:LOOKS_MAX]:
        try:
            found += reconcile.ended(alert, link, destination.get_remote(link.external_id), view)
        except DeliveryError as error:
            facts = alert_facts(alert)
            log.warning("remote_read_failed", **facts, receiver=view.receiver.name, reason=str(error))
            failures += 1
            if failures == FAILURES_MAX:
                break
    return found


def _late_notes(destination: Reconcilable, view: LocalView, remotes: Sequence[Remote], now: datetime) -> list[Repair]:
    """Ask what ended lately for notes. It is a courtesy: what fails is asked again by the next pass."""
    found: list[Repair] = []
    try:
        for alert, link in reconcile.ended_lately(view, remotes, now)[:LATEST]:
            remote = destination.get_remote(link.external_id)
            found += reconcile.notes(alert, remote, view) if remote else []
    except DeliveryError as error:
        log.info("late_notes_unknown", receiver=view.receiver.name, reason=str(error))
    return found


def apply(
    found: Sequence[Repair], destination: Destination, store: Store, pipeline: Pipeline, now: datetime
) -> list[str]:
    """Correct the differences; return one line for each that could not be corrected. Raises StoreError; repeatable."""
    failed = []
    for repair in found:
        try:
            _mend(repair, destination, store, pipeline, now)
        except (DeliveryError, InvalidInput, StoreConflict) as error:
            failed.append(f"{repair.receiver}: {repair.remote.external_id}: {error}")
    return failed


def begin(receiver: str, store: Settings, now: datetime) -> None:
    """Note that a receiver is looked at from now on, if that is the first time. Raises StoreError."""
    store.set_setting(SINCE + receiver, now.isoformat(), only_if_new=True)


def line(repair: Repair) -> str:
    """Return a difference as a line of the report."""
    name = repair.internal_id or repair.remote.remote_key or "?"
    other = f" (stays: {repair.original.external_id})" if repair.original else ""
    since = f", since {repair.since:%Y-%m-%d %H:%M} UTC" if repair.since else ""
    return f"{repair.receiver}: {name}: {repair.remote.external_id}: {repair.fix}{other}{since}"


def _local_view(receiver: str, remotes: Sequence[Remote], store: Store, book: Rulebook) -> LocalView:
    """Read what we know of the listed objects, and of the open alerts that should have one there."""
    ended = (
        store.page(Query(open=False, limit=LATEST)).alerts if book.receivers[receiver].family is Family.PAGER else ()
    )
    alerts = {
        alert.key: alert for alert in (*ended, *store.open_alerts()) if receiver in alert.receivers and not alert.test
    }
    linked = (link for found in store.links(alerts).values() for link in found)  # the oldest episode first
    known = {link.external_id: link for link in linked if link.receiver == receiver and link.external_id}
    for remote in remotes:
        link = None if remote.external_id in known else store.link_by(receiver, remote.external_id)
        if link is not None:
            known[remote.external_id] = link
    missing = {link.key for link in known.values()} - alerts.keys()
    view = LocalView(
        receiver=book.receivers[receiver],
        mirrors=book.mirrors,
        links=known,
        alerts=alerts | store.get(missing),
        pending=frozenset(store.keys_with_pending(receiver)),
        dead=frozenset((each.key, each.episode, each.verb) for each in _given_up(receiver, store)),
        since=datetime.fromisoformat(since) if (since := store.setting(SINCE + receiver)) else None,
    )
    acked, unacked, came_from = _statuses(store, _disputed(view, remotes))
    return replace(view, acked_at=acked, unacked_at=unacked, status_from=came_from)


def expired_opens(receiver: str, store: Store) -> list[Delivery]:
    """Return the opens of open alerts that failed only because of their age. Raises StoreError."""
    old = [letter for letter in _given_up(receiver, store) if letter.verb is Verb.OPEN]
    aged = [letter for letter in old if letter.reason.startswith((FAILED_FOR_AGE, FAILED_FOR_AGE_BEFORE))]
    alerts = store.get({letter.key for letter in aged})
    return [letter for letter in aged if (alert := alerts.get(letter.key)) and alert.open]


def _given_up(receiver: str, store: Outbox) -> list[Delivery]:
    """Return what a receiver did not take; what went to and fro was never sent, and is put right once it is calm."""
    letters = store.failed_deliveries(LETTERS_MAX, receiver=receiver)
    return [letter for letter in letters if letter.reason != mirrors.PING_PONG]


def _concerns(repair: Repair, book: Rulebook, now: datetime) -> bool:
    """Whether somebody is to be told of it: what was born there and no rule sends anywhere is not ours."""
    if repair.fix is not Fix.OPENED or repair.event is None:
        return True
    alert = tracker.track(None, repair.event, now).alert
    return alert is not None and bool(set(rules.matched(alert, book, now)) - {repair.receiver})


def _disputed(view: LocalView, remotes: Sequence[Remote]) -> set[str]:
    """Return the keys of the open alerts that are shown with another status than ours."""
    found = set()
    for remote in remotes:
        link = view.links.get(remote.external_id)
        alert = view.alerts.get(link.key) if link else None
        if alert is not None and alert.open and alert.status is not remote.status:
            found.add(alert.key)
    return found


def _statuses(store: History, keys: Iterable[str]) -> tuple[dict[str, datetime], dict[str, datetime], dict[str, str]]:
    """Return when each alert was last acknowledged, when that was last taken back, and where its status came from."""
    acked: dict[str, datetime] = {}
    unacked: dict[str, datetime] = {}
    came_from: dict[str, str] = {}
    for key in keys:
        timeline = store.timeline(key)  # the oldest first
        came_from[key] = mirrors.status_from(timeline)
        for transition in timeline:
            if transition.why is Why.ACKNOWLEDGED:
                acked[key] = transition.at
            elif transition.why in (Why.UNACKNOWLEDGED, Why.SEVERITY_RAISED):
                unacked[key] = transition.at
    return acked, unacked, came_from


def _mend(repair: Repair, destination: Destination, store: Store, pipeline: Pipeline, now: datetime) -> None:
    if repair.left:
        return
    if repair.event is not None:
        pipeline.ingest([repair.event], now)
    elif pipeline.book.receivers[repair.receiver].shadow:
        return  # nothing is written there
    elif repair.original is not None:
        if _follow(repair, repair.original, store, now) and isinstance(destination, Reconcilable):
            destination.close_duplicate(repair.remote, repair.original)
    elif repair.verb is not None:
        alert = store.get([repair.key]).get(repair.key)
        if alert is not None and reconcile.is_still_owed(repair.verb, alert):
            pipeline.commit(_owed(repair, alert, pipeline.book, now), now)


def _owed(repair: Repair, alert: Alert, book: Rulebook, now: datetime) -> Write:
    """Return the commit that delivers the verb to the object of its episode."""
    if repair.verb is None:
        raise ValueError(repair.fix)
    write = announcements.owed_again(alert, repair.receiver, repair.verb, repair.fix.value, book, now)
    return replace(write, deliveries=tuple(replace(each, episode=repair.episode) for each in write.deliveries))


def _follow(repair: Repair, kept: Remote, store: Store, now: datetime) -> bool:
    """Let our link lead to the object that stays, where it led to the other; False when somebody came between."""
    link: Link | None = store.link_by(repair.receiver, repair.remote.external_id)
    alert = store.get([link.key]).get(link.key) if link else None
    if link is not None and alert is not None:
        moved = replace(link, external_id=kept.external_id, url=kept.url or link.url)
        links = {**alert.links, repair.receiver: moved.url} if alert.episode == link.episode else alert.links
        (result,) = store.commit([Write(alert=replace(alert, links=links), links=(moved,))], now)
        return isinstance(result, Done)
    return True
