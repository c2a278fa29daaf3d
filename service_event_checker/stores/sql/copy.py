"""The SQL store as one end of a copy: rows of many keys read and replaced at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from service_event_checker.core.errors import StoreError
from service_event_checker.core.lanes import Lane, in_order
from service_event_checker.core.model import Delivery, HeldItem
from service_event_checker.stores import codec, records
from service_event_checker.stores.records import COPIED_FROM, History, LaneRecord, Others, OutcomeRow, TimelineRow
from service_event_checker.stores.sql import audit as sql_audit
from service_event_checker.stores.sql import database_file, rows, silences
from service_event_checker.stores.sql.store import CHUNK, PING, SqlStore
from service_event_checker.stores.sql.tables import (
    alerts,
    audit,
    deliveries,
    episodes,
    internal_ids,
    kept,
    lanes,
    links,
    members,
    outcomes,
    settings,
    slots,
    timeline,
)

OWN = (database_file.ID, PING, COPIED_FROM, sql_audit.LOCK)  # settings that are this store's alone
_OF_A_KEY = (alerts, episodes, internal_ids, timeline, outcomes, lanes, deliveries, links, members)

Row = dict[str, Any]
Found = dict[str, list[Any]]


class SqlSide:
    """See `records.Side`. The store must be prepared."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def identity(self) -> str:
        return self._store.setting(database_file.ID) or ""

    def keys(self) -> list[str]:
        with self._transaction() as connection:
            return sorted(connection.scalars(select(alerts.c.key)))

    def read(self, keys: Sequence[str]) -> list[History]:
        with self._transaction() as connection:
            found = {table.name: _by_key(connection, table, keys) for table in _OF_A_KEY}
        return [_history({name: rows[key] for name, rows in found.items()}) for key in keys if found["alerts"][key]]

    def others(self) -> Others:
        with self._transaction() as connection:
            pairs = connection.execute(select(settings.c.name, settings.c.value)).all()
            held = [
                HeldItem(area=row.shelf, id=row.id, source=row.source, at=codec.from_micros(row.at), doc=row.doc)
                for row in connection.execute(select(kept))
            ]
            found = [codec.load_slot(doc) for doc in connection.scalars(select(slots.c.doc))]
            made = silences.read_all(connection)
            acts = [sql_audit.load(row) for row in connection.execute(select(audit).order_by(audit.c.number))]
        return Others(
            settings={name: value for name, value in pairs if name not in OWN},
            slots={slot.name: slot for slot in found},
            held={(item.area, item.id): item for item in held},
            silences=made,
            audit=tuple(acts),
        )

    def as_stored(self, history: History) -> History:
        return history

    def write(self, histories: Sequence[History]) -> None:
        new: defaultdict[str, list[Row]] = defaultdict(list)
        for history in histories:
            for table, row in _rows(history):
                new[table.name].append(row)
        with self._transaction() as connection:
            _delete(connection, [history.key for history in histories])
            for table in _OF_A_KEY:
                _insert(connection, table, new[table.name])

    def drop(self, keys: Sequence[str]) -> None:
        with self._transaction() as connection:
            _delete(connection, keys)

    def write_others(self, wanted: Others) -> None:
        held = [
            {"shelf": item.area, "id": item.id, "source": item.source, "at": codec.micros(item.at), "doc": item.doc}
            for item in wanted.held.values()
        ]
        made = [
            {"name": slot.name, "revision": slot.revision, "doc": codec.dump_slot(slot)}
            for slot in wanted.slots.values()
        ]
        with self._transaction() as connection:
            connection.execute(delete(settings).where(settings.c.name.not_in(OWN)))
            connection.execute(delete(slots))
            connection.execute(delete(kept))
            connection.execute(delete(audit))
            _insert(connection, settings, [{"name": name, "value": text} for name, text in wanted.settings.items()])
            _insert(connection, slots, made)
            _insert(connection, kept, held)
            silences.replace_all(connection, wanted.silences.values())
            _insert(connection, audit, [sql_audit.as_columns(row) for row in wanted.audit])

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._store.engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:  # its own text holds the statement with its values
            raise StoreError(f"{type(error).__name__}: {getattr(error, 'orig', '')}") from error


def _by_key(connection: Connection, table: Table, keys: Sequence[str]) -> Found:
    found: Found = defaultdict(list)
    for start in range(0, len(keys), CHUNK):
        for row in connection.execute(select(table).where(table.c.key.in_(keys[start : start + CHUNK]))):
            found[row.key].append(row)
    return found


def _delete(connection: Connection, keys: Sequence[str]) -> None:
    for start in range(0, len(keys), CHUNK):
        for table in _OF_A_KEY:
            connection.execute(delete(table).where(table.c.key.in_(keys[start : start + CHUNK])))


def _insert(connection: Connection, table: Table, new: Sequence[Row]) -> None:
    for start in range(0, len(new), CHUNK):
        connection.execute(insert(table), new[start : start + CHUNK])


def _history(of: dict[str, list[Any]]) -> History:
    (head,) = of["alerts"]
    newest = codec.load_alert(head.doc)
    return records.history(
        newest,
        archived=head.archived,
        past=[codec.load_alert(row.doc) for row in of["episodes"]],
        ids=[(row.code, row.episode) for row in of["internal_ids"]],
        timeline=[
            TimelineRow(revision=row.revision, episode=row.episode, transitions=codec.load_transitions(row.doc))
            for row in of["timeline"]
        ],
        outcomes=[
            OutcomeRow(revision=row.revision, step=step)
            for row in of["outcomes"]
            for step in codec.load_transitions(row.doc)
        ],
        lanes=_lanes(of["lanes"], [codec.load_delivery(row.doc) for row in of["deliveries"] if not row.dead]),
        failed=[codec.load_delivery(row.doc) for row in of["deliveries"] if row.dead],
        links=[codec.load_link(row.doc) for row in of["links"]],
    )


def _lanes(found: Iterable[Any], waiting: Sequence[Delivery]) -> Iterator[LaneRecord]:
    known = {row.receiver: Lane(**row._mapping) for row in found}
    new = {one.receiver: Lane(key=one.key, receiver=one.receiver) for one in waiting}
    for receiver, lane in (new | known).items():
        queue = in_order(delivery for delivery in waiting if delivery.receiver == receiver)
        yield LaneRecord(lane=lane, waiting=tuple(queue))


def _rows(history: History) -> Iterator[tuple[Table, Row]]:
    key = history.key
    yield alerts, rows.alert_row(history.newest) | {"archived": history.archived}
    for alert in (*history.past, *([history.newest] if history.archived else [])):
        ended_at = codec.micros(alert.ended_at or alert.updated_at)
        yield episodes, {"key": key, "episode": alert.episode, "ended_at": ended_at, "doc": codec.dump_alert(alert)}
    yield from ((members, row) for row in rows.member_rows(history.newest))
    for code, episode in history.ids:
        yield internal_ids, {"code": code, "key": key, "episode": episode}
    for row in history.timeline:
        doc = codec.dump_transitions(row.transitions)
        yield timeline, {"key": key, "revision": row.revision, "episode": row.episode, "doc": doc}
    for told in history.outcomes:
        place = {"key": key, "episode": told.step.episode, "revision": told.revision, "name": told.name}
        at, doc = codec.micros(told.step.at), codec.dump_transitions((told.step,))
        yield outcomes, place | {"at": at, "doc": doc}
    for each in history.lanes:
        lane = each.lane
        place = {"key": key, "receiver": lane.receiver, "revision": lane.revision}
        yield lanes, place | {"head": lane.head, "dead_episode": lane.dead_episode}
        yield from ((deliveries, rows.delivery_row(delivery)) for delivery in each.waiting)
    for delivery in history.failed:
        yield deliveries, rows.delivery_row(delivery) | {"dead": True}
    for link in history.links:
        place = {"key": key, "episode": link.episode, "receiver": link.receiver}
        yield links, place | {"external_id": link.external_id, "doc": codec.dump_link(link)}
