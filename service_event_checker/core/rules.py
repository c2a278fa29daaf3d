"""Rules, silences and the book of them: whom an alert is for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from service_event_checker.core.conditions import Conditions, Wait, moment
from service_event_checker.core.escalation import Escalate
from service_event_checker.core.flapping import Flapping
from service_event_checker.core.matchers import Matcher
from service_event_checker.core.mirrors import Mirrors
from service_event_checker.core.model import Alert, Receiver
from service_event_checker.core.vocabulary import Family, Verb

LABEL = "label."  # before the name of a label that one of the alert's own names would hide
OWN_NAMES = ("source", "kind", "intake", "severity", "title", "test", "affects_us", "flapping")
RECEIVERS_MAX = 24  # an alert, its deliveries and its lanes must fit one entity group transaction of Azure Tables


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    matchers: tuple[Matcher, ...]
    send: tuple[str, ...]
    proceed: bool = False
    conditions: Conditions = Conditions()
    escalate: Escalate | None = None

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
    """Whom the rules choose for an alert: `rules` match and wait for nothing, `waits` maps the others to the reason."""

    rules: tuple[Rule, ...]
    waits: Mapping[str, str]

    @property
    def send(self) -> tuple[str, ...]:
        """The receivers that are told now, each once."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.send))


@dataclass(frozen=True, slots=True)
class Silence:
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    owner: str
    reason: str

    @property
    def text(self) -> str:
        """Say who silences, until when, and why."""
        return f"by {self.owner} until {self.ends_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {self.reason}"


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


def names_of(alert: Alert) -> dict[str, str]:
    """Return what a matcher may ask for: the alert's labels and, over them, its own names; `label.<name>` is always the
    sender's label."""
    own = {
        "source": alert.source,
        "kind": alert.kind.value,
        "intake": "\n".join(alert.intakes),
        "severity": alert.severity.value,
        "title": alert.title,
        "test": "true" if alert.test else "false",
        "affects_us": alert.affects_us.value,
        "flapping": "true" if alert.flapping else "false",
    }
    return {**alert.labels, **{LABEL + name: value for name, value in alert.labels.items()}, **own}


def silence_of(alert: Alert, silences: Iterable[Silence], now: datetime) -> Silence | None:
    """Return the silence that holds the alert back now and ends last; None for an alert that is not silenced."""
    names = names_of(alert)
    found = [
        silence
        for silence in silences
        if silence.starts_at <= now < silence.ends_at and all(part.matches(names) for part in silence.matchers)
    ]
    return max(found, key=lambda silence: silence.ends_at, default=None)


def matched(alert: Alert, book: Rulebook, now: datetime) -> tuple[str, ...]:
    """Return the receivers that the rules name for the alert as it is, each once, also those that wait."""
    choice = choose(alert, book, now)
    return tuple(dict.fromkeys((*choice.send, *choice.waits)))


def choose(alert: Alert, book: Rulebook, now: datetime) -> Choice:
    """Return whom the rules choose for the alert as it is now. Who is named by several rules waits only if all do."""
    found = [step for step in steps(alert, book, now) if step.matched or step.wait]
    choice = Choice(tuple(step.rule for step in found if not step.wait), {})
    told = set(choice.send)
    waits: dict[str, str] = {}
    for step in found:
        for name in step.rule.send if step.wait else ():
            if name not in told and step.wait:
                waits.setdefault(name, step.wait.reason)
    return Choice(choice.rules, waits)


def matching(alert: Alert, book: Rulebook, now: datetime) -> tuple[Rule, ...]:
    """Return the rules that match the alert as it is now, in their order, up to the first that does not proceed."""
    return tuple(step.rule for step in steps(alert, book, now) if step.matched)


def steps(alert: Alert, book: Rulebook, now: datetime) -> Iterator[Step]:
    """Yield what each rule says of the alert as it is now, in their order: for routing, and for those who ask why.

    A rule that matches and waits takes the alert as one that sends. Outside its windows a rule does not match.
    """
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
