"""A store in memory that keeps the whole contract: the reference for the others, and fast enough for long histories.

One lock makes each method atomic; a method that raises has changed nothing. What is frozen is kept as it is.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from service_event_checker.core import lanes as lane_rules
from service_event_checker.core import timeline as timeline_rules
from service_event_checker.core.audit import Anchor, AuditRow, chained
from service_event_checker.core.errors import LeaseLost, StoreConflict
from service_event_checker.core.ids import internal_code
from service_event_checker.core.lanes import Lane, LaneChange
from service_event_checker.core.model import Alert, Delivery, HeldItem, Link, Slot, Transition
from service_event_checker.core.silences import Silence
from service_event_checker.core.store import (
    Claimed,
    Conflict,
    Done,
    IdTaken,
    Members,
    Outcome,
    Page,
    Query,
    Recorded,
    RecordedPage,
    Settled,
    Waiting,
    Write,
)
from service_event_checker.core.vocabulary import Severity, Status

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
ARCHIVED_AT_ONCE = 200
PAGE_MAX = 500


@dataclass
class Rows:
    """All that is stored. A transaction works on a copy, which takes the place of this one when it is over."""

    heads: dict[str, Alert] = field(default_factory=dict)
    episodes: dict[tuple[str, int], Alert] = field(default_factory=dict)
    archived: dict[str, int] = field(default_factory=dict)  # key -> revision that was archived
    codes: dict[str, tuple[str, int]] = field(default_factory=dict)
    timeline: dict[tuple[str, int], tuple[int, tuple[Transition, ...]]] = field(default_factory=dict)
    outcomes: dict[tuple[str, int, int, str], Transition] = field(default_factory=dict)
    lanes: dict[tuple[str, str], Lane] = field(default_factory=dict)
    waiting: dict[str, Delivery] = field(default_factory=dict)
    dead: dict[str, Delivery] = field(default_factory=dict)
    links: dict[tuple[str, int, str], Link] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    held: dict[tuple[str, str], HeldItem] = field(default_factory=dict)
    silences: dict[str, Silence] = field(default_factory=dict)
    audit: dict[int, AuditRow] = field(default_factory=dict)


class MemoryStore:
    """See `core.store.Store` for the contract of every method."""

    def __init__(self) -> None:
        self._rows = Rows()
        self._lock = threading.RLock()
        self.holding = MemoryHoldingArea(self)
        self.silences = MemorySilences(self)
        self.audit = MemoryAudit(self)

    def close(self) -> None:
        """Nothing is open."""

    def prepare(self) -> None:
        """Nothing has to be made."""

    def ping(self) -> None:
        """It is there."""

    def get(self, keys: Iterable[str]) -> dict[str, Alert]:
        with self._lock:
            return {key: self._rows.heads[key] for key in dict.fromkeys(keys) if key in self._rows.heads}

    def by_internal_id(self, code: str) -> Alert | None:
        with self._lock:
            place = self._rows.codes.get(code)
            return self._episode(self._rows, *place) if place else None

    def by_fingerprint(self, fingerprint: str) -> list[Alert]:
        return [alert for alert in self._heads() if alert.fingerprint == fingerprint][:20]

    def open_alerts(self, source: str = "") -> list[Alert]:
        return [alert for alert in self._heads() if alert.open and source in ("", alert.source)]

    def open_counts(self) -> dict[tuple[str, Severity], int]:
        return dict(Counter((alert.source, alert.severity) for alert in self.open_alerts() if not alert.test))

    def withheld_alerts(self) -> list[Alert]:
        return [alert for alert in self._heads() if alert.waits]

    def page(self, query: Query) -> Page:
        limit = min(query.limit, PAGE_MAX)
        newest_first = sorted(self._heads(), key=_place, reverse=True)
        at, _, key = query.cursor.partition("-")
        before = (int(at) if at.isdecimal() else 0, key)
        found = [each for each in newest_first if _meets(each, query) and (not query.cursor or _place(each) < before)]
        more = "-".join(map(str, _place(found[limit - 1]))) if len(found) > limit else ""
        return Page(alerts=tuple(found[:limit]), cursor=more)

    def links(self, keys: Iterable[str]) -> dict[str, list[Link]]:
        wanted: dict[str, list[Link]] = {key: [] for key in keys}
        with self._lock:
            for (key, _, _), link in sorted(self._rows.links.items()):
                if key in wanted:
                    wanted[key].append(link)
        return {key: found for key, found in wanted.items() if found}

    def link_by(self, receiver: str, external_id: str) -> Link | None:
        with self._lock:
            found = [
                link
                for link in self._rows.links.values()
                if (link.receiver, link.external_id) == (receiver, external_id)
            ]
        return max(found, key=lambda link: link.episode, default=None)

    def timeline(self, key: str, limit: int = 400) -> list[Transition]:
        with self._lock:
            rows = [rows for (of, _), (_, rows) in sorted(self._rows.timeline.items()) if of == key]
            told = [step for place, step in self._rows.outcomes.items() if place[0] == key]
        return timeline_rules.merged([transition for row in rows for transition in row], told, limit)

    def outcomes(self, key: str, episode: int) -> list[Transition]:
        with self._lock:
            found = [step for place, step in self._rows.outcomes.items() if place[:2] == (key, episode)]
        return sorted(found, key=lambda step: step.at)

    def members(self, groups: Iterable[str] | None = None) -> dict[str, Members]:
        wanted = None if groups is None else set(groups)
        found: dict[str, list[Alert]] = {}
        for each in self._heads():
            for group in each.memberships:
                if wanted is None or group in wanted:
                    found.setdefault(group, []).append(each)
        return {
            group: Members(
                severities={
                    severity: number
                    for severity in Severity
                    if (number := sum(each.severity is severity for each in alerts))
                },
                firing=sum(each.status is Status.FIRING for each in alerts),
                newest_at=max(each.opened_at for each in alerts),
            )
            for group, alerts in found.items()
        }

    def member_keys(self, group: str, limit: int, *, firing_before: datetime | None = None) -> list[str]:
        found = [each for each in self._heads() if group in each.memberships]
        if firing_before is not None:
            found = [each for each in found if each.status is Status.FIRING and each.updated_at <= firing_before]
        in_order = sorted(found, key=lambda each: (each.severity.rank, each.opened_at, each.key))
        return [each.key for each in in_order[:limit]]

    def recorded(self, since: datetime, *, limit: int = 200, cursor: str = "") -> RecordedPage:
        with self._lock:
            heads = {key: each for key, each in self._rows.heads.items() if each.open or each.updated_at >= since}
            past = [
                each
                for (key, number), each in self._rows.episodes.items()
                if key in heads and number < heads[key].episode and (each.ended_at or each.updated_at) >= since
            ]
            keys = sorted(key for key in heads if key > cursor)
            mine = sorted((*past, *heads.values()), key=lambda each: (each.key, each.episode))
            found = tuple(self._recorded(each) for each in mine if each.key in keys[:limit])
        return RecordedPage(episodes=found, cursor=keys[limit - 1] if len(keys) > limit else "")

    def _recorded(self, alert: Alert) -> Recorded:
        rows, place = self._rows, (alert.key, alert.episode)
        commits = [(at[1], row[1]) for at, row in sorted(rows.timeline.items()) if (at[0], row[0]) == place]
        told = [(at[2], step) for at, step in rows.outcomes.items() if at[:2] == place]
        told.sort(key=lambda each: (each[1].at, each[0]))
        return Recorded(alert=alert, commits=tuple(commits), outcomes=tuple((number, (step,)) for number, step in told))

    def commit(self, writes: Sequence[Write], now: datetime) -> list[Done | Conflict | IdTaken]:
        return [self._write_one(write, now) for write in writes]

    def due(self, receivers: Iterable[str], now: datetime) -> set[str]:
        return {name for name in receivers if next(self._due(name, now), None)}

    def claim(
        self,
        receiver: str,
        *,
        limit: int,
        owner: str,
        now: datetime,
        until: datetime,
        made_before: datetime | None = None,
    ) -> list[Claimed]:
        with self.transaction() as rows:
            due = (
                one
                for one in self._due(receiver, now)
                if made_before is None or (one.created_at or BEGINNING) <= made_before
            )
            in_order = sorted(due, key=lambda one: (one.rank, one.due_at or now))
            leased = [replace(one, owner=owner, lease_until=until) for one in islice(in_order, limit)]
            rows.waiting.update({delivery.id: delivery for delivery in leased})
            return [self._claimed(rows, delivery) for delivery in leased]

    def intend(self, delivery: Delivery, now: datetime) -> Delivery:
        with self.transaction() as rows:
            held = replace(_held(rows, delivery), intent_at=now)
            rows.waiting[held.id] = held
            return held

    def settle(
        self,
        delivery: Delivery,
        outcome: Outcome,
        now: datetime,
        write: Write | None = None,
        step: Transition | None = None,
    ) -> None:
        with self.transaction() as rows:
            held = _held(rows, delivery)
            lane, waiting = _lane(rows, held.key, held.receiver)
            _apply(rows, lane_rules.settle(lane, waiting, held, outcome, now))
            if isinstance(outcome, Settled) and outcome.link:
                _put_link(rows, outcome.link)
            if step:
                place = timeline_rules.outcome_place(step, delivery.revision)
                rows.outcomes[delivery.key, delivery.episode, *place] = step
            if write and not isinstance(_written(rows, write, now), Done):
                raise StoreConflict(f"alert {write.alert.key} was changed meanwhile")

    def sweep(self, now: datetime, *, latest: datetime | None = None) -> int:
        def is_wrong(waiting: list[Delivery]) -> bool:
            times = [at for one in waiting for at in (one.due_at, one.lease_until) if at]
            return not any(one.due_at for one in waiting) or (latest is not None and max(times) > latest)

        with self.transaction() as rows:
            lanes = {(one.key, one.receiver): _lane(rows, one.key, one.receiver) for one in rows.waiting.values()}
            wrong = [(lane, waiting) for lane, waiting in lanes.values() if is_wrong(waiting)]
            for lane, waiting in wrong:
                _apply(rows, lane_rules.swept(lane, waiting, latest, now))
            return len(wrong)

    def waiting(self, receiver: str = "") -> int:
        with self._lock:
            return sum(receiver in ("", one.receiver) for one in self._rows.waiting.values())

    def waiting_by_receiver(self) -> dict[str, Waiting]:
        with self._lock:
            waiting = list(self._rows.waiting.values())
        found: dict[str, Waiting] = {}
        for one in waiting:
            made_at, known = one.created_at or BEGINNING, found.get(one.receiver)
            oldest_at = min(made_at, known.oldest_at) if known else made_at
            found[one.receiver] = Waiting(known.number + 1 if known else 1, oldest_at)
        return found

    def keys_with_pending(self, receiver: str) -> set[str]:
        with self._lock:
            return {one.key for one in self._rows.waiting.values() if one.receiver == receiver}

    def oldest_waiting(self) -> datetime | None:
        with self._lock:
            return min((one.created_at or BEGINNING for one in self._rows.waiting.values()), default=None)

    def waiting_deliveries(self, limit: int = 200, *, key: str = "") -> list[Delivery]:
        with self._lock:
            oldest_first = sorted(self._rows.waiting.values(), key=lambda one: one.created_at or BEGINNING)
        return [one for one in oldest_first if key in ("", one.key)][:limit]

    def failed_deliveries(self, limit: int = 200, *, receiver: str = "", key: str = "") -> list[Delivery]:
        with self._lock:
            newest_first = sorted(self._rows.dead.values(), key=lambda one: one.created_at or BEGINNING, reverse=True)
        wanted = (one for one in newest_first if receiver in ("", one.receiver) and key in ("", one.key))
        return list(islice(wanted, limit))

    def failed_counts(self) -> dict[str, int]:
        with self._lock:
            names = [one.receiver for one in self._rows.dead.values()]
        return {name: names.count(name) for name in names}

    def discard(self, delivery_id: str) -> bool:
        with self.transaction() as rows:
            return rows.dead.pop(delivery_id, None) is not None

    def requeue(self, delivery_id: str, now: datetime) -> bool:
        with self.transaction() as rows:
            letter = rows.dead.get(delivery_id)
            head = rows.heads.get(letter.key) if letter else None
            again = lane_rules.requeued(letter, head) if letter and head else ()
            if again:
                del rows.dead[delivery_id]
                lane, waiting = _lane(rows, again[0].key, again[0].receiver)
                _apply(rows, lane_rules.revive(lane, waiting, again, now))
            return bool(again)

    def archive(self, now: datetime) -> int:
        with self.transaction() as rows:
            owed = {delivery.key for delivery in rows.waiting.values()}
            over = (each for each in rows.heads.values() if not each.open and not each.waits and each.key not in owed)
            found = list(
                islice((each for each in over if rows.archived.get(each.key) != each.revision), ARCHIVED_AT_ONCE)
            )
            for alert in found:
                rows.episodes[alert.key, alert.episode] = alert
                rows.archived[alert.key] = alert.revision
            return len(found)

    def trim(self, since: datetime) -> int:
        trimmed = 0
        with self.transaction() as rows:
            for head in [each for each in rows.heads.values() if each.updated_at >= since]:
                mine = [
                    (at[1], row[1])
                    for at, row in sorted(rows.timeline.items())
                    if (at[0], row[0]) == (head.key, head.episode)
                ]
                changes = timeline_rules.trimmed(mine)
                trimmed += bool(changes)
                for revision, steps in changes.items():
                    del rows.timeline[head.key, revision]
                    if steps:
                        rows.timeline[head.key, revision] = (head.episode, steps)
        return trimmed

    def retain(self, before: datetime) -> int:
        with self.transaction() as rows:
            owed = {(delivery.key, delivery.episode) for delivery in rows.waiting.values()}
            old = {
                place
                for place, alert in rows.episodes.items()
                if (alert.ended_at or alert.updated_at) < before and _is_past(rows, place)
            } - owed
            for place in sorted(old):  # the newest of a key last
                code = internal_code(rows.episodes.pop(place).internal_id)
                if rows.codes.get(code) == place:
                    del rows.codes[code]
                if rows.heads[place[0]].episode == place[1]:
                    _forget_key(rows, place[0])
            rows.timeline = {at: row for at, row in rows.timeline.items() if (at[0], row[0]) not in old}
            rows.outcomes = {at: step for at, step in rows.outcomes.items() if at[:2] not in old}
            rows.links = {at: link for at, link in rows.links.items() if at[:2] not in old}
            rows.dead = {id: one for id, one in rows.dead.items() if (one.key, one.episode) not in old}
            return len(old)

    def slots(self) -> dict[str, Slot]:
        with self._lock:
            return dict(self._rows.slots)

    def put_slot(self, slot: Slot) -> Slot | None:
        with self.transaction() as rows:
            held = rows.slots.get(slot.name)
            if (held.revision if held else 0) != slot.revision:
                return None
            rows.slots[slot.name] = replace(slot, revision=slot.revision + 1)
            return rows.slots[slot.name]

    def setting(self, name: str) -> str | None:
        with self._lock:
            return self._rows.settings.get(name)

    def set_setting(self, name: str, value: str, *, only_if_new: bool = False) -> str:
        with self.transaction() as rows:
            if only_if_new and name in rows.settings:
                return rows.settings[name]
            rows.settings[name] = value
            return value

    @contextmanager
    def transaction(self) -> Iterator[Rows]:
        with self._lock:
            rows = Rows(**{name: copy(value) for name, value in vars(self._rows).items()})
            yield rows
            self._rows = rows

    def _heads(self) -> list[Alert]:
        with self._lock:
            return list(self._rows.heads.values())

    def _due(self, receiver: str, now: datetime) -> Iterator[Delivery]:
        with self._lock:
            waiting = list(self._rows.waiting.values())
        for one in waiting:
            free = one.lease_until is None or one.lease_until <= now
            if one.receiver == receiver and free and one.due_at is not None and one.due_at <= now:
                yield one

    def _write_one(self, write: Write, now: datetime) -> Done | Conflict | IdTaken:
        with self._lock:
            rows = Rows(**{name: copy(value) for name, value in vars(self._rows).items()})
            result = _written(rows, write, now)
            if isinstance(result, Done):
                self._rows = rows
            return result

    def _claimed(self, rows: Rows, delivery: Delivery) -> Claimed:
        alert = self._episode(rows, delivery.key, delivery.episode)
        assert alert
        links = [
            link
            for (key, _, name), link in sorted(rows.links.items())
            if (key, name) == (delivery.key, delivery.receiver)
        ]
        return Claimed(delivery=delivery, alert=alert, links=tuple(links))

    @staticmethod
    def _episode(rows: Rows, key: str, episode: int) -> Alert | None:
        head = rows.heads.get(key)
        return head if head and head.episode == episode else rows.episodes.get((key, episode))


class MemoryHoldingArea:
    """See `core.store.HoldingArea`."""

    def __init__(self, store: MemoryStore) -> None:
        self._transaction = store.transaction

    def put(self, items: Iterable[HeldItem]) -> None:
        with self._transaction() as rows:
            rows.held.update({(item.area, item.id): item for item in items})

    def add(self, item: HeldItem) -> bool:
        with self._transaction() as rows:
            return rows.held.setdefault((item.area, item.id), item).doc == item.doc

    def list(self, area: str, *, source: str = "", limit: int = 200) -> Sequence[HeldItem]:
        with self._transaction() as rows:
            found = [item for item in rows.held.values() if item.area == area and source in ("", item.source)]
        return sorted(found, key=lambda item: (item.at, item.id), reverse=True)[:limit]

    def remove(self, area: str, id: str) -> bool:
        with self._transaction() as rows:
            return rows.held.pop((area, id), None) is not None

    def prune(self, area: str, *, before: datetime, per_source: int) -> int:
        with self._transaction() as rows:
            sources = {item.source for item in rows.held.values() if item.area == area}
            newest = [item for source in sources for item in self.list(area, source=source, limit=per_source)]
            kept = {item.id for item in newest if item.at >= before}
            stale = [place for place in rows.held if place[0] == area and place[1] not in kept]
            for place in stale:
                del rows.held[place]
            return len(stale)


class MemorySilences:
    """See `core.roles.Silences`."""

    def __init__(self, store: MemoryStore) -> None:
        self._transaction = store.transaction

    def live(self, now: datetime) -> Sequence[Silence]:
        return [silence for silence in self.list() if silence.ends_at > now]

    def list(self, limit: int = 1000) -> Sequence[Silence]:
        with self._transaction() as rows:
            found = list(rows.silences.values())
        return sorted(found, key=lambda each: (each.ends_at, each.id), reverse=True)[:limit]

    def get(self, id: str) -> Silence | None:
        with self._transaction() as rows:
            return rows.silences.get(id)

    def put(self, silence: Silence) -> Silence | None:
        with self._transaction() as rows:
            held = rows.silences.get(silence.id)
            if (held.revision if held else 0) != silence.revision:
                return None
            hits = held.hits if held else 0
            rows.silences[silence.id] = replace(silence, revision=silence.revision + 1, hits=hits)
            return replace(silence, revision=silence.revision + 1)

    def prune(self, before: datetime) -> int:
        with self._transaction() as rows:
            gone = [silence.id for silence in rows.silences.values() if silence.ends_at < before]
            for id in gone:
                del rows.silences[id]
            return len(gone)


class MemoryAudit:
    """See `core.roles.Audit`."""

    def __init__(self, store: MemoryStore) -> None:
        self._transaction = store.transaction

    def append(self, actor: str, what: Mapping[str, Any], now: datetime) -> AuditRow:
        with self._transaction() as rows:
            row = chained(self.head(), actor, what, now)
            rows.audit[row.number] = row
        return row

    def list(self, *, after: int = 0, limit: int = 200) -> Sequence[AuditRow]:
        with self._transaction() as rows:
            return [row for row in rows.audit.values() if row.number > after][:limit]

    def head(self) -> Anchor | None:
        with self._transaction() as rows:
            return next((row.anchor for row in reversed(rows.audit.values())), None)

    def drop(self, through: int) -> None:
        with self._transaction() as rows:
            rows.audit = {number: row for number, row in rows.audit.items() if number > through}


def _is_past(rows: Rows, place: tuple[str, int]) -> bool:
    head = rows.heads[place[0]]
    return place[1] < head.episode or rows.archived.get(head.key) == head.revision


def _forget_key(rows: Rows, key: str) -> None:
    del rows.heads[key], rows.archived[key]
    rows.lanes = {at: lane for at, lane in rows.lanes.items() if at[0] != key}


def _written(rows: Rows, write: Write, now: datetime) -> Done | Conflict | IdTaken:
    """Write one alert with all that belongs to it into rows that are thrown away unless it is Done."""
    stored = replace(write.alert, revision=write.alert.revision + 1)
    head = rows.heads.get(stored.key)
    if (head.revision if head else 0) != write.alert.revision:
        return Conflict(stored.key)
    if any(transition.why.opens for transition in write.transitions):
        if head:
            rows.episodes[head.key, head.episode] = head
        place = (stored.key, stored.episode)
        if rows.codes.setdefault(internal_code(stored.internal_id), place) != place:
            return IdTaken(stored.key)
    rows.heads[stored.key] = stored
    if silence := rows.silences.get(write.silenced_by):
        rows.silences[silence.id] = replace(silence, hits=silence.hits + 1)
    transitions = write.transitions + tuple(_append(rows, write, now))
    if transitions:
        rows.timeline[stored.key, stored.revision] = (stored.episode, transitions)
    for link in write.links:
        _put_link(rows, link)
    return Done(stored)


def _append(rows: Rows, write: Write, now: datetime) -> Iterator[Transition]:
    for receiver in dict.fromkeys(delivery.receiver for delivery in write.deliveries):
        new = [delivery for delivery in write.deliveries if delivery.receiver == receiver]
        lane, waiting = _lane(rows, write.alert.key, receiver)
        change = lane_rules.append(lane, waiting, new, now)
        _apply(rows, change)
        if change.cancelled:
            yield lane_rules.over_before_sent(write.alert, receiver, now)


def _lane(rows: Rows, key: str, receiver: str) -> tuple[Lane, list[Delivery]]:
    lane = rows.lanes.get((key, receiver), Lane(key=key, receiver=receiver))
    return lane, [one for one in rows.waiting.values() if (one.key, one.receiver) == (key, receiver)]


def _apply(rows: Rows, change: LaneChange) -> None:
    rows.lanes[change.lane.key, change.lane.receiver] = change.lane
    for id in change.drop:
        rows.waiting.pop(id, None)
    for delivery in change.put:
        rows.waiting[delivery.id] = delivery
    if change.dead:
        rows.waiting.pop(change.dead.id, None)
        rows.dead[change.dead.id] = change.dead


def _put_link(rows: Rows, link: Link) -> None:
    rows.links[link.key, link.episode, link.receiver] = link


def _held(rows: Rows, delivery: Delivery) -> Delivery:
    held = rows.waiting.get(delivery.id)
    if held is None or not delivery.owner or held.owner != delivery.owner:
        raise LeaseLost(f"delivery {delivery.id} is not ours any more")
    return held


def _place(alert: Alert) -> tuple[int, str]:
    """Return what alerts are ordered by: microseconds since 1970, and the key."""
    since = alert.updated_at - BEGINNING
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds, alert.key


def _meets(alert: Alert, query: Query) -> bool:
    return (
        query.open in (None, alert.open)
        and (not query.statuses or alert.status in query.statuses)
        and (not query.severities or alert.severity in query.severities)
        and (not query.kinds or alert.kind in query.kinds)
        and query.source in ("", alert.source)
    )
