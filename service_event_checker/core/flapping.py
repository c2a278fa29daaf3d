"""Flapping: an alert that opens and ends again and again is told once, and once more when it is calm. Pure.

While it flaps, its ends are held back from chats, mails and tickets: their objects stay open and go over to its next
episode, which is not opened there again. Critical alerts, pagers and what a person ends are never held back. The
alert's own status is always the true one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from service_event_checker.core.conditions import short
from service_event_checker.core.model import Alert, Transition
from service_event_checker.core.replacing import replace
from service_event_checker.core.vocabulary import Family, Severity, Status, Why

CHANGES_MAX = 20  # times that an alert keeps: the most that can be configured


@dataclass(frozen=True, slots=True)
class Flapping:
    """An alert with more than `changes` of its state within a time flaps, until it is calm for as long."""

    changes: int = 4
    within: timedelta = timedelta(minutes=15)

    def begins_text(self, alert: Alert) -> str:
        return (
            f"Flapping: it changed {len(alert.recent.changed_at)} times within {short(self.within)}. "
            f"You hear of it again after {short(self.within)} without a change."
        )

    def calm_text(self, alert: Alert) -> str:
        state = "still firing" if alert.open else "over"
        return f"No longer flapping: {short(self.within)} without a change. It is {state}."


def counted(alert: Alert, transitions: Iterable[Transition], limits: Flapping | None, now: datetime) -> Alert:
    """Return the alert with its changes of state, the newest only, and whether it flaps now; a group never does."""
    changes = sum(is_change(transition) for transition in transitions)
    if limits is None or not changes or alert.is_group:
        return alert
    recent = alert.recent
    near = (at for at in recent.changed_at if now - at < limits.within)
    times = (*near, *(now for _ in range(changes)))[-CHANGES_MAX - 1 :]
    since = recent.flapping_since or (now if len(times) > limits.changes else None)
    return replace(alert, recent=replace(recent, changed_at=times, flapping_since=since))


def carried_over(alert: Alert, transitions: Iterable[Transition]) -> Alert:
    """Return an alert that opens with the receivers whose object of an earlier episode is still open."""
    if not any(transition.why.opens for transition in transitions):
        return alert
    held = tuple(name for name in alert.recent.held if name not in alert.receivers)
    recent = replace(alert.recent, carried=held, held=())
    return replace(alert, recent=recent, receivers=(*alert.receivers, *held))


def is_change(transition: Transition) -> bool:
    """Whether an alert opened or ended by it."""
    return transition.why.opens or (transition.before is not Status.RESOLVED and transition.after is Status.RESOLVED)


def holds(alert: Alert, transition: Transition, family: Family | None) -> bool:
    """Whether an end is held back from a receiver of a family: neither a pager nor one that is not configured."""
    routine = transition.after is Status.RESOLVED and transition.why is not Why.RESOLVED_BY_PERSON
    return alert.flapping and routine and is_quiet(alert, family)


def is_quiet(alert: Alert, family: Family | None) -> bool:
    """Whether a receiver is spared the changes of an alert that flaps."""
    return alert.severity is not Severity.CRITICAL and family not in (None, Family.PAGER)


def held(alert: Alert, name: str) -> Alert:
    """Return the alert with a receiver that is not told the end."""
    return replace(alert, recent=replace(alert.recent, held=tuple(dict.fromkeys((*alert.recent.held, name)))))


def calm(alert: Alert, limits: Flapping | None, now: datetime) -> Alert | None:
    """Return an alert that does not flap any more, None if it does not or still does."""
    recent = alert.recent
    if recent.flapping_since is None:
        return None
    last = max(recent.changed_at, default=recent.flapping_since)
    if limits is not None and now - last < limits.within:
        return None
    return replace(alert, recent=replace(recent, flapping_since=None, held=()))
