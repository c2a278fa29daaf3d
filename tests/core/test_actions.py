"""When a declared action may run: parameters, people, budget and what became of a run. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core import actions
from service_event_checker.core.actions import (
    Exceeded,
    Fact,
    Identity,
    Mark,
    Next,
    Person,
    Policy,
    Request,
    Run,
    Started,
    State,
)
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Severity, Status
from tests.factories import NOW, alert

ADA = Person("Ada", slack="U0ADA", login="ada@example.com")
SLACK_ADA, LOGIN_ADA = Identity("slack", "U0ADA"), Identity("login", "ADA@example.com")
MINUTE = timedelta(minutes=1)


def policy(**changes: Any) -> Policy:
    base: dict[str, Any] = {
        "name": "restart_service",
        "patterns": {"service_name": "nginx|redis", "server": "web-0[1-9]"},
        "by": ("Ada", "U0BOB"),
        "people": 1,
    }
    return Policy(**base | changes)


def request(allowed: Policy | None = None, seen: Alert | None = None, **changes: Any) -> Request:
    allowed, seen = allowed or policy(), seen or alert()
    values = {"service_name": "nginx", "server": "web-01"}
    base: dict[str, Any] = {
        "id": "r1",
        "action": allowed.name,
        "parameters": values,
        "subject": actions.subject_of(allowed, values),
        "key": seen.key,
        "episode": seen.episode,
        "internal_id": seen.internal_id,
        "revision": seen.revision,
        "digest": actions.digest_of(allowed, values, seen),
        "by": "shared",
        "via": "api",
        "at": NOW,
        "expires_at": NOW + 15 * MINUTE,
    }
    return Request(**base | changes)


def approved(who: Identity = SLACK_ADA) -> Fact:
    return Fact(mark=Mark.APPROVED, at=NOW, actor="Ada", who=str(who))


def decided(run: Run, allowed: Policy | None, seen: Alert | None, now: datetime = NOW) -> Next:
    return actions.decide(run, allowed, seen, (ADA,), now)


class TestParameters:
    def test_values_are_text_and_match_as_a_whole(self) -> None:
        allowed = policy(patterns={"count": "[0-9]+", "name": "a|bc"})

        assert actions.check_parameters(allowed, {"count": 3, "name": "bc"}) == {"count": "3", "name": "bc"}

    @pytest.mark.parametrize(
        ("given_values", "where"),
        [
            ({"name": "abc"}, "parameters.name"),
            ({"name": "a\n"}, "parameters.name"),
            ({"name": "a" * 201}, "parameters.name"),
            ({"name": "-a"}, "parameters.name"),
            ({"name": True}, "parameters.name"),
            ({"name": None}, "parameters.name"),
            ({}, "parameters.name"),
            ({"name": "a", "more": "x"}, "parameters"),
        ],
    )
    def test_anything_else_is_refused(self, given_values: dict[str, object], where: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            actions.check_parameters(policy(patterns={"name": "a|-a|a{201}|bc"}), given_values)

        assert refused.value.where == where

    def test_an_action_without_parameters_takes_none(self) -> None:
        with pytest.raises(InvalidInput, match="Declared: none"):
            actions.check_parameters(policy(patterns={}), {"x": "y"})

    def test_a_pattern_that_begins_with_a_dash_allows_one(self) -> None:
        assert actions.check_parameters(policy(patterns={"by": r"-?[0-9]+|\-x"}), {"by": "-3"}) == {"by": "-3"}

    @given(st.dictionaries(st.text(max_size=12), st.one_of(st.text(), st.integers(), st.none(), st.booleans())))
    def test_only_what_is_declared_gets_through(self, values: dict[str, object]) -> None:
        allowed = policy()
        try:
            taken = actions.check_parameters(allowed, values)
        except InvalidInput:
            return
        assert taken.keys() == allowed.patterns.keys()
        assert all(re.fullmatch(allowed.patterns[name], value) for name, value in taken.items())

    def test_a_rule_takes_them_from_the_labels(self) -> None:
        labels = {"service_name": "redis", "host": "web-02", "other": "x"}

        found = actions.from_labels(policy(labels={"server": "host"}), labels)

        assert found == {"service_name": "redis", "server": "web-02"}

    @given(st.dictionaries(st.sampled_from(["service_name", "server", "x"]), st.text()))
    def test_labels_make_it_run_nothing_else(self, labels: dict[str, str]) -> None:
        try:
            found = actions.from_labels(policy(), labels)
        except InvalidInput:
            return
        assert (found["service_name"] in ("nginx", "redis"), found["server"][:5]) == (True, "web-0")


class TestPeople:
    def test_a_person_may_by_any_of_their_ids(self) -> None:
        assert actions.may_approve(SLACK_ADA, ["Ada"], (ADA,))
        assert actions.may_approve(LOGIN_ADA, ["U0ADA"], (ADA,))
        assert actions.may_approve(Identity("slack", "u0bob"), ["U0BOB"], ())

    def test_others_may_not(self) -> None:
        assert not actions.may_approve(Identity("slack", "U0EVE"), ["Ada", "U0BOB"], (ADA,))
        assert not actions.may_approve(Identity("login", ""), [""], (Person(""),))

    def test_an_id_that_is_spelled_like_anothers_name_or_id_is_not_theirs(self) -> None:
        stranger, token = Identity("login", "Ada"), Identity("login", "U0BOB")

        assert not actions.may_approve(stranger, ["Ada"], (ADA,))
        assert not actions.may_approve(token, ["U0BOB"], ())
        assert not actions.may_approve(Identity("slack", "eve"), ["eve"], ())
        assert actions.may_approve(Identity("login", "eve"), ["eve"], ())

    def test_an_unknown_pair_counts_as_one(self) -> None:
        slack, login = Identity("slack", "U0X"), Identity("login", "x@example.com")

        assert actions.count_people([slack, login], ()) == 1
        assert actions.count_people([slack, Identity("slack", "U0Y"), login], ()) == 2
        assert actions.count_people([SLACK_ADA, LOGIN_ADA], (ADA,)) == 1
        assert actions.count_people([SLACK_ADA, login], (ADA,)) == 2
        assert actions.count_people([SLACK_ADA, login], (Person("Ada", slack="U0ADA"),)) == 1

    def test_two_are_needed_where_the_policy_says_so(self) -> None:
        allowed = policy(people=2)
        bob = approved(Identity("slack", "U0BOB"))

        assert not actions.is_approved(Run(request=request(), facts=(approved(), approved(LOGIN_ADA))), allowed, (ADA,))
        assert actions.is_approved(Run(request=request(), facts=(approved(), bob)), allowed, (ADA,))

    def test_who_is_not_named_any_more_does_not_count(self) -> None:
        run = Run(request=request(), facts=(approved(Identity("slack", "U0EVE")),))

        assert not actions.is_approved(run, policy(), ())


class TestDecision:
    def test_it_waits_for_its_approval_and_is_ready_then(self) -> None:
        waiting = Run(request=request())

        assert decided(waiting, policy(), alert()).state is State.WAITING
        assert decided(Run(request=request(), facts=(approved(),)), policy(), alert()).state is State.READY
        assert decided(Run(request=request(policy(people=0))), policy(people=0), alert()).state is State.READY

    @pytest.mark.parametrize(
        ("allowed", "seen", "state"),
        [
            (None, alert(), State.VOID),
            (policy(why_off="X is not set"), alert(), State.VOID),
            (policy(definition="other"), alert(), State.VOID),
            (policy(), None, State.DROPPED),
            (policy(), alert(episode=2), State.DROPPED),
            (policy(), alert(status=Status.RESOLVED), State.DROPPED),
            (policy(), alert(labels={"component": "Pages"}), State.VOID),
            (policy(), alert(severity=Severity.INFO), State.VOID),
            (policy(dry_run=True), alert(), State.DRY_RUN),
        ],
    )
    def test_what_has_changed_since_closes_it(self, allowed: Policy | None, seen: Alert | None, state: State) -> None:
        run = Run(request=request(), facts=(approved(),))

        assert decided(run, allowed, seen).state is state

    def test_a_test_alert_is_a_dry_run(self) -> None:
        seen = alert(test=True)

        assert decided(Run(request=request(seen=seen), facts=(approved(),)), policy(), seen).state is State.DRY_RUN

    def test_acknowledging_it_or_a_new_link_changes_nothing_of_an_approval(self) -> None:
        seen = alert(status=Status.ACKNOWLEDGED, links={"jira": "https://example.com/1"}, revision=9)

        assert decided(Run(request=request(), facts=(approved(),)), policy(), seen).state is State.READY

    def test_it_expires(self) -> None:
        run = Run(request=request(), facts=(approved(),))

        assert decided(run, policy(), alert(), NOW + 15 * MINUTE).state is State.EXPIRED

    def test_its_state_is_that_of_the_last_fact(self) -> None:
        begun = Fact(mark=Mark.BEGUN, at=NOW)
        ended = Fact(mark=Mark.ENDED, at=NOW, state=State.FAILED)
        states = [
            actions.state_of(Run(request=request(), facts=facts), policy(), (ADA,))
            for facts in ((), (approved(),), (approved(), begun), (approved(), begun, ended))
        ]

        assert states == [State.WAITING, State.READY, State.RUNNING, State.FAILED]
        assert [state.final for state in states] == [False, False, False, True]
        assert actions.state_of(Run(request=request()), None, ()) is State.READY


class TestBudget:
    def start(self, run: str, ago: timedelta, **changes: Any) -> Started:
        at = NOW - ago
        made = Started(run=run, subject=request().subject, at=at, until=at + MINUTE, over=True)
        return replace(made, **changes)

    def test_a_start_takes_its_place_once(self) -> None:
        first = actions.reserve((), policy(), request(), NOW)
        assert not isinstance(first, Exceeded)

        assert actions.reserve(first, policy(), request(), NOW + MINUTE) == first
        assert [each.run for each in first] == ["r1"]

    def test_a_subject_is_taken_until_it_is_over_or_its_lease_ends(self) -> None:
        allowed = policy(cooldown=timedelta(0))
        running = self.start("r0", timedelta(seconds=5), over=False)

        busy = actions.reserve((running,), allowed, request(), NOW)
        free = actions.reserve((running,), allowed, request(), NOW + 2 * MINUTE)
        other = actions.reserve((running,), allowed, request(subject="other"), NOW)

        assert isinstance(busy, Exceeded)
        assert busy.waits
        assert not isinstance(free, Exceeded)
        assert not isinstance(other, Exceeded)

    def test_it_cools_down(self) -> None:
        before = (self.start("r0", 9 * MINUTE),)

        assert actions.reserve(before, policy(), request(), NOW) == Exceeded(
            "it ran for the same subject less than 10 min ago"
        )
        assert not isinstance(actions.reserve(before, policy(), request(), NOW + MINUTE), Exceeded)

    def test_the_budget_of_a_day_is_for_all_subjects(self) -> None:
        allowed = policy(per_day=2, cooldown=timedelta(0))
        before = (self.start("a", 25 * MINUTE, subject="x"), self.start("b", 23 * 60 * MINUTE, subject="y"))

        full = actions.reserve(before, allowed, request(), NOW)
        later = actions.reserve(before, allowed, request(), NOW + 60 * MINUTE)

        assert isinstance(full, Exceeded)
        assert "limit is 2" in full.why
        assert not isinstance(later, Exceeded)

    def test_so_is_that_of_a_subject(self) -> None:
        allowed = policy(per_subject=1, cooldown=timedelta(seconds=30))

        found = actions.reserve((self.start("a", 25 * MINUTE),), allowed, request(), NOW)

        assert isinstance(found, Exceeded)

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 7200)), max_size=40), st.integers(1, 4))
    def test_no_sequence_of_requests_starts_more_than_allowed(self, asked: list[tuple[int, int]], most: int) -> None:
        allowed = policy(per_day=most, per_subject=most, cooldown=10 * MINUTE)
        ledger: tuple[Started, ...] = ()
        now, starts = NOW, []
        for number, (subject, seconds) in enumerate(asked):
            now += timedelta(seconds=seconds)
            found = actions.reserve(ledger, allowed, request(id=f"r{number}", subject=str(subject)), now)
            if not isinstance(found, Exceeded):
                ledger = found
                starts.append((now, subject))
        for at, subject in starts:
            day = [each for each, _ in starts if at - timedelta(days=1) < each <= at]
            same = [each for each, other in starts if other == subject and at - 10 * MINUTE < each <= at]
            assert (len(day) <= most, len(same)) == (True, 1)

    def test_a_long_run_stays_in_the_ledger_while_it_holds_its_subject(self) -> None:
        running = self.start("r0", timedelta(days=2), until=NOW + MINUTE, over=False)

        assert actions.trimmed((running,), policy(), NOW) == (running,)
        assert actions.trimmed((running,), policy(), NOW + 2 * MINUTE) == ()


class TestVerdict:
    def run(self, state: State = State.SUCCEEDED) -> Run:
        return Run(request=request(), facts=(Fact(mark=Mark.ENDED, at=NOW, state=state),))

    def test_it_says_whether_the_alert_is_over(self) -> None:
        over = alert(status=Status.RESOLVED)

        assert actions.verdict(self.run(), over, 5 * MINUTE, NOW + MINUTE) == "the alert is over since"
        assert actions.verdict(self.run(), alert(), 5 * MINUTE, NOW + MINUTE) == ""
        later = actions.verdict(self.run(), alert(), timedelta(seconds=90), NOW + 5 * MINUTE)
        assert later == "the alert still fires 90 s later"

    def test_it_says_nothing_of_what_did_not_succeed(self) -> None:
        assert actions.verdict(self.run(State.FAILED), alert(), MINUTE, NOW + 5 * MINUTE) == ""
        assert actions.verdict(Run(request=request()), alert(), MINUTE, NOW) == ""


def test_the_notes_of_an_alert_say_which_runs_wait() -> None:
    notes = [("a", actions.ASKED), ("b", actions.ASKED), ("a", "started"), ("c", "requested"), ("d", actions.ASKED)]
    seen = alert(note_ids=("12", *(actions.note_id(run, what) for run, what in notes)))

    assert actions.waiting_runs(seen) == ["b", "d"]


def test_the_subject_is_what_the_policy_names() -> None:
    one, other = {"service_name": "a", "replicas": "1"}, {"service_name": "a", "replicas": "2"}
    patterns = {"service_name": ".*", "replicas": ".*"}
    named, all_of_them = policy(subject=("service_name",), patterns=patterns), policy(patterns=patterns)

    assert actions.subject_of(named, one) == actions.subject_of(named, other)
    assert actions.subject_of(all_of_them, one) != actions.subject_of(all_of_them, other)
