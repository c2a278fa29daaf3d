"""When a declared action may run: its parameters, who has approved it, its budget, and what became of it. Pure.

A run is a request and the facts that were recorded of it since. One fact, its beginning, is recorded once: the start,
or why there will never be one. So a run starts at most once, whoever tries and however often.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Alert

NOTE = "action:"  # begins the ids of the notes on an alert: action:<run>:<what>
ASKED, SETTLED = "asked", frozenset({"started", "closed"})
VALUE_MAX = 200  # characters of a parameter's value
PER_DAY_MAX = 100  # the ledger of an action is one row of a store
DAY = timedelta(days=1)
_SLACK_ID = re.compile(r"[UW][A-Z0-9]{2,}", re.ASCII | re.IGNORECASE)
_OPTION = re.compile(r"[\^(\[]*\\?-")  # a pattern that begins so allows values that look like an option


class State(StrEnum):
    """What a run is at."""

    WAITING = "waiting"  # for its approval
    READY = "ready"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"  # it was started, and nobody saw its end
    REFUSED = "refused"  # by a person
    EXPIRED = "expired"
    VOID = "void"  # the action, its parameters or the alert have changed since it was asked for
    DROPPED = "dropped"  # over budget, or the alert is over
    DRY_RUN = "dry run"

    @property
    def final(self) -> bool:
        return self not in (State.WAITING, State.READY, State.RUNNING)


class Mark(StrEnum):
    """What a fact says."""

    APPROVED = "approved"
    BEGUN = "begun"  # `state`: RUNNING, or why it never starts
    ENDED = "ended"
    VERIFIED = "verified"


@dataclass(frozen=True, slots=True)
class Identity:
    """How a system knows a person: a Slack user ID, or the login of a signed-in user or of a token."""

    kind: Literal["slack", "login"]
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Person:
    """Ids that belong to one person; "" for one that is not known."""

    name: str
    slack: str = ""
    login: str = ""

    def has(self, who: Identity) -> bool:
        mine = self.slack if who.kind == "slack" else self.login
        return bool(mine) and mine.casefold() == who.id.casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What config.json allows of an action. `patterns` match whole values; `labels`: where a rule's values come from.

    `subject`: the parameters that name what is acted on. `by`, `people`: who approves, and how many; 0: nobody needs
    to. `verify`: within how long after its success the alert is to be over; None: nobody looks. `definition` changes
    with the entry in config.json. `dry_run`: show what would be done and do nothing.
    """

    name: str
    patterns: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    subject: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    people: int = 0
    expires: timedelta = timedelta(minutes=15)
    cooldown: timedelta = timedelta(minutes=10)
    per_day: int = 10
    per_subject: int = 10
    timeout: timedelta = timedelta(seconds=60)
    verify: timedelta | None = None
    definition: str = ""
    why_off: str = ""
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A run that was asked for. `by`: who did; `via`: api, cli, slack or rule. `digest`: what an approval is for."""

    id: str
    action: str
    parameters: Mapping[str, str]
    subject: str
    key: str
    episode: int
    internal_id: str
    revision: int
    digest: str
    by: str
    via: str
    at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that was recorded of a run. `who`: the approver's `Identity` as text. `output`: of the action."""

    mark: Mark
    at: datetime
    actor: str = ""
    who: str = ""
    state: State = State.RUNNING
    why: str = ""
    output: str = ""
    owner: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What came of running an action: SUCCEEDED, FAILED (it certainly had its end), or UNKNOWN. `output`: its tail."""

    state: State
    why: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A request with its facts, the oldest first."""

    request: Request
    facts: tuple[Fact, ...] = ()

    def fact(self, mark: Mark) -> Fact | None:
        return next((each for each in self.facts if each.mark is mark), None)

    @property
    def approvals(self) -> tuple[Fact, ...]:
        return tuple(each for each in self.facts if each.mark is Mark.APPROVED)


@dataclass(frozen=True, slots=True)
class Next:
    """What is to be done with a run that has not begun: `state` WAITING or READY, or how it closes and why."""

    state: State
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """One start in an action's ledger. The subject is taken until `until`, or until it is `over`."""

    run: str
    subject: str
    at: datetime
    until: datetime
    over: bool = False


@dataclass(frozen=True, slots=True)
class Exceeded:
    """Why a run may not start now; `waits`: it may later, as another run of the subject goes on."""

    why: str
    waits: bool = False


def check_parameters(policy: Policy, given: Mapping[str, object]) -> dict[str, str]:
    """Return the values as text. Raises InvalidInput for a name that is not declared, a missing or a wrong value."""
    for name in given:
        if name not in policy.patterns:
            known = ", ".join(sorted(policy.patterns)) or "none"
            raise InvalidInput("parameters", "names one that the action does not declare", f"Declared: {known}")
    found = {}
    for name, pattern in policy.patterns.items():
        if name not in given:
            raise InvalidInput(f"parameters.{name}", "is missing", f"Give a value that matches {pattern}")
        found[name] = _value(f"parameters.{name}", given[name], pattern)
    return found


def from_labels(policy: Policy, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of a run that a rule starts. Raises InvalidInput where a label is missing or wrong."""
    names = {name: policy.labels.get(name, name) for name in policy.patterns}
    return check_parameters(policy, {name: labels[label] for name, label in names.items() if label in labels})


def subject_of(policy: Policy, parameters: Mapping[str, str]) -> str:
    """Return what names the thing that is acted on: 20 hex digits."""
    return _hash([[name, parameters[name]] for name in sorted(policy.subject or policy.patterns)])[:20]


def digest_of(policy: Policy, parameters: Mapping[str, str], alert: Alert) -> str:
    """Return what an approval is for: the action as configured, its parameters, and the alert as people see it.

    Its status, links and receivers are left out: a ticket's address that arrives meanwhile is no other alert.
    """
    seen = [alert.key, alert.episode, alert.severity, alert.title, alert.description, alert.url, alert.test]
    texts = [sorted(alert.labels.items()), sorted(alert.annotations.items())]
    return _hash([policy.name, policy.definition, sorted(parameters.items()), seen, texts])


def person_of(who: Identity, people: Iterable[Person]) -> Person | None:
    return next((person for person in people if person.has(who)), None)


def may_approve(who: Identity, by: Iterable[str], people: Sequence[Person]) -> bool:
    """Whether an identity is named in `by`: by a name or an id of its person, or by its own id if it is nobody's.

    An id counts as what it is: a login that is spelled like a person's name, or like a Slack ID, is neither.
    """
    named, person = {name.casefold() for name in by if name}, person_of(who, people)
    if person is not None:
        return not named.isdisjoint(_ids(person))
    id, taken = who.id.casefold(), {id for each in people for id in _ids(each)}
    return id in named - taken and bool(_SLACK_ID.fullmatch(who.id)) == (who.kind == "slack")


def count_people(approvers: Iterable[Identity], people: Sequence[Person]) -> int:
    """Return how many people these are at least: a Slack ID and a login that nobody has told apart count as one."""
    joined: set[str] = set()
    apart: dict[str, set[str]] = {"slack": set(), "login": set()}
    for who in approvers:
        person = person_of(who, people)
        if person and person.slack and person.login:
            joined.add(person.name)
        else:
            apart[who.kind].add(who.id.casefold())
    return len(joined) + max(map(len, apart.values()))


def state_of(run: Run, policy: Policy | None, people: Sequence[Person]) -> State:
    """Return what a run is at, as its facts say."""
    for mark in (Mark.ENDED, Mark.BEGUN):
        if fact := run.fact(mark):
            return fact.state
    return State.WAITING if policy and not is_approved(run, policy, people) else State.READY


def is_approved(run: Run, policy: Policy, people: Sequence[Person]) -> bool:
    """Whether enough people who are named have approved it."""
    named = (identity(each.who) for each in run.approvals)
    return count_people((who for who in named if may_approve(who, policy.by, people)), people) >= policy.people


def identity(text: str) -> Identity:
    """Return the identity that a fact names."""
    kind, _, id = text.partition(":")
    return Identity("slack" if kind == "slack" else "login", id)


def decide(run: Run, policy: Policy | None, alert: Alert | None, people: Sequence[Person], now: datetime) -> Next:
    """Return what is to be done with a run that has not begun; `policy` and `alert` as they are now."""
    request = run.request
    if policy is None or policy.why_off:
        return Next(State.VOID, f"{request.action} is not on" + (f": {policy.why_off}" if policy else ""))
    if alert is None or alert.episode != request.episode or not alert.open:
        return Next(State.DROPPED, "the alert is over")
    if digest_of(policy, request.parameters, alert) != request.digest:
        return Next(State.VOID, "the action or the alert has changed since it was asked for")
    if alert.test or policy.dry_run:
        return Next(State.DRY_RUN, "a test alert runs nothing" if alert.test else "the action is in dry run")
    if now >= request.expires_at:
        return Next(State.EXPIRED, "it did not start in time")
    return Next(State.READY if is_approved(run, policy, people) else State.WAITING)


def reserve(
    ledger: Iterable[Started], policy: Policy, request: Request, now: datetime
) -> tuple[Started, ...] | Exceeded:
    """Return the ledger with this start, or why it may not be. A start that is in it already stays as it is."""
    kept = trimmed(ledger, policy, now)
    if any(each.run == request.id for each in kept):
        return kept
    same = [each for each in kept if each.subject == request.subject]
    if any(not each.over and each.until > now for each in same):
        return Exceeded("another run for the same subject goes on", waits=True)
    if any(each.at > now - policy.cooldown for each in same):
        return Exceeded(f"it ran for the same subject less than {_minutes(policy.cooldown)} ago")
    today = [each for each in kept if each.at > now - DAY]
    if len(today) >= policy.per_day:
        return Exceeded(f"it ran {len(today)} times in 24 hours, and the limit is {policy.per_day}")
    here = [each for each in today if each.subject == request.subject]
    if len(here) >= policy.per_subject:
        return Exceeded(f"it ran {len(here)} times for the same subject in 24 hours, and that is the limit")
    start = Started(run=request.id, subject=request.subject, at=now, until=now + lease(policy))
    return (*kept, start)


def lease(policy: Policy) -> timedelta:
    """Return for how long a start takes its subject where nobody tells its end."""
    return policy.timeout + timedelta(seconds=30)


def trimmed(ledger: Iterable[Started], policy: Policy, now: datetime) -> tuple[Started, ...]:
    """Return the starts that still count. One that lies ahead is from before the clock was set back: it counts."""
    since = now - max(DAY, policy.cooldown)
    return tuple(each for each in ledger if each.at > since or (not each.over and each.until > now))


def verdict(run: Run, alert: Alert | None, within: timedelta, now: datetime) -> str:
    """Return what is to be noted on the alert some time after a success; "" while there is nothing to say yet."""
    ended = run.fact(Mark.ENDED)
    if ended is None or ended.state is not State.SUCCEEDED:
        return ""
    if alert is None or alert.episode != run.request.episode or not alert.open:
        return "the alert is over since"
    return f"the alert still fires {_minutes(within)} later" if now >= ended.at + within else ""


def note_id(run: str, what: str) -> str:
    """Return the id of a note on the alert: `ASKED` for an approval, one of `SETTLED` when that is over."""
    return f"{NOTE}{run}:{what}"


def waiting_runs(alert: Alert) -> list[str]:
    """Return the runs of an alert that its notes say wait for an approval, the oldest first."""
    notes = [id.removeprefix(NOTE).partition(":") for id in alert.note_ids if id.startswith(NOTE)]
    settled = {run for run, _, what in notes if what in SETTLED}
    return [run for run, _, what in notes if what == ASKED and run not in settled]


def _ids(person: Person) -> set[str]:
    return {id.casefold() for id in (person.name, person.slack, person.login) if id}


def allows_options(pattern: str) -> bool:
    """Whether a pattern explicitly allows a value that begins with a dash."""
    return bool(_OPTION.match(pattern))


def _value(where: str, value: object, pattern: str) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        raise InvalidInput(where, "is neither text nor a whole number")
    if not text.isprintable() or len(text) > VALUE_MAX:
        raise InvalidInput(where, "has control characters or is too long", f"At most {VALUE_MAX} characters")
    if text.startswith("-") and not allows_options(pattern):
        raise InvalidInput(where, "begins with a dash, like an option")
    if not re.fullmatch(pattern, text):
        raise InvalidInput(where, f"does not match {pattern}")
    return text


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _minutes(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    return f"{seconds // 60} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds} s"
