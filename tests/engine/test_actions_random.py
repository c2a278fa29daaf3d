"""Random requests, people, replays, changes and crashes: nothing runs undeclared, unapproved or over budget."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from service_event_checker.core.actions import Identity, Person, Policy
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.engine.actions.runs import NotAllowed, NotNow, Runs
from service_event_checker.engine.pipeline import Pipeline
from tests.engine.test_actions import BOOK, World, _die
from tests.process import Died
from tests.stores.memory import MemoryStore

PEOPLE = (Person("Ada", "U0ADA", "ada"), Person("Bob", "U0BOB", "bob"))
WHO = st.builds(
    Identity, st.sampled_from(["slack", "login"]), st.sampled_from(["U0ADA", "ada", "U0BOB", "bob", "U0EVE", "eve", ""])
)
VALUES = st.dictionaries(
    st.sampled_from(["service_name", "x"]),
    st.one_of(st.sampled_from(["nginx", "redis", "nginx;id", "-nginx", "{service_name}", "nginx\n", ""]), st.text()),
)
PER_DAY = 3


class Lives(RuleBasedStateMachine):
    """Both have to approve; three runs a day."""

    @initialize()
    def begin(self) -> None:
        self.world = World(MemoryStore(), people=2, by=("Ada", "Bob"), per_day=PER_DAY, cooldown=timedelta(minutes=1))
        self.policy: Policy = self.world.policy
        self.number = 0
        self.times: list[float] = []
        self.approved: dict[str, set[str]] = {}
        self.started: list[str] = []
        self.start()

    def start(self) -> None:
        self.world.start()
        named = {"restart_service": self.policy}
        runners = dict(self.world.runs.runners)
        self.runs = Runs(Pipeline(self.world.store, BOOK), named, runners, PEOPLE, clock=self.world.clock)

    @rule(values=VALUES, title=st.sampled_from(["one", "one", "two"]), again=st.booleans())
    def request(self, values: dict[str, str], title: str, again: bool) -> None:
        self.number += not again
        alert = self.world.see(title=title, at=self.world.clock())
        with suppress(InvalidInput, NotNow):
            now = self.world.clock()
            self.runs.request(alert, "restart_service", values, by="Ada", via="api", now=now, id=f"r{self.number}")

    @rule(service=st.sampled_from(["nginx", "redis"]))
    def request_well(self, service: str) -> None:
        self.request({"service_name": service}, "one", again=False)

    @rule(who=WHO, approve=st.sampled_from([True, True, True, False]), ago=st.sampled_from([0, 0, 1, 2]))
    def answer(self, who: Identity, approve: bool, ago: int) -> None:
        run = self.runs.records.find(f"r{self.number - ago}")
        if run is None:
            return
        with suppress(NotAllowed, NotNow):
            self.runs.answer(run, who, "Ada", approve=approve, now=self.world.clock())
            if approve:
                names = {person.name for person in PEOPLE if person.has(who)}
                self.approved.setdefault(run.request.id, set()).update(names)

    @rule(service=st.sampled_from(["nginx", "redis"]), first=WHO, second=WHO)
    def two_answer(self, service: str, first: Identity, second: Identity) -> None:
        self.request_well(service)
        for who in (first, second):
            self.answer(who, True, 0)
        self.work(dies=False)

    @rule(service=st.sampled_from(["nginx", "redis"]))
    def both_approve(self, service: str) -> None:
        self.wait(120)
        self.two_answer(service, Identity("slack", "U0ADA"), Identity("login", "bob"))

    @rule(dies=st.booleans())
    def work(self, dies: bool) -> None:
        for id in self.runs.records.open_ids():
            before = len(self.world.action.done)
            self.world.action.meanwhile = _die if dies else lambda: None
            try:
                self.runs.step(id)
            except Died:
                self.start()
            if len(self.world.action.done) > before:
                self.started.append(id)
                self.times.append(self.world.clock.seconds())

    @rule(seconds=st.sampled_from([1, 61, 120, 1000, 40_000]))
    def wait(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    @rule()
    def resolve(self) -> None:
        with suppress(KeyError):  # it was never seen
            self.world.see(status=EventStatus.RESOLVED, at=self.world.clock())

    @invariant()
    def only_what_is_declared_ran(self) -> None:
        assert all(
            values in ({"service_name": "nginx"}, {"service_name": "redis"}) for values in self.world.action.done
        )

    @invariant()
    def each_run_was_approved_by_both_and_started_once(self) -> None:
        assert len(set(self.started)) == len(self.started) == len(self.world.action.done)
        assert all(self.approved.get(id) == {"Ada", "Bob"} for id in self.started)

    @invariant()
    def no_day_has_more_runs_than_its_budget(self) -> None:
        for at in self.times:
            assert len([each for each in self.times if at - 86_400 < each <= at]) <= PER_DAY


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
