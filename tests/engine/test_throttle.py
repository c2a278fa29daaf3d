"""How much a destination is asked: its rate, its burst, and the breaker."""

from __future__ import annotations

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.engine.throttle import BREAKER_AFTER, Throttle
from tests.sink import Clock


def test_a_gate_lets_through_its_rate_and_its_burst():
    clock = Clock()
    throttle = Throttle(0.5, 3, clock.seconds)

    assert [throttle.take(2), throttle.take(2), throttle.take(2)] == [2, 1, 0]
    clock.advance(4)
    assert throttle.take(5) == 2
    throttle.give_back(1)
    assert throttle.take(5) == 1


def test_a_breaker_probes_one_at_a_time_until_one_works():
    clock = Clock()
    throttle = Throttle(1000, 1000, clock.seconds)
    for _ in range(BREAKER_AFTER):
        throttle.record_failure(DeliveryError(Reason.TIMEOUT))

    assert throttle.take(10) == 0
    clock.advance(60)
    assert throttle.take(10) == 1
    throttle.record_success()
    assert throttle.take(10) == 10


def test_the_longer_nothing_has_worked_the_rarer_it_is_asked():
    clock = Clock()
    throttle = Throttle(1000, 1000, clock.seconds)
    probes = 0
    for _ in range(24 * 3600):
        if throttle.take(1):
            probes += 1
            throttle.record_failure(DeliveryError(Reason.TIMEOUT))
        clock.advance(1)

    assert 24 * 60 < probes < 24 * 60 + 40
    assert throttle.take(10) == 0


def test_one_that_fails_often_and_still_works_is_asked_again_in_a_second():
    clock = Clock()
    throttle = Throttle(1000, 1000, clock.seconds)
    clock.advance(3600)
    throttle.record_success()
    for _ in range(BREAKER_AFTER):
        throttle.record_failure(DeliveryError(Reason.SERVER_ERROR))

    assert throttle.take(10) == 0
    clock.advance(1)
    assert throttle.take(10) == 1


def test_a_gate_knows_what_the_last_attempt_failed_of():
    throttle = Throttle(1000, 1000, Clock().seconds)
    throttle.record_failure(DeliveryError(Reason.UNAUTHORIZED, "the PAT is wrong"))
    assert throttle.trouble == "unauthorized (the PAT is wrong)"

    throttle.record_failure(DeliveryError(Reason.REFUSED, permanent=True))  # that delivery's own fault

    assert throttle.trouble == ""
