"""Alertmanager's matchers: `name="value"`, `!=`, `=~`, `!~`, anchored. Pure.

Names are as in its UTF-8 mode (since 0.27), values as in its classic one; docs/configuration.md lists the differences.
A label that is missing counts as empty. A label with several values (one per line) matches by any of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.patterns import PARTS, translated

PATTERN_MAX = 1000  # characters of a regular expression; longer ones are a mistake or an attack
REPEATS_MAX = 2  # `*`, `+` and `{}` of a stranger's pattern
OPTIONAL_MAX = 8  # those and `?`
_REPEATS = ("*", "+", "{", "?")
_NAME = r"[\w.:\-]+"
_SHAPE = re.compile(rf'\s*({_NAME})\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^\s",{{}}]*)\s*')
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}
_WRITTEN = {char: f"\\{letter}" for letter, char in _ESCAPES.items()}


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a name; `operator` is one of `=`, `!=`, `=~`, `!~`."""

    name: str
    operator: str
    value: str
    pattern: re.Pattern[str] | None = None

    def __str__(self) -> str:
        """Return the matcher as people write it."""
        value = re.sub(r'[\\"\n]', lambda found: _WRITTEN[found[0]], self.value)
        return f'{self.name}{self.operator}"{value}"'

    def matches(self, names: Mapping[str, str]) -> bool:
        text = names.get(self.name, "")
        hit = any(self._hits(value) for value in {text, *filter(None, text.split("\n"))})
        return hit is not self.operator.startswith("!")

    def _hits(self, value: str) -> bool:
        return self.pattern.fullmatch(value) is not None if self.pattern else value == self.value


def parse(text: str, where: str = "match") -> tuple[Matcher, ...]:
    """Read one or several matchers, e.g. `severity="critical"` or `{kind="outage",title=~".*(?i)actions.*"}`.

    Raises InvalidInput with `where` and what was not understood.
    """
    rest = text.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1].strip()
    found: list[Matcher] = []
    while rest:
        shape = _SHAPE.match(rest)
        behind = rest[shape.end() :] if shape else rest
        if shape is None or (behind and not behind.startswith(",")):
            raise InvalidInput(where, f'cannot read the matcher "{text}"', 'Write it like severity="critical"')
        found.append(_matcher(*shape.groups(), where=where))
        rest = behind.removeprefix(",").lstrip()
    return tuple(found)


def is_name(text: str) -> bool:
    """Whether a matcher can ask for a label of this name."""
    return re.fullmatch(_NAME, text) is not None


def is_costly(pattern: str) -> bool:
    """Whether a stranger's pattern could take very long: Python tries every way in which it may match.

    It repeats a group, or repeats more often than any name or address asks for.
    """
    parts = [part[0] for part in PARTS.finditer(pattern)]
    repeated = [
        before
        for before, part in zip(["", *parts], parts, strict=False)
        if part in _REPEATS and before not in ("(", *_REPEATS)
    ]
    unbounded = sum(part in "*+{" for part in parts)
    return ")" in repeated or len(repeated) > OPTIONAL_MAX or unbounded > REPEATS_MAX


def _matcher(name: str, operator: str, value: str, *, where: str) -> Matcher:
    if value.startswith('"'):
        value = re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), value[1:-1], flags=re.DOTALL)
    if "~" not in operator:
        return Matcher(name, operator, value)
    if len(value) > PATTERN_MAX:
        problem = f"the pattern of {name} is longer than {PATTERN_MAX} characters"
        raise InvalidInput(where, problem, "Use several rules")
    try:
        return Matcher(name, operator, value, re.compile(translated(value), re.DOTALL))
    except (re.error, OverflowError, RecursionError) as error:
        problem = f'"{value}" is not a regular expression ({error})'
        raise InvalidInput(where, problem, "Correct it, or use = instead of =~") from error
