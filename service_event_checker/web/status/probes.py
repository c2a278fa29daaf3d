"""Whether this process can serve: the store takes a write, some process runs the engine, nobody stops us."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from service_event_checker.core.errors import StoreError
from service_event_checker.engine.heartbeat import last_heartbeat
from service_event_checker.engine.schedule import Engine
from service_event_checker.web.status.overview import beats

PROBE_MAX_AGE = 5.0  # seconds; many probers then cost the store one write
TROUBLE_MAX_AGE = 1.0  # who is not ready is asked again soon


class StoreProbe:
    """Asks the store for a write at most every five seconds; a probe that hangs holds up one request, not all."""

    def __init__(self, ping: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._ping = ping
        self._clock = clock
        self._lock = threading.Lock()
        self._asked_at: float | None = None
        self._trouble = ""

    def trouble(self) -> str:
        """Return "" if the store could be written to in the last five seconds, else what was wrong a second ago."""
        if not self._lock.acquire(timeout=PROBE_MAX_AGE):
            return "the store has not answered for some time"
        try:
            longest = TROUBLE_MAX_AGE if self._trouble else PROBE_MAX_AGE
            if self._asked_at is None or self._clock() - self._asked_at >= longest:
                self._trouble = self._ask()
                self._asked_at = self._clock()
            return self._trouble
        finally:
            self._lock.release()

    def _ask(self) -> str:
        try:
            self._ping()
        except StoreError as error:
            return f"the store cannot be written to ({error})"
        return ""


def troubles(probe: StoreProbe, engine: Engine, now: datetime) -> dict[str, str]:
    """Return what keeps us from being ready, by part: store, heartbeat, draining. Empty when all is well."""
    found: dict[str, str] = {}
    if trouble := probe.trouble():
        found["store"] = trouble
    elif trouble := _heartbeat_trouble(engine, now):
        found["heartbeat"] = trouble
    if engine.draining:
        found["draining"] = "this process is stopping"
    return found


def _heartbeat_trouble(engine: Engine, now: datetime) -> str:
    try:
        heartbeat_at = last_heartbeat(engine.services.store)
    except StoreError as error:
        return f"the store cannot be read ({error})"
    if beats(heartbeat_at, now):
        return ""
    return f"nothing has polled or delivered since {heartbeat_at.isoformat()}" if heartbeat_at else "nothing runs yet"
