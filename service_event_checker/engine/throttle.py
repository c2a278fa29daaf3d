"""How much one destination may be asked now: its rate, the pause it asked for, a breaker.

State of this process, or, where several processes deliver, of a row in the store (ADR 11).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

import structlog

from service_event_checker.core.errors import DeliveryError, Reason, StoreError
from service_event_checker.core.model import Slot
from service_event_checker.core.roles import Slots

BREAKER_AFTER = 5  # failures in a row; then one probe at a time
BREAKER_FIRST, BREAKER_MAX = 1.0, 60.0  # seconds between probes: half of the time that nothing has worked
PAUSE_MAX = 900.0  # seconds; what lies further ahead in a shared row is of a clock that was wrong
FULL_MAX = 86_400.0  # seconds, likewise: no bucket takes a day to fill
ROUNDING = 0.001  # of a token: a shared row holds microseconds
SHARED_TRIES = 5  # to change the row; then a process waits for its next look

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is known of a destination's load; times in seconds of the throttle's clock.

    `full_at`: when its token bucket is full again. `trouble`: what the last attempt failed of; "" when it worked, or
    failed for the delivery's own sake. `failing_since`: the first of `failures` in a row.
    """

    full_at: float
    closed_until: float
    failing_since: float
    failures: int = 0
    trouble: str = ""

    def taken(self, tokens: int, rate: float, now: float) -> Load:
        """Count what starts now; where it is a probe, close so that no other process makes one at the same time."""
        full_at = max(self.full_at, now) + tokens / rate
        return replace(self, full_at=full_at, closed_until=now + BREAKER_FIRST if self.broken else self.closed_until)

    @property
    def broken(self) -> bool:
        return self.failures >= BREAKER_AFTER

    def well(self, now: float) -> Load:
        """It works: probing ends, a pause that it asked for does not."""
        probed = self.broken and self.closed_until <= now + BREAKER_FIRST
        closed_until = 0.0 if probed else self.closed_until
        return replace(self, failures=0, trouble="", failing_since=now, closed_until=closed_until)

    def failed(self, error: DeliveryError, now: float) -> Load:
        """Close for as long as the destination asked, or as its failures suggest.

        A permanent one is the delivery's own fault: it shows that the destination works.
        """
        if error.permanent:
            load = self.well(now)
        else:
            since = self.failing_since if self.failures else now
            load = replace(self, failures=self.failures + 1, trouble=str(error), failing_since=since)
        dead_for = now - load.failing_since  # one that fails often and still works is asked on
        pause = min(BREAKER_MAX, max(BREAKER_FIRST, dead_for / 2)) if load.broken else 0.0
        if error.reason is Reason.RATE_LIMITED:
            pause = max(pause, min(error.retry_after or 1.0, PAUSE_MAX))
        return replace(load, closed_until=max(load.closed_until, now + pause)) if pause else load


class Keep(Protocol):
    """Holds a load and changes it, atomically."""

    def change(self, decide: Callable[[Load], Load], now: float) -> tuple[Load, Load] | None:
        """Return the load before and after; None if others were always faster. Raises StoreError."""
        ...


class KeptHere:
    """The load in this process' memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._load: Load | None = None

    def change(self, decide: Callable[[Load], Load], now: float) -> tuple[Load, Load] | None:
        with self._lock:
            before = self._load or Load(full_at=now, closed_until=0.0, failing_since=now)
            self._load = decide(before)
            return before, self._load


class KeptInStore:
    """The load in a row of the store, changed by compare-and-set; the throttle's clock must be POSIX time."""

    def __init__(self, store: Slots, receiver: str) -> None:
        self._store = store
        self.name = f"throttle:{receiver}"  # no checker's name has a colon

    def change(self, decide: Callable[[Load], Load], now: float) -> tuple[Load, Load] | None:
        for _ in range(SHARED_TRIES):
            slot = self._store.slots().get(self.name) or Slot(name=self.name, due_at=_at(now))
            before = _load(slot, now)
            after = decide(before)
            if after == before or self._store.put_slot(_with(slot, after)):
                return before, after
        return None


class Throttle:
    """How much a destination may be asked now: a token bucket, a pause it asked for, and a breaker.

    `rate` in deliveries per second; `clock` in seconds. `shared`: its load is held in the store.
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic, *, shared: KeptInStore | None = None
    ) -> None:
        self.rate = rate
        self.burst = burst
        self.shared = shared
        self._clock = clock
        self._keep: Keep = shared or KeptHere()
        self._seen: Load | None = None

    @property
    def trouble(self) -> str:
        """What the last attempt of this process failed of, "" if it worked."""
        return self._seen.trouble if self._seen else ""

    def trouble_in(self, slots: Mapping[str, Slot]) -> str:
        """Return what the last attempt of any process failed of, as the slots of the store say it."""
        if self.shared is None:
            return self.trouble
        slot = slots.get(self.shared.name)
        return slot.unknown_reason if slot else ""

    def failing(self, store: Slots) -> tuple[int, float]:
        """Return how many attempts in a row have failed, and for how many seconds nothing has worked.

        (0, 0.0) if the last one worked. Raises StoreError.
        """
        now = self._clock()
        if self.shared is None:
            load = self._seen
        else:
            slot = store.slots().get(self.shared.name)
            load = _load(slot, now) if slot else None
        return (load.failures, now - load.failing_since) if load and load.failures else (0, 0.0)

    def take(self, wanted: int) -> int:
        """Return how many deliveries may start now, at most `wanted`, and count them. Raises StoreError."""
        now = self._clock()
        changed = self._keep.change(lambda load: self._taken(load, wanted, now), now)
        if changed is None:
            return 0
        self._seen = changed[1]
        return self._allowed(changed[0], wanted, now)

    def give_back(self, unused: int) -> None:
        if unused:
            self._note(lambda load: replace(load, full_at=load.full_at - unused / self.rate))

    def record_success(self) -> None:
        if self.shared and self._seen and not self._seen.failures:
            return  # as it was: a write for each delivery would say nothing
        now = self._clock()
        self._note(lambda load: load.well(now))

    def record_failure(self, error: DeliveryError) -> None:
        now = self._clock()
        self._note(lambda load: load.failed(error, now))

    def _allowed(self, load: Load, wanted: int, now: float) -> int:
        if now < load.closed_until:
            return 0
        tokens = min(float(self.burst), self.burst - (load.full_at - now) * self.rate)
        return max(0, min(1 if load.broken else wanted, int(tokens + ROUNDING)))

    def _taken(self, load: Load, wanted: int, now: float) -> Load:
        allowed = self._allowed(load, wanted, now)
        return load.taken(allowed, self.rate, now) if allowed else load

    def _note(self, decide: Callable[[Load], Load]) -> None:
        """Change what is known; where the store is away, the delivery goes on without it."""
        try:
            changed = self._keep.change(decide, self._clock())
        except StoreError as error:
            log.info("throttle_not_shared", throttle=self.shared and self.shared.name, reason=str(error))
            return
        if changed:
            self._seen = changed[1]


def _load(slot: Slot, now: float) -> Load:
    """Read a row; what lies too far ahead was written by a clock that was wrong."""
    closed = slot.lease_until.timestamp() if slot.lease_until else 0.0
    full = slot.due_at.timestamp()
    since = slot.unknown_since.timestamp() if slot.unknown_since else now
    return Load(
        full_at=full if full <= now + FULL_MAX else now,
        closed_until=closed if closed <= now + PAUSE_MAX else 0.0,
        failing_since=min(since, now),
        failures=slot.failures,
        trouble=slot.unknown_reason,
    )


def _with(slot: Slot, load: Load) -> Slot:
    return replace(
        slot,
        due_at=_at(load.full_at),
        lease_until=_at(load.closed_until) if load.closed_until else None,
        unknown_since=_at(load.failing_since) if load.failures else None,
        unknown_reason=load.trouble,
        failures=load.failures,
    )


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
