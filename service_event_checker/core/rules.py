"""Rules, and the book of rules and silences: whom an alert is for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from service_event_checker.core.matchers import Matcher
from service_event_checker.core.mirrors import Mirrors
from service_event_checker.core.model import Alert, Receiver
from service_event_checker.core.names import LABEL as LABEL
from service_event_checker.core.names import OWN_NAMES as OWN_NAMES
from service_event_checker.core.names import names_of as names_of
from service_event_checker.core.replacing import replace
from service_event_checker.core.silences import Silence
from service_event_checker.core.vocabulary import Family, Verb

RECEIVERS_MAX = 24  # an alert, its deliveries and its lanes must fit one entity group transaction of Azure Tables


@dataclass(frozen=True, slots=True)
class Rule:
    """`per_group`: its receivers are told of groups (`core.groups`), which are alerts that have `group_by` in common.

    `group_wait`: how long after a group has opened its receivers are first told.
    """

    name: str
    matchers: tuple[Matcher, ...]
    send: tuple[str, ...]
    proceed: bool = False
    per_group: bool = False
    group_by: tuple[str, ...] = ()
    group_wait: timedelta = timedelta(0)

    def makes(self, group: Alert) -> bool:
        """Whether it is the rule that a group's alert is of; its `group_by` may have changed since."""
        return self.per_group and group.fingerprint.partition(":")[2] == self.name

    def tells(self, alert: Alert) -> bool:
        """Whether its receivers are told of the alert itself, not of a group; a test alert is in no group."""
        return not self.per_group or alert.is_group or alert.test


@dataclass(frozen=True, slots=True)
class Step:
    """What one rule says of an alert. `failed`: its first matcher that the alert does not meet, with the alert's value.

    `stopped_by`: the earlier rule that takes the alert and does not proceed, so that this one was not asked.
    """

    rule: Rule
    failed: Matcher | None = None
    value: str = ""
    stopped_by: str = ""

    @property
    def matched(self) -> bool:
        return self.failed is None and not self.stopped_by

    @property
    def why(self) -> str:
        if self.stopped_by:
            return f'not evaluated: "{self.stopped_by}" matches and does not proceed'
        if self.failed is not None:
            return f"{self.failed} does not match: {self.failed.name} is {self.value!r}"
        return "all matchers match" if self.rule.matchers else "it has no matchers and matches everything"


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules in their order, the silences, the receivers by name, and who mirrors whom.

    `moved` maps old names of receivers to their new ones: what alerts were told under the old name is told on, until
    the delivery is handed over to the new one.
    """

    rules: tuple[Rule, ...] = ()
    silences: tuple[Silence, ...] = ()
    receivers: Mapping[str, Receiver] = field(default_factory=dict)
    mirrors: Mirrors = field(default_factory=Mirrors)
    moved: Mapping[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> bool:
        """Whether any rule is for groups; without one they cost nothing."""
        return any(rule.per_group for rule in self.rules)

    def with_silences(self, stored: Iterable[Silence]) -> Rulebook:
        """Return the book with the stored silences beside those of config.json."""
        more = tuple(stored)
        return replace(self, silences=(*self.silences, *more)) if more else self

    def receiver(self, name: str) -> Receiver | None:
        """Return a receiver by its name of now or before; None for a name that is not configured."""
        return self.receivers.get(name) or self.receivers.get(self.moved.get(name, ""))

    def verbs(self, name: str) -> frozenset[Verb]:
        """Return what a receiver can be asked to do; nothing for a name that is not configured."""
        known = self.receiver(name)
        return known.verbs if known else frozenset()

    def family(self, name: str) -> Family | None:
        known = self.receiver(name)
        return known.family if known else None


def matched(alert: Alert, rules: Iterable[Rule]) -> tuple[str, ...]:
    """Return the receivers that the rules name for the alert as it is, in their order, each once.

    Those of its groups are not among them.
    """
    told = (rule for rule in matching(alert, rules) if rule.tells(alert))
    return tuple(dict.fromkeys(name for rule in told for name in rule.send))


def is_sent(alert: Alert, rules: Iterable[Rule]) -> bool:
    """Whether a rule sends the alert to anybody, by itself or as a member of a group."""
    return any(rule.send for rule in matching(alert, rules))


def matching(alert: Alert, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return the rules that match the alert as it is, in their order, up to the first that does not proceed."""
    return tuple(step.rule for step in steps(alert, rules) if step.matched)


def steps(alert: Alert, rules: Iterable[Rule]) -> Iterator[Step]:
    """Yield what each rule says of the alert as it is, in their order: for routing, and for those who ask why.

    Of a group only its own rule is asked.
    """
    if alert.is_group:
        yield from (Step(rule) for rule in rules if rule.makes(alert))
        return
    names = names_of(alert)
    stopped_by = ""
    for rule in rules:
        if stopped_by:
            yield Step(rule, stopped_by=stopped_by)
            continue
        failed = next((matcher for matcher in rule.matchers if not matcher.matches(names)), None)
        yield Step(rule, failed, names.get(failed.name, "") if failed else "")
        if failed is None and not rule.proceed:
            stopped_by = rule.name


def is_unrouted(alert: Alert, rules: Iterable[Rule]) -> bool:
    """Whether nobody hears of an open alert because no rule matches it; a rule that sends to nobody does match."""
    if not alert.open or alert.test or alert.receivers or alert.withheld:
        return False
    return not matching(alert, rules)
