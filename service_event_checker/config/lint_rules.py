"""Finds rules that are named twice or never reached, rules without effect, and labels that look misspelt. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Protocol

from service_event_checker.config.findings import Findings, Matching
from service_event_checker.config.lint_matchers import Values, allowed, matches_always
from service_event_checker.config.spelling import one_off
from service_event_checker.core.matchers import Matcher
from service_event_checker.core.rules import LABEL, OWN_NAMES

#: labels that Prometheus, its exporters and Kubernetes set, and those of our checkers
_USUAL_LABELS = """
address alertgroup alertname app application az bucket chain channel cluster code component container controller
customer datacenter db dc department deployment device domain endpoint env environment exported_instance exported_job
filesystem fstype group handler host hostname image impaired instance interface job kubernetes_namespace label level
method mode monitor mountpoint name namespace node nodename operation operational owner partition path phase pod port
product project prometheus quantile queue reason receiver region release replica replicaset resource role rule service
shard site stage state statefulset status subsystem system tag target team tenant tier topic type uid url user version
volume workload zone
"""
_USUAL = frozenset(_USUAL_LABELS.split())


class Grouped(Protocol):
    """What a rule of the file says of groups."""

    @property
    def per_group(self) -> bool: ...
    @property
    def group_by(self) -> tuple[str, ...]: ...
    @property
    def group_wait(self) -> timedelta | None: ...


def names(rules: Sequence[tuple[str, str]]) -> Findings:
    """Check the names of rules, given as (path, name): each is its own."""
    first: dict[str, str] = {}
    errors = []
    for where, name in rules:
        if name in first:
            errors.append(f'{where}.name: "{name}" is the name of {first[name]} as well. Give each rule its own name')
        first.setdefault(name, where)
    return Findings(errors)


def reach(rules: Sequence[Matching], values: Values) -> Findings:
    """Warn of rules that no alert reaches, and of those that do nothing."""
    warnings = []
    for number, rule in enumerate(rules):
        stop = next((one for one in rules[:number] if not one.proceed and _covers(one, rule, values)), None)
        if stop is not None:
            warnings.append(
                f'{rule.where}: "{rule.name}" is never reached. {stop.where} "{stop.name}" takes all of its alerts and '
                'does not proceed. Set "proceed": true there, or move this rule before it'
            )
        elif not rule.send and rule.proceed:
            warnings.append(f'{rule.where}.send: "{rule.name}" has no effect. Name a destination, or remove the rule')
    return Findings(warnings=warnings)


def labels(parts: Sequence[Matching]) -> Findings:
    """Warn of a label that is one letter away from a known name: a usual one, or one that is used elsewhere."""
    used = Counter(name for part in parts for name in dict.fromkeys(_label(matcher) for _, matcher in part.matchers))
    warnings = [
        f'{where}: no known label is called "{name}". Did you mean "{near}"?'
        for part in parts
        for where, matcher in part.matchers
        if (name := _label(matcher)) and (near := _meant(name, used))
    ]
    return Findings(warnings=warnings)


def grouping(rules: Iterable[tuple[str, Grouped]]) -> Findings:
    """Warn of a rule's keys for groups that have no effect, and of names in `group_by` that look misspelt."""
    warnings = []
    for where, rule in rules:
        if rule.group_by and not rule.per_group:
            warnings.append(f'{where}.group_by: has no effect with "per": "alert". Remove it, or set "per": "group"')
        if rule.group_wait is not None and not rule.per_group:
            warnings.append(f"{where}.group_wait: has no effect without groups. Give group_by, or remove it")
        for number, name in enumerate(rule.group_by):
            if near := _meant(name.removeprefix(LABEL), Counter()):
                warnings.append(
                    f'{where}.group_by[{number}]: no known label is called "{name}". Did you mean "{near}"?'
                )
    return Findings(warnings=warnings)


def _meant(name: str, used: Counter[str]) -> str:
    known = {*OWN_NAMES, *_USUAL}
    if name in known:
        return ""
    order = list(used)
    others = [
        other
        for other in order
        if used[other] > used[name] or (used[other] == used[name] and order.index(other) < order.index(name))
    ]
    return one_off(name, [*OWN_NAMES, *sorted(_USUAL), *others])


def _label(matcher: Matcher) -> str:
    """Return the name of a label that a matcher asks for, "" for one of the alert's own names."""
    return "" if matcher.name in OWN_NAMES else matcher.name.removeprefix(LABEL)


def _covers(earlier: Matching, later: Matching, values: Values) -> bool:
    """Whether every alert that the later rule matches is matched by the earlier one, at any time."""
    if earlier.at_times:
        return False
    theirs = [matcher for _, matcher in later.matchers]
    return all(matches_always(own, values) or _implied(own, theirs, values) for own in _own(earlier))


def _own(part: Matching) -> Iterator[Matcher]:
    return (matcher for _, matcher in part.matchers)


def _implied(condition: Matcher, given: Iterable[Matcher], values: Values) -> bool:
    """Whether an alert that meets all of `given` meets the condition."""
    same = [matcher for matcher in given if matcher.name == condition.name]
    if condition in same:
        return True
    closed = () if condition.name == "intake" else values.of(condition.name)
    return bool(same and closed) and allowed(same, closed) <= allowed([condition], closed)
