"""Escalation: who else is told of an alert that nobody takes, when, and how often. Pure.

How far it went is stored with the alert, in the same commit as its deliveries. So each step is made once, whatever is
killed or runs twice. It ends when the alert is acknowledged or over. While it is silenced no step is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from service_event_checker.core.conditions import short
from service_event_checker.core.model import Alert, Escalation
from service_event_checker.core.replacing import replace
from service_event_checker.core.vocabulary import Status


@dataclass(frozen=True, slots=True)
class Escalate:
    """A rule's `escalate`: `after` a time in which nobody takes the alert `send` is told; None: no repeat."""

    after: timedelta
    send: tuple[str, ...]
    repeat: timedelta | None = None

    def note(self, steps: int) -> str:
        """Say what a step is, the first is 1."""
        waited = self.after + (self.repeat or timedelta(0)) * (steps - 1)
        again = f", repeat {steps - 1}" if steps > 1 else ""
        return f"Escalated{again}: nobody has acknowledged it for {short(waited)}."


@dataclass(frozen=True, slots=True)
class Due:
    """A step that is due: of which rule, its number, the first is 1."""

    rule: str
    escalate: Escalate
    step: int


def followed(alert: Alert, rules: Iterable[tuple[str, Escalate | None]], now: datetime) -> Alert:
    """Return the alert with the escalations of the rules that send it now; with none if nobody has to take it.

    `rules`: their names, and how they escalate.
    """
    if not is_wanted(alert):
        return replace(alert, escalations={}) if alert.escalations else alert
    new = {
        name: Escalation(now + escalate.after)
        for name, escalate in rules
        if escalate is not None and name not in alert.escalations
    }
    return replace(alert, escalations={**alert.escalations, **new}) if new else alert


def is_wanted(alert: Alert) -> bool:
    """Whether somebody has to take the alert. Test alerts do not escalate."""
    return alert.status is Status.FIRING and not alert.test


def due(alert: Alert, rules: Iterable[tuple[str, Escalate | None]], now: datetime) -> Iterator[Due]:
    """Yield the steps that are due. What was missed while nothing ran is made up for by one step."""
    for name, escalate in rules:
        known = alert.escalations.get(name)
        if escalate is not None and known is not None and known.due_at is not None and known.due_at <= now:
            yield Due(name, escalate, known.steps + 1)


def made(alert: Alert, step: Due, now: datetime) -> Alert:
    """Return the alert after a step."""
    repeat = step.escalate.repeat
    state = Escalation(now + repeat if repeat else None, step.step)
    return replace(alert, escalations={**alert.escalations, step.rule: state})
