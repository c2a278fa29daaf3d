"""What the rules would do with an event now, without doing it: by the deciders of live routing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from service_event_checker.core import groups, routing, rules, tracker
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Alert, Event
from service_event_checker.core.rules import Rule, Rulebook, Step
from service_event_checker.core.silences import Holding, holding
from service_event_checker.core.store import Members


@dataclass(frozen=True, slots=True)
class Joined:
    """A group that the alert would join: its rule, its key, and who would be told of it when its wait is over."""

    rule: Rule
    key: str
    labels: Mapping[str, str]
    receivers: tuple[str, ...]
    withheld: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`receivers` would be told that the alert opens; `withheld` maps a matched receiver to why it would wait.

    Those who would be told of a group that it joins are named there only. `silences` hold the alert back, the one that
    ends last first.
    """

    receivers: tuple[str, ...]
    withheld: Mapping[str, str]
    steps: tuple[Step, ...]
    groups: tuple[Joined, ...] = ()
    silences: tuple[Holding, ...] = ()


def evaluate(event: Event, book: Rulebook, now: datetime) -> Evaluation:
    """Return what would become of a clean firing event of an alert that was never seen. Raises InvalidInput."""
    change = tracker.track(None, event, now)
    if change.alert is None:
        raise InvalidInput("status", "is not that of an alert that opens", 'Send "firing"')
    write = routing.route(change.alert, change.transitions, book, now)
    joined = tuple(_joined(rule, write.alert, book, now) for rule in book.rules if write.alert.groups.get(rule.name))
    steps = tuple(rules.steps(change.alert, book, now))
    silences = holding(change.alert, book.silences, now)
    return Evaluation(write.alert.receivers, write.alert.withheld, steps, joined, silences)


def _joined(rule: Rule, member: Alert, book: Rulebook, now: datetime) -> Joined:
    """Return the group that an alert joins by a rule, as if it were the first and the group's wait were over."""
    labels = groups.labels_of(rule, member)
    members = Members(severities={member.severity: 1}, firing=1, newest_at=now)
    change = tracker.track(None, groups.event(rule, labels, members), now)
    told = routing.route(change.alert or member, change.transitions, book, now + rule.group_wait).alert
    return Joined(rule, told.key, labels, told.receivers, told.withheld)
