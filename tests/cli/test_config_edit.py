"""An entry that is added to config.json leaves the rest of the text as a person has written it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.cli.config_edit import NotEditable, with_changed, with_entry
from tests.root import ROOT

ENTRY = {"kind": "feed", "url": "https://status.example.com/feed"}
WRITTEN = json.dumps(ENTRY)
NAMES = st.text('abc"\\é{}[]:, ', min_size=1, max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


LAYOUTS = {
    "{}": '{\n  "checkers": {\n    "new": %s\n  }\n}',
    '{"checkers": {"a": {}}}': '{"checkers": {"a": {}, "new": %s}}',
    '{"checkers": {"a": {}, "b": {"c": [1]}}}': '{"checkers": {"a": {}, "b": {"c": [1]}, "new": %s}}',
    '{\n  "checkers": {\n    "a": {"k": "x"}\n  },\n  "rules": []\n}\n': (
        '{\n  "checkers": {\n    "a": {"k": "x"},\n    "new": %s\n  },\n  "rules": []\n}\n'
    ),
    '{\n  "checkers": {},\n  "rules": []\n}': '{\n  "checkers": {\n    "new": %s\n  },\n  "rules": []\n}',
    '{\r\n\t"checkers": {\r\n\t\t"a": 1\r\n\t}\r\n}': (
        '{\r\n\t"checkers": {\r\n\t\t"a": 1,\r\n\t\t"new": %s\r\n\t}\r\n}'
    ),
    '{\n  "rules": []\n}': '{\n  "rules": [],\n  "checkers": {\n    "new": %s\n  }\n}',
}


@pytest.mark.parametrize("before", LAYOUTS)
def test_the_layout_stays(before: str) -> None:
    assert with_entry(before, "checkers", "new", ENTRY) == LAYOUTS[before] % WRITTEN


def test_the_shipped_file_differs_in_one_line_and_a_comma() -> None:
    before = (ROOT / "config.json").read_text()

    lines = with_entry(before, "checkers", "new", ENTRY).splitlines()

    new = [line for line in lines if line not in before.splitlines()]
    assert [line.strip() for line in new][1:] == [f'"new": {WRITTEN}']
    assert new[0].endswith("},")


@pytest.mark.parametrize("text", ["", "[]", "nonsense", '{"checkers": []}', '{"checkers": {"new": {}}}'])
def test_what_it_cannot_add_to_is_refused(text: str) -> None:
    with pytest.raises(NotEditable):
        with_entry(text, "checkers", "new", ENTRY)


@given(
    file=st.dictionaries(NAMES, VALUES, max_size=3),
    section=st.dictionaries(NAMES, VALUES, max_size=3),
    indent=st.sampled_from([None, 0, 1, 4, "\t"]),
)
def test_whatever_the_file_holds_it_holds_that_and_the_entry(
    file: dict[str, Any], section: dict[str, Any], indent: Any
) -> None:
    whole = {**file, "checkers": section}

    changed = json.loads(with_entry(json.dumps(whole, indent=indent), "checkers", "new", ENTRY))

    assert changed == {**whole, "checkers": {**section, "new": ENTRY}}


def test_an_entry_is_changed_in_its_place_and_layout() -> None:
    text = (
        '{\n  "rules": [{"a": 1}],\n  "checkers": {\n    "a": {\n      "k": "x"\n    },\n    "b": {"k": [1]}\n  }\n}\n'
    )

    after = with_changed(text, "checkers", "a", lambda entry: {**entry, "new": {"n": 1}})
    after = with_changed(after, "checkers", "b", lambda _entry: {"k": 2})

    changed = '"a": {\n      "k": "x",\n      "new": {\n        "n": 1\n      }\n    }'
    assert after == text.replace('"a": {\n      "k": "x"\n    }', changed).replace("[1]}", "2}")


@pytest.mark.parametrize(
    "text", ["no", "[]", "{}", '{"checkers": {"b": {}}}', '{"checkers": {"a": 1}}', '{"checkers": {}, "x": {"a": {}}}']
)
def test_an_entry_that_is_not_there_cannot_be_changed(text: str) -> None:
    with pytest.raises(NotEditable):
        with_changed(text, "checkers", "a", lambda entry: entry)


def test_an_entry_that_stands_there_twice_is_not_changed() -> None:
    with pytest.raises(NotEditable, match="more than once"):
        with_changed('{"checkers": {"a": {"k": 1}}, "checkers": {"a": {"k": 2}}}', "checkers", "a", lambda _: {"k": 3})


@given(st.dictionaries(NAMES, VALUES, max_size=3), NAMES, st.dictionaries(NAMES, VALUES, max_size=3), st.booleans())
def test_changing_an_entry_changes_it_alone(
    others: dict[str, Any], name: str, entry: dict[str, Any], spread: bool
) -> None:
    before = {"checkers": {**others, name: entry}, "last": others}

    after = with_changed(json.dumps(before, indent=2 if spread else None), "checkers", name, lambda _: {"new": [entry]})

    assert json.loads(after) == {**before, "checkers": {**others, name: {"new": [entry]}}}
