"""Keeps one caller's runaway loop from taking the API from all others: a bucket of requests per token and process."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

RATE = 50.0  # requests per second that last
BURST = 500  # requests at once


class Budget:
    """Safe to call from several threads. `clock` gives seconds."""

    def __init__(self, rate: float = RATE, burst: int = BURST, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left: dict[str, tuple[float, float]] = {}  # by caller: requests, and when they were counted
        self._lock = threading.Lock()

    def take(self, caller: str) -> int:
        """Count a request and return 0; or the seconds after which the next one is answered, at least 1."""
        with self._lock:
            now = self._clock()
            left, at = self._left.get(caller, (float(self._burst), now))
            left = min(float(self._burst), left + (now - at) * self._rate)
            allowed = left >= 1
            self._left[caller] = (left - 1 if allowed else left, now)
        return 0 if allowed else max(1, math.ceil((1 - left) / self._rate))
