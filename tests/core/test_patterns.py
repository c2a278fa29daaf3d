"""Patterns of RE2 in Python's words; tests/real compares with Alertmanager.

https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import re
import warnings

import pytest

from service_event_checker.core.patterns import translated


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (r"\d+", ["19"], ["١٩"]),
        (r"\D", ["x", "١"], ["1"]),
        (r"\w+", ["a_1"], ["é", "a-b"]),
        (r"\W", ["é", "-", "["], ["a", "_"]),
        (r"(?i)\W", ["é"], ["s", "k"]),
        (r"\s", [" ", "\t"], ["\v", "\u00a0"]),
        (r"\S", ["\v", "\u00a0", "x"], [" ", "\n"]),
        (r"[\d-]+", ["1-2"], ["١"]),
        (r"[^\W]", ["a"], ["é"]),
        (r"[\Sx]", ["x", "é"], [" "]),
        (r"x\b.*", ["x", "x y", "xé"], ["xy"]),
        (r"\B", [""], ["x"]),
        (r"x\z", ["x"], ["x\n"]),
        ("[[:alpha:]]+", ["ab"], ["a1", ":a", "é"]),
        ("[^[:digit:]x]", ["a"], ["1", "x"]),
        ("[[:punct:]]+", ["!/:@[\\`{~]"], ["a", " "]),
        ("[[:space:]]", ["\v", " "], ["x"]),
        ("[]a]+", ["]a"], ["b"]),
        ("[[a]+", ["[a"], ["]"]),
        ("[a&&b]", ["&"], ["c"]),
        ("x{,2}", ["x{,2}"], ["", "xx"]),
        ("x{1,2}", ["x", "xx"], ["xxx"]),
        (r"a.b\.", ["a\nb."], ["a\nbx"]),
    ],
)
def test_a_pattern_means_what_it_means_to_alertmanager(pattern: str, yes: list[str], no: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled = re.compile(translated(pattern), re.DOTALL)

    assert [text for text in (*yes, *no) if compiled.fullmatch(text)] == yes


@pytest.mark.parametrize("pattern", ["[[:vowel:]]", "[[:^alpha:]]", r"[x\s", "a["])
def test_a_class_that_is_unknown_or_not_closed_is_no_pattern(pattern: str) -> None:
    with pytest.raises(re.error):
        translated(pattern)
