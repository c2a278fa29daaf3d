"""A line in which the writers of one process wait for their turn, as SQLite takes one at a time.

SQLite's own waiting is a lottery, in which some are never drawn. https://www.sqlite.org/c3ref/busy_timeout.html
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from service_event_checker.core.errors import StoreError


class Turns:
    """First come, first served. Safe to call from several threads; a thread must not ask while it has the turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self, patience: float) -> Iterator[float]:
        """Wait for the turn, at most `patience` seconds, and yield how many of them are left. Raises StoreError."""
        until = monotonic() + patience
        if not self._take(patience):
            raise StoreError(f"other writers were not done within {patience:.0f} s")
        try:
            yield max(0.0, until - monotonic())
        finally:
            self._pass_on()

    def _take(self, patience: float) -> bool:
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            called = threading.Event()
            self._waiting.append(called)
        if called.wait(patience):
            return True
        with self._lock:
            if called.is_set():  # just now
                return True
            self._waiting.remove(called)
        return False

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False
