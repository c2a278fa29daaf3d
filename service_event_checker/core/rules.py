"""Rules, and the book of rules and silences: whom an alert is for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

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
    name: str
    matchers: tuple[Matcher, ...]
    send: tuple[str, ...]
    proceed: bool = False


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
    """Return the receivers that the rules name for the alert as it is, in their order, each once."""
    return tuple(dict.fromkeys(name for rule in matching(alert, rules) for name in rule.send))


def matching(alert: Alert, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return the rules that match the alert as it is, in their order, up to the first that does not proceed."""
    return tuple(step.rule for step in steps(alert, rules) if step.matched)


def steps(alert: Alert, rules: Iterable[Rule]) -> Iterator[Step]:
    """Yield what each rule says of the alert as it is, in their order: for routing, and for those who ask why."""
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
