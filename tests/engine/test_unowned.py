"""Deliveries whose destination was renamed, removed or turned off: listed, moved, failed after a day, never tried."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Severity, Verb, Why
from service_event_checker.engine.unowned import Unowned, expire, give_up, move, unowned
from tests.factories import NOW, event, receiver
from tests.process import World
from tests.sink import Clock, Sink

DAY = 24 * 3600
KEY = event().key
GONE = "config.json has no destination tickets"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def book(*names: str, **changes: Any) -> Rulebook:
    receivers = {name: receiver(name, Family.TICKET, **changes) for name in names}
    return Rulebook((Rule("all", (), names),), (), receivers)


def restarted(world: World, destinations: dict[str, Sink], rules: Rulebook) -> World:
    """The next start, with another configuration."""
    return World(world.store, destinations, rules, world.clock)


@pytest.fixture
def waiting(fresh_store: Any, clock: Clock) -> World:
    """One alert is to be told to `tickets`."""
    world = World(fresh_store(), {"tickets": Sink(clock)}, book("tickets"), clock)
    world.see(event())
    return world


def test_what_has_no_destination_any_more_is_listed_and_not_tried(waiting: World) -> None:
    assert unowned(waiting.outbox) == []

    world = restarted(waiting, {}, book())

    assert unowned(world.outbox) == [Unowned(receiver="tickets", why=GONE, waiting=1, oldest_at=NOW)]
    assert world.drain_once() == 0


def test_what_is_off_is_listed_with_the_reason(waiting: World) -> None:
    world = restarted(waiting, {}, book("tickets", why_off="REDMINE_URL is not set"))

    assert [each.why for each in unowned(world.outbox)] == ["tickets is off: REDMINE_URL is not set"]


def test_after_a_day_it_fails_and_its_alert_can_be_archived(waiting: World, clock: Clock) -> None:
    world = restarted(waiting, {}, book())
    clock.advance(DAY - 1)
    assert expire(world.outbox, clock()) == 0
    world.see(event(status=EventStatus.RESOLVED, at=clock()))
    assert world.store.archive(clock()) == 0

    clock.advance(1)
    assert expire(world.outbox, clock()) == 1

    (failed,) = world.store.failed_deliveries()
    assert (failed.receiver, failed.verb, failed.reason) == ("tickets", Verb.OPEN, f"for 24 h {GONE}")
    assert world.store.timeline(KEY)[-1].why is Why.GAVE_UP
    assert world.store.archive(clock()) == 1
    assert unowned(world.outbox) == []


def test_what_is_on_again_within_the_day_is_delivered(waiting: World, clock: Clock) -> None:
    off = restarted(waiting, {}, book("tickets", why_off="a variable is not set"))
    clock.advance(3600)
    expire(off.outbox, clock())

    tickets = Sink(clock)
    restarted(off, {"tickets": tickets}, book("tickets")).settle_down()

    assert len(tickets.things) == 1


def test_a_person_need_not_wait_a_day(waiting: World, clock: Clock) -> None:
    world = restarted(waiting, {}, book())

    assert give_up(world.outbox, "tickets", clock()) == 1
    assert give_up(world.outbox, "tickets", clock()) == 0

    (failed,) = world.store.failed_deliveries()
    assert world.store.discard(failed.id)


def test_nobody_gives_up_what_a_destination_still_delivers(waiting: World, clock: Clock) -> None:
    assert give_up(waiting.outbox, "tickets", clock()) == 0
    assert expire(waiting.outbox, NOW.replace(year=2027)) == 0


def test_under_its_new_name_what_waited_is_delivered_once_and_in_order(waiting: World, clock: Clock) -> None:
    waiting.see(event(status=EventStatus.NOTED, note="look", note_id="1", via="chat"))
    waiting.see(event(status=EventStatus.RESOLVED, at=NOW))
    jira = Sink(clock)
    world = restarted(waiting, {"jira": jira}, book("jira"))

    move(world.outbox, {"tickets": "jira"}, clock())
    move(world.outbox, {"tickets": "jira"}, clock())
    world.settle_down()

    assert [verb for verb, _ in jira.told] == [Verb.OPEN, Verb.NOTE, Verb.CLOSE]
    assert (len(jira.things), jira.things[0].open) == (1, False)
    assert world.store.waiting_by_receiver() == {}
    assert [step.note for step in world.store.timeline(KEY) if step.why is Why.MOVED] == ["tickets is jira now"]


def test_what_was_opened_under_the_old_name_is_ended_under_the_new_one(waiting: World, clock: Clock) -> None:
    tickets = Sink(clock)
    told = restarted(waiting, {"tickets": tickets}, book("tickets"))
    told.settle_down()
    world = restarted(told, {"jira": tickets}, book("jira"))

    move(world.outbox, {"tickets": "jira"}, clock())
    world.see(event(status=EventStatus.RESOLVED, at=NOW))
    world.settle_down()

    assert (len(tickets.things), tickets.things[0].open) == (1, False)
    assert world.store.link_by("jira", "1") is not None


@pytest.mark.parametrize("told_first", [True, False], ids=["told", "not due yet"])
def test_an_end_that_comes_before_the_move_is_told_once_and_last(
    waiting: World, clock: Clock, told_first: bool
) -> None:
    old = Sink(clock)
    if not told_first:
        old.failures.append(DeliveryError(Reason.UNREACHABLE, retry_after=300))
    restarted(waiting, {"tickets": old}, book("tickets")).drain_once()
    tickets = old if told_first else Sink(clock)
    world = restarted(waiting, {"jira": tickets}, replace(book("jira"), moved={"tickets": "jira"}))
    move(world.outbox, {"tickets": "jira"}, clock())  # what is not due stays under the old name

    world.see(event(title="Worse", severity=Severity.CRITICAL, at=NOW))
    world.see(event(status=EventStatus.RESOLVED, at=NOW))
    world.drain_once()  # nothing may be sent under the new name yet
    for _ in range(3):  # one delivery of a lane is due at a time
        clock.advance(400)
        move(world.outbox, {"tickets": "jira"}, clock())
    world.settle_down()

    assert [ticket.open for ticket in tickets.things] == [False]
    assert (world.store.waiting(), world.store.failed_deliveries()) == (0, [])


def test_an_end_between_the_start_and_the_move_reaches_the_ticket(waiting: World, clock: Clock) -> None:
    tickets = Sink(clock)
    restarted(waiting, {"tickets": tickets}, book("tickets")).settle_down()
    world = restarted(waiting, {"jira": tickets}, replace(book("jira"), moved={"tickets": "jira"}))

    world.see(event(title="Worse", severity=Severity.CRITICAL, at=NOW))
    world.see(event(status=EventStatus.RESOLVED, at=NOW))
    move(world.outbox, {"tickets": "jira"}, clock())
    world.settle_down()

    assert [ticket.open for ticket in tickets.things] == [False]
    assert (world.store.waiting(), world.store.failed_deliveries()) == (0, [])


def test_where_nothing_was_moved_nothing_changes(waiting: World, clock: Clock) -> None:
    before = waiting.store.get([KEY])

    assert move(waiting.outbox, {}, clock()) == 0
    assert move(waiting.outbox, {"pager": "tickets"}, clock()) == 0
    assert waiting.store.get([KEY]) == before
