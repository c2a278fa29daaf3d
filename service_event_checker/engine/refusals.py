"""Who was refused lately and why: counted, logged once a minute, listed for the page. In this process' memory only.

Writing it to the store would let strangers make us write.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

import structlog

from service_event_checker.metrics import REFUSALS

TRIES_MAX = 20  # failed ones of a peer in a minute; more are throttled where throttling harms no alert
MINUTE = 60.0
SHOWN_FOR = timedelta(hours=1)  # after the last try
REMEMBERED_MAX = 1000  # of whom and why; the oldest are forgotten first

K = TypeVar("K")
V = TypeVar("V")

log = structlog.get_logger()


class Refusal(StrEnum):
    """Why a request is not let in; a metric label."""

    WRONG_TOKEN = "wrong_token"  # noqa: S105  # the name of a mistake
    MISSING_TOKEN = "missing_token"  # noqa: S105
    WRONG_SIGNATURE = "wrong_signature"
    WRONG_ADDRESS = "wrong_address"
    NOT_CONFIGURED = "not_configured"
    LACKS_SCOPE = "lacks_scope"
    OTHER_SITE = "other_site"
    OTHER = "other"


GUESSES = frozenset({Refusal.WRONG_TOKEN, Refusal.WRONG_SIGNATURE, Refusal.WRONG_ADDRESS})


@dataclass(slots=True)
class Tries:
    """The refusals of one peer at one door, for one reason: `sender` is who it should be, like "alertmanager"."""

    sender: str
    reason: Refusal
    peer: str
    since: datetime
    last: datetime
    count: int = 0


class Refusals:
    """Safe for several threads. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: OrderedDict[tuple[str, Refusal, str], Tries] = OrderedDict()
        self._guesses: OrderedDict[str, deque[float]] = OrderedDict()
        self._logged: OrderedDict[tuple[Refusal, str], tuple[float, int]] = OrderedDict()

    def note(self, route: str, sender: str, reason: Refusal, peer: str, now: datetime) -> None:
        """Count a refusal; log it unless this reason and peer were logged in the last minute."""
        REFUSALS.labels(route, reason.value).inc()
        with self._lock:
            key = (sender, reason, peer)
            tries = self._tries.pop(key, None) or Tries(sender, reason, peer, since=now, last=now)
            if now - tries.last > SHOWN_FOR:
                tries = Tries(sender, reason, peer, since=now, last=now)
            tries.last, tries.count = now, tries.count + 1
            _remember(self._tries, key, tries)
            if reason in GUESSES:
                times = self._guesses.pop(peer, None) or deque(maxlen=TRIES_MAX + 1)
                times.append(self._clock())
                _remember(self._guesses, peer, times)
            number = self._to_log(reason, peer)
        if number:
            log.warning("request_refused", reason=reason.value, peer=peer, route=route, times=number)

    def accepted(self, sender: str, peer: str) -> None:
        """Forget what a peer was refused for: it has shown the right secret."""
        if self._tries:
            with self._lock:
                for key in [key for key in self._tries if key[0] == sender and key[2] == peer]:
                    del self._tries[key]

    def too_many(self, peer: str) -> bool:
        """Whether a peer has shown more than TRIES_MAX wrong secrets in the last minute."""
        with self._lock:
            times = self._guesses.get(peer) or deque()
            return len(times) > TRIES_MAX and self._clock() - times[0] < MINUTE

    def lately(self, now: datetime) -> list[Tries]:
        """Return what was refused in the last hour."""
        with self._lock:
            return [tries for tries in self._tries.values() if now - tries.last <= SHOWN_FOR]

    def _to_log(self, reason: Refusal, peer: str) -> int:
        """Return how many refusals the line to write now stands for, 0 if none is to be written yet."""
        at, unlogged = self._logged.pop((reason, peer), (-MINUTE, 0))
        due = self._clock() - at >= MINUTE
        _remember(self._logged, (reason, peer), (self._clock(), 0) if due else (at, unlogged + 1))
        return unlogged + 1 if due else 0


def _remember(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    if len(known) > REMEMBERED_MAX:
        known.popitem(last=False)
