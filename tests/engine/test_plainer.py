"""Content that a system answers with 5xx, and what was deleted there: people are told, and the timeline says how."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Delivery, Link
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Verb, Why
from service_event_checker.engine import plainer
from tests.factories import alert, delivery, event, receiver
from tests.process import World
from tests.sink import Clock, Sink, Talker

FIRE = "🔥 Checkout <b>takes</b> 9 s"
SETTLE = timedelta(seconds=5)


class Narrow(Sink):
    """A system that answers 500 to text that it cannot store. `stores`: whether it can; `down`: it answers nothing."""

    def __init__(self, clock: Clock, *refuses: str, limit: int = 10_000) -> None:
        super().__init__(clock, Family.TICKET)
        self.refuses, self.limit, self.down = refuses, limit, False
        self.shown: list[str] = []

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        text = "\n".join([alert.title, alert.description, delivery.note, *alert.labels.values()])
        if self.down or len(text) > self.limit or any(each in text for each in self.refuses):
            raise DeliveryError(Reason.SERVER_ERROR, "HTTP 500")
        self.shown.append(text)
        return super().deliver(delivery, alert, link)

    def find(self, remote_key: str) -> Link | None:
        if self.down:
            raise DeliveryError(Reason.SERVER_ERROR, "HTTP 500")
        return super().find(remote_key)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store_kind() -> str:
    return "memory"


def world_of(fresh_store: Any, clock: Clock, **destinations: Any) -> World:
    receivers = {name: receiver(name, each.family, findable=True, settle=SETTLE) for name, each in destinations.items()}
    return World(fresh_store(), destinations, Rulebook((Rule("all", (), tuple(receivers)),), (), receivers), clock)


def work(world: World, seconds: int) -> None:
    """Let the outbox work for so long."""
    for _ in range(seconds):
        world.drain_once()
        world.clock.advance(1)


def remarks(world: World, key: str) -> list[str]:
    return [step.note for step in world.store.timeline(key) if step.why is Why.DELIVERED_OTHERWISE]


def test_content_that_alone_is_answered_with_5xx_is_told_in_a_plainer_form_that_says_so(fresh_store, clock):
    tickets = Narrow(clock, "🔥")
    world = world_of(fresh_store, clock, tickets=tickets)
    world.see(event(title=FIRE))
    work(world, 8)
    world.see(event(fingerprint="another"))
    work(world, 60)

    assert [thing.title for thing in tickets.things] == [event().title, "Checkout <b>takes</b> 9 s"]
    assert "without characters above U+FFFF" in tickets.shown[-1]
    (said,) = remarks(world, event().key)
    assert said.startswith("open: Shown without characters above U+FFFF")
    assert world.store.failed_deliveries() == []


@pytest.mark.parametrize(
    ("refuses", "limit", "form"),
    [(("🔥", "<"), 10_000, "without such characters and markup"), ((), 600, "shortened")],
)
def test_one_form_after_the_other_is_tried_until_one_is_taken(fresh_store, clock, refuses, limit, form):
    tickets = Narrow(clock, *refuses, limit=limit)
    world = world_of(fresh_store, clock, tickets=tickets)
    world.see(event(title=FIRE, description="much " * 300))
    work(world, 8)
    world.see(event(fingerprint="another"))
    work(world, 120)

    assert len(tickets.things) == 2
    (said,) = remarks(world, event().key)
    assert form in said


def test_a_system_that_is_down_for_all_is_sent_everything_in_full_when_it_is_back(fresh_store, clock):
    tickets = Narrow(clock)
    tickets.down = True
    world = world_of(fresh_store, clock, tickets=tickets)
    world.see(event(title=FIRE), event(fingerprint="another", title=FIRE))
    work(world, 900)

    tickets.down = False
    world.settle_down()

    assert [thing.title for thing in tickets.things] == [FIRE, FIRE]
    assert remarks(world, event().key) == []


def test_where_nothing_else_is_sent_the_content_is_blamed_after_some_minutes(fresh_store, clock):
    tickets = Narrow(clock, "🔥")
    world = world_of(fresh_store, clock, tickets=tickets)
    world.see(event(title=FIRE))
    work(world, 120)
    assert tickets.things == []

    work(world, 600)

    assert len(tickets.things) == 1


def test_an_end_overtakes_a_note_that_does_not_get_through(fresh_store, clock):
    tickets = Narrow(clock, "on it", "Shown")
    world = world_of(fresh_store, clock, tickets=tickets)
    world.see(event())
    world.settle_down()
    world.see(event(status=EventStatus.NOTED, note="on it"))
    work(world, 10)
    world.see(event(fingerprint="another"), event(status=EventStatus.RESOLVED))
    work(world, 120)

    first = tickets.things[0]
    assert not first.open
    assert world.store.waiting("tickets") == 1  # the note goes on being tried


def test_a_message_that_was_deleted_is_replaced_by_a_new_one_that_tells_the_end(fresh_store, clock):
    chat = Deletable(clock, Family.CHAT)
    world = world_of(fresh_store, clock, chat=chat)
    world.see(event())
    world.settle_down()
    chat.things[0].key, chat.deleted = "deleted", {"1"}

    world.see(event(status=EventStatus.RESOLVED))
    world.settle_down()

    assert [thing.id for thing in chat.things] == ["1", "2"]
    (said,) = remarks(world, event().key)
    assert "a new message was posted" in said
    assert world.store.links([event().key])[event().key][0].external_id == "2"
    assert world.store.failed_deliveries() == []


def test_what_follows_is_told_in_the_new_message(fresh_store, clock):
    chat = Deletable(clock, Family.CHAT)
    world = world_of(fresh_store, clock, chat=chat)
    world.see(event())
    world.settle_down()
    chat.things[0].key, chat.deleted = "deleted", {"1"}
    world.see(event(status=EventStatus.NOTED, note="looking"))
    world.settle_down()

    world.see(event(status=EventStatus.RESOLVED))
    world.settle_down()

    assert len(chat.things) == 2
    assert not chat.things[1].open


def test_a_ticket_that_was_ended_and_deleted_there_is_settled_and_the_timeline_says_so(fresh_store, clock):
    tickets = Deletable(clock, Family.TICKET)
    world = world_of(fresh_store, clock, tickets=tickets)
    world.see(event())
    world.settle_down()
    world.see(tickets.says("1", EventStatus.RESOLVED))
    world.settle_down()
    tickets.deleted = {"1"}

    world.see(event(status=EventStatus.RESOLVED))
    world.settle_down()

    assert world.store.failed_deliveries() == []
    skipped = [step.note for step in world.store.timeline(event().key) if step.why is Why.SKIPPED]
    assert skipped == ["what was made there is gone, and it was over there"]


class Deletable(Talker):
    """A system in which people delete what we made."""

    deleted: set[str] = frozenset()  # type: ignore[assignment]

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        if link and link.external_id in self.deleted:
            raise DeliveryError(Reason.NOT_FOUND, "no such object", permanent=True)
        return super().deliver(delivery, alert, link)


def test_the_full_form_is_left_as_it_is():
    owed, outage = delivery(alert()), alert(title=FIRE)

    assert plainer.plainer(owed, outage, 0) == (owed, outage)


@pytest.mark.parametrize("form", [1, 2, 3])
def test_no_form_changes_what_a_delivery_or_an_alert_is_known_by(form):
    outage = alert(title=FIRE, url="https://vendor.example/😢", labels={"team": "shop 😢"})
    owed = delivery(outage, Verb.NOTE, note="on it 👍", actor="Ada 👍")

    sent, shown = plainer.plainer(owed, outage, form)

    assert (sent.id, shown.key, shown.internal_id) == (owed.id, outage.key, outage.internal_id)
    assert max(map(ord, f"{sent.note}{sent.actor}{shown.title}{shown.url}{shown.labels}")) <= 0xFFFF
    assert sent.note.startswith("on it")
