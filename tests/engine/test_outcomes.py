"""What the timeline says of deliveries: to whom, what, after how many tries, where, and why not."""

from __future__ import annotations

from collections import deque
from datetime import timedelta

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Verb, Why
from tests.engine.conftest import FreshStore
from tests.factories import NOW, event, receiver
from tests.process import World
from tests.sink import Clock, Sink

KEY = event().key
pytestmark = pytest.mark.parametrize("store_kind", ["memory", "sqlite"], indirect=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tickets(clock: Clock) -> Sink:
    return Sink(clock, Family.TICKET)


def world_of(fresh_store: FreshStore, clock: Clock, tickets: Sink, **changes: object) -> World:
    book = Rulebook((Rule("all", (), ("tickets",)),), (), {"tickets": receiver("tickets", Family.TICKET, **changes)})
    return World(fresh_store(), {"tickets": tickets}, book, clock)


def test_a_delivery_that_arrived_is_told_with_its_tries_and_its_address(
    fresh_store: FreshStore, clock: Clock, tickets: Sink
) -> None:
    world = world_of(fresh_store, clock, tickets)
    tickets.failures = deque([DeliveryError(Reason.RATE_LIMITED, retry_after=30)])
    world.see(event())
    world.drain_once()
    assert world.store.outcomes(KEY, 1) == []  # it is tried again
    clock.advance(31)

    world.drain_once()

    (told,) = world.store.outcomes(KEY, 1)
    assert (told.why, told.receiver, told.verb, told.tries) == (Why.DELIVERED, "tickets", Verb.OPEN, 2)
    assert (told.url, told.at) == ("http://sink.test/1", NOW + timedelta(seconds=31))
    assert told in world.store.timeline(KEY)


def test_what_is_told_later_of_a_ticket_names_the_ticket(fresh_store: FreshStore, clock: Clock, tickets: Sink) -> None:
    world = world_of(fresh_store, clock, tickets)
    world.see(event())
    world.settle_down()
    clock.advance(60)
    world.see(event(status=EventStatus.NOTED, note="looking", actor="ada", at=clock()))
    world.settle_down()

    assert [(step.verb, step.url) for step in world.store.outcomes(KEY, 1)] == [
        (Verb.OPEN, "http://sink.test/1"),
        (Verb.NOTE, "http://sink.test/1"),
    ]


def test_a_failure_says_why_and_does_not_change_the_alert(fresh_store: FreshStore, clock: Clock, tickets: Sink) -> None:
    world = world_of(fresh_store, clock, tickets)
    tickets.failures = deque([DeliveryError(Reason.REFUSED, "the title is too long", permanent=True)])
    world.see(event())
    before = world.store.get([KEY])[KEY]

    world.settle_down()

    (failed,) = world.store.outcomes(KEY, 1)
    assert (failed.why, failed.tries, failed.note) == (Why.GAVE_UP, 1, "refused (the title is too long)")
    assert world.store.get([KEY])[KEY] == before


def test_a_dry_run_and_what_it_leaves_to_do_are_told(fresh_store: FreshStore, clock: Clock, tickets: Sink) -> None:
    world = world_of(fresh_store, clock, tickets, shadow=True)
    world.see(event())
    world.settle_down()
    world.book.receivers["tickets"] = receiver("tickets", Family.TICKET)  # type: ignore[index]
    world.see(event(status=EventStatus.RESOLVED, at=clock()))
    world.settle_down()

    dry, close = world.store.outcomes(KEY, 1)
    assert (dry.why, dry.verb, dry.tries) == (Why.DRY_RUN, Verb.OPEN, 0)
    assert (close.why, close.verb, close.tries) == (Why.SKIPPED, Verb.CLOSE, 0)
    assert "dry run" in close.note


def test_who_has_to_wait_is_told_with_the_reason(fresh_store: FreshStore, clock: Clock, tickets: Sink) -> None:
    world = world_of(fresh_store, clock, tickets, why_off="REDMINE_URL is not set")

    world.see(event())
    clock.advance(60)
    world.see(event(title="Worse", at=clock()))

    held_back = [step for step in world.store.timeline(KEY) if step.why is Why.WITHHELD]
    assert [(step.receiver, step.note) for step in held_back] == [("tickets", "off: REDMINE_URL is not set")]
