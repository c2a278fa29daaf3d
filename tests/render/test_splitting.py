"""Messages of a system's length: whole atoms, within the limit, and nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.render import splitting
from service_event_checker.render.splitting import characters, in_json, messages, parsed_html, split, utf8
from tests.strategies import REPEATABLE

MEASURES = (characters, utf8, in_json, parsed_html)
atoms = st.lists(
    st.sampled_from(
        ["a", " ", "\n", "é", "中", "🔥", "&lt;", "\\*", '<a href="https://x">link</a>', "<b>bold</b>", '"']
    )
)
measures = st.sampled_from(MEASURES)


@REPEATABLE
@given(atoms=atoms, limit=st.integers(min_value=40, max_value=60), measure=measures)
def test_joined_the_parts_are_the_text_and_each_is_within_the_limit(atoms, limit, measure):
    parts = split(atoms, limit, measure)

    assert "".join(parts) == "".join(atoms)
    assert all(0 < measure(part) <= limit for part in parts)
    assert not atoms or all(parts)


@REPEATABLE
@given(atoms=atoms, limit=st.integers(min_value=40, max_value=60), measure=measures)
def test_no_atom_is_divided(atoms, limit, measure):
    ends, at = {0}, 0
    for atom in atoms:
        ends.add(at := at + len(atom))

    at = 0
    for part in split(atoms, limit, measure):
        assert (at := at + len(part)) in ends


@REPEATABLE
@given(
    atoms=atoms,
    limit=st.integers(min_value=60, max_value=80),
    most=st.integers(min_value=1, max_value=4),
    measure=measures,
)
def test_messages_are_few_and_within_the_limit(atoms, limit, most, measure):
    found = messages(atoms, limit, most, measure)

    assert len(found) <= most
    assert all(measure(text) <= limit for text in found)


def test_a_part_ends_at_a_line_break_or_else_at_a_space():
    assert split("one two\nthree four", 13) == ["one two\n", "three four"]
    assert split("one two three four", 13) == ["one two ", "three four"]


def test_parts_are_numbered_and_the_last_is_cut_with_an_ellipsis():
    first, last = messages("word " * 40, 60, 2)

    assert first.endswith("word\n(1/2)")
    assert last.endswith("word…\n(2/2)")


def test_an_atom_that_no_message_can_hold_is_left_out():
    assert split(["a", "x" * 50, "b"], 40) == ["ab"]


@pytest.mark.parametrize(
    ("text", "counted"),
    [("a", (1, 1, 1, 1)), ("é", (1, 2, 2, 1)), ("🔥", (1, 4, 4, 2)), ("\n", (1, 1, 2, 1)), ("&lt;", (4, 4, 4, 1))]
    + [('<a href="https://x">é</a>', (25, 26, 28, 1))],
)
def test_each_system_counts_in_its_own_way(text, counted):
    assert tuple(measure(text) for measure in MEASURES) == counted


def test_the_number_of_a_part_fits_into_what_is_reserved_for_it():
    assert in_json(f"{splitting.ELLIPSIS}\n(9/9)") <= splitting.RESERVE
