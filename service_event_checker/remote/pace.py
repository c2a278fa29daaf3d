"""How fast one system may be asked: the pauses that it asks for itself, and the time that one thread's calls may take.

It never sleeps: who must wait is told so by an error, and the outbox waits.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from service_event_checker.core.errors import DeliveryError, Reason

DELIVERY_CALLS = 3


class Pace:
    """Safe for several threads: a pause holds for all of them, a budget for the thread that set it.

    `system` is its name for people, `timeout` the seconds that one call may take.
    """

    def __init__(self, system: str, timeout: float) -> None:
        self._system = system
        self._timeout = timeout
        self._paused_until = 0.0
        self._budget = threading.local()

    def pause(self, seconds: float | None) -> None:
        """Note that the system wants no call for so long; None or 0: it said nothing."""
        if seconds:
            self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def wait_if_told(self) -> None:
        """Raise DeliveryError(RATE_LIMITED) while the system wants us to pause."""
        left = self._paused_until - time.monotonic()
        if left > 0:
            raise DeliveryError(Reason.RATE_LIMITED, f"{self._system} asked for a pause", retry_after=left)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Bound all that this thread asks meanwhile; within another bound the earlier end counts."""
        outer = self._last_start
        self._budget.last_start = min(outer, time.monotonic() + seconds - self._timeout)
        try:
            yield
        finally:
            self._budget.last_start = outer

    @contextmanager
    def delivery(self) -> Iterator[None]:
        """Bound the calls of one delivery, and raise DeliveryError(RATE_LIMITED) while the system wants a pause.

        With a search and a look for an older object, three calls at their slowest stay within the delivery's lease.
        """
        self.wait_if_told()
        with self.within(self._timeout * DELIVERY_CALLS):
            yield

    def begin(self) -> None:
        """Raise DeliveryError(TIMEOUT) where a call that is begun now might end too late."""
        if time.monotonic() > self._last_start:
            raise DeliveryError(Reason.TIMEOUT, f"{self._system} is too slow for one more call")

    @property
    def _last_start(self) -> float:
        return float(getattr(self._budget, "last_start", math.inf))
