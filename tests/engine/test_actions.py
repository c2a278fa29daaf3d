"""Runs of actions: started once, whoever tries, whatever dies, and within their budget."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from service_event_checker.core.actions import Ended, Identity, Mark, Person, Policy, State, state_of
from service_event_checker.core.audit import verify
from service_event_checker.core.errors import StoreError
from service_event_checker.core.model import Alert, Slot
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Status, Verb, Why
from service_event_checker.engine.actions.records import Records
from service_event_checker.engine.actions.runs import NotNow, Runs
from service_event_checker.engine.pipeline import Pipeline
from tests.factories import event, receiver
from tests.process import Death, Died, MortalStore
from tests.sink import Clock
from tests.stores.memory import MemoryStore

FreshStore = Callable[[], Store]
ADA = Person("Ada", slack="U0ADA", login="ada")
WHO = Identity("slack", "U0ADA")
BOOK = Rulebook((Rule("all", (), ("chat",)),), (), {"chat": receiver("chat", Family.CHAT)})
VALUES = {"service_name": "nginx"}
TRIES = 40


class Restart:
    """An action that keeps its own count of what it has done."""

    def __init__(self, state: State = State.SUCCEEDED) -> None:
        self.done: list[Mapping[str, str]] = []
        self.state = state
        self.meanwhile: Callable[[], object] = lambda: None

    def check(self, parameters: Mapping[str, str]) -> None:
        return

    def describe(self, parameters: Mapping[str, str]) -> str:
        return f"restart {parameters['service_name']}"

    def run(self, parameters: Mapping[str, str]) -> Ended:
        self.done.append(parameters)
        self.meanwhile()
        return Ended(state=self.state, why="exit code 0", output="done")


class Mortal:
    """An action whose process may die before or after its effect."""

    def __init__(self, action: Restart, death: Death) -> None:
        self._action, self._death = action, death
        self.check, self.describe = action.check, action.describe

    def run(self, parameters: Mapping[str, str]) -> Ended:
        found: Ended = self._death.around("run", lambda: self._action.run(parameters))
        return found


class World:
    def __init__(self, store: Store, death: Death | None = None, **changes: Any) -> None:
        self.store, self.death, self.clock = store, death or Death(), Clock()
        self.action = Restart()
        base: dict[str, Any] = {"patterns": {"service_name": "nginx|redis"}, "by": ("Ada",), "people": 1}
        self.policy = Policy(name="restart_service", **base | changes)
        self.start()

    def start(self) -> None:
        """Start a process: all that is not in the store is new."""
        store: Any = MortalStore(self.store, self.death)
        self.pipeline = Pipeline(store, BOOK)
        runner = Mortal(self.action, self.death)
        named = {"restart_service": self.policy}
        self.runs = Runs(self.pipeline, named, {"restart_service": runner}, (ADA,), clock=self.clock)

    def survive(self, act: Callable[[], Any]) -> Any:
        for _ in range(TRIES):
            try:
                return act()
            except (Died, StoreError):
                self.start()
        raise AssertionError("it never got through")

    def see(self, **changes: Any) -> Alert:
        fired = event(**changes)
        return Pipeline(self.store, BOOK).ingest([fired], self.clock())[fired.key]

    def request(self, alert: Alert, id: str = "r1") -> Any:
        now = self.clock()
        return self.runs.request(alert, "restart_service", VALUES, by="ops", via="api", now=now, id=id)

    def approve(self, id: str = "r1") -> Any:
        run = self.runs.records.find(id)
        assert run is not None
        return self.runs.answer(run, WHO, "Ada", approve=True, now=self.clock())

    def work(self) -> None:
        for id in self.runs.records.open_ids():
            self.runs.step(id)

    def state(self, id: str = "r1") -> State:
        run = Runs(Pipeline(self.store, BOOK), {}, {}, clock=self.clock).records.find(id)
        assert run is not None
        return state_of(run, self.policy, (ADA,))

    def audited(self) -> list[str]:
        return [json.loads(row.what)["event"] for row in self.store.audit.list()]

    def notes(self, alert: Alert) -> list[str]:
        return [step.note for step in self.store.timeline(alert.key) if step.why is Why.ACTION]


@pytest.fixture
def world() -> World:
    return World(MemoryStore())


def life(world: World) -> None:
    """A run is requested, approved and done; time passes until nothing is open."""
    alert = world.see()
    world.survive(lambda: world.request(alert))

    def approve_once() -> None:
        try:
            world.approve()
        except NotNow:
            return  # an earlier try got through

    world.survive(approve_once)
    for _ in range(10):
        world.survive(world.work)
        world.clock.advance(60)


@pytest.mark.parametrize("by", [Died, StoreError])
@pytest.mark.parametrize("after", [False, True])
def test_whatever_dies_it_runs_at_most_once_and_its_end_is_said(
    by: type[BaseException], after: bool, fresh_store: FreshStore, crash_stride: int
) -> None:
    for at in itertools.count(1, crash_stride):
        world = World(fresh_store(), Death(at=at, after=after, by=by))
        life(world)

        assert len(world.action.done) <= 1
        assert world.state() in (State.SUCCEEDED, State.UNKNOWN)
        if world.state() is State.SUCCEEDED:
            assert len(world.action.done) == 1
        if world.action.done:
            assert "started" in world.audited()
        assert Records(world.store).open_ids() == []
        assert verify(world.store.audit.list()).broken == ()
        if at > len(world.death.calls):
            break
    assert world.action.done == [VALUES]


def test_a_run_whose_process_died_is_unknown_and_never_tried_again(world: World) -> None:
    world.death.at, world.death.after = 0, True
    alert = world.see()
    world.request(alert)
    world.approve()
    world.action.meanwhile = _die

    world.survive(world.work)
    world.action.meanwhile = lambda: None
    assert world.state() is State.RUNNING
    world.clock.advance(world.policy.timeout.total_seconds() + 31)
    world.survive(world.work)
    world.survive(world.work)

    assert (world.state(), world.action.done) == (State.UNKNOWN, [VALUES])
    assert "unknown result" in world.notes(alert)[-1]


def _die() -> None:
    raise Died


def test_two_workers_start_it_once(fresh_store: FreshStore) -> None:
    world = World(fresh_store())
    world.request(world.see())
    world.approve()
    both = threading.Barrier(2, timeout=30)
    others = [World(world.store), World(world.store)]
    for other in others:
        other.action = world.action
        other.start()

    def step(other: World) -> None:
        both.wait()
        other.runs.step("r1")

    threads = [threading.Thread(target=step, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert world.action.done == [VALUES]
    assert world.audited().count("started") == 1


def test_many_workers_at_once_keep_the_budget(fresh_store: FreshStore) -> None:
    world = World(fresh_store(), per_day=2, cooldown=timedelta(0), people=0)
    keys = [world.see(fingerprint=f"f{number}") for number in range(5)]
    world.policy = Policy(
        name="restart_service", patterns={"service_name": ".*"}, per_day=2, per_subject=2, cooldown=timedelta(0)
    )
    world.start()
    for number, seen in enumerate(keys):
        values = {"service_name": f"s{number}"}
        now = world.clock()
        world.runs.request(seen, "restart_service", values, by="ops", via="api", now=now, id=f"r{number}")

    threads = [threading.Thread(target=world.runs.step, args=(f"r{number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(world.action.done) == 2
    states = [world.state(f"r{number}") for number in range(5)]
    assert sorted(states) == [State.DROPPED] * 3 + [State.SUCCEEDED] * 2


def test_a_refusal_and_a_start_at_once_are_one_of_both(world: World) -> None:
    alert = world.see()
    run = world.request(alert)
    world.approve()
    other = World(world.store)
    seen_before = other.runs.records.find("r1")
    world.work()

    assert seen_before is not None
    after = other.runs.answer(seen_before, WHO, "Ada", approve=False, now=world.clock())

    assert (state_of(after, world.policy, (ADA,)), world.action.done) == (State.SUCCEEDED, [VALUES])
    assert run.request.id == "r1"


def test_one_that_runs_for_the_same_subject_is_waited_for() -> None:
    world = World(MemoryStore(), people=0, cooldown=timedelta(0))
    first, second = world.see(), world.see(fingerprint="other")
    world.request(first)
    seen: list[State] = []

    def meanwhile() -> None:
        world.action.meanwhile = lambda: None
        other = World(world.store, people=0, cooldown=timedelta(0))
        other.request(second, "r2")
        other.work()
        seen.append(other.state("r2"))

    world.action.meanwhile = meanwhile
    world.work()
    world.work()

    assert seen == [State.READY]
    assert (world.state("r2"), len(world.action.done)) == (State.SUCCEEDED, 2)


def test_an_alert_that_is_over_when_it_would_start_runs_nothing(world: World) -> None:
    alert = world.see()
    world.request(alert)
    world.approve()
    world.see(status=EventStatus.RESOLVED)

    world.work()

    assert (world.state(), world.action.done) == (State.DROPPED, [])
    with pytest.raises(NotNow):
        world.request(world.store.get([alert.key])[alert.key], "r2")


def test_without_an_answer_it_expires_and_says_so(world: World) -> None:
    alert = world.see()
    world.request(alert)
    world.clock.advance(15 * 60)

    world.work()

    assert (world.state(), world.action.done) == (State.EXPIRED, [])
    assert "expired" in world.notes(alert)[-1]
    with pytest.raises(NotNow):
        world.approve()


def test_after_a_success_it_is_said_whether_the_alert_is_over() -> None:
    world = World(MemoryStore(), people=0, verify=timedelta(minutes=5))
    alert = world.see()
    world.request(alert)
    world.work()
    world.clock.advance(60)
    world.work()
    assert "still fires" not in " ".join(world.notes(alert))

    world.clock.advance(300)
    world.work()

    assert "the alert still fires 5 min later" in world.notes(alert)[-1]
    assert world.runs.records.open_ids() == []
    assert world.audited()[-1] == "verified"


def test_one_that_fails_says_why_and_its_receivers_are_told(world: World) -> None:
    world.action.state = State.FAILED
    alert = world.see()
    world.request(alert)
    world.approve()

    world.work()

    assert world.state() is State.FAILED
    assert world.store.get([alert.key])[alert.key].status is Status.FIRING
    told = [each for each in world.store.waiting_deliveries(key=alert.key) if each.verb is Verb.NOTE]
    assert [each.note.partition(" ")[2][:22] for each in told if "failed" in each.note] == ["(service_name=nginx) f"]


def test_a_bug_of_an_action_leaves_an_unknown_result(world: World) -> None:
    world.request(world.see())
    world.approve()

    def crash() -> None:
        raise ValueError

    world.action.meanwhile = crash
    world.work()

    assert world.state() is State.UNKNOWN
    run = world.runs.records.find("r1")
    assert run is not None
    assert [fact.mark for fact in run.facts] == [Mark.APPROVED, Mark.BEGUN, Mark.ENDED]


def test_an_open_run_that_is_not_known_any_more_is_closed(world: World) -> None:
    world.runs.step("gone")

    assert world.runs.records.open_ids() == []


class Interleaved:
    """A store where somebody else comes first, between the reading of a slot and its change, once."""

    def __init__(self, store: Store, meanwhile: Callable[[], object]) -> None:
        self._store, self._meanwhile = store, [meanwhile]

    def put_slot(self, slot: Slot) -> Slot | None:
        while self._meanwhile:
            self._meanwhile.pop()()
        return self._store.put_slot(slot)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_who_comes_between_reading_and_writing_takes_the_last_place(fresh_store: FreshStore) -> None:
    world = World(fresh_store(), per_day=1)
    mine = world.request(world.see(), "r1").request
    other = world.request(world.see(fingerprint="other"), "r2").request
    taken: list[object] = []
    store: Any = Interleaved(
        world.store, lambda: taken.append(Records(world.store).reserve(world.policy, other, world.clock()))
    )

    refused = Records(store).reserve(world.policy, mine, world.clock())

    assert taken == [None]
    assert refused is not None
