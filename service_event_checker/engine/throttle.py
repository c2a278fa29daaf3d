"""How much one destination may be asked now: its rate, the pause it asked for, a breaker. State of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from service_event_checker.core.errors import DeliveryError, Reason

BREAKER_AFTER = 5  # failures in a row; then one probe at a time
BREAKER_FIRST, BREAKER_MAX = 1.0, 60.0  # seconds between probes: half of the time that nothing has worked


@dataclass(slots=True)
class Throttle:
    """How much a destination may be asked now: a token bucket, a pause it asked for, and a breaker.

    `trouble`: what the last attempt failed of; "" when it worked, or failed for the delivery's own sake.
    `rate` in deliveries per second. Times are monotonic seconds. State of this process; the truth is the store.
    """

    rate: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    tokens: float = field(init=False)
    filled_at: float = field(init=False)
    worked_at: float = field(init=False)
    closed_until: float = 0.0
    failures: int = 0
    trouble: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.tokens, self.filled_at = float(self.burst), self.clock()
        self.worked_at = self.filled_at

    def take(self, wanted: int) -> int:
        """Return how many deliveries may start now, at most `wanted`, and count them."""
        with self.lock:
            now = self.clock()
            self.tokens = min(float(self.burst), self.tokens + (now - self.filled_at) * self.rate)
            self.filled_at = now
            if now < self.closed_until:
                return 0
            allowed = min(wanted if self.failures < BREAKER_AFTER else 1, int(self.tokens))
            self.tokens -= allowed
            return allowed

    def give_back(self, unused: int) -> None:
        with self.lock:
            self.tokens += unused

    def record_success(self) -> None:
        with self.lock:
            self._reset()

    def record_failure(self, error: DeliveryError) -> None:
        """Close for as long as the destination asked, or as its failures suggest.

        A permanent one is the delivery's own fault: it shows that the destination works.
        """
        with self.lock:
            if error.permanent:
                self._reset()
            else:
                self.failures, self.trouble = self.failures + 1, str(error)
            now = self.clock()
            dead_for = now - self.worked_at  # one that fails often and still works is asked on
            pause = min(BREAKER_MAX, max(BREAKER_FIRST, dead_for / 2)) if self.failures >= BREAKER_AFTER else 0.0
            if error.reason is Reason.RATE_LIMITED:
                pause = max(pause, error.retry_after or 1.0)
            self.closed_until = max(self.closed_until, now + pause) if pause else self.closed_until

    def _reset(self) -> None:
        self.failures, self.trouble, self.worked_at = 0, "", self.clock()
