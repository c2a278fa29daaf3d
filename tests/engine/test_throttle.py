"""How much a destination is asked: its rate, its burst, and the breaker."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from service_event_checker.core.errors import DeliveryError, Reason, StoreError
from service_event_checker.core.model import Slot
from service_event_checker.engine.throttle import BREAKER_AFTER, KeptInStore, Throttle
from tests.factories import NOW
from tests.sink import Clock
from tests.stores.memory import MemoryStore

Make = Callable[..., Throttle]


class PosixClock(Clock):
    """Shared rows hold POSIX time."""

    def seconds(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def clock() -> Clock:
    return PosixClock()


@pytest.fixture(params=["of this process", "shared"])
def make(request: pytest.FixtureRequest, clock: Clock) -> Make:
    """Return a function that makes a throttle; the shared ones share one row."""
    store = MemoryStore()

    def made(rate: float, burst: int) -> Throttle:
        shared = KeptInStore(store, "slack") if request.param == "shared" else None
        return Throttle(rate, burst, clock.seconds, shared=shared)

    return made


def test_a_gate_lets_through_its_rate_and_its_burst(make: Make, clock: Clock) -> None:
    throttle = make(0.5, 3)

    assert [throttle.take(2), throttle.take(2), throttle.take(2)] == [2, 1, 0]
    clock.advance(4)
    assert throttle.take(5) == 2
    throttle.give_back(1)
    assert throttle.take(5) == 1


def test_a_breaker_probes_one_at_a_time_until_one_works(make: Make, clock: Clock) -> None:
    throttle = make(1000, 1000)
    for _ in range(BREAKER_AFTER):
        throttle.record_failure(DeliveryError(Reason.TIMEOUT))

    assert throttle.take(10) == 0
    clock.advance(60)
    assert throttle.take(10) == 1
    throttle.record_success()
    assert throttle.take(10) == 10


def test_the_longer_nothing_has_worked_the_rarer_it_is_asked(make: Make, clock: Clock) -> None:
    throttle = make(1000, 1000)
    probes = 0
    for _ in range(24 * 3600):
        if throttle.take(1):
            probes += 1
            throttle.record_failure(DeliveryError(Reason.TIMEOUT))
        clock.advance(1)

    assert 24 * 60 < probes < 24 * 60 + 40
    assert throttle.take(10) == 0


def test_one_that_fails_often_and_still_works_is_asked_again_in_a_second(make: Make, clock: Clock) -> None:
    throttle = make(1000, 1000)
    clock.advance(3600)
    throttle.record_success()
    for _ in range(BREAKER_AFTER):
        throttle.record_failure(DeliveryError(Reason.SERVER_ERROR))

    assert throttle.take(10) == 0
    clock.advance(1)
    assert throttle.take(10) == 1


def test_a_gate_knows_what_the_last_attempt_failed_of(make: Make) -> None:
    throttle = make(1000, 1000)
    throttle.record_failure(DeliveryError(Reason.UNAUTHORIZED, "the PAT is wrong"))
    assert throttle.trouble == "unauthorized (the PAT is wrong)"

    throttle.record_failure(DeliveryError(Reason.REFUSED, permanent=True))  # that delivery's own fault

    assert throttle.trouble == ""


def test_processes_that_share_a_throttle_have_one_rate_and_one_breaker(clock: Clock) -> None:
    store = MemoryStore()
    one, other = (Throttle(1, 4, clock.seconds, shared=KeptInStore(store, "slack")) for _ in range(2))

    assert [one.take(3), other.take(3)] == [3, 1]
    clock.advance(2)
    assert [other.take(1), one.take(3)] == [1, 1]
    one.record_failure(DeliveryError(Reason.RATE_LIMITED, retry_after=30))
    clock.advance(29)
    assert other.take(1) == 0
    assert other.trouble_in(store.slots()).startswith("rate limited")
    clock.advance(1)
    assert other.take(1) == 1
    other.record_success()
    assert one.trouble_in(store.slots()) == ""


def test_processes_probe_a_broken_destination_one_at_a_time(clock: Clock) -> None:
    store = MemoryStore()
    one, other = (Throttle(9, 9, clock.seconds, shared=KeptInStore(store, "slack")) for _ in range(2))
    for _ in range(BREAKER_AFTER):
        one.record_failure(DeliveryError(Reason.TIMEOUT))
    clock.advance(60)

    assert [one.take(5), other.take(5), one.take(5)] == [1, 0, 0]
    one.record_success()
    assert other.take(5) == 5


def test_a_success_does_not_end_a_pause_that_was_asked_for(make: Make, clock: Clock) -> None:
    throttle = make(9, 9)
    for _ in range(BREAKER_AFTER):
        throttle.record_failure(DeliveryError(Reason.RATE_LIMITED, retry_after=30))

    throttle.record_success()
    clock.advance(29)
    assert throttle.take(1) == 0
    clock.advance(1)
    assert throttle.take(1) == 1


def test_a_row_of_a_clock_that_was_far_ahead_closes_nothing(clock: Clock) -> None:
    store = MemoryStore()
    ahead = NOW + timedelta(days=30)
    store.put_slot(Slot(name="throttle:slack", due_at=ahead, lease_until=ahead))

    assert Throttle(1, 4, clock.seconds, shared=KeptInStore(store, "slack")).take(2) == 2


def test_a_store_that_is_away_stops_the_taking_and_not_the_record_of_a_delivery(clock: Clock) -> None:
    throttle = Throttle(1, 4, clock.seconds, shared=KeptInStore(Away(), "slack"))

    with pytest.raises(StoreError):
        throttle.take(1)
    throttle.record_failure(DeliveryError(Reason.TIMEOUT))
    throttle.record_success()
    assert throttle.trouble == ""


class Away(MemoryStore):
    def slots(self) -> dict[str, Slot]:
        raise StoreError("locked")
