"""What is known of the configured checkers and destinations, read from the store: for page, probes and command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service_event_checker import logs
from service_event_checker.core.model import Alert, PlannedWork, Slot
from service_event_checker.engine.heartbeat import HEARTBEAT_MAX_AGE
from service_event_checker.engine.polling import BACK_OFF_MAX, Watch
from service_event_checker.engine.services import Part, Services

_MISSED_POLLS = 3  # after this many intervals without a report, the last result no longer counts as the present state


class PollState(StrEnum):
    """What we know of a source."""

    OK = "ok"
    UNKNOWN = "unknown"
    WAITING = "not checked yet"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckerState:
    """`why` is the reason where it is off or unknown; `tracked` counts its open alerts among those read.

    `planned`: the planned work that its page lists, whether it is tracked or not.
    """

    name: str
    kind: str
    reading: PollState
    why: str = ""
    unknown_since: datetime | None = None
    last_run_at: datetime | None = None
    last_success_at: datetime | None = None
    next_run_at: datetime | None = None
    tracked: int = 0
    warnings: tuple[str, ...] = ()
    planned: tuple[PlannedWork, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverState:
    """A destination. `state` is "on", the reason why it is off, or the destination that replaces it."""

    name: str
    kind: str
    on: bool
    state: str
    waiting: int
    dead: int


def beats(heartbeat_at: datetime | None, now: datetime) -> bool:
    """Whether some process runs the engine. A beat from the future is an old one, from before the clock was set."""
    return heartbeat_at is not None and abs(now - heartbeat_at) <= HEARTBEAT_MAX_AGE


def checkers(services: Services, tracked: tuple[Alert, ...], now: datetime) -> tuple[CheckerState, ...]:
    """Return the configured checkers in their order; `tracked` are the open alerts to count. Raises StoreError."""
    counts = Counter(alert.source for alert in tracked if not alert.test)
    slots = services.store.slots()
    found = []
    for part in services.parts:
        if part.section == "checker":
            watch = services.poller.watches.get(part.name)
            found.append(_checker(part, watch, slots.get(part.name), counts[part.name], now))
    return tuple(found)


def receivers(services: Services) -> tuple[ReceiverState, ...]:
    """Return the configured destinations in their order. Raises StoreError."""
    dead, slots = services.store.failed_counts(), services.store.slots()
    return tuple(
        ReceiverState(
            name=part.name,
            kind=part.kind,
            on=part.on,
            state=logs.masked(_failing(services, part.name, slots) or part.state),
            waiting=services.store.waiting(part.name),
            dead=dead.get(part.name, 0),
        )
        for part in services.parts
        if part.section == "destination"
    )


def _failing(services: Services, receiver: str, slots: Mapping[str, Slot]) -> str:
    """Return the last error there, "" if the last call succeeded."""
    throttle = services.outbox.throttles.get(receiver)
    trouble = throttle.trouble_in(slots) if throttle is not None else ""
    return f"failing: {trouble}" if trouble else ""


def _checker(part: Part, watch: Watch | None, slot: Slot | None, tracked: int, now: datetime) -> CheckerState:
    if watch is None:
        return CheckerState(name=part.name, kind=part.kind, reading=PollState.OFF, why=part.state, tracked=tracked)
    if slot is None:
        return CheckerState(name=part.name, kind=part.kind, reading=PollState.WAITING, tracked=tracked)
    reading, why, since = _reading(watch, slot, now)
    return CheckerState(
        name=part.name,
        kind=part.kind,
        reading=reading,
        why=logs.masked(why),
        unknown_since=since,
        last_run_at=slot.last_run_at,
        last_success_at=slot.last_success_at,
        next_run_at=slot.due_at,
        tracked=tracked,
        warnings=slot.warnings,
        planned=tuple(work for work in slot.planned if _is_believed(work, slot, now)),
    )


def _is_believed(work: PlannedWork, slot: Slot, now: datetime) -> bool:
    """Whether planned work still counts: nobody has resolved it, and where the page cannot be read it is not past."""
    past = slot.unknown_since is not None and work.ends_at is not None and work.ends_at <= now
    return work.fingerprint not in slot.dismissed and not past


def _reading(watch: Watch, slot: Slot, now: datetime) -> tuple[PollState, str, datetime | None]:
    """Return what we know of a source that is asked, why we do not, and since when."""
    if slot.unknown_since is not None:
        return PollState.UNKNOWN, slot.unknown_reason, slot.unknown_since
    if slot.last_success_at is None:
        return PollState.WAITING, "", None
    patience = max(watch.every * _MISSED_POLLS, BACK_OFF_MAX) + watch.lease
    if now - slot.last_success_at > patience:
        return PollState.UNKNOWN, "no poll has reported since", slot.last_success_at
    return PollState.OK, "", None
