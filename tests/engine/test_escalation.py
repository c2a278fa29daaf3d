"""Each step of an escalation is made once, wherever a process dies, and if several make it at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from service_event_checker.core.escalation import Escalate
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Verb
from service_event_checker.engine.pipeline import Pipeline
from tests.engine.conftest import FreshStore
from tests.factories import event, receiver
from tests.process import Death, World
from tests.sink import Clock, Sink

ESCALATE = Escalate(timedelta(minutes=10), ("tickets",), timedelta(minutes=30))
BOOK = Rulebook(
    (Rule("oncall", (), ("chat",), escalate=ESCALATE),),
    receivers={name: receiver(name, family) for name, family in (("chat", Family.CHAT), ("tickets", Family.TICKET))},
)


def new_world(store: Store, death: Death) -> World:
    clock = Clock()
    sinks = {"chat": Sink(clock, Family.CHAT), "tickets": Sink(clock, Family.TICKET)}
    return World(store, sinks, BOOK, clock, death)


def life(world: World) -> None:
    """Nobody takes it for 45 minutes, then somebody does, and it ends."""
    world.see(event())
    for _ in range(3):
        world.settle_down()
        world.clock.advance(15 * 60)
        world.survive(lambda: world.pipeline.release(world.clock()))
    world.settle_down()
    world.see(event(status=EventStatus.ACKNOWLEDGED, actor="Ada"))
    world.clock.advance(60 * 60)
    world.survive(lambda: world.pipeline.release(world.clock()))
    world.see(event(status=EventStatus.RESOLVED, at=world.clock()))
    world.settle_down()


def verbs(world: World, name: str) -> list[Verb]:
    """What a receiver was told, each delivery once: a repetition after a death changes nothing there."""
    sink = world.destinations[name]
    assert isinstance(sink, Sink)
    assert len(sink.things) == 1
    return [verb for verb, _ in dict.fromkeys(sink.told)]


def assert_told_once(world: World) -> None:
    assert verbs(world, "tickets") == [Verb.OPEN, Verb.NOTE, Verb.ACK, Verb.CLOSE]
    chat = [verb for verb in verbs(world, "chat") if verb is not Verb.UPDATE]  # the ticket's address
    assert chat == [Verb.OPEN, Verb.ACK, Verb.CLOSE]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_at_any_port_call_makes_each_step_once(
    fresh_store: FreshStore, crash_stride: int, *, after: bool
) -> None:
    world = new_world(fresh_store(), Death())
    life(world)
    assert_told_once(world)

    for at in range(1, len(world.death.calls) + 1, crash_stride):
        mortal = new_world(fresh_store(), Death(at, after))
        life(mortal)
        assert mortal.deaths == 1
        assert_told_once(mortal)


@pytest.mark.parametrize("store_kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def test_several_processes_make_a_step_once(fresh_store: FreshStore) -> None:
    store = fresh_store()
    world = new_world(store, Death())
    world.see(event())
    world.settle_down()
    world.clock.advance(10 * 60)
    others = [Pipeline(store, BOOK) for _ in range(6)]

    with ThreadPoolExecutor(len(others)) as pool:
        list(pool.map(lambda each: each.release(world.clock()), others))

    world.settle_down()
    assert verbs(world, "tickets") == [Verb.OPEN]
    (alert,) = store.get([event().key]).values()
    assert alert.escalations["oncall"].steps == 1
