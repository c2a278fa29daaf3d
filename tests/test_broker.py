"""The broker's own state: many threads hand over jobs at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from service_event_checker.broker import Broker

THREADS, ROUNDS = 8, 3000


class Flaky:
    """Celery's side: it takes every message, or none."""

    def __init__(self) -> None:
        self.away = False

    def send_task(self, *_: object, **__: object) -> None:
        if self.away:
            raise ConnectionError


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_threads_that_see_redis_back_at_once_all_hand_over_their_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that failed here would not wake the workers any more."""
    monkeypatch.setattr("service_event_checker.broker.AWAY_SECONDS", 0.0)
    broker, redis = Broker("redis://127.0.0.1:1/0"), Flaky()
    broker.app = redis  # type: ignore[assignment]
    start = threading.Barrier(THREADS)

    def send(_: int) -> bool:
        start.wait()
        return broker.send("deliver-due", "")

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(ROUNDS):
            redis.away = True
            assert not broker.send("deliver-due", "")
            redis.away = False
            assert all(pool.map(send, range(THREADS)))
