"""Alerts come in bursts, change, end and are acknowledged at random; processes die at any call: nothing is lost.

The destinations' own truth is asked: each alert has one ticket, and in the chat one message of its own or a place in
one of the summaries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from service_event_checker.core import storms as decide
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import STORMS, Budget, Event
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Severity, Status, Why
from service_event_checker.engine import storms
from tests.factories import event, receiver
from tests.process import Death, World
from tests.sink import Clock, Sink
from tests.stores.memory import MemoryStore
from tests.strategies import REPEATABLE

BUDGET = Budget(2, timedelta(minutes=5))
NAMES = range(12)
BOOK = Rulebook(
    (Rule("all", (), ("chat", "tickets")),),
    receivers={
        "chat": receiver("chat", Family.CHAT, storm=BUDGET),
        "tickets": receiver("tickets", Family.TICKET),
    },
)


@dataclass(frozen=True)
class Act:
    what: str
    names: frozenset[int]
    severity: Severity
    seconds: int


acts = st.builds(
    Act,
    what=st.sampled_from(["fire", "fire", "end", "ack", "deliver", "tick"]),
    names=st.frozensets(st.sampled_from(NAMES), min_size=1),
    severity=st.sampled_from(Severity),
    seconds=st.sampled_from([0, 1, 20, 200]),
)


def named(number: int, status: EventStatus, world: World, severity: Severity) -> Event:
    base = event(fingerprint=f"a{number}", title=f"a{number}", severity=severity, status=status, at=world.clock())
    person = status is EventStatus.ACKNOWLEDGED
    return replace(base, starts_at=world.clock(), person=person, actor="Ada" if person else "")


def do(world: World, act: Act) -> None:
    world.clock.advance(act.seconds)
    statuses = {
        "fire": EventStatus.FIRING,
        "end": EventStatus.RESOLVED,
        "ack": EventStatus.ACKNOWLEDGED,
    }
    if act.what in statuses:
        world.see(*(named(each, statuses[act.what], world, act.severity) for each in sorted(act.names)))
    elif act.what == "deliver":
        world.survive(world.drain_once)
    else:
        look(world)


def look(world: World) -> None:
    world.survive(lambda: storms.run(world.pipeline, world.clock()))


@settings(REPEATABLE, max_examples=60)
@given(st.lists(acts, max_size=14), st.integers(1, 400), st.booleans())
def test_whatever_happens_each_alert_is_told_or_in_a_summary(history: Sequence[Act], dies: int, after: bool) -> None:
    clock = Clock()
    chat, tickets = Sink(clock, Family.CHAT), Sink(clock, Family.TICKET)
    world = World(MemoryStore(), {"chat": chat, "tickets": tickets}, BOOK, clock, Death(dies, after))

    for act in history:
        do(world, act)
    for _ in range(20):
        world.settle_down()
        look(world)
        clock.advance(60)
    world.settle_down()

    own = Counter(thing.key for thing in chat.things)
    told: Counter[str] = Counter()
    key = decide.key_of("chat")
    for alert in world.store.get(event(fingerprint=f"a{number}").key for number in NAMES).values():
        for episode in range(1, alert.episode + 1):
            outcomes = world.store.outcomes(alert.key, episode)
            covered = [decide.summary_in(step.note) for step in outcomes if decide.covers(step, "chat")]
            mine = own[remote_key(alert.key, episode)]
            assert mine == 1 if not covered else mine <= 1
            told.update(covered[:1])
        assert world.store.waiting_deliveries(key=alert.key) == []
        things = [each for each in tickets.things if each.title == alert.title]
        assert {each.open for each in things if each is things[-1]} == {alert.open}
    newest = world.store.get([key]).get(key)
    assert [each for each in world.store.open_alerts() if each.source == STORMS] == []
    assert sum(own[remote_key(key, episode)] for episode in range(1, (newest.episode if newest else 0) + 1)) == (
        newest.episode if newest else 0
    )
    if newest:
        assert newest.status is Status.RESOLVED
        assert decide.tally_of(newest).total == told[newest.internal_id]
        steps = [step.why for step in world.store.timeline(key) if step.episode == newest.episode]
        assert steps.count(Why.OPENED) == 1
