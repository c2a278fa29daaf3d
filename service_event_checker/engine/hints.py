"""Polls a source sooner where its page says that something changed: at most one hinted poll per checker in 30 s.

The setting `hinted:<checker>` holds when the newest hinted poll is due, in ISO format, for all processes. A hint
writes it before it reads the slot; a poll reads it after it has reported. So one of both sees the other.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from service_event_checker.core.model import Slot
from service_event_checker.core.roles import SlotsAndSettings

HINTED_EVERY = timedelta(seconds=30)
TRIES = 5  # each time somebody else has written the slot first

log = structlog.get_logger()


def hint(store: SlotsAndSettings, checker: str, now: datetime) -> datetime:
    """Make the checker due and return when it is polled: now, or 30 s after its last hinted poll. Raises StoreError.

    While a poll runs its slot is not written, for it could not report any more; `follow` makes it due again then.
    """
    slot, last = store.slots().get(checker), _last(store, checker)
    pending = last is not None and (slot is None or slot.last_run_at is None or slot.last_run_at < last)
    at = last if last and pending else max(now, last + HINTED_EVERY) if last else now
    if slot is None or _is_answered(slot, at, now):
        return min(slot.due_at, at) if slot else now
    if not pending:
        store.set_setting(_setting(checker), at.isoformat())
    for _ in range(TRIES):
        slot = store.slots()[checker]
        if _is_running(slot, now) or _is_answered(slot, at, now):
            break
        if store.put_slot(replace(slot, due_at=at)) is not None:
            log.info("poll_hinted", checker=checker, at=at.isoformat())
            break
    return at


def follow(store: SlotsAndSettings, reported: Slot) -> None:
    """Make a checker whose poll has just reported due again where a hint is newer than its start. Raises StoreError.

    The poll may have looked before the page changed. Whoever writes the slot meanwhile has seen the hint.
    """
    hinted, started = _last(store, reported.name), reported.last_run_at
    if hinted and started and started < hinted < reported.due_at:
        store.put_slot(replace(reported, due_at=hinted))


def _is_running(slot: Slot, now: datetime) -> bool:
    return slot.lease_until is not None and slot.lease_until > now


def _is_answered(slot: Slot, at: datetime, now: datetime) -> bool:
    """Whether a poll has begun since the hint came, or begins by `at` anyway."""
    begun = slot.last_run_at is not None and slot.last_run_at >= now
    return begun or (slot.due_at <= at and not _is_running(slot, now))


def _last(store: SlotsAndSettings, checker: str) -> datetime | None:
    text = store.setting(_setting(checker))
    return datetime.fromisoformat(text) if text else None


def _setting(checker: str) -> str:
    return f"hinted:{checker}"
