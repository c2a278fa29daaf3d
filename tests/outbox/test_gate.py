"""How much a destination is asked: its rate, its burst, and the breaker."""

from __future__ import annotations

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.outbox import BREAKER_AFTER, Gate
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


def test_a_breaker_bears_an_outage_of_days():
    gate = Gate(1000, 1000, Clock().seconds)
    for _ in range(2000):
        gate.report(DeliveryError(Reason.TIMEOUT))

    assert gate.take(10) == 0


def test_a_gate_knows_what_the_last_attempt_failed_of():
    gate = Gate(1000, 1000, Clock().seconds)
    gate.report(DeliveryError(Reason.UNAUTHORIZED, "the PAT is wrong"))
    assert gate.trouble == "unauthorized (the PAT is wrong)"

    gate.report(DeliveryError(Reason.REFUSED, permanent=True))  # that delivery's own fault

    assert gate.trouble == ""
