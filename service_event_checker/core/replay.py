"""What a configuration tells of an episode that is recorded: by the deciders of live routing, on a clock of its own.

What happened is repeated as it was: what sources and people did, and when. What was decided then is decided anew. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service_event_checker.core import announcements, groups, routing, rules
from service_event_checker.core.model import Alert, Recent, Transition
from service_event_checker.core.replacing import replace
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.store import Recorded, Write
from service_event_checker.core.vocabulary import ResolvedBy, Severity, Status, Verb, Why

TICK = timedelta(seconds=10)  # after which live alerts that wait are looked at
LOOKS_MAX = 5000  # of one episode, at times at which nothing but the time has changed
BY_A_PERSON = "asked for by a person"  # in the place of a rule's name
_ENDED_BY = {
    Why.RESOLVED_BY_SOURCE: ResolvedBy.SOURCE,
    Why.RESOLVED_BY_ABSENCE: ResolvedBy.ABSENCE,
    Why.RESOLVED_BY_PERSON: ResolvedBy.PERSON,
}
_JUDGED = frozenset({Why.EXPLAINED, Why.EXPLANATION_WITHDRAWN, Why.JUDGED})
#: rows that deciders and deliveries have written; all others say what sources and people did
DECIDED = frozenset(
    {
        Why.RELEASED,
        Why.WITHHELD,
        Why.LINKED,
        Why.RECEIVER_ADDED,
        Why.OVER_BEFORE_SENT,
        Why.DELIVERED,
        Why.DELIVERED_OTHERWISE,
        Why.GAVE_UP,
        Why.DRY_RUN,
        Why.SKIPPED,
        Why.RECONCILED,
        Why.LEFT_OUT,
        Why.MOVED,
        Why.FAILED_OVER,
        Why.ESCALATED,
        Why.FLAPPING,
        Why.CALM,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One delivery that was owed. `rule`: the one by which its receiver was told first; "" where none names it."""

    receiver: str
    verb: Verb
    at: datetime
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What a group counts of a member from a time on; `open`: whether it counts at all."""

    at: datetime
    group: str
    rule: Rule
    labels: dict[str, str]
    member: str
    severity: Severity
    firing: bool
    open: bool
    opened_at: datetime


@dataclass(slots=True)
class Life:
    """An alert under a rulebook while time passes. `rules`: by which rule each receiver was told first."""

    book: Rulebook
    alert: Alert
    now: datetime
    sent: list[Sent] = field(default_factory=list)
    rules: dict[str, str] = field(default_factory=dict)
    memberships: list[Membership] = field(default_factory=list)
    looks_left: int = LOOKS_MAX
    changed_at: datetime | None = None

    def change(self, alert: Alert, steps: Sequence[Transition], at: datetime) -> None:
        """Decide what the receivers are told of a change."""
        self.changed_at = at
        self.take(routing.route(alert, steps, self.book, at), at)

    def wait(self, until: datetime) -> None:
        """Look at the alert whenever the time alone may change what receivers are told, as the tick does."""
        while self.looks_left:
            at = next_look(self.alert, self.book, self.now, self.changed_at)
            if at is None or at >= until:
                break
            self.looks_left, self.now = self.looks_left - 1, at
            write = routing.release(self.alert, self.book, at)
            if write is not None:
                self.take(write, at)
        self.now = max(self.now, until)

    def take(self, write: Write, at: datetime) -> None:
        """Take a commit for done."""
        self.alert = write.alert
        for delivery in write.deliveries:
            name = self.rules.get(delivery.receiver)
            if name is None:
                name = self.rules[delivery.receiver] = self._rule_of(delivery.receiver, at)
            self.sent.append(Sent(receiver=delivery.receiver, verb=delivery.verb, at=at, rule=name))
        if self.alert.groups:
            self.memberships += _memberships(self.alert, self.book, at)

    def _rule_of(self, receiver: str, at: datetime) -> str:
        named = [rule for rule in rules.matching(self.alert, self.book, at) if rule.tells(self.alert)]
        sends = (rule.name for rule in named if receiver in rule.send)
        escalates = (rule.name for rule in named if receiver in rule.receivers)
        return next(sends, next(escalates, ""))


def replayed(recorded: Recorded, book: Rulebook, until: datetime, before: Alert | None = None) -> Life:
    """Return what the rulebook tells of an episode from its opening until a time: its end is the next one's opening.

    `before`: the replayed episode before, which this one takes over from what flaps.
    """
    final = recorded.alert
    life = Life(book, as_it_opened(recorded, before), final.opened_at)
    for _, steps in recorded.commits:
        happened = tuple(step for step in steps if step.why not in DECIDED)
        if happened:
            at = happened[0].at
            life.wait(at)
            life.change(after(life.alert, happened, final), happened, at)
        for step in steps:
            if step.why is Why.RECEIVER_ADDED:
                _request(life, step)
    life.wait(until)
    return life


def as_it_opened(recorded: Recorded, before: Alert | None = None) -> Alert:
    """Return the alert before anybody was told. Of texts and labels only the latest are kept."""
    final = recorded.alert
    steps = [step for _, each in recorded.commits for step in each]
    later = sum(step.why is Why.NEW_INTAKE for step in steps)
    return replace(
        final,
        status=Status.FIRING,
        verdict=None if any(step.why in _JUDGED for step in steps) else final.verdict,
        severity=next((step.severity for step in steps if step.severity), final.severity),
        intakes=final.intakes[: max(1, len(final.intakes) - later)],
        updated_at=final.opened_at,
        resolved_by=None,
        source_ended=False,
        ended_at=None,
        closed_at=None,
        owner="",
        links={},
        receivers=(),
        withheld={},
        groups={},
        mirrored_at={},
        escalations={},
        recent=replace(before.recent if before else Recent(), fired_at=()),
        revision=0,
    )


def after(alert: Alert, steps: Sequence[Transition], final: Alert) -> Alert:
    """Return the alert with what the rows of one commit say of it; `final` is its latest state."""
    severity, intakes, owner = alert.severity, alert.intakes, alert.owner
    verdict = final.verdict if any(step.why in _JUDGED for step in steps) else alert.verdict
    for step in steps:
        severity = step.severity or severity
        if step.why is Why.NEW_INTAKE:
            intakes = final.intakes[: len(intakes) + 1]
        if step.why in (Why.ACKNOWLEDGED, Why.UNACKNOWLEDGED):
            owner = step.actor if step.why is Why.ACKNOWLEDGED else ""
    last = steps[-1]
    recent = replace(alert.recent, fired_at=tuple(at for at in final.recent.fired_at if at <= last.at))
    now = replace(
        alert,
        status=last.after,
        severity=severity,
        intakes=intakes,
        owner=owner,
        verdict=verdict,
        updated_at=last.at,
        recent=recent,
    )
    if now.open:
        return now
    by = _ENDED_BY.get(last.why, final.resolved_by)
    return replace(now, resolved_by=by, ended_at=final.ended_at or last.at, closed_at=last.at)


def next_look(alert: Alert, book: Rulebook, now: datetime, changed_at: datetime | None) -> datetime | None:
    """Return when time alone may next change what receivers are told: a moment at which to ask, not the answer.

    After each change the tick asks once more, as it does live.
    """
    if not alert.waits:
        return None
    tick = (changed_at + TICK,) if changed_at else ()
    return min((at for at in (*tick, *_moments(alert, book, now)) if at > now), default=None)


def _moments(alert: Alert, book: Rulebook, now: datetime) -> Iterator[datetime]:
    for silence in book.silences:
        until = silence.until(now)
        if until is not None:
            yield until
    for rule in book.rules:
        begins_at = rule.conditions.begins_at(now) if rule.conditions.windows else None
        if begins_at is not None:
            yield begins_at
        yield alert.opened_at + rule.conditions.lasts
        if alert.is_group:
            yield alert.opened_at + rule.group_wait
    for step in alert.escalations.values():
        if step.due_at is not None:
            yield step.due_at
    if alert.flapping and book.flapping:
        yield max(alert.recent.changed_at, default=now) + book.flapping.within


def _request(life: Life, step: Transition) -> None:
    """Repeat that a person added a receiver, where the configuration has it and has not told it already."""
    known = life.book.receivers.get(step.receiver)
    if known is None or known.why_off or not life.alert.open:
        return
    life.wait(step.at)
    write = announcements.requested(life.alert, step.receiver, step.actor, life.book, step.at)
    if write is not None:
        life.rules.setdefault(step.receiver, BY_A_PERSON)
        life.take(write, step.at)


def _memberships(alert: Alert, book: Rulebook, at: datetime) -> Iterator[Membership]:
    for rule in book.rules:
        key = alert.groups.get(rule.name)
        if key:
            yield Membership(
                at=at,
                group=key,
                rule=rule,
                labels=groups.labels_of(rule, alert),
                member=alert.key,
                severity=alert.severity,
                firing=alert.status is Status.FIRING,
                open=alert.open,
                opened_at=alert.opened_at,
            )
