"""The process dies before or after every single port call of an outage's life, and is started again.

Nothing may be lost, doubled, left open or out of order, whatever the point. The destinations' own truth is asked.
"""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import timedelta

import pytest

from service_event_checker.core.errors import StoreError
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Severity, Verb, Why
from tests.factories import NOW, event, receiver
from tests.process import Death, World
from tests.sink import Clock, Sink

SETTLE = 30.0  # longer than a lease, so that the wait after an intent is what protects
BOOK = Rulebook(
    rules=(Rule("all", (), ("tickets", "chat", "pager")),),
    receivers={
        "tickets": receiver(
            "tickets", Family.TICKET, settle=timedelta(seconds=SETTLE), reopen_within=timedelta(hours=72)
        ),
        "chat": receiver("chat", Family.CHAT, settle=timedelta(seconds=SETTLE)),
        "pager": receiver("pager", Family.PAGER, settle=timedelta(seconds=SETTLE)),
    },
)


def life(world: World) -> None:
    """An outage opens, worsens, ends; opens again an hour later and ends again."""
    again = world.clock() + timedelta(hours=1)
    world.see(event(severity=Severity.WARNING))
    world.settle_down()
    world.clock.advance(60)
    world.see(event(severity=Severity.CRITICAL, title="Worse", at=world.clock()))
    world.settle_down()
    world.see(event(status=EventStatus.RESOLVED, title="Over", at=world.clock()))
    world.settle_down()
    world.survive(lambda: world.mortal_store.archive(world.clock()))
    world.clock.now = max(world.clock(), again)
    world.see(event(severity=Severity.CRITICAL, starts_at=world.clock(), at=world.clock()))
    world.settle_down()
    world.see(event(status=EventStatus.RESOLVED, title="Over again", at=world.clock()))
    world.settle_down()
    world.survive(lambda: world.mortal_store.archive(world.clock()))


def new_world(store: Store, death: Death, *, lag: float = SETTLE - 5) -> World:
    """`lag` of the searches: the settle time covers it, with what passes between intent and create."""
    clock = Clock()
    destinations = {
        "tickets": Sink(clock, Family.TICKET, lag=lag),
        "chat": Sink(clock, Family.CHAT, lag=lag),
        "pager": Sink(clock, Family.PAGER, lag=lag),
    }
    return World(store, destinations, BOOK, clock, death)


def sinks(world: World) -> dict[str, Sink]:
    return {name: sink for name, sink in world.destinations.items() if isinstance(sink, Sink)}


def assert_well_told(world: World) -> None:
    tickets, chat, pager = (sink.things for sink in sinks(world).values())
    assert [(ticket.open, ticket.reopened, ticket.title) for ticket in tickets] == [(False, 1, "Over again")]
    assert [(message.open, message.title) for message in chat] == [(False, "Over"), (False, "Over again")]
    assert [incident.open for incident in pager] == [False, False]
    for sink in sinks(world).values():
        order = [(int(id.split(":")[1]), verb) for verb, id in sink.told]
        for episode in (1, 2):
            verbs = [verb for at, verb in order if at == episode]
            assert verbs[0] is Verb.OPEN
            assert verbs[-1] is Verb.CLOSE
            assert verbs.count(Verb.OPEN) == 1 or (
                sink.family is Family.TICKET and episode == 2
            )  # a reopening may repeat
    for episode in (1, 2):
        outcomes = world.survive(lambda episode=episode: world.store.outcomes(event().key, episode))  # type: ignore[misc]
        told = Counter((step.receiver, step.verb) for step in outcomes if step.verb in (Verb.OPEN, Verb.CLOSE))
        assert told == dict.fromkeys(itertools.product(sinks(world), (Verb.OPEN, Verb.CLOSE)), 1)
        assert {step.why for step in outcomes} == {Why.DELIVERED}
    assert world.survive(world.store.waiting) == 0
    assert world.survive(world.store.failed_deliveries) == []
    assert [alert.open for alert in world.survive(lambda: world.store.get([event().key])).values()] == [False]


def count_calls(store: Store) -> list[str]:
    world = new_world(store, Death())
    life(world)
    assert_well_told(world)
    return world.death.calls


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_at_any_port_call_loses_nothing_and_doubles_nothing(fresh_store, crash_stride, after):
    calls = count_calls(fresh_store())

    for at in range(1, len(calls) + 1, crash_stride):
        world = new_world(fresh_store(), Death(at, after))
        life(world)
        assert world.deaths == 1, calls[at - 1]
        assert_well_told(world)


@pytest.mark.parametrize("store_kind", ["sqlite"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_store_that_does_not_answer_one_call_loses_nothing_and_doubles_nothing(fresh_store, after):
    """A reset connection leaves open whether the write was done; what failed is done again. One call of each kind."""
    calls = count_calls(fresh_store())
    last = {name: at for at, name in enumerate(calls, 1) if name.startswith("store.")}

    for name, at in last.items():
        world = new_world(fresh_store(), Death(at, after, by=StoreError))
        life(world)
        assert world.deaths == 0, name
        assert_well_told(world)


def test_a_search_that_lags_longer_than_the_settle_time_doubles_and_only_then(fresh_store):
    """The one promise that a destination can break: what it hides longer than `settle` is made again."""
    outcomes = {}
    for lag in (SETTLE - 5, SETTLE * 20):
        calls = new_world(fresh_store(), Death(), lag=lag)
        life(calls)
        at = calls.death.calls.index("deliver.open") + 1
        world = new_world(fresh_store(), Death(at, after=True), lag=lag)
        world.see(event())
        world.settle_down()
        world.see(event(status=EventStatus.RESOLVED, at=NOW + timedelta(minutes=5)))
        world.settle_down()
        outcomes[lag] = [len(sink.things) for sink in sinks(world).values()]

    assert outcomes == {SETTLE - 5: [1, 1, 1], SETTLE * 20: [2, 1, 1]}
