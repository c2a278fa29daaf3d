"""Whatever order an alert fires and ends in, its receivers are told little, and the truth when it is calm."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from service_event_checker.core.flapping import Flapping
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Severity, Verb
from tests.factories import event, receiver
from tests.process import Death, World
from tests.sink import Clock, Sink, Unsearchable
from tests.stores.memory import MemoryStore
from tests.strategies import REPEATABLE

LIMITS = Flapping(changes=4, within=timedelta(minutes=15))
QUIET = ("tickets", "chat", "mail")
FAMILIES = {"tickets": Family.TICKET, "chat": Family.CHAT, "mail": Family.MAIL, "pager": Family.PAGER}
BOOK = Rulebook(
    (Rule("all", (), tuple(FAMILIES)),),
    receivers={
        name: receiver(name, family, findable=name != "mail", reopen_within=timedelta(hours=72 * (name == "tickets")))
        for name, family in FAMILIES.items()
    },
    flapping=LIMITS,
)


def new_world(death: Death | None = None) -> World:
    """Without a mail where processes die: nobody can look whether one that was cut off has arrived."""
    clock = Clock()
    made: dict[str, Unsearchable] = {name: Sink(clock, each) for name, each in FAMILIES.items() if name != "mail"}
    mails = {} if death else {"mail": Unsearchable(clock)}
    book = replace(BOOK, receivers={name: BOOK.receivers[name] for name in (*made, *mails)})
    return World(MemoryStore(), made | mails, book, clock, death)


def sink(world: World, name: str) -> Unsearchable:
    found = world.destinations[name]
    assert isinstance(found, Unsearchable)
    return found


def fire(world: World, severity: Severity = Severity.WARNING) -> None:
    world.see(event(starts_at=world.clock(), at=world.clock(), severity=severity, title=f"Since {world.clock()}"))


def end(world: World) -> None:
    world.see(event(status=EventStatus.RESOLVED, at=world.clock(), starts_at=None))


def tick(world: World) -> None:
    world.survive(lambda: world.pipeline.release(world.clock()))


def messages(world: World, name: str) -> list[Verb]:
    """What people saw arrive there; an update shows an address in the message that is there."""
    return [verb for verb, _ in dict.fromkeys(sink(world, name).told) if verb is not Verb.UPDATE]


def calm_down(world: World) -> None:
    world.settle_down()
    world.clock.now += LIMITS.within
    tick(world)
    world.settle_down()


def assert_truth(world: World) -> None:
    """Each receiver shows what the alert is: one open object if it is open, none if it is over."""
    alert = world.store.get([event().key]).get(event().key)
    is_open = alert is not None and alert.open
    for name in world.destinations:
        assert [thing.open for thing in sink(world, name).things].count(True) == int(is_open), name
    assert world.store.waiting() == 0
    assert world.store.failed_deliveries() == []
    assert alert is None or not alert.flapping


class Flaps(RuleBasedStateMachine):
    """One alert, four receivers with a truth of their own, and a clock."""

    @initialize()
    def begin(self) -> None:
        self.world = new_world()

    @rule(severity=st.sampled_from([Severity.WARNING] * 4 + [Severity.CRITICAL]))
    def fires(self, severity: Severity) -> None:
        fire(self.world, severity)

    @rule()
    def ends(self) -> None:
        end(self.world)

    @rule(changes=st.integers(2, 7), delivered=st.booleans())
    def flaps(self, *, changes: int, delivered: bool) -> None:
        for number in range(changes):
            end(self.world) if number % 2 else fire(self.world)
            self.world.clock.advance(61)
            if delivered:
                self.world.settle_down()

    @rule(person=st.sampled_from([EventStatus.ACKNOWLEDGED, EventStatus.RESOLVED]))
    def a_person_acts(self, person: EventStatus) -> None:
        self.world.see(event(status=person, person=True, actor="Ada", starts_at=None))

    @rule(minutes=st.sampled_from([0.5, 1, 2, 4, 16]))
    def time_passes(self, minutes: float) -> None:
        self.world.clock.advance(minutes * 60)

    @rule()
    def ticks(self) -> None:
        tick(self.world)

    @rule()
    def is_delivered(self) -> None:
        self.world.settle_down()

    @invariant()
    def never_has_two_objects_open(self) -> None:
        for name in ("tickets", "chat"):
            assert sum(thing.open for thing in sink(self.world, name).things) <= 2  # the older one's close waits

    def teardown(self) -> None:
        calm_down(self.world)
        assert_truth(self.world)


def test_after_any_sequence_each_receiver_shows_the_truth() -> None:
    steps = settings(REPEATABLE, max_examples=80, stateful_step_count=12)

    run_state_machine_as_test(Flaps, settings=steps)  # type: ignore[no-untyped-call]


@settings(REPEATABLE, max_examples=60)
@given(changes=st.integers(6, 60), delivered=st.booleans())
def test_however_often_it_changes_the_count_is_bounded(changes: int, *, delivered: bool) -> None:
    world = new_world()

    for number in range(changes):
        end(world) if number % 2 else fire(world)
        world.clock.advance(70)
        tick(world)
        if delivered:
            world.settle_down()
    calm_down(world)

    assert_truth(world)
    for name in QUIET:
        verbs = messages(world, name)
        assert verbs.count(Verb.OPEN) <= 3
        assert verbs.count(Verb.CLOSE) <= 3
        assert len(verbs) <= 7
    if delivered:
        assert [verb for verb, _ in sink(world, "pager").told].count(Verb.OPEN) == (changes + 1) // 2


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_at_any_port_call_leaves_no_ticket_open_and_tells_nobody_twice(*, after: bool) -> None:
    def life(world: World) -> None:
        for number in range(8):
            end(world) if number % 2 else fire(world)
            world.settle_down()
            world.clock.advance(60)
        calm_down(world)

    whole = new_world(Death())
    life(whole)
    for at in range(1, len(whole.death.calls) + 1, 3):
        world = new_world(Death(at, after))
        life(world)
        assert_truth(world)
        for name in ("tickets", "chat"):
            assert messages(world, name) == messages(whole, name)
