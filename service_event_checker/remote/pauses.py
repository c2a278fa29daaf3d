"""The pauses that one system asks for. Nobody sleeps here: an error says how long to wait, and the outbox waits."""

from __future__ import annotations

import time

from service_event_checker.core.errors import DeliveryError, Reason


class Pauses:
    """Safe for several threads: a pause holds for all of them. `system` is its name for people."""

    def __init__(self, system: str) -> None:
        self._system = system
        self._until = 0.0

    def add(self, seconds: float | None) -> None:
        """Note that the system wants no call for so long; None or 0: it said nothing."""
        if seconds:
            self._until = max(self._until, time.monotonic() + seconds)

    def raise_if_paused(self) -> None:
        """Raise DeliveryError(RATE_LIMITED) while the system wants us to pause."""
        left = self._until - time.monotonic()
        if left > 0:
            raise DeliveryError(Reason.RATE_LIMITED, f"{self._system} asked for a pause", retry_after=left)
