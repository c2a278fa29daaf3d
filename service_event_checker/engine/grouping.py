"""Keeps the alerts of groups as their open members are: after each commit of members, and at a tick.

What a group is follows from what the store counts, never from what was told before. So any step may be lost or
repeated, in any number of processes: the next one mends it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from service_event_checker.core import groups, routing, tracker
from service_event_checker.core.model import GROUPS, Alert, Event
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.store import Conflict, Done, IdTaken, Members, Related, Write
from service_event_checker.core.tracker import Tracked
from service_event_checker.core.vocabulary import Status, Why

CONFLICTS_MAX = 20  # tries; what is not written then, the tick writes
AT_ONCE = 500  # members that one step acknowledges or moves; the tick goes on
LISTED_MAX = 100  # members that people are shown

log = structlog.get_logger()


class Committing(Protocol):
    """What of the pipeline is needed here."""

    @property
    def store(self) -> Store: ...
    @property
    def book(self) -> Rulebook: ...
    def book_at(self, now: datetime) -> Rulebook: ...
    def ingest(self, events: Iterable[Event], now: datetime) -> Mapping[str, Alert]: ...
    def commit_all(self, writes: Sequence[Write], now: datetime) -> Sequence[Done | Conflict | IdTaken]: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """A group to be compared with its members: the rule that makes it, and what they have in common."""

    rule: Rule
    labels: Mapping[str, str]


def follow(pipeline: Committing, done: Iterable[Write], now: datetime) -> None:
    """Bring the groups up to date whose members were committed; acknowledge the members of groups that were."""
    members = [write.alert for write in done if write.alert.groups]
    if members and (wanted := _wanted_by(members, pipeline.book.rules)):
        known = pipeline.store.get(wanted)
        _refresh(
            pipeline, {key: one for key, one in wanted.items() if not _waits(known.get(key), one, members, now)}, now
        )
    for write in done:
        if write.alert.is_group:
            for step in write.transitions:
                if step.why is Why.ACKNOWLEDGED:
                    _acknowledge(pipeline, write.alert, step.actor, now, now)


def mend(pipeline: Committing, now: datetime) -> None:
    """Compare all groups with their open members: write what differs, tell those whose wait is over. Raises StoreError.

    Ends the groups of rules that have changed. It costs two reads where all is as it should be.
    """
    store, rules = pipeline.store, pipeline.book.rules
    members = store.members()
    known = {group.key: group for group in store.open_alerts(GROUPS)}
    known |= store.get([key for key in members if key not in known])
    wanted = {key: found for key, group in known.items() if (found := _of(group, rules))}
    wanted |= {key: found for key in members.keys() - known.keys() if (found := _by_a_member(store, key, rules))}
    _end(pipeline, [group for key, group in known.items() if group.open and key not in wanted], now)
    for key in members.keys() - wanted.keys():
        _move(pipeline, key, now)
    different = {
        key: one for key, one in wanted.items() if _change(key, one, known.get(key), members.get(key), now) is not None
    }
    _refresh(pipeline, different, now)
    _release(pipeline, [key for key, one in wanted.items() if key in known and _is_due(known[key], one.rule, now)], now)
    for key, group in known.items():
        if key in members and members[key].firing and group.status is Status.ACKNOWLEDGED:
            _acknowledge_again(pipeline, group, now)


def related(store: Store, alert: Alert) -> Related:
    """Return what people are shown of an alert's groups, and of a group's members. Raises StoreError."""
    if alert.is_group:
        counted = store.members([alert.key]).get(alert.key)
        members = _listed(store, store.member_keys(alert.key, LISTED_MAX)) if counted else ()
        return Related(members=members, member_count=counted.total if counted else 0)
    return Related(groups=_listed(store, list(filter(None, alert.groups.values())))) if alert.groups else Related()


def _listed(store: Store, keys: Sequence[str]) -> tuple[Alert, ...]:
    found = store.get(keys)
    return tuple(found[key] for key in keys if key in found)


def _wanted_by(members: Iterable[Alert], rules: Sequence[Rule]) -> dict[str, Wanted]:
    """Return the groups of the members; of those that a change of the rules has ended, none."""
    by_name = {rule.name: rule for rule in rules if rule.per_group}
    found: dict[str, Wanted] = {}
    for member in members:
        for name, key in member.groups.items():
            if key and key not in found and name in by_name:
                found[key] = Wanted(by_name[name], groups.labels_of(by_name[name], member))
    return found


def _of(group: Alert, rules: Iterable[Rule]) -> Wanted | None:
    rule = groups.rule_of(group, rules)
    return Wanted(rule, group.labels) if rule else None


def _by_a_member(store: Store, key: str, rules: Sequence[Rule]) -> Wanted | None:
    """Return a group that was never written, as one of its members says; None if it says another one."""
    for member in store.get(store.member_keys(key, 1)).values():
        found = _wanted_by([member], rules).get(key)
        if found and groups.key_of(found.rule, found.labels) == key:
            return found
    return None


def _waits(known: Alert | None, wanted: Wanted, members: Iterable[Alert], now: datetime) -> bool:
    """Whether a group need not be looked at after a commit of members: only its numbers change, and not for long."""
    if known is None or not known.open or _is_readable(known, wanted.rule, now):
        return False
    mine = [member for member in members if known.key in member.groups.values()]
    return all(member.open and member.severity.rank >= known.severity.rank for member in mine)


def _refresh(pipeline: Committing, wanted: Mapping[str, Wanted], now: datetime) -> None:
    """Write the groups that differ from what the store counts, until none does.

    Each is read before its members are counted: if somebody else counts later, his write is later, or this one fails.
    """
    store, ids_taken = pipeline.store, Counter[str]()
    for _ in range(CONFLICTS_MAX):
        if not wanted:
            return
        known = store.get(wanted)
        counted = store.members(wanted)
        found = {key: _change(key, one, known.get(key), counted.get(key), now) for key, one in wanted.items()}
        wanted = {key: one for key, one in wanted.items() if found[key]}
        named = {key: _named(store, key) if key in counted else () for key in wanted}
        changes = [_change(key, one, known.get(key), counted.get(key), now, named[key]) for key, one in wanted.items()]
        _write(pipeline, [change for change in changes if change], ids_taken, now)
    log.warning("groups_contended", groups=len(wanted))


def _named(store: Store, key: str) -> tuple[Alert, ...]:
    """Return the members that a group's text names."""
    return _listed(store, store.member_keys(key, groups.SHOWN))


def _change(
    key: str,
    wanted: Wanted,
    known: Alert | None,
    members: Members | None,
    now: datetime,
    named: Sequence[Alert] = (),
) -> Tracked | None:
    """Return how a group changes; None where it does not, or need not yet."""
    rule, labels = wanted.rule, known.labels if known else wanted.labels
    if groups.key_of(rule, labels) != key or (known is None and members is None):
        return None
    if known and not groups.is_urgent(known, members) and not _is_readable(known, rule, now):
        return None
    change = tracker.track(known, groups.event(rule, labels, members, named), now)
    if change.alert is None or change.alert == known:
        return None
    if known and not known.open and not change.transitions and change.alert.relisted_at == known.relisted_at:
        return None  # one more repetition for somebody who has resolved it
    return change


def _is_readable(group: Alert, rule: Rule, now: datetime) -> bool:
    """Whether the numbers of an open group are to be written again: now and then, and before it is first told."""
    return _is_due(group, rule, now) or now - group.updated_at >= groups.CHANGED_EVERY


def _is_due(group: Alert, rule: Rule, now: datetime) -> bool:
    """Whether a group that is not told yet may be."""
    return group.open and bool(group.withheld) and now >= group.opened_at + rule.group_wait


def _write(pipeline: Committing, changes: Iterable[Tracked], ids_taken: Counter[str], now: datetime) -> None:
    tracked = [tracker.with_longer_id(change, ids_taken) for change in changes]
    book = pipeline.book_at(now)
    writes = [routing.route(change.alert, change.transitions, book, now) for change in tracked if change.alert]
    results = pipeline.commit_all(writes, now)
    ids_taken.update(each.key for each in results if isinstance(each, IdTaken))


def _end(pipeline: Committing, stale: Iterable[Alert], now: datetime) -> None:
    """End groups that no rule makes any more; what somebody else changed meanwhile waits for the next tick."""
    rules = pipeline.book.rules
    _write(pipeline, [tracker.track(group, groups.end(group, rules), now) for group in stale], Counter(), now)


def _move(pipeline: Committing, key: str, now: datetime) -> None:
    """Let members of a group that is no more join the groups that the rules make of them now."""
    found = pipeline.store.get(pipeline.store.member_keys(key, AT_ONCE)).values()
    pipeline.commit_all([Write(alert=groups.join_anew(member, pipeline.book, now)) for member in found], now)


def _release(pipeline: Committing, wanted: Iterable[str], now: datetime) -> None:
    """Tell of the groups whose wait is over."""
    found = pipeline.store.get(wanted).values()
    book = pipeline.book_at(now)
    writes = [routing.release(group, book, now) for group in found]
    pipeline.commit_all([write for write in writes if write], now)


def _acknowledge(pipeline: Committing, group: Alert, actor: str, at: datetime, now: datetime) -> None:
    """Acknowledge the members that nobody has, as far as they have not changed since the group was acknowledged."""
    keys = pipeline.store.member_keys(group.key, AT_ONCE, firing_before=at)
    if keys:
        found = pipeline.store.get(keys).values()
        pipeline.ingest([groups.acknowledgement(member, group, actor) for member in found], now)


def _acknowledge_again(pipeline: Committing, group: Alert, now: datetime) -> None:
    """Go on where the acknowledgement of a group had too many members for one step, or was interrupted."""
    steps = pipeline.store.timeline(group.key)
    acked = next((step for step in reversed(steps) if step.why is Why.ACKNOWLEDGED), None)
    if acked is not None:
        _acknowledge(pipeline, group, group.owner, acked.at, now)
