"""How the outbox pays: what it repeats, what it waits for, what it gives up, and what it never does twice."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Delivery, Link, Receiver
from service_event_checker.core.ports import Destination
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Severity, Verb, Why
from service_event_checker.engine.outbox import GIVE_UP_AFTER
from tests.factories import event, receiver
from tests.process import World
from tests.sink import Clock, Sink, Unsearchable

SETTLE = timedelta(seconds=60)
pytestmark = pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tickets(clock: Clock) -> Sink:
    return Sink(clock, Family.TICKET)


def world_of(fresh_store: Any, clock: Clock, destinations: dict[str, Destination], **changes: Any) -> World:
    """Every event goes to every destination, the first named first."""
    receivers = {name: _receiver(name, destination, changes) for name, destination in destinations.items()}
    return World(fresh_store(), destinations, Rulebook((Rule("all", (), tuple(destinations)),), (), receivers), clock)


def _receiver(name: str, destination: Destination, changes: dict[str, Any]) -> Receiver:
    findable = hasattr(destination, "find")
    return receiver(name, destination.family, **{"findable": findable, "settle": SETTLE, **changes})


def test_a_permanent_failure_is_not_tried_again(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    tickets.failures = deque([DeliveryError(Reason.REFUSED, "the title is too long", permanent=True)])
    world.see(event())

    world.settle_down()
    clock.advance(3600)

    assert world.drain_once() == 0
    assert [letter.reason for letter in world.store.failed_deliveries()] == ["refused (the title is too long)"]
    assert world.store.timeline(event().key)[-1].why is Why.GAVE_UP


def test_an_answer_that_no_store_can_hold_fails_the_delivery_and_is_not_tried_for_ever(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    tickets.failures = deque([DeliveryError(Reason.REFUSED, "half an emoji: \ud83d")] * 50)
    world.see(event())

    world.settle_down()

    assert [failed.reason for failed in world.store.failed_deliveries()] == ["what came of it cannot be stored"]


def test_a_rate_limited_delivery_waits_as_long_as_it_was_told_to(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    tickets.failures = deque([DeliveryError(Reason.RATE_LIMITED, retry_after=30)])
    world.see(event())
    world.drain_once()

    clock.advance(29)
    assert world.drain_once() == 0
    clock.advance(1)
    assert world.drain_once() == 1
    assert len(tickets.things) == 1


def test_a_rate_limit_holds_back_the_destinations_other_deliveries_too(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    tickets.failures = deque([DeliveryError(Reason.RATE_LIMITED, retry_after=30)])
    world.see(event())
    world.drain_once()
    world.see(event(fingerprint="another"))

    assert world.drain_once() == 0


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.RESET, Reason.SERVER_ERROR, Reason.GARBAGE])
def test_a_create_that_may_have_landed_is_looked_for_after_the_settle_time_and_not_repeated(
    fresh_store, clock, tickets, reason
):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    tickets.lag = SETTLE - timedelta(seconds=5)
    tickets.failures, tickets.after = deque([DeliveryError(reason)]), True
    world.see(event())
    world.drain_once()

    clock.advance(SETTLE.total_seconds() - 1)
    assert world.drain_once() == 0
    clock.advance(1)
    world.settle_down()

    assert len(tickets.things) == 1
    assert world.store.links([event().key])[event().key][0].external_id == "1"


def test_a_create_that_certainly_did_not_happen_is_repeated_without_the_settle_time(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    tickets.failures = deque([DeliveryError(Reason.UNREACHABLE)])
    world.see(event())
    world.drain_once()

    clock.advance(5)

    assert world.drain_once() == 1
    assert len(tickets.things) == 1


def test_a_second_doubtful_create_waits_anew(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    tickets.failures = deque([DeliveryError(Reason.TIMEOUT), DeliveryError(Reason.TIMEOUT)])
    world.see(event())
    world.drain_once()
    clock.advance(SETTLE.total_seconds())
    assert world.drain_once() == 1

    clock.advance(SETTLE.total_seconds() - 1)
    assert world.drain_once() == 0
    clock.advance(1)
    assert world.drain_once() == 1
    assert len(tickets.things) == 1


def test_the_settle_time_counts_from_the_moment_of_doubt(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    tickets.takes, tickets.lag = SETTLE.total_seconds(), SETTLE - timedelta(seconds=5)
    tickets.failures, tickets.after = deque([DeliveryError(Reason.TIMEOUT)]), True
    world.see(event())

    world.settle_down()

    assert len(tickets.things) == 1


def test_a_reopening_that_may_have_made_a_new_object_waits_the_settle_time(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets}, reopen_within=timedelta(hours=72))
    world.see(event())
    world.settle_down()
    world.see(event(status=EventStatus.RESOLVED, at=clock()))
    world.settle_down()
    clock.advance(3600)
    tickets.failures = deque([DeliveryError(Reason.TIMEOUT)])
    world.see(event(starts_at=clock(), at=clock()))
    world.drain_once()

    clock.advance(SETTLE.total_seconds() - 1)
    assert world.drain_once() == 0
    clock.advance(1)
    assert world.drain_once() == 1
    assert [thing.reopened for thing in tickets.things] == [1]


def test_an_adapter_that_crashes_after_its_create_does_not_create_twice(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    tickets.lag = SETTLE - timedelta(seconds=5)
    tickets.failures, tickets.after = deque([KeyError("id")]), True
    world.see(event())

    world.settle_down()

    assert len(tickets.things) == 1


def test_a_chats_end_in_doubt_waits_until_a_late_reply_would_show(fresh_store, clock, tickets):
    chat = Sink(clock, Family.CHAT)
    world = world_of(fresh_store, clock, {"chat": chat, "tickets": tickets})
    world.see(event())
    world.settle_down()
    for sink in (chat, tickets):
        sink.failures, sink.after = deque([DeliveryError(Reason.TIMEOUT)]), True
    world.see(event(status=EventStatus.RESOLVED, at=clock()))
    world.drain_once()

    clock.advance(SETTLE.total_seconds() / 2)
    assert world.drain_once() == 1  # the ticket: closing it twice is closing it once
    assert world.store.waiting("chat") == 1
    clock.advance(SETTLE.total_seconds() / 2)
    assert world.drain_once() == 1


def test_what_cannot_be_searched_is_sent_again_in_doubt_only_when_it_is_severe(fresh_store, clock):
    mails = {severity: Unsearchable(clock) for severity in (Severity.CRITICAL, Severity.INFO)}
    for severity, mail in mails.items():
        world = world_of(fresh_store, clock, {"mail": mail})
        mail.failures, mail.after = deque([DeliveryError(Reason.TIMEOUT)]), True
        world.see(event(severity=severity))
        world.settle_down()

    assert {severity.value: len(mail.things) for severity, mail in mails.items()} == {"critical": 2, "info": 1}


def test_what_waited_while_we_were_stopped_is_tried_more_than_once(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    world.see(event())
    clock.advance(2 * GIVE_UP_AFTER.total_seconds())
    tickets.failures = deque([DeliveryError(Reason.UNREACHABLE)])

    world.settle_down()

    assert len(tickets.things) == 1
    assert not world.store.failed_deliveries()


def test_a_letter_sent_again_by_hand_is_tried_more_than_once(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    tickets.failures = deque([DeliveryError(Reason.REFUSED, permanent=True), DeliveryError(Reason.UNREACHABLE)])
    world.see(event())
    world.settle_down()
    (letter,) = world.store.failed_deliveries()
    clock.advance(2 * GIVE_UP_AFTER.total_seconds())
    world.store.requeue(letter.id, clock())

    world.settle_down()

    assert len(tickets.things) == 1


def test_an_open_that_died_takes_its_episode_with_it_and_the_next_one_starts_afresh(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    tickets.failures = deque([DeliveryError(Reason.REFUSED, permanent=True)])
    world.see(event())
    world.settle_down()
    world.see(event(status=EventStatus.RESOLVED, at=clock()))
    world.settle_down()
    assert tickets.told == []

    clock.advance(60)
    world.see(event(starts_at=clock(), at=clock()))
    world.settle_down()

    assert [(thing.open, verb) for thing in tickets.things for verb, _ in tickets.told] == [(True, Verb.OPEN)]


def test_a_dead_open_sent_again_after_the_end_opens_and_closes_the_ticket(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    tickets.failures = deque([DeliveryError(Reason.REFUSED, permanent=True)])
    world.see(event())
    world.settle_down()
    world.see(event(status=EventStatus.RESOLVED, at=clock()))
    (letter,) = world.store.failed_deliveries()

    assert world.store.requeue(letter.id, clock())
    world.settle_down()

    assert [thing.open for thing in tickets.things] == [False]
    assert world.store.failed_deliveries() == []


def test_a_ticket_that_was_given_up_is_told_in_chat_with_the_reason(fresh_store, clock, tickets):
    chat = Sink(clock, Family.CHAT)
    world = world_of(fresh_store, clock, {"chat": chat, "tickets": tickets})
    tickets.failures = deque([DeliveryError(Reason.REFUSED, "no such work item type", permanent=True)])

    world.see(event())
    world.settle_down()

    assert [verb for verb, _ in chat.told] == [Verb.OPEN, Verb.UPDATE]
    assert chat.notes[-1] == "tickets: open failed, refused (no such work item type)"


def test_a_chat_that_cannot_be_told_is_not_told_of_that(fresh_store, clock):
    chat = Sink(clock, Family.CHAT)
    world = world_of(fresh_store, clock, {"chat": chat})
    chat.failures = deque([DeliveryError(Reason.REFUSED, permanent=True)] * 9)

    world.see(event())
    world.settle_down()

    assert len(world.store.failed_deliveries()) == 1


def test_what_waits_longer_than_a_day_is_given_up_with_its_reason(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    tickets.failures = deque([DeliveryError(Reason.UNAUTHORIZED, "the token is wrong")] * 10_000)
    world.see(event())

    while not world.store.failed_deliveries():
        clock.advance(200)
        world.drain_once()

    assert clock.seconds() > GIVE_UP_AFTER.total_seconds()
    assert world.store.failed_deliveries()[0].reason == "not delivered within 24 h: unauthorized (the token is wrong)"


def test_a_close_that_finds_nothing_to_close_is_an_error_not_done(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    world.see(event())
    world.settle_down()
    lost = tickets.deliver
    tickets.deliver = lambda delivery, alert, link: (
        _missing() if delivery.verb is Verb.CLOSE else lost(delivery, alert, link)
    )
    world.see(event(status=EventStatus.RESOLVED, at=clock()))

    world.settle_down()

    assert [letter.verb for letter in world.store.failed_deliveries()] == [Verb.CLOSE]


def _missing() -> None:
    raise DeliveryError(Reason.NOT_FOUND, permanent=True)


def test_a_page_that_was_over_before_it_was_sent_is_never_sent(fresh_store, clock):
    pager, tickets = Sink(clock, Family.PAGER), Sink(clock, Family.TICKET)
    world = world_of(fresh_store, clock, {"pager": pager, "tickets": tickets})
    world.see(event())
    world.see(event(status=EventStatus.RESOLVED, at=clock()))

    world.settle_down()

    assert pager.told == []
    assert [thing.open for thing in tickets.things] == [False]
    timeline = [(row.why, row.receiver) for row in world.store.timeline(event().key)]
    assert (Why.OVER_BEFORE_SENT, "pager") in timeline


def test_a_new_tickets_address_is_shown_in_chat_and_nowhere_else(fresh_store, clock, tickets):
    chat, pager = Sink(clock, Family.CHAT), Sink(clock, Family.PAGER)
    world = world_of(fresh_store, clock, {"chat": chat, "tickets": tickets, "pager": pager})

    world.see(event())
    world.settle_down()

    assert [verb for verb, _ in chat.told] == [Verb.OPEN, Verb.UPDATE]  # both links in one edit
    assert [verb for verb, _ in tickets.told] == [verb for verb, _ in pager.told] == [Verb.OPEN]
    links = world.store.get([event().key])[event().key].links
    assert links == {"tickets": "http://sink.test/1", "pager": "http://sink.test/1"}


def test_a_test_alert_is_told_in_chat_and_is_a_dry_run_elsewhere(fresh_store, clock, tickets):
    chat, pager = Sink(clock, Family.CHAT), Sink(clock, Family.PAGER)
    world = world_of(fresh_store, clock, {"chat": chat, "tickets": tickets, "pager": pager})

    world.see(event(test=True))
    world.settle_down()

    assert (len(chat.things), tickets.told, pager.told) == (1, [], [])
    dry = {row.receiver for row in world.store.timeline(event().key) if row.why is Why.DRY_RUN}
    assert dry == {"tickets", "pager"}


def test_a_destination_that_fails_or_has_a_bug_holds_back_no_other(fresh_store, clock, tickets):
    broken = Sink(clock, Family.TICKET)
    broken.deliver = lambda *_: 1 / 0  # type: ignore[assignment,return-value]
    world = world_of(fresh_store, clock, {"broken": broken, "tickets": tickets})

    world.see(event())
    world.drain_once()

    assert len(tickets.things) == 1
    assert world.store.waiting("broken") == 1


def test_a_worker_whose_lease_is_over_records_nothing(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    slow = world_of(lambda: world.store, clock, {"tickets": tickets})
    sent = tickets.deliver

    def paused(delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        tickets.deliver = sent
        clock.advance(SETTLE.total_seconds() * 2)
        world.settle_down()  # another process finds the lease over and does the work
        made = sent(delivery, alert, link)
        return replace(made, external_id="late") if made else None

    tickets.deliver = paused
    world.see(event())
    slow.drain_once()

    (link,) = world.store.links([event().key])[event().key]
    assert link.external_id == "1"


def test_updates_that_pile_up_become_one_and_keep_the_back_off(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    world.see(event())
    world.settle_down()
    tickets.failures = deque([DeliveryError(Reason.RATE_LIMITED, retry_after=100)])
    for number in range(5):
        world.see(event(title=f"Title {number}", at=clock() + timedelta(seconds=number)))
        world.drain_once()

    assert world.store.waiting("tickets") == 1
    clock.advance(90)
    assert world.drain_once() == 0
    clock.advance(10)
    world.settle_down()
    assert [thing.title for thing in tickets.things] == ["Title 4"]
    assert len(tickets.told) == 2


def test_the_most_severe_is_sent_first(fresh_store, clock, tickets):
    world = world_of(fresh_store, clock, {"tickets": tickets})
    for severity in (Severity.INFO, Severity.WARNING, Severity.CRITICAL, Severity.ERROR):
        world.see(event(fingerprint=severity.value, title=severity.value, severity=severity))

    world.settle_down()

    assert [thing.title for thing in tickets.things] == ["critical", "error", "warning", "info"]


def test_a_failure_is_told_in_the_chat_else_by_mail_and_never_in_a_circle(fresh_store, clock, tickets):
    chat, mail = Sink(clock, Family.CHAT), Unsearchable(clock)
    refused = [DeliveryError(Reason.UNAUTHORIZED, permanent=True)]
    tickets.failures, chat.failures, mail.failures = deque(refused), deque(refused), deque(refused)
    receivers = {
        "tickets": _receiver("tickets", tickets, {}),
        "chat": _receiver("chat", chat, {}),
        "mail": _receiver("mail", mail, {}),
    }
    book = Rulebook((Rule("all", (), ("tickets",)),), (), receivers)
    world = World(fresh_store(), {"tickets": tickets, "chat": chat, "mail": mail}, book, clock)
    world.see(event())

    world.settle_down()

    failed = {letter.receiver: letter.notice for letter in world.store.failed_deliveries()}
    assert failed == {"tickets": False, "chat": True}  # and nobody was told of the notice
    assert mail.told == []

    world.see(event(fingerprint="another"))
    chat.failures = deque()
    tickets.failures = deque(refused)
    world.settle_down()
    assert chat.notes == ["tickets: open failed, unauthorized"]


class TestAClockThatWasSetBack:
    @pytest.fixture
    def clock(self) -> Clock:
        made = Clock()
        made.advance(7200)  # throttles count from 0
        return made

    def test_a_doubt_of_the_future_is_one_of_now(self, fresh_store, clock, tickets):
        world = world_of(fresh_store, clock, {"tickets": tickets})
        tickets.failures = deque([DeliveryError(Reason.TIMEOUT)])
        world.see(event())
        world.drain_once()

        clock.advance(-3600)
        world.start()  # throttles go by monotonic time
        world.store.sweep(clock(), latest=clock() + world.outbox.longest_wait)
        began = clock.seconds()
        world.settle_down()

        assert len(tickets.things) == 1
        assert clock.seconds() - began < 2 * SETTLE.total_seconds()

    def test_an_update_of_the_future_does_not_hold_back_the_next(self, fresh_store, clock, tickets):
        world = world_of(fresh_store, clock, {"tickets": tickets}, update_every=timedelta(minutes=5))
        world.see(event())
        world.settle_down()
        world.see(event(title="worse", at=clock()))
        world.settle_down()

        clock.advance(-3600)
        world.start()  # throttles go by monotonic time
        world.see(event(title="worst", at=None))
        world.drain_once()

        assert tickets.things[0].title == "worst"

    def test_no_wait_is_longer_than_what_tells_of_a_wrong_clock(self, fresh_store, clock, tickets):
        world = world_of(fresh_store, clock, {"tickets": tickets})
        tickets.failures = deque([DeliveryError(Reason.RATE_LIMITED, retry_after=7200)])
        world.see(event())
        world.drain_once()

        assert world.store.sweep(clock(), latest=clock() + world.outbox.longest_wait) == 0
