"""Rules, and the book of rules and silences: whom an alert is for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service_event_checker.core.conditions import Conditions, Wait, moment
from service_event_checker.core.escalation import Escalate
from service_event_checker.core.flapping import Flapping
from service_event_checker.core.matchers import Matcher
from service_event_checker.core.mirrors import Mirrors
from service_event_checker.core.model import STORMS, Alert, Receiver
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

    `group_wait`: how long after a group has opened its receivers are first told. `conditions` and `escalate` hold for
    what its receivers are told of: the alert, or the group.
    """

    name: str
    matchers: tuple[Matcher, ...]
    send: tuple[str, ...]
    proceed: bool = False
    per_group: bool = False
    group_by: tuple[str, ...] = ()
    group_wait: timedelta = timedelta(0)
    conditions: Conditions = Conditions()
    escalate: Escalate | None = None

    def makes(self, group: Alert) -> bool:
        """Whether it is the rule that a group's alert is of; its `group_by` may have changed since."""
        return self.per_group and group.fingerprint.partition(":")[2] == self.name

    def tells(self, alert: Alert) -> bool:
        """Whether its receivers are told of the alert itself, not of a group; a test alert is in no group."""
        return not self.per_group or alert.is_group or alert.test

    @property
    def receivers(self) -> tuple[str, ...]:
        """All receivers that the rule may tell, also those to whom it escalates."""
        return (*self.send, *(self.escalate.send if self.escalate else ()))


@dataclass(frozen=True, slots=True)
class Step:
    """What one rule says of an alert. `failed`: its first matcher that the alert does not meet, with the alert's value.

    `stopped_by`: the earlier rule that takes the alert and does not proceed, so that this one was not asked.
    `outside`: its windows, if none is under way: then it does not match now. `wait`: what its receivers wait for.
    """

    rule: Rule
    failed: Matcher | None = None
    value: str = ""
    stopped_by: str = ""
    outside: str = ""
    wait: Wait | None = None

    @property
    def matched(self) -> bool:
        return self.failed is None and not self.stopped_by and not self.outside

    @property
    def why(self) -> str:
        if self.stopped_by:
            return f'not evaluated: "{self.stopped_by}" matches and does not proceed'
        if self.failed is not None:
            return f"{self.failed} does not match: {self.failed.name} is {self.value!r}"
        if self.outside:
            begins = self.wait.until if self.wait else None
            return f"outside its window ({self.outside})" + (f", which begins {moment(begins)}" if begins else "")
        if self.wait is not None:
            return f"matched, {self.wait.why}"
        met = f" ({self.rule.conditions.text})" if self.rule.conditions.text else ""
        return f"{'all matchers match' if self.rule.matchers else 'it has no matchers and matches everything'}{met}"


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom the rules choose for an alert: `rules` match and wait for nothing, `waits` maps the others to the reason.

    `later`: the rules that wait, with the reason.
    """

    rules: tuple[Rule, ...]
    waits: Mapping[str, str]
    later: tuple[tuple[Rule, str], ...] = ()

    @property
    def send(self) -> tuple[str, ...]:
        """The receivers that are told now, each once."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.send))


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules in their order, the silences, the receivers by name, and who mirrors whom.

    `flapping`: from when on an alert flaps, None: none does.
    `moved` maps old names of receivers to their new ones: what alerts were told under the old name is told on, until
    the delivery is handed over to the new one.
    """

    rules: tuple[Rule, ...] = ()
    silences: tuple[Silence, ...] = ()
    receivers: Mapping[str, Receiver] = field(default_factory=dict)
    mirrors: Mirrors = field(default_factory=Mirrors)
    moved: Mapping[str, str] = field(default_factory=dict)
    flapping: Flapping | None = None

    @property
    def groups(self) -> bool:
        """Whether any rule is for groups; without one they cost nothing."""
        return any(rule.per_group for rule in self.rules)

    def with_silences(self, stored: Iterable[Silence]) -> Rulebook:
        """Return the book with the stored silences beside those of config.json."""
        more = tuple(stored)
        return replace(self, silences=(*self.silences, *more)) if more else self

    @property
    def counts_firings(self) -> bool:
        """Whether a rule asks how often an alert has fired."""
        return any(rule.conditions.after for rule in self.rules)

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


def matched(alert: Alert, book: Rulebook, now: datetime) -> tuple[str, ...]:
    """Return the receivers that the rules name for the alert as it is, each once, also those that wait.

    Those of its groups are not among them.
    """
    choice = choose(alert, book, now)
    return tuple(dict.fromkeys((*choice.send, *choice.waits)))


def is_sent(alert: Alert, book: Rulebook, now: datetime) -> bool:
    """Whether a rule sends the alert to anybody, now or later, by itself or as a member of a group."""
    return any(step.rule.send for step in taken(alert, book, now))


def choose(alert: Alert, book: Rulebook, now: datetime) -> Choice:
    """Return whom the rules choose for the alert as it is now. Who is named by several rules waits only if all do."""
    found = [step for step in taken(alert, book, now) if step.rule.tells(alert)]
    later = tuple((step.rule, step.wait.reason) for step in found if step.wait)
    choice = Choice(tuple(step.rule for step in found if not step.wait), {}, later)
    told = set(choice.send)
    waits: dict[str, str] = {}
    for rule, reason in later:
        for name in rule.send:
            if name not in told:
                waits.setdefault(name, reason)
    return replace(choice, waits=waits)


def taken(alert: Alert, book: Rulebook, now: datetime) -> Iterator[Step]:
    """Yield the steps of the rules that match the alert now, or will when their window begins."""
    return (step for step in steps(alert, book, now) if step.matched or step.wait)


def matching(alert: Alert, book: Rulebook, now: datetime) -> tuple[Rule, ...]:
    """Return the rules that match the alert as it is now, in their order, up to the first that does not proceed."""
    return tuple(step.rule for step in steps(alert, book, now) if step.matched)


def steps(alert: Alert, book: Rulebook, now: datetime) -> Iterator[Step]:
    """Yield what each rule says of the alert as it is now, in their order: for routing, and for those who ask why.

    A rule that matches and waits takes the alert as one that sends. Outside its windows a rule does not match.
    Of a group only its own rule is asked, whatever its matchers;
    of the summary of a storm none: it is for its receiver.
    """
    if alert.source == STORMS:
        return
    if alert.is_group:
        yield from (_in_time(alert, rule, now) for rule in book.rules if rule.makes(alert))
        return
    names = names_of(alert)
    stopped_by = ""
    for rule in book.rules:
        if stopped_by:
            yield Step(rule, stopped_by=stopped_by)
            continue
        failed = next((matcher for matcher in rule.matchers if not matcher.matches(names)), None)
        if failed is not None:
            yield Step(rule, failed, names.get(failed.name, ""))
            continue
        step = _in_time(alert, rule, now)
        yield step
        if step.matched and not rule.proceed:
            stopped_by = rule.name


def _in_time(alert: Alert, rule: Rule, now: datetime) -> Step:
    """Return what a rule whose matchers match says of the time."""
    outside = rule.conditions.outside(now)
    if not outside:
        return Step(rule, wait=rule.conditions.waits(alert, now))
    begins_at = rule.conditions.begins_at(now)
    wait = Wait(f"outside its window ({outside})", "windows", begins_at) if begins_at else None
    return Step(rule, outside=outside, wait=wait)


def is_unrouted(alert: Alert, book: Rulebook, now: datetime) -> bool:
    """Whether nobody hears of an open alert because no rule matches it; a rule that sends to nobody does match."""
    if not alert.open or alert.test or alert.receivers or alert.withheld:
        return False
    return not any(step.matched or step.outside for step in steps(alert, book, now))
