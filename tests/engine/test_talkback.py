"""What comes back from a copy: who hears of it, what it may end, and what is only an echo of ourselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service_event_checker.core.mirrors import PING_PONG, STATUSES_MAX, Mirrors
from service_event_checker.core.model import Event
from service_event_checker.core.routing import STILL_FIRING
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Status, Verb, Why
from service_event_checker.engine import pending_events
from tests.factories import event, receiver
from tests.process import World
from tests.sink import Clock, Sink, Talker

ACKED, UNACKED = EventStatus.ACKNOWLEDGED, EventStatus.UNACKNOWLEDGED
NOTED, RESOLVED = EventStatus.NOTED, EventStatus.RESOLVED
KEY = event().key
pytestmark = pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)


NO_MIRRORS = Mirrors()


class House:
    """An alert that is open at a ticket system, a pager and a chat."""

    def __init__(self, store: Any, mirrors: Mirrors = NO_MIRRORS) -> None:
        self.clock = Clock()
        self.tickets = Talker(self.clock, Family.TICKET, name="tickets")
        self.pager = Talker(self.clock, Family.PAGER, name="pager")
        self.chat = Sink(self.clock, Family.CHAT)
        all_three = {"tickets": self.tickets, "pager": self.pager, "chat": self.chat}
        receivers = {name: receiver(name, each.family) for name, each in all_three.items()}
        book = Rulebook((Rule("all", (), tuple(all_three)),), (), receivers, mirrors)
        self.world = World(store, all_three, book, self.clock)
        self.hear(event())

    def hear(self, *events: Event) -> None:
        """Take events in, twenty seconds later than what was before, and deliver what is owed for them."""
        for sink in (self.tickets, self.pager, self.chat):
            sink.told.clear()
            sink.notes.clear()
        self.world.see(*events)
        self.world.settle_down()
        self.clock.advance(20)

    @property
    def alert(self) -> Any:
        return self.world.store.get([KEY])[KEY]

    def told(self) -> dict[str, list[Verb]]:
        sinks = {"tickets": self.tickets, "pager": self.pager, "chat": self.chat}
        return {name: [verb for verb, _ in sink.told] for name, sink in sinks.items() if sink.told}


@pytest.fixture
def house(fresh_store: Any) -> House:
    return House(fresh_store())


@pytest.mark.parametrize(
    ("status", "verb"), [(ACKED, Verb.ACK), (NOTED, Verb.NOTE)], ids=["acknowledgement", "comment"]
)
def test_what_a_person_did_at_one_place_is_told_at_the_others(house, status, verb):
    house.hear(house.tickets.says("1", status, note="looking", note_id="7"))

    assert house.told() == {"pager": [verb], "chat": [verb]}


def test_an_acknowledgement_taken_back_there_is_taken_back_everywhere(house):
    house.hear(house.pager.says("1", ACKED))
    house.hear(house.pager.says("1", UNACKED))

    assert house.alert.status is Status.FIRING
    assert house.told() == {"tickets": [Verb.UNACK], "chat": [Verb.UNACK]}


def test_a_ticket_that_is_closed_while_its_alert_fires_is_answered_and_noted_elsewhere(house):
    house.hear(house.tickets.says("1", RESOLVED))

    assert house.alert.status is Status.FIRING
    assert house.told() == {"tickets": [Verb.NOTE], "pager": [Verb.NOTE], "chat": [Verb.NOTE]}
    assert house.tickets.notes == [STILL_FIRING]
    assert house.pager.notes == ["resolved at tickets by Ada"]


def test_its_closing_is_told_once_however_often_the_hook_comes(house):
    closing = house.tickets.says("1", RESOLVED)
    house.hear(closing)
    house.hear(closing, replace(closing, at=house.clock()))

    assert house.told() == {}


def test_it_can_be_closed_once_more_after_it_was_taken_up_again(house):
    house.hear(house.tickets.says("1", RESOLVED))
    house.hear(house.tickets.says("1", ACKED))
    house.hear(house.tickets.says("1", RESOLVED))

    assert house.tickets.notes == [STILL_FIRING]


def test_the_end_of_the_alert_still_comes_to_a_ticket_that_a_person_closed(house):
    house.hear(house.tickets.says("1", RESOLVED))
    house.hear(event(status=RESOLVED, at=house.clock()))

    assert house.told() == {"tickets": [Verb.CLOSE], "pager": [Verb.CLOSE], "chat": [Verb.CLOSE]}


def test_the_mirrors_may_let_a_copys_end_close_the_other_side(fresh_store):
    mirrors = Mirrors({("pager", "tickets"): {Verb.CLOSE: (Verb.CLOSE,)}, ("pager", "chat"): {Verb.CLOSE: ()}})
    house = House(fresh_store(), mirrors)

    house.hear(house.pager.says("1", RESOLVED))

    assert house.told() == {"tickets": [Verb.CLOSE]}
    assert house.alert.status is Status.FIRING


def test_the_mirrors_may_let_a_copys_end_be_the_alerts(fresh_store):
    house = House(fresh_store(), Mirrors({("tickets", "alert"): {Verb.CLOSE: (Verb.CLOSE,)}}))

    house.hear(house.tickets.says("1", RESOLVED, actor="Ada"))

    assert (house.alert.status, house.alert.owner) == (Status.RESOLVED, "Ada")
    assert house.told() == {"pager": [Verb.CLOSE], "chat": [Verb.CLOSE]}


def test_a_copy_that_was_merged_away_is_never_the_alerts_end_and_is_told_as_what_it_is(fresh_store):
    closing = (Verb.CLOSE,)
    tables = {("pager", "alert"): {Verb.CLOSE: closing}, ("pager", "tickets"): {Verb.CLOSE: closing}}
    house = House(fresh_store(), Mirrors(tables))

    house.hear(house.pager.says("1", RESOLVED, not_fixed=True, note="merged into #12 at PagerDuty"))

    assert house.alert.status is Status.FIRING
    assert house.told() == {"tickets": [Verb.NOTE], "chat": [Verb.NOTE]}
    assert house.tickets.notes[-1] == "merged into #12 at PagerDuty"


def test_one_verb_may_become_two_and_the_note_names_who(fresh_store):
    house = House(fresh_store(), Mirrors({("tickets", "pager"): {Verb.ACK: (Verb.NOTE, Verb.ACK)}}))

    house.hear(house.tickets.says("1", ACKED))

    assert house.told()["pager"] == [Verb.NOTE, Verb.ACK]
    assert house.pager.notes[0] == "acknowledged at tickets by Ada"


def test_our_own_acknowledgement_that_comes_back_from_nobody_is_no_news(house):
    house.hear(house.tickets.says("1", ACKED))  # which the pager is sent
    house.clock.advance(-20)
    house.hear(house.tickets.says("1", UNACKED))
    house.clock.advance(-20)
    echo = house.pager.says("1", ACKED, actor="")

    house.hear(echo)

    assert house.alert.status is Status.FIRING
    assert house.told() == {}


def test_a_person_who_does_the_same_later_is_heard(house):
    house.hear(house.tickets.says("1", ACKED))
    house.hear(house.tickets.says("1", UNACKED))

    house.hear(house.pager.says("1", ACKED, actor="Bo"))

    assert house.alert.owner == "Bo"


def test_a_status_that_a_later_one_has_overtaken_changes_nothing(house):
    late = house.pager.says("1", UNACKED)
    house.clock.advance(60)
    house.hear(house.pager.says("1", ACKED))

    house.hear(late)

    assert house.alert.status is Status.ACKNOWLEDGED


def test_what_is_said_of_an_earlier_episodes_object_is_past(house):
    house.hear(event(status=RESOLVED, at=house.clock()))
    house.hear(event(starts_at=house.clock(), at=house.clock()))

    house.hear(house.pager.says("1", ACKED))

    assert (house.alert.episode, house.alert.status) == (2, Status.FIRING)


def test_an_event_of_an_object_that_is_not_known_yet_waits_for_it(house):
    early = house.pager.says("2", ACKED)
    house.hear(early)
    assert house.world.pipeline.unpark(house.clock()) == 0

    house.hear(event(fingerprint="second"))
    assert house.world.pipeline.unpark(house.clock()) == 1
    house.world.settle_down()

    second = event(fingerprint="second").key
    assert house.world.store.get([second])[second].status is Status.ACKNOWLEDGED
    assert house.world.store.holding.list(pending_events.AREA) == []


def test_a_parked_note_is_told_once_though_the_process_dies_while_taking_it_up(house):
    house.hear(house.pager.says("2", NOTED, note="mine"), house.pager.says("2", NOTED, note="mine"))
    house.hear(event(fingerprint="second"))
    house.world.death.at = len(house.world.death.calls) + 6
    house.world.survive(lambda: house.world.pipeline.unpark(house.clock()))
    house.world.survive(lambda: house.world.pipeline.unpark(house.clock()))
    house.world.settle_down()

    assert house.chat.notes.count("mine") == 1


def test_a_foreign_objects_event_is_dropped_when_nothing_more_can_be_made_for_it(house):
    house.hear(house.pager.says("4711", ACKED))

    house.clock.advance(200)
    house.world.pipeline.unpark(house.clock())
    assert house.world.store.holding.list(pending_events.AREA) == []


def test_it_waits_on_while_that_receiver_is_still_owed_something(house):
    house.world.pipeline.ingest([event(fingerprint="second"), house.pager.says("2", ACKED)], house.clock())
    house.clock.advance(600)

    house.world.pipeline.unpark(house.clock())

    assert len(house.world.store.holding.list(pending_events.AREA)) == 1


def test_a_ping_pong_ends_and_is_seen(house):
    for number in range(STATUSES_MAX + 3):
        house.clock.advance(-15)
        house.hear(house.tickets.says("1", UNACKED if number % 2 else ACKED))

    letters = house.world.store.failed_deliveries()
    assert {(letter.receiver, letter.reason) for letter in letters} == {("pager", PING_PONG)}
    assert len(letters) == 3
    assert house.world.store.timeline(KEY)[-1].why is Why.GAVE_UP
    assert house.told()["chat"].count(Verb.ACK) == 1  # people see what goes on


def test_after_a_while_statuses_are_carried_again(house):
    for number in range(STATUSES_MAX + 1):
        house.clock.advance(-15)
        house.hear(house.tickets.says("1", UNACKED if number % 2 else ACKED))
    house.clock.advance(600)

    house.hear(house.tickets.says("1", UNACKED))

    assert house.told()["pager"] == [Verb.UNACK]


def test_updates_of_one_object_keep_their_distance_and_nothing_waits_behind_them(fresh_store):
    house = House(fresh_store())
    slow = replace(house.world.book.receivers["tickets"], update_every=timedelta(minutes=5))
    house.world.book.receivers["tickets"] = slow  # type: ignore[index]  # the rulebook's own mapping
    house.hear(event(title="first change"))
    first_told = house.told()["tickets"]

    house.world.see(event(title="second change"))
    house.world.survive(house.world.drain_once)
    house.hear(house.pager.says("1", NOTED, note="looking"))

    assert first_told == [Verb.UPDATE]
    assert house.told()["tickets"] == [Verb.NOTE, Verb.UPDATE]


def test_an_end_does_not_wait_behind_an_update_that_waits(fresh_store):
    house = House(fresh_store())
    slow = replace(house.world.book.receivers["tickets"], update_every=timedelta(minutes=5))
    house.world.book.receivers["tickets"] = slow  # type: ignore[index]
    house.hear(event(title="first change"))
    house.world.see(event(title="second change"))
    house.world.survive(house.world.drain_once)

    house.world.see(event(status=RESOLVED, at=house.clock()))
    house.tickets.told.clear()
    house.world.survive(house.world.drain_once)

    assert [verb for verb, _ in house.tickets.told] == [Verb.CLOSE]


def test_after_a_loss_of_data_the_open_object_is_taken_for_ours_again(fresh_store):
    before = House(fresh_store())
    book = before.world.book
    after = World(fresh_store(), before.world.destinations, book, before.clock)

    after.see(event(starts_at=before.clock()))
    after.settle_down()

    assert len(before.tickets.things) == 1
    assert after.store.links([KEY])[KEY][-1].receiver in book.receivers


def test_one_that_was_closed_before_the_loss_is_opened_again(fresh_store):
    before = House(fresh_store())
    before.hear(event(status=RESOLVED, at=before.clock()))
    (ticket,) = before.tickets.things
    ticket.heard.clear()  # with the data the ids of deliveries begin anew
    after = World(fresh_store(), before.world.destinations, before.world.book, before.clock)

    after.see(event(starts_at=before.clock()))
    after.settle_down()

    assert (ticket.open, ticket.reopened) == (True, 1)


def test_a_receiver_that_cannot_take_an_acknowledgement_back_is_told_in_words(house):
    pager = house.world.book.receivers["pager"]
    house.world.book.receivers["pager"] = replace(pager, verbs=pager.verbs - {Verb.UNACK})  # type: ignore[index]
    house.hear(house.tickets.says("1", ACKED))
    house.hear(house.tickets.says("1", UNACKED))

    assert house.told()["pager"] == [Verb.NOTE]
    assert house.pager.notes == ["acknowledgement taken back at tickets by Ada"]
