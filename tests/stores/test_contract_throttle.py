"""A throttle that processes share holds on every store, whoever comes at the same time."""

from __future__ import annotations

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.roles import Store
from service_event_checker.engine.throttle import BREAKER_AFTER, KeptInStore, Throttle
from tests.factories import NOW
from tests.stores.steps import at_once

BURST = 3


def throttles(store: Store, number: int) -> list[Throttle]:
    return [Throttle(0.001, BURST, NOW.timestamp, shared=KeptInStore(store, "slack")) for _ in range(number)]


def test_of_eight_that_take_at_once_as_many_may_as_one_alone(store: Store) -> None:
    eight = throttles(store, 8)

    taken = sum(at_once(lambda number: eight[number].take(1), range(8)))
    taken += sum(throttle.take(1) for throttle in eight)  # those who were never the fastest look again

    assert taken == BURST


def test_failures_that_several_see_close_it_for_all(store: Store) -> None:
    two = throttles(store, 2)

    for number in range(BREAKER_AFTER):
        two[number % 2].record_failure(DeliveryError(Reason.TIMEOUT))

    assert [throttle.take(1) for throttle in two] == [0, 0]
    assert two[0].trouble_in(store.slots()) == "timeout"
