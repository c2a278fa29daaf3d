"""How much a destination is asked: its rate, its burst, and the breaker."""

from __future__ import annotations

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.engine.throttle import BREAKER_AFTER, Gate
from tests.sink import Clock


def test_a_gate_lets_through_its_rate_and_its_burst():
    clock = Clock()
    gate = Gate(0.5, 3, clock.seconds)

    assert [gate.take(2), gate.take(2), gate.take(2)] == [2, 1, 0]
    clock.advance(4)
    assert gate.take(5) == 2
    gate.give_back(1)
    assert gate.take(5) == 1


def test_a_breaker_probes_one_at_a_time_until_one_works():
    clock = Clock()
    gate = Gate(1000, 1000, clock.seconds)
    for _ in range(BREAKER_AFTER):
        gate.report(DeliveryError(Reason.TIMEOUT))

    assert gate.take(10) == 0
    clock.advance(60)
    assert gate.take(10) == 1
    gate.report(None)
    assert gate.take(10) == 10


def test_the_longer_nothing_has_worked_the_rarer_it_is_asked():
    clock = Clock()
    gate = Gate(1000, 1000, clock.seconds)
    probes = 0
    for _ in range(24 * 3600):
        if gate.take(1):
            probes += 1
            gate.report(DeliveryError(Reason.TIMEOUT))
        clock.advance(1)

    assert 24 * 60 < probes < 24 * 60 + 40
    assert gate.take(10) == 0


def test_one_that_fails_often_and_still_works_is_asked_again_in_a_second():
    clock = Clock()
    gate = Gate(1000, 1000, clock.seconds)
    clock.advance(3600)
    gate.report(None)
    for _ in range(BREAKER_AFTER):
        gate.report(DeliveryError(Reason.SERVER_ERROR))

    assert gate.take(10) == 0
    clock.advance(1)
    assert gate.take(10) == 1


def test_a_gate_knows_what_the_last_attempt_failed_of():
    gate = Gate(1000, 1000, Clock().seconds)
    gate.report(DeliveryError(Reason.UNAUTHORIZED, "the PAT is wrong"))
    assert gate.trouble == "unauthorized (the PAT is wrong)"

    gate.report(DeliveryError(Reason.REFUSED, permanent=True))  # that delivery's own fault

    assert gate.trouble == ""
