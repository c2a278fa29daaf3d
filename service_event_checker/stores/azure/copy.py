"""Azure Tables as one end of a copy.

Rows of keys that follow each other are read as ranges, one for each kind of row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from service_event_checker.core.model import Link
from service_event_checker.core.replacing import replace
from service_event_checker.stores import codec, records
from service_event_checker.stores.azure import client, keys, rows
from service_event_checker.stores.azure.client import EntityChange, Table
from service_event_checker.stores.azure.commit import new_op
from service_event_checker.stores.azure.store import AzureTablesStore
from service_event_checker.stores.records import COPIED_FROM, History, LaneRecord, Others, OutcomeRow, TimelineRow

PING = "ping"
OWN = (PING, COPIED_FROM)  # settings that are this store's alone
_OF_A_KEY = (
    keys.ALERT,
    keys.EPISODE,
    keys.KNOWN,
    keys.LANE,
    keys.LINK,
    keys.TIMELINE,
    keys.OUTCOME,
    keys.DEAD,
)  # by key, ranges
_WITH_A_KEY = (keys.INTERNAL_ID, keys.MEMBER)  # by another name; the key is a column
_KEY_LENGTH = 20

Entity = dict[str, Any]
Place = tuple[str, str]  # partition and row key


class AzureSide:
    """See `records.Side`."""

    def __init__(self, store: AzureTablesStore) -> None:
        self._store, self._active, self._resolved = store, store.active, store.resolved

    def identity(self) -> str:
        return f"{self._store.tables.account} {self._active.name} {self._resolved.name}"

    def keys(self) -> list[str]:
        found = self._store.tables.each(
            lambda place: self._active.scan(place, keys.KNOWN, columns=["op"]), keys.PARTITIONS
        )
        return sorted(row["RowKey"][1:] for part in found for row in part)

    def read(self, keys_: Sequence[str]) -> list[History]:
        found = self._rows(keys_)
        return [made for key in keys_ if (made := _history(key, *found[key]))]

    def others(self) -> Others:
        held = map(rows.load_held, self._kept())
        found = [codec.load_slot(rows.text_of(row)) for row in self._active.scan(keys.SLOTS)]
        return Others(
            settings={
                row["name"]: rows.text_of(row) for row in self._active.scan(keys.SETTINGS) if row["name"] not in OWN
            },
            slots={slot.name: slot for slot in found},
            held={(item.area, item.id): item for item in held},
            silences={silence.id: silence for silence in map(rows.load_silence, self._active.scan(keys.SILENCES))},
            audit=tuple(map(rows.load_audit, self._active.scan(keys.AUDIT, keys.AUDIT_ROW))),
        )

    def as_stored(self, history: History) -> History:
        return _history(history.key, *_entities(history, "")) or history

    def write(self, histories: Sequence[History]) -> None:
        found, op = self._rows([history.key for history in histories]), new_op()
        links = [link for history in histories for link in history.links if link.external_id]
        self._store.tables.each(self._point_to, links)
        self._store.tables.each(lambda one: self._replace(*found[one.key], *_entities(one, op)), histories)

    def drop(self, keys_: Sequence[str]) -> None:
        self._store.tables.each(lambda old: self._replace(*old, [], []), list(self._rows(keys_).values()))

    def write_others(self, wanted: Others) -> None:
        op = new_op()
        new = [rows.setting_entity(name, text, op) for name, text in wanted.settings.items()]
        new += [rows.slot_entity(slot, op) for slot in wanted.slots.values()]
        new += [rows.held_entity(item) for item in wanted.held.values()]
        new += [rows.silence_entity(silence, op) for silence in wanted.silences.values()]
        new += [rows.audit_entity(row, op) for row in wanted.audit]
        old = [row for row in self._active.scan(keys.SETTINGS) if row["name"] not in OWN]
        old += [row for place in (keys.SLOTS, keys.SILENCES, keys.AUDIT) for row in self._active.scan(place)]
        self._swap(self._active, [*old, *self._kept()], new)

    def _kept(self) -> list[Entity]:
        return [dict(row) for row in self._active.scan_partitions(keys.KEPT)]

    def _rows(self, wanted: Sequence[str]) -> dict[str, tuple[list[Entity], list[Entity]]]:
        """Return the rows of each key in the active and in the resolved table; keys of one partition are a range."""
        found: dict[str, tuple[list[Entity], list[Entity]]] = {key: ([], []) for key in wanted}
        parts: defaultdict[str, list[str]] = defaultdict(list)
        for key in wanted:
            parts[keys.partition(key)].append(key)
        scans = [(self._active, place, kind) for place in parts for kind in (*_OF_A_KEY, *_WITH_A_KEY)]
        scans += [(self._resolved, place, kind) for place in parts for kind in (keys.ALERT, keys.EPISODE)]
        for table, row in self._store.tables.each(lambda scan: _range(*scan, parts[scan[1]]), scans):
            for entity in row:
                key = _key_of(entity)
                if key in found:
                    found[key][0 if table is self._active else 1].append(entity)
        return found

    def _replace(
        self, active: Sequence[Entity], resolved: Sequence[Entity], new: Sequence[Entity], archived: Sequence[Entity]
    ) -> None:
        places = {row[name] for row in resolved if row["RowKey"][0] == keys.ALERT for name in ("place", "stale")}
        lists = filter(None, (self._resolved.get(keys.RESOLVED, place) for place in sorted(places - {""})))
        self._swap(self._resolved, [*resolved, *lists], archived)
        self._swap(self._active, active, new)

    def _point_to(self, link: Link) -> None:
        self._active.write([client.upsert(rows.pointer_entity(link))])

    def _swap(self, table: Table, old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]]) -> None:
        """Put new rows in the place of old ones; what is in both is written once."""
        there = {_place(row): row for row in old}
        wanted = {_place(row): client.upsert(row) for row in new}
        gone = [client.delete(row, client.ANY) for place, row in there.items() if place not in wanted]
        parts: defaultdict[str, list[EntityChange]] = defaultdict(list)
        for change in (*wanted.values(), *gone):
            parts[str(change.entity["PartitionKey"])].append(change)
        for changes in parts.values():
            for some in _transactions(changes):
                table.write(some)


def _transactions(changes: Iterable[EntityChange]) -> Iterator[list[EntityChange]]:
    some: list[EntityChange] = []
    for change in changes:
        if some and not client.fits([*some, change]):
            yield some
            some = []
        some.append(change)
    if some:
        yield some


def _range(table: Table, place: str, kind: str, wanted: Sequence[str]) -> tuple[Table, list[Entity]]:
    """Return the rows of a kind from the first wanted key to the last."""
    first, last = wanted[0], wanted[-1]
    if kind in _WITH_A_KEY:
        return table, list(table.scan(place, kind, "key ge @first and key le @last", {"first": first, "last": last}))
    bounds = {"first": kind + first, "last": keys.after(kind + last)}
    return table, list(table.scan(place, kind, "RowKey ge @first and RowKey lt @last", bounds))


def _key_of(entity: Mapping[str, Any]) -> str:
    row_key = str(entity["RowKey"])
    return str(entity["key"]) if row_key[0] in _WITH_A_KEY else row_key[1 : 1 + _KEY_LENGTH]


def _place(row: Mapping[str, Any]) -> Place:
    return str(row["PartitionKey"]), str(row["RowKey"])


def _history(key: str, active: Iterable[Entity], resolved: Iterable[Entity]) -> History | None:
    """Return what the rows of a key say; None where nothing is left but the key."""
    of: defaultdict[str, list[Entity]] = defaultdict(list)
    for row in active:
        of[row["RowKey"][0]].append(row)
    archive = list(resolved)
    heads = of[keys.ALERT] or [row for row in archive if row["RowKey"][0] == keys.ALERT]
    if not heads:
        return None
    past = [row for row in (*archive, *of[keys.EPISODE]) if row["RowKey"][0] == keys.EPISODE]
    return records.history(
        rows.load_alert(heads[0]),
        archived=not of[keys.ALERT],
        past={alert.episode: alert for alert in map(rows.load_alert, past)}.values(),
        ids=[(row["RowKey"][1:], row["episode"]) for row in of[keys.INTERNAL_ID]],
        timeline=[_timeline_row(row) for row in of[keys.TIMELINE]],
        outcomes=[
            OutcomeRow(revision=keys.outcome_revision(row["RowKey"]), step=step)
            for row in of[keys.OUTCOME]
            for step in codec.load_transitions(rows.text_of(row))
        ],
        lanes=[_lane(row) for row in of[keys.LANE]],
        failed=[codec.load_delivery(rows.text_of(row)) for row in of[keys.DEAD]],
        links=[codec.load_link(rows.text_of(row)) for row in of[keys.LINK]],
    )


def _timeline_row(row: Entity) -> TimelineRow:
    return TimelineRow(
        revision=keys.timeline_revision(row["RowKey"]),
        episode=row["episode"],
        transitions=codec.load_transitions(rows.text_of(row)),
    )


def _lane(row: Entity) -> LaneRecord:
    return LaneRecord(lane=rows.lane_of(row), waiting=rows.waiting_of(row))


def _entities(history: History, op: str) -> tuple[list[Entity], list[Entity]]:
    """Return the rows of a key in the active and in the resolved table, the list of newest episodes included."""
    newest, head = rows.alert_entity(history.newest, op)
    active = [rows.known_entity(history.key, op, newest.revision if history.archived else 0)]
    resolved = [_episode(rows.alert_entity(alert, op)[1]) for alert in history.past]
    if history.archived:
        place = keys.resolved_row(codec.micros(newest.updated_at), newest.key)
        resolved += [_episode(head), rows.moved(head, head["RowKey"], place=place, stale="")]
        resolved.append(rows.moved(head, place, partition=keys.RESOLVED))
    else:
        active.append(head)
        active += rows.member_entities(newest, op).values()
    active += [rows.internal_id_entity(replace(newest, episode=episode), code, op) for code, episode in history.ids]
    for row in history.timeline:
        then = replace(newest, episode=row.episode, revision=row.revision)
        active.append(rows.timeline_entity(then, row.transitions, op))
    active += [rows.outcome_row(each.revision, each.name, each.step, op) for each in history.outcomes]
    active += [rows.lane_entity(each.lane, each.waiting, op) for each in history.lanes]
    active += [rows.dead_entity(delivery, op) for delivery in history.failed]
    active += [rows.link_entity(link, op) for link in history.links]
    return active, resolved


def _episode(row: Mapping[str, Any]) -> Entity:
    alert = rows.load_alert(row)
    ended_at = keys.sortable(rows.ended_micros(alert))
    return rows.moved(row, keys.episode_row(alert.key, alert.episode), ended_at=ended_at)
