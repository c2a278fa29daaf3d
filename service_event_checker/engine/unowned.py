"""Deliveries that nobody makes: their destination was renamed, removed, or is off. Listed, moved, failed; never tried.

Each step goes by the store's own rules (claim, settle), so that it may be repeated and run in several processes.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from service_event_checker.core import announcements
from service_event_checker.core.errors import LeaseLost, StoreConflict
from service_event_checker.core.model import Alert, Link
from service_event_checker.core.store import Claimed, Failed, Settled, Write
from service_event_checker.engine.outbox import GIVE_UP_AFTER, Outbox

AT_ONCE = 20  # deliveries of one claim
ROUNDS_MAX = 500  # claims of one run; the rest waits for the next
LEASE = timedelta(minutes=1)
ANY_DUE_TIME = timedelta(days=2)  # later than any delivery may wait for

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unowned:
    """What waits for a destination that takes nothing: `why` says what became of it."""

    receiver: str
    why: str
    waiting: int
    oldest_at: datetime


def unowned(outbox: Outbox) -> list[Unowned]:
    """Return the destinations that deliveries wait for and nobody delivers to, by name. Raises StoreError."""
    return [
        Unowned(receiver=name, why=_why(outbox, name), waiting=waiting.number, oldest_at=waiting.oldest_at)
        for name, waiting in sorted(outbox.store.waiting_by_receiver().items())
        if name not in outbox.destinations
    ]


def expire(outbox: Outbox, now: datetime) -> int:
    """Fail what has waited for a day for nobody; return how many deliveries. Raises StoreError; repeatable."""
    before, hours = now - GIVE_UP_AFTER, GIVE_UP_AFTER.total_seconds() / 3600
    return sum(_fail(outbox, each, f"for {hours:.0f} h {each.why}", now, before=before) for each in unowned(outbox))


def give_up(outbox: Outbox, receiver: str, now: datetime) -> int:
    """Fail at once all that waits for a destination that nobody delivers to, as a person asked. Raises StoreError.

    Return how many deliveries failed. They can be sent again or discarded as all failed deliveries.
    """
    found = [each for each in unowned(outbox) if each.receiver == receiver]
    return sum(_fail(outbox, each, f"{each.why}; a person did not want to wait", now) for each in found)


def move(outbox: Outbox, moved: Mapping[str, str], now: datetime) -> int:
    """Hand over to its new name what was told to, or waits for, a destination that config.json says was moved.

    `moved` maps old names to new ones. Return how many alerts and deliveries were changed. Raises StoreError.
    """
    changed = 0
    for old, new in moved.items():
        for _ in range(ROUNDS_MAX):
            claimed = _claim(outbox, old, now)
            changed += len(claimed)
            for one in claimed:
                _move_delivery(outbox, one, new, now)
            if not claimed:
                break
        waiting = outbox.store.keys_with_pending(old)  # not due yet: what came later would overtake it
        open_alerts = (alert for alert in outbox.store.open_alerts() if alert.key not in waiting)
        told = [alert for alert in open_alerts if _names(alert, old)]
        writes = [_moved(alert, old, new, outbox.store.links([alert.key]).get(alert.key, []), now) for alert in told]
        changed += len(outbox.store.commit(writes, now)) if writes else 0
        if changed:
            log.info("destination_moved", receiver=old, to=new, changed=changed)
    return changed


def _fail(outbox: Outbox, each: Unowned, reason: str, now: datetime, *, before: datetime | None = None) -> int:
    failed = 0
    for _ in range(ROUNDS_MAX):
        at = now if before else now + ANY_DUE_TIME
        claimed = _claim(outbox, each.receiver, at, before=before)
        for one in claimed:
            outbox.record(one, Failed(reason=reason))
        failed += len(claimed)
        if not claimed:
            break
    return failed


def _claim(outbox: Outbox, receiver: str, now: datetime, *, before: datetime | None = None) -> list[Claimed]:
    owner = uuid.uuid4().hex
    return outbox.store.claim(receiver, limit=AT_ONCE, owner=owner, now=now, until=now + LEASE, made_before=before)


def _move_delivery(outbox: Outbox, claimed: Claimed, new: str, now: datetime) -> None:
    """Settle a delivery and queue it under the new name, in one commit; a conflict leaves it to the next run."""
    store, delivery = outbox.store, claimed.delivery
    head: Alert | None = store.get([delivery.key]).get(delivery.key)
    if head is None:
        return
    write = _moved(head, delivery.receiver, new, store.links([head.key]).get(head.key, []), now)
    again = replace(delivery, receiver=new, owner="", lease_until=None, due_at=None)
    try:
        store.settle(delivery, Settled(), now, replace(write, deliveries=(again,)))
    except (LeaseLost, StoreConflict) as error:
        log.info("delivery_not_moved", id=delivery.id, reason=str(error))


def _moved(alert: Alert, old: str, new: str, links: list[Link], now: datetime) -> Write:
    """Return the commit that names the new destination wherever the alert names the old one."""
    there = {link.episode for link in links if link.receiver == new}
    mine = (link for link in links if link.receiver == old and link.episode not in there)
    write = announcements.moved(alert, old, new, now) if _names(alert, old) else Write(alert=alert)
    return replace(write, links=tuple(replace(link, receiver=new) for link in mine))


def _names(alert: Alert, receiver: str) -> bool:
    return receiver in alert.receivers or receiver in alert.withheld


def _why(outbox: Outbox, name: str) -> str:
    known = outbox.book.receivers.get(name)
    return f"{name} is off: {known.why_off}" if known else f"config.json has no destination {name}"
