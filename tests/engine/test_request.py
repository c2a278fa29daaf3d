"""A person adds a receiver to an alert: the ticket is opened once, however often and by however many it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Verb, Why
from service_event_checker.stores.sql.store import SqlStore
from tests.factories import NOW, event, receiver
from tests.process import World
from tests.sink import Clock, Sink

KEY = event().key
BOOK = Rulebook(
    (Rule("chat", (), ("chat",)),),
    (),
    {
        "chat": receiver("chat", Family.CHAT),
        "tickets": receiver("tickets", Family.TICKET),
        "off": receiver("off", Family.TICKET, why_off="ADO_PAT is not set"),
    },
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = Clock()
    store = SqlStore(f"sqlite:///{tmp_path}/store.db")
    store.prepare()
    world = World(store, {"chat": Sink(clock, Family.CHAT), "tickets": Sink(clock, Family.TICKET)}, BOOK, clock)
    world.see(event())
    world.settle_down()
    yield world
    store.close()


def tickets(world: World) -> Sink:
    found = world.destinations["tickets"]
    assert isinstance(found, Sink)
    return found


def test_eight_people_at_once_make_one_ticket(world: World) -> None:
    people = [f"person {number}" for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda who: world.pipeline.request(KEY, "tickets", actor=who, now=NOW), people))
    world.settle_down()

    assert {alert.receivers for alert in seen} == {("chat", "tickets")}
    assert [verb for verb, _ in tickets(world).told] == [Verb.OPEN]
    asked = [row for row in world.store.timeline(KEY) if row.why is Why.RECEIVER_ADDED]
    assert len(asked) == 1
    assert asked[0].actor in people


def test_the_ticket_is_closed_with_the_alert(world: World) -> None:
    world.pipeline.request(KEY, "tickets", actor="Ada", now=NOW)
    world.see(event(status=EventStatus.RESOLVED))
    world.settle_down()

    assert [thing.open for thing in tickets(world).things] == [False]


@pytest.mark.parametrize(
    ("name", "problem"), [("nowhere", '"nowhere" is not a destination'), ("off", "off is off: ADO_PAT is not set")]
)
def test_a_receiver_that_cannot_take_it_is_refused_with_the_reason(world: World, name: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        world.pipeline.request(KEY, name, actor="Ada", now=NOW)


def test_what_is_over_or_unknown_gets_no_new_ticket(world: World) -> None:
    world.see(event(status=EventStatus.RESOLVED))

    with pytest.raises(InvalidInput, match="GITHUB-.* is over"):
        world.pipeline.request(KEY, "tickets", actor="Ada", now=NOW)
    with pytest.raises(InvalidInput, match="is not known"):
        world.pipeline.request("0" * 20, "tickets", actor="Ada", now=NOW)
