"""Members fire, end and are acknowledged at random, and the process dies at any call: each group is right in the end.

The destinations' own truth is asked: one ticket and one page for each group, open if and only if a member is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service_event_checker.core.model import GROUPS, Alert, Event
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Kind, Severity, Status
from tests.factories import event, receiver
from tests.process import Death, World
from tests.sink import Clock, Sink
from tests.stores.memory import MemoryStore
from tests.strategies import REPEATABLE

SETTLE = 30.0
CLUSTERS = ("eu", "us")
NUMBERS = range(3)
RULE = Rule("slow", (), ("tickets", "pager"), per_group=True, group_by=("cluster",), group_wait=timedelta(seconds=10))
BOOK = Rulebook(
    (RULE,),
    receivers={
        "tickets": receiver(
            "tickets", Family.TICKET, settle=timedelta(seconds=SETTLE), reopen_within=timedelta(hours=72)
        ),
        "pager": receiver("pager", Family.PAGER, settle=timedelta(seconds=SETTLE)),
    },
)


@dataclass(frozen=True)
class Act:
    """Something that happens: to some members at once, or to the group of a cluster."""

    what: str
    cluster: str
    members: frozenset[int]
    severity: Severity
    seconds: int


acts = st.builds(
    Act,
    what=st.sampled_from(["fire", "fire", "end", "end", "ack", "ack group", "tick", "deliver"]),
    cluster=st.sampled_from(CLUSTERS),
    members=st.frozensets(st.sampled_from(NUMBERS), min_size=1),
    severity=st.sampled_from(Severity),
    seconds=st.integers(0, 40),
)


def member(number: int, cluster: str, status: EventStatus, at: datetime, **changes: object) -> Event:
    base = event(
        source="alertmanager",
        fingerprint=f"{cluster}-{number}",
        kind=Kind.ALERT,
        intake="/alert",
        title="Slow",
        labels={"cluster": cluster},
        starts_at=at,
        at=at,
        status=status,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def new_world(store: Store, death: Death) -> World:
    clock = Clock()
    sinks = {name: Sink(clock, each.family, lag=SETTLE - 5) for name, each in BOOK.receivers.items()}
    return World(store, sinks, BOOK, clock, death)


def do(world: World, act: Act) -> None:
    world.clock.advance(act.seconds)
    now = world.clock()
    if act.what in ("fire", "end"):
        status = EventStatus.FIRING if act.what == "fire" else EventStatus.RESOLVED
        world.see(*(member(each, act.cluster, status, now, severity=act.severity) for each in sorted(act.members)))
    elif act.what == "ack":
        acked = [member(each, act.cluster, EventStatus.ACKNOWLEDGED, now) for each in sorted(act.members)]
        world.see(*(replace(each, at=None, actor="Ada", person=True) for each in acked))
    elif act.what == "ack group":
        for group in world.store.open_alerts(GROUPS):
            if group.labels["cluster"] == act.cluster:
                world.see(replace(acknowledged(group), actor="Ada", person=True))
    elif act.what == "tick":
        mend(world)
    else:
        world.survive(world.drain_once)


def acknowledged(group: Alert) -> Event:
    return Event(source=GROUPS, fingerprint=group.fingerprint, kind=group.kind, status=EventStatus.ACKNOWLEDGED)


def mend(world: World) -> None:
    world.survive(lambda: world.pipeline.mend_groups(world.clock()))


def live(world: World, history: Sequence[Act]) -> None:
    for act in history:
        do(world, act)
    for _ in range(6):  # longer than a group waits, and than its numbers may
        world.clock.advance(4)
        mend(world)
        world.settle_down()


def assert_right(world: World) -> None:
    members = world.store.get(
        member(number, cluster, EventStatus.FIRING, world.clock()).key for number in NUMBERS for cluster in CLUSTERS
    )
    groups = {each.groups["slow"]: each.labels["cluster"] for each in members.values()}
    known = world.store.get(groups)
    for key, cluster in groups.items():
        open_members = [each for each in members.values() if each.open and each.groups["slow"] == key]
        if key not in known and not open_members:
            continue  # it was over before any process had written its group
        group = known[key]
        assert group.open == bool(open_members), cluster
        assert world.store.members([key]).get(key, None) is None or group.open
        if open_members:
            worst = min(open_members, key=lambda each: each.severity.rank).severity
            number = sum(each.severity is worst for each in open_members)
            alerts = "1 alert" if len(open_members) == 1 else f"{len(open_members)} alerts"
            assert group.severity is worst
            assert group.title == f"slow · {alerts} ({number} {worst}) · cluster={cluster}"
    for name, sink in world.destinations.items():
        assert isinstance(sink, Sink)
        open_things = [thing.title for thing in sink.things if thing.open]
        assert sorted(open_things) == sorted(each.title for each in known.values() if each.open), name
        keys = [thing.key for thing in sink.things]
        assert len(set(keys)) == len(keys), name  # none twice in an episode
    assert len(world.destinations["tickets"].things) <= len(groups)  # type: ignore[attr-defined]  # they are reopened
    assert world.store.waiting() == 0
    assert world.store.failed_deliveries() == []


@given(history=st.lists(acts, min_size=1, max_size=14), at=st.integers(0, 150), after=st.booleans())
@settings(REPEATABLE, max_examples=250)
def test_a_death_at_any_call_leaves_each_group_right(history: list[Act], at: int, after: bool) -> None:
    world = new_world(MemoryStore(), Death(at, after))

    live(world, history)

    assert_right(world)


STORY = (
    Act("fire", "eu", frozenset({0, 1}), Severity.ERROR, 0),
    Act("fire", "us", frozenset({0}), Severity.WARNING, 1),
    Act("tick", "eu", frozenset({0}), Severity.INFO, 12),
    Act("deliver", "eu", frozenset({0}), Severity.INFO, 0),
    Act("fire", "eu", frozenset({2}), Severity.CRITICAL, 5),
    Act("ack group", "eu", frozenset({0}), Severity.INFO, 5),
    Act("end", "eu", frozenset({0, 1, 2}), Severity.ERROR, 5),
    Act("fire", "eu", frozenset({1}), Severity.ERROR, 30),
)


@pytest.mark.parametrize("store_kind", ["memory", "sqlite"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_at_each_call_of_a_story_leaves_each_group_right(fresh_store, crash_stride, after):
    first = new_world(fresh_store(), Death())
    live(first, STORY)
    assert_right(first)

    for at in range(1, len(first.death.calls) + 1, crash_stride if crash_stride == 1 else 20):
        world = new_world(fresh_store(), Death(at, after))
        live(world, STORY)
        assert world.deaths == 1, first.death.calls[at - 1]
        assert_right(world)


@pytest.mark.parametrize("store_kind", ["memory"])
def test_an_acknowledgement_is_carried_to_the_members_whenever_the_process_dies(fresh_store):
    until_ack = STORY[:6]
    first = new_world(fresh_store(), Death())
    live(first, until_ack)

    for at in range(1, len(first.death.calls) + 1):
        world = new_world(fresh_store(), Death(at, after=True))
        live(world, until_ack)
        keys = [member(number, "eu", EventStatus.FIRING, world.clock()).key for number in NUMBERS]
        found = {(each.status, each.owner) for each in world.store.get(keys).values()}
        assert found == {(Status.ACKNOWLEDGED, "Ada")}, first.death.calls[at - 1]
