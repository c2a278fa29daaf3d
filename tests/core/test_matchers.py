"""Matchers read and judge as Alertmanager's do: https://prometheus.io/docs/alerting/latest/configuration/#matcher."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.matchers import PATTERN_MAX, Matcher, parse
from tests.strategies import REPEATABLE


def matches(text: str, **names: str) -> bool:
    return all(matcher.matches(names) for matcher in parse(text))


def parts(text: str) -> list[tuple[str, str, str]]:
    return [(matcher.name, matcher.operator, matcher.value) for matcher in parse(text)]


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ('a="x"', "x", True),
        ('a="x"', "X", False),
        ('a="x"', "xx", False),
        ('a!="x"', "x", False),
        ('a!="x"', "y", True),
        ('a=~"x+"', "xxx", True),
        ('a=~"x+"', "axxx", False),
        ('a=~"x+"', "xxxa", False),
        ('a=~"x|y"', "y", True),
        ('a=~"x|yz"', "xz", False),
        ('a!~"x|y"', "y", False),
        ('a!~"x|y"', "xy", True),
        ('a=~"(?i)actions"', "ACTIONS", True),
    ],
)
def test_an_operator_judges_the_whole_value(text: str, value: str, expected: bool) -> None:
    assert matches(text, a=value) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [('a=""', True), ('a!=""', False), ('a="x"', False), ('a!="x"', True), ('a=~".*"', True), ('a=~".+"', False)],
)
def test_a_missing_label_is_an_empty_one(text: str, expected: bool) -> None:
    assert matches(text) is expected
    assert matches(text, a="") is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [('a="y"', True), ('a="z"', False), ('a!="y"', False), ('a!="z"', True), ('a=~"y.*"', True), ('a!~"y.*"', False)],
)
def test_a_label_with_several_values_matches_by_any_of_them(text: str, expected: bool) -> None:
    assert matches(text, a="x\nyes\ny") is expected


def test_a_line_break_at_the_end_of_a_value_is_no_empty_value() -> None:
    assert matches('a!="",a="x"', a="x\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a="b"', [("a", "=", "b")]),
        ('  a  =~  "b"  ', [("a", "=~", "b")]),
        ('{a="b",c!~"d"}', [("a", "=", "b"), ("c", "!~", "d")]),
        ('{ a = "b" , c != "d" , }', [("a", "=", "b"), ("c", "!=", "d")]),
        ('a="b",c="d"', [("a", "=", "b"), ("c", "=", "d")]),
        ('a="b,c}"', [("a", "=", "b,c}")]),
        ("severity=critical", [("severity", "=", "critical")]),
        ("{a=b,c!=d}", [("a", "=", "b"), ("c", "!=", "d")]),
        ('a=""', [("a", "=", "")]),
        ("a=", [("a", "=", "")]),
        ('a="x=~y"', [("a", "=", "x=~y")]),
        ('a="line\\nbreak"', [("a", "=", "line\nbreak")]),
        ('a="say \\"hi\\""', [("a", "=", 'say "hi"')]),
        ('a="c:\\\\x"', [("a", "=", "c:\\x")]),
        ('a=~"\\d+"', [("a", "=~", "\\d+")]),
        ("名前=~サーバー", [("名前", "=~", "サーバー")]),
        ("{}", []),
    ],
)
def test_it_reads_what_alertmanager_reads(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert parts(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a",
        '="b"',
        'a~"b"',
        'a="b',
        'a=b"',
        '{a="b"',
        'a="b"}',
        'a="b" c="d"',
        'a="b",,c="d"',
        "a b=c",
        'a=="b"',
        "a=b c",
    ],
)
def test_what_is_no_matcher_is_refused_with_its_place_and_a_hint(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(text, "rules[0].match[1]")

    assert str(refused.value).startswith("rules[0].match[1]: ")
    assert refused.value.hint


@pytest.mark.parametrize("pattern", ["(", "a)b", "[a", "a**", "(?P<n", "a{99999999999}", "x" * (PATTERN_MAX + 1)])
def test_a_pattern_that_cannot_be_used_is_refused_with_a_hint(pattern: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(f'a=~"{pattern}"', "match")

    assert refused.value.where == "match"
    assert refused.value.hint


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (".*(?i)actions.*", ["GitHub ACTIONS slow", "actions"], ["pages"]),
        ("Git(?i)hub", ["GitHUB"], ["gitHUB"]),
        ("A(?i)b|c", ["AB", "Ab", "C"], ["ab", "Ac"]),
        ("(?:a(?i)b|c)d", ["aBd", "Cd"], ["aBD", "Abd"]),
        (r"[(](?i)x\((?i)", ["(X("], ["(x"]),
        ("(?i)a(?-i)b", ["Ab"], ["AB"]),
    ],
)
def test_flags_in_the_middle_hold_from_there_to_the_end_of_the_group(
    pattern: str, yes: list[str], no: list[str]
) -> None:
    """https://github.com/google/re2/wiki/Syntax: (?flags) sets flags within the current group."""
    (matcher,) = parse('a=~"' + pattern.replace("\\", "\\\\") + '"')

    assert [value for value in (*yes, *no) if matcher.matches({"a": value})] == yes


@REPEATABLE
@given(st.text(max_size=30), st.text(max_size=30))
def test_an_escaped_pattern_equals_the_plain_comparison(wanted: str, value: str) -> None:
    quoted = '"' + re.escape(wanted).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') + '"'
    (pattern,) = parse(f"a=~{quoted}")
    (negated,) = parse(f"a!~{quoted}")

    for text in (value, wanted, f"{wanted}{value}", f"{value}\n{wanted}"):
        assert pattern.matches({"a": text}) is Matcher("a", "=", wanted).matches({"a": text})
        assert negated.matches({"a": text}) is Matcher("a", "!=", wanted).matches({"a": text})


@REPEATABLE
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_and_never_crashes(text: str) -> None:
    try:
        found = parse(text)
    except InvalidInput:
        return
    assert all(matcher.operator in ("=", "!=", "=~", "!~") for matcher in found)
