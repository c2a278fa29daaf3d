"""Groups: an alert that stands for all open alerts of one rule that have the same values of `group_by`. Pure.

A group is never told what has happened to a member: its event is made anew of what the store counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from service_event_checker.core.ids import alert_key
from service_event_checker.core.model import GROUPS, Alert, Event
from service_event_checker.core.replacing import replace
from service_event_checker.core.rules import Rule, Rulebook, names_of, taken
from service_event_checker.core.silences import SILENCED, Holding
from service_event_checker.core.store import Members
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity

SHOWN = 10  # members that a group's text names
CHANGED_EVERY = timedelta(seconds=5)  # numbers in a group's title; that it opens, ends or gets worse is seen at once
INTAKE = "group"
_ALERTNAME = "alertname"
_VALUE_MAX = 80  # characters of one label in a title
_TITLE_MAX = 300
_LINE_MAX = 200


def join(alert: Alert, book: Rulebook, silence: Holding | None, now: datetime) -> Alert:
    """Return an open alert as a member of the groups that the rules name for it; a silenced one joins none anew.

    It leaves a group only for another one of the same rule. The time that a rule waits for is that of the group: also
    outside the windows of the rule it joins.
    """
    if alert.is_group or alert.test:
        return alert
    joined, withheld = dict(alert.groups), dict(alert.withheld)
    for rule in (step.rule for step in taken(alert, book, now)):
        if not rule.per_group:
            continue
        if silence and not joined.get(rule.name):
            withheld[f"group of {rule.name}"] = f"{SILENCED}{silence.text}"
        else:
            joined[rule.name] = key_of(rule, labels_of(rule, alert))
    return replace(alert, groups=joined, withheld=withheld)


def join_anew(alert: Alert, book: Rulebook, now: datetime) -> Alert:
    """Return an open member after a change of the rules: in the groups of now, and in none of before."""
    left = replace(alert, groups=dict.fromkeys(alert.groups, ""))
    return join(left, book, None, now)


def wait(group: Alert, rules: Iterable[Rule], now: datetime) -> str:
    """Return why a group's receivers are not told yet; "" if they are, and for an alert that is no group."""
    if not group.is_group:
        return ""
    until = max((group.opened_at + rule.group_wait for rule in rules if rule.makes(group)), default=now)
    return f"waits until {until:%H:%M:%S} UTC for more alerts of the group" if now < until else ""


def labels_of(rule: Rule, alert: Alert) -> dict[str, str]:
    """Return what an alert's group has in common: the values of the rule's `group_by`, "" for what it lacks."""
    names = names_of(alert)
    return {name: names.get(name, "") for name in rule.group_by}


def key_of(rule: Rule, labels: Mapping[str, str]) -> str:
    """Return the key of a group's alert."""
    return alert_key(GROUPS, fingerprint(rule, labels))


def fingerprint(rule: Rule, labels: Mapping[str, str]) -> str:
    """Return the identity of a group: another rule, other values and another `group_by` are another group."""
    values = [[name, labels.get(name, "")] for name in sorted(rule.group_by)]
    digest = hashlib.sha256(json.dumps([rule.name, values]).encode()).hexdigest()[:20]
    return f"{digest}:{rule.name}"


def rule_of(group: Alert, rules: Iterable[Rule]) -> Rule | None:
    """Return the rule that makes a group; None if there is none any more, or if it groups by other names now."""
    return next((rule for rule in rules if rule.makes(group) and is_of(rule, group)), None)


def is_of(rule: Rule, group: Alert) -> bool:
    return fingerprint(rule, group.labels) == group.fingerprint


def event(rule: Rule, labels: Mapping[str, str], members: Members | None, worst: Sequence[Alert] = ()) -> Event:
    """Return what is to be said of a group: it fires while it has open members, None means that it has none.

    `worst`: the members that its text names. `starts_at` is that of its newest member, so that a group which a person
    has resolved opens again for a new member and not for those of before.
    """
    if members is None:
        return _over(fingerprint(rule, labels), "the last alert of the group is over")
    return Event(
        source=GROUPS,
        fingerprint=fingerprint(rule, labels),
        kind=Kind.ALERT,
        status=EventStatus.FIRING,
        title=_title(rule, labels, members),
        severity=members.worst,
        description=_description(members, worst) if worst else "",
        starts_at=members.newest_at,
        labels={name: value for name, value in labels.items() if value},
        intake=INTAKE,
        listed=True,  # the store was asked: an end that was told too early is taken back at the second look
    )


def end(group: Alert, rules: Iterable[Rule]) -> Event:
    """Return the event that ends a group for which there is no rule any more."""
    name = group.fingerprint.partition(":")[2]
    why = "groups by other labels now" if any(rule.makes(group) for rule in rules) else "makes no groups any more"
    return _over(group.fingerprint, f'the rule "{name}" {why}; its alerts go on')


def is_urgent(group: Alert, members: Members | None) -> bool:
    """Whether a group has to be written at once: it opens, ends or gets worse."""
    return not group.open or members is None or members.worst.rank < group.severity.rank


def acknowledgement(member: Alert, group: Alert, actor: str) -> Event:
    """Return the event that acknowledges a member with its group."""
    return Event(
        source=member.source,
        fingerprint=member.fingerprint,
        kind=member.kind,
        status=EventStatus.ACKNOWLEDGED,
        intake=INTAKE,
        actor=actor,
        note=f"with the group {group.internal_id}",
        person=True,
        test=member.test,
    )


def _over(fingerprint: str, note: str) -> Event:
    return Event(
        source=GROUPS,
        fingerprint=fingerprint,
        kind=Kind.ALERT,
        status=EventStatus.RESOLVED,
        intake=INTAKE,
        note=note,
    )


def _title(rule: Rule, labels: Mapping[str, str], members: Members) -> str:
    """Say what and how many: "HighLatency · 12 alerts (3 critical) · cluster=eu"."""
    number = members.severities[members.worst]
    alerts = "1 alert" if members.total == 1 else f"{members.total} alerts"
    rest = [f"{name}={_short(value, _VALUE_MAX)}" for name, value in labels.items() if value and name != _ALERTNAME]
    name = _short(labels.get(_ALERTNAME, ""), _VALUE_MAX) or rule.name
    return _short(" · ".join((name, f"{alerts} ({number} {members.worst})", *rest)), _TITLE_MAX)


def _description(members: Members, worst: Sequence[Alert]) -> str:
    numbers = ", ".join(f"{members.severities[each]} {each}" for each in Severity if each in members.severities)
    lines = [_short(f"{each.severity}: {each.title} ({each.internal_id}{_where(each)})", _LINE_MAX) for each in worst]
    more = members.total - len(worst)
    return "\n".join([f"Open: {numbers}", *lines, *([f"and {more} more"] if more > 0 else [])])


def _where(alert: Alert) -> str:
    instance = alert.labels.get("instance", "")
    return f", {_short(instance, _VALUE_MAX)}" if instance else ""


def _short(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
