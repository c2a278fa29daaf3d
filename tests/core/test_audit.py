"""The chain of the audit: what is appended verifies, and whatever is done to it afterwards is seen."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.audit import (
    ACTOR_MAX,
    CHECKPOINT,
    GENESIS,
    RETENTION,
    WHAT_MAX,
    Anchor,
    AuditRow,
    Broken,
    Flaw,
    chained,
    checkpoint,
    verify,
)
from service_event_checker.core.errors import InvalidInput
from tests.factories import NOW

texts = st.text(max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
acts = st.lists(
    st.tuples(texts, st.dictionaries(texts, values, max_size=3), st.datetimes(timezones=st.just(UTC))),
    min_size=1,
    max_size=8,
)


def chain(*given: tuple[str, dict[str, Any], datetime]) -> list[AuditRow]:
    rows: list[AuditRow] = []
    for actor, what, at in given:
        rows.append(chained(rows[-1].anchor if rows else None, actor, what, at))
    return rows


def five() -> list[AuditRow]:
    return chain(*((f"person {number}", {"n": number}, NOW + timedelta(hours=number)) for number in range(5)))


def flaws(rows: list[AuditRow], *anchors: Anchor) -> list[tuple[int, Flaw]]:
    return [(each.number, each.flaw) for each in verify(rows, anchors).broken]


@given(acts)
def test_what_was_appended_verifies(given: Any) -> None:
    rows = chain(*given)

    found = verify(rows, [row.anchor for row in rows])

    assert (found.rows, found.first, found.head, found.broken) == (len(rows), rows[0], rows[-1], ())
    assert rows[0].previous == GENESIS
    assert [json.loads(row.what) for row in rows] == [json.loads(json.dumps(what)) for _, what, _ in given]


def test_an_audit_without_rows_verifies() -> None:
    assert verify([]) == verify([], [])
    assert verify([]).broken == ()


changes = st.one_of(
    st.tuples(st.just("actor"), texts),
    st.tuples(st.just("what"), texts),
    st.tuples(st.just("at"), st.datetimes(timezones=st.just(UTC))),
    st.tuples(st.just("previous"), st.text("0123456789abcdef", min_size=64, max_size=64)),
    st.tuples(st.just("hash"), st.text("0123456789abcdef", min_size=64, max_size=64)),
)


@given(acts, st.data(), changes)
def test_a_changed_row_is_seen(given: Any, data: Any, change: tuple[str, Any]) -> None:
    rows = chain(*given)
    place = data.draw(st.integers(0, len(rows) - 1))
    changed = replace(rows[place], **{change[0]: change[1]})
    tampered = [*rows[:place], changed, *rows[place + 1 :]]

    assert (verify(tampered).broken == ()) == (changed == rows[place])
    if changed != rows[place]:
        assert Broken(place + 1, Flaw.CHANGED) in verify(tampered).broken


@given(acts, st.data())
def test_a_removed_row_is_seen(given: Any, data: Any) -> None:
    rows = chain(*given)
    place = data.draw(st.integers(0, len(rows) - 1))

    broken = verify([*rows[:place], *rows[place + 1 :]], [rows[-1].anchor]).broken

    assert broken


@given(acts, st.data())
def test_rows_in_another_order_are_seen(given: Any, data: Any) -> None:
    rows = chain(*given)
    order = data.draw(st.permutations(rows))

    assert (verify(order).broken == ()) == (order == rows)


@given(acts, st.data())
def test_rows_whose_contents_changed_places_are_seen(given: Any, data: Any) -> None:
    rows = chain(*given)
    one, other = (data.draw(st.integers(0, len(rows) - 1)) for _ in range(2))
    tampered = list(rows)
    tampered[one] = replace(rows[other], number=rows[one].number)
    tampered[other] = replace(rows[one], number=rows[other].number)

    assert (verify(tampered).broken == ()) == (one == other)


@given(acts, st.data(), texts)
def test_an_inserted_row_is_seen(given: Any, data: Any, actor: str) -> None:
    rows = chain(*given)
    place = data.draw(st.integers(0, len(rows) - 1))
    forged = chained(rows[place].anchor, actor, {"forged": True}, NOW)

    assert verify([*rows[: place + 1], forged, *rows[place + 1 :]], [rows[-1].anchor]).broken or place == len(rows) - 1


@given(acts, st.data())
def test_a_cut_tail_is_seen_with_an_anchor(given: Any, data: Any) -> None:
    rows = chain(*given)
    left = data.draw(st.integers(0, len(rows) - 1))

    assert verify(rows[:left]).broken == ()
    assert Flaw.CUT in {each.flaw for each in verify(rows[:left], [rows[-1].anchor]).broken}


def test_a_chain_that_was_made_anew_is_seen_with_an_anchor() -> None:
    rows = five()
    forged = chain(*((row.actor, {"n": 99}, row.at) for row in rows))

    assert flaws(forged) == []
    assert flaws(forged, rows[2].anchor) == [(3, Flaw.REWRITTEN)]


def test_each_flaw_names_its_row() -> None:
    rows = five()
    changed = [*rows[:2], replace(rows[2], what="{}"), *rows[3:]]

    assert flaws(changed) == [(3, Flaw.CHANGED)]
    assert flaws([*rows[:2], *rows[3:]]) == [(4, Flaw.MISSING)]
    assert flaws([rows[0], rows[1], rows[1], *rows[2:]]) == [(2, Flaw.DETACHED)]
    assert flaws(rows[2:]) == [(3, Flaw.BEGINNING)]
    assert flaws(rows[:3], rows[4].anchor) == [(4, Flaw.CUT)]
    assert flaws([], rows[4].anchor) == [(5, Flaw.CUT)]


def test_a_first_row_that_follows_nothing_is_seen() -> None:
    forged = chained(Anchor(0, "f" * 64), "x", {}, NOW)

    assert flaws([forged]) == [(1, Flaw.BEGINNING)]


@given(st.integers(1, 5), st.data())
def test_a_checkpoint_attests_what_was_removed_also_half_way(through: int, data: Any) -> None:
    rows = five()
    last = chained(rows[-1].anchor, RETENTION, checkpoint(rows[through - 1].anchor), NOW)
    removed = data.draw(st.integers(0, through))

    assert flaws([*rows, last][removed:], *(row.anchor for row in rows)) == []


def test_more_than_a_checkpoint_attests_must_not_be_missing() -> None:
    rows = five()
    last = chained(rows[-1].anchor, RETENTION, checkpoint(rows[1].anchor), NOW)

    assert flaws([*rows, last][3:]) == [(4, Flaw.BEGINNING)]


def test_a_checkpoint_of_other_rows_attests_nothing() -> None:
    rows = five()
    last = chained(rows[-1].anchor, RETENTION, checkpoint(Anchor(2, "f" * 64)), NOW)

    assert flaws([*rows, last][2:]) == [(3, Flaw.BEGINNING)]


@pytest.mark.parametrize(
    ("actor", "what"),
    [
        ("ann", {CHECKPOINT: {"through": 2, "hash": five()[1].hash}}),
        (RETENTION, {CHECKPOINT: {"through": "two"}}),
        (RETENTION, {CHECKPOINT: 2}),
        (RETENTION, {}),
    ],
)
def test_what_is_no_checkpoint_attests_nothing(actor: str, what: dict[str, Any]) -> None:
    rows = five()

    assert flaws([*rows, chained(rows[-1].anchor, actor, what, NOW)][2:]) == [(3, Flaw.BEGINNING)]


def test_an_anchor_of_removed_rows_says_nothing_any_more() -> None:
    rows = five()
    last = chained(rows[-1].anchor, RETENTION, checkpoint(rows[2].anchor), NOW)

    assert flaws([*rows, last][3:], rows[0].anchor) == []


@pytest.mark.parametrize("what", [{"n": float("nan")}, {"n": object()}, {"n": {1, 2}}])
def test_what_is_no_json_is_refused(what: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="is no JSON"):
        chained(None, "ann", what, NOW)


def test_a_row_has_a_largest_size_and_an_actor_a_longest_name() -> None:
    chained(None, "ann", {"n": "x" * (WHAT_MAX - 8)}, NOW)

    assert len(chained(None, "a" * 500, {}, NOW).actor) == ACTOR_MAX
    with pytest.raises(InvalidInput, match="shorten the output"):
        chained(None, "ann", {"n": "x" * (WHAT_MAX - 7)}, NOW)


def test_the_hash_is_the_one_that_anybody_can_compute() -> None:
    """`printf '%s' '<content><previous>' | sha256sum` of coreutils gave this one."""
    row = chained(None, "ann", {"b": 1, "a": "ü"}, datetime(2026, 11, 29, 12, tzinfo=UTC))

    assert row.what == '{"a":"\\u00fc","b":1}'
    assert row.hash == "a25ce9f61b95bde9a06ddd44354e0b013c49f9f6e76098fb10e4b5085592c5be"
