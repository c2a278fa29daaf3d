"""A timeline that a busy source fills: the first and last changes stay, the rest is counted, people's acts stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.model import Transition
from service_event_checker.core.timeline import FIRST, KEPT, LAST, Row, merged, outcome_place, trimmed
from service_event_checker.core.vocabulary import Status, Verb, Why
from tests.factories import NOW, alert

KEY = alert().key


def step(why: Why = Why.CHANGED, **changes: str) -> Transition:
    return Transition(key=KEY, episode=1, at=NOW, why=why, before=Status.FIRING, after=Status.FIRING, **changes)  # type: ignore[arg-type]


def busy(number: int, start: int = 1) -> list[Row]:
    return [(revision, (step(note=str(revision)),)) for revision in range(start, start + number)]


def after(rows: list[Row]) -> list[Row]:
    """The rows as a store has them after it wrote what was decided."""
    changes = trimmed(rows)
    written = [(revision, changes.get(revision, steps)) for revision, steps in rows]
    return [(revision, steps) for revision, steps in written if steps]


def notes(rows: list[Row], why: Why = Why.CHANGED) -> list[str]:
    return [each.note for _, steps in rows for each in steps if each.why is why]


def test_a_timeline_of_usual_length_stays_as_it_is() -> None:
    assert trimmed(busy(KEPT)) == {}


def test_of_a_long_one_the_first_and_the_last_changes_stay_and_the_rest_is_counted() -> None:
    rows = after(busy(KEPT + 100))

    assert notes(rows) == [str(n) for n in (*range(1, FIRST + 1), *range(KEPT + 101 - LAST, KEPT + 101))]
    assert notes(rows, Why.LEFT_OUT) == ["150 changes of its content are left out here"]
    assert rows[FIRST][0] == FIRST + 1


def test_what_is_left_out_later_is_added_to_the_same_count() -> None:
    once = after(busy(KEPT + 1))
    twice = after(once + busy(60, start=KEPT + 2))

    assert notes(twice, Why.LEFT_OUT) == ["111 changes of its content are left out here"]
    assert len(notes(twice)) == FIRST + LAST


def test_what_people_did_and_outcomes_stay_also_beside_a_change_that_goes() -> None:
    acts = (step(Why.NOTED, actor="Ada"), step(Why.GAVE_UP), step(Why.ACKNOWLEDGED), step(actor="Ada"))
    rows = busy(KEPT + 100)
    rows[100] = (rows[100][0], (*rows[100][1], *acts))

    assert (rows[100][0], acts) in after(rows)


@given(st.lists(st.lists(st.sampled_from([Why.CHANGED, Why.NOTED, Why.SEVERITY_RAISED]), max_size=4), max_size=400))
def test_nothing_is_lost_but_counted(whys: list[list[Why]]) -> None:
    rows = [(revision, tuple(map(step, row))) for revision, row in enumerate(whys) if row]

    kept = after(rows)

    steps = [each for _, row in kept for each in row]
    left_out = sum(each.left_out for each in steps)
    assert len([each for each in steps if each.why is not Why.LEFT_OUT]) + left_out == sum(len(row) for _, row in rows)
    assert notes(kept, Why.NOTED) == notes(rows, Why.NOTED)
    assert trimmed(kept) == {}


TIMES = st.lists(st.integers(0, 20), max_size=12)


def at_minutes(minutes: list[int], why: Why) -> list[Transition]:
    return [replace(step(why, note=str(number)), at=NOW + timedelta(minutes=at)) for number, at in enumerate(minutes)]


@given(TIMES, TIMES, st.integers(1, 30))
def test_outcomes_stand_among_the_commits_by_their_time(commits: list[int], told: list[int], limit: int) -> None:
    steps, outcomes = at_minutes(sorted(commits), Why.CHANGED), at_minutes(told, Why.DELIVERED)

    rows = merged(steps, outcomes, limit)

    assert [each.at for each in rows] == sorted(each.at for each in [*steps, *outcomes])[-limit:]
    assert [each for each in rows if each.why is Why.CHANGED] == [each for each in steps if each in rows]


@given(TIMES, TIMES)
def test_commits_keep_their_order_when_a_clock_was_set_back(commits: list[int], told: list[int]) -> None:
    steps = at_minutes(commits, Why.CHANGED)

    rows = merged(steps, at_minutes(told, Why.DELIVERED), 100)

    assert [each for each in rows if each.why is Why.CHANGED] == steps


def test_only_a_receivers_updates_replace_each_other() -> None:
    def place(verb: Verb, revision: int, receiver: str = "slack", why: Why = Why.DELIVERED) -> tuple[int, str]:
        return outcome_place(replace(step(why, receiver=receiver), verb=verb), revision)

    assert place(Verb.UPDATE, 3) == place(Verb.UPDATE, 9)
    others = {place(verb, revision) for verb in Verb if verb is not Verb.UPDATE for revision in (3, 9)}
    others |= {place(Verb.UPDATE, 3, "teams"), place(Verb.UPDATE, 3, why=Why.GAVE_UP), place(Verb.UPDATE, 3)}
    assert len(others) == 2 * (len(Verb) - 1) + 3
