"""Finds matchers of rules and silences that can never match. Pure.

They ask for a value that does not exist, or exclude each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from service_event_checker.config.findings import Findings, Matching, Origin, Traits
from service_event_checker.config.problems import nearest
from service_event_checker.core.matchers import Matcher
from service_event_checker.core.vocabulary import Affects, Kind, Severity

_STRANGE = "\u2603 no one writes this \u2603"  # a pattern that matches this and "" matches everything
_KINDS = tuple(Kind)
_SEVERITIES = tuple(Severity)
_WHAT = {
    "severity": "A severity is critical, error, warning or info",
    "kind": "A kind is outage, maintenance or alert",
    "affects_us": "affects_us is yes or unknown",
    "test": "test is true or false",
    "flapping": "flapping is true or false",
    "source": "No checker and no other source of alerts has this name",
    "intake": "No alert comes in by this way",
}


@dataclass(frozen=True, slots=True)
class Values:
    """The values that exist, by name that has a closed set of them.

    `acts`: the ways in that an alert of any origin may have besides its own.
    """

    origins: tuple[Origin, ...]
    acts: frozenset[str]
    traits: Traits

    def of(self, name: str) -> tuple[str, ...]:
        """Return the values that an alert can carry under a name; () if anything can be written there."""
        found: dict[str, tuple[str, ...]] = {
            "severity": _SEVERITIES,
            "kind": _KINDS,
            "affects_us": (Affects.YES, Affects.UNKNOWN),
            "test": ("true", "false"),
            "flapping": ("true", "false"),
            "source": tuple(origin.source for origin in self.origins if origin.source),
            "intake": tuple(sorted(self.acts.union(*(origin.intakes for origin in self.origins)))),
        }
        return found.get(name, ())


def check(part: Matching, values: Values) -> Findings:
    """Return what is wrong with the matchers of one rule or silence: each matcher for itself, else all together."""
    errors = [line for where, matcher in part.matchers if (line := _alone(where, matcher, values))]
    if not errors:
        errors = list(_together(part, values))[:1]
    return Findings(errors)


def matches_always(matcher: Matcher, values: Values) -> bool:
    """Whether every alert meets a matcher."""
    closed = values.of(matcher.name)
    if matcher.name == "source":
        closed += tuple(origin.prefix + _STRANGE for origin in values.origins if origin.prefix)
    if closed:
        return all(_meets(matcher, value) for value in closed)
    return matcher.operator == "=~" and _is_universal(matcher)


def allowed(matchers: Iterable[Matcher], values: Sequence[str]) -> set[str]:
    """Return the values that meet all matchers of one name."""
    return {value for value in values if all(_meets(matcher, value) for matcher in matchers)}


def _alone(where: str, matcher: Matcher, values: Values) -> str:
    closed = values.of(matcher.name)
    if matcher.name == "source" and _speaks_of_open(matcher, values):
        return ""
    if not closed:
        universal = matcher.operator == "!~" and _is_universal(matcher)
        return f"{where}: {matcher} can never match. It excludes every value" if universal else ""
    if matcher.pattern is None:
        return "" if _exists(matcher, closed) else f"{where}: {_no_value(matcher, closed, values.traits)}"
    if allowed([matcher], closed):
        return ""
    known = ", ".join(sorted(closed))
    if matcher.operator == "!~":
        return f"{where}: {matcher} can never match: it excludes every {matcher.name}. Known are {known}"
    return f"{where}: {matcher} can never match: it fits no {matcher.name}. Known are {known}"


def _exists(matcher: Matcher, closed: Sequence[str]) -> bool:
    excepted = matcher.name == "affects_us" and matcher.operator == "!=" and matcher.value == Affects.NO
    return matcher.value in closed or excepted


def _no_value(matcher: Matcher, closed: Sequence[str], traits: Traits) -> str:
    name, value = matcher.name, matcher.value
    effect = "can never match" if matcher.operator == "=" else "always matches"
    if name == "affects_us" and value == Affects.NO:
        return f"{matcher} {effect}: what does not affect us is not tracked. Remove this rule or silence"
    text = f"{matcher} {effect}. {_WHAT[name]}."
    if name != "severity":
        return text + nearest(value, closed)
    counts_as = traits.severity_of(value) if value.strip() else None
    own = f'label.severity{matcher.operator}"{value}" for the sender\'s own word'
    if counts_as:
        return f'{text} "{value}" counts as {counts_as}: write severity{matcher.operator}"{counts_as}", or {own}'
    near = nearest(value, closed).partition("?")
    hint = f"{near[0]}?" if near[1] else ""
    return f"{text}{hint} Write {own}"


def _together(part: Matching, values: Values) -> Iterator[str]:
    by_name: dict[str, list[Matcher]] = defaultdict(list)
    for _, matcher in part.matchers:
        by_name[matcher.name].append(matcher)
    for name, matchers in by_name.items():
        closed = () if name == "intake" else values.of(name)
        in_open = name == "source" and any(_fits_open(origin, matchers) for origin in values.origins)
        if (closed and not in_open and not allowed(matchers, closed)) or _contradict(matchers):
            yield f"{part.where}.match: can never match: {_listed(matchers)} exclude each other. Remove one of them"
    if not any(_can_send(origin, by_name, values.acts) for origin in values.origins):
        named = [matcher for name in ("source", "kind", "intake", "test") for matcher in by_name[name]]
        yield (
            f"{part.where}.match: can never match: no alert is {_listed(named)} at once. Remove one of them, or write "
            "two rules"
        )


def _can_send(origin: Origin, by_name: Mapping[str, list[Matcher]], acts: frozenset[str]) -> bool:
    """Whether an alert of this origin can meet the matchers of source, kind, intake and test.

    An alert has the way in by which it was opened, and perhaps others.
    """
    if not allowed(by_name["source"], [origin.source]) and not _fits_open(origin, by_name["source"]):
        return False
    if not allowed(by_name["kind"], tuple(origin.kinds)):
        return False
    if not allowed(by_name["test"], tuple(origin.tests)):
        return False
    excluding = [matcher for matcher in by_name["intake"] if matcher.operator.startswith("!")]
    wanted = [matcher for matcher in by_name["intake"] if not matcher.operator.startswith("!")]
    born, free = allowed(excluding, tuple(origin.intakes)), allowed(excluding, tuple(origin.intakes | acts))
    return bool(born) and all(allowed([matcher], tuple(free)) for matcher in wanted)


def _speaks_of_open(matcher: Matcher, values: Values) -> bool:
    positive = matcher if matcher.pattern else Matcher(matcher.name, "=", matcher.value)
    return any(_fits_open(origin, [positive]) for origin in values.origins)


def _fits_open(origin: Origin, matchers: Sequence[Matcher]) -> bool:
    """Whether matchers of `source` may fit one of those that an origin stands for.

    One that is written out is tried; a pattern that speaks of the prefix cannot be judged, and is trusted.
    """
    prefix = origin.prefix
    if not prefix:
        return False
    written_out = [matcher.value for matcher in matchers if matcher.operator == "="]
    named = [value for value in written_out if value.startswith(prefix) and value != prefix]
    if written_out:
        return any(all(_meets(matcher, value) for matcher in matchers) for value in named)
    return all(_meets(matcher, origin.source) or (matcher.pattern and prefix in matcher.value) for matcher in matchers)


def _contradict(matchers: Sequence[Matcher]) -> bool:
    """Whether conditions on one label exclude each other; a label may have several values at once."""
    equal = {matcher.value for matcher in matchers if matcher.operator == "="}
    unequal = {matcher.value for matcher in matchers if matcher.operator == "!="}
    return bool(equal & unequal) or ("" in equal and len(equal) > 1)


def _is_universal(matcher: Matcher) -> bool:
    pattern = matcher.pattern
    return pattern is not None and bool(pattern.fullmatch("") and pattern.fullmatch(_STRANGE))


def _meets(matcher: Matcher, value: str) -> bool:
    return matcher.matches({matcher.name: value})


def _listed(matchers: Iterable[Matcher]) -> str:
    *others, last = [str(matcher) for matcher in matchers] or ["this"]
    return f"{', '.join(others)} and {last}" if others else last
