"""Statements of the SQL store on an open connection: one alert's write, and the lanes. No transactions here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from service_event_checker.core import lanes as lane_rules
from service_event_checker.core.ids import internal_code
from service_event_checker.core.lanes import Lane, LaneChange, over_before_sent
from service_event_checker.core.model import Alert, Delivery, Link, Transition
from service_event_checker.core.store import Conflict, Done, IdTaken, Write
from service_event_checker.core.timeline import Row
from service_event_checker.stores import codec
from service_event_checker.stores.sql import dialects
from service_event_checker.stores.sql.tables import (
    alerts,
    deliveries,
    episodes,
    internal_ids,
    lanes,
    links,
    metadata,
    timeline,
)

# Built once: making a statement costs more than SQLite needs to run it.
_INSERT = {table: insert(table) for table in metadata.tables.values()}
_ID_HOLDER = select(internal_ids).where(internal_ids.c.code == bindparam("code"))


def write_one(connection: Connection, write: Write, now: datetime) -> Done | Conflict | IdTaken:
    """Write one alert with all that belongs to it, or nothing."""
    stored = replace(write.alert, revision=write.alert.revision + 1)
    savepoint = connection.begin_nested()
    refusal = _refusal(connection, write, stored)
    if refusal is not None:
        savepoint.rollback()
        return refusal
    transitions = write.transitions + _append(connection, write, now)
    if transitions:
        doc = codec.dump_transitions(transitions)
        row = {"key": stored.key, "revision": stored.revision, "episode": stored.episode, "doc": doc}
        connection.execute(_INSERT[timeline], row)
    for link in write.links:
        put_link(connection, link)
    savepoint.commit()
    return Done(stored)


def read_lane(connection: Connection, key: str, receiver: str, *, lock: bool = False) -> tuple[Lane, list[Delivery]]:
    """Return a lane's row and its waiting deliveries; `lock` holds both until the transaction ends."""
    wanted = select(lanes).where(lanes.c.key == key, lanes.c.receiver == receiver)
    row = connection.execute(wanted.with_for_update() if lock else wanted).mappings().first()
    lane = Lane(**row) if row else Lane(key=key, receiver=receiver)
    query = select(deliveries.c.doc).where(
        deliveries.c.key == key, deliveries.c.receiver == receiver, deliveries.c.dead.is_(False)
    )
    return lane, [codec.load_delivery(doc) for doc in connection.scalars(query)]


def apply(connection: Connection, change: LaneChange) -> None:
    """Write what the lane rules decided."""
    lane = change.lane
    row: dict[str, Any] = {"key": lane.key, "receiver": lane.receiver, "revision": lane.revision}
    row |= {"head": lane.head, "dead_episode": lane.dead_episode}
    gone = [*change.drop, *(delivery.id for delivery in change.put)]
    if lane.revision == 1:
        connection.execute(_INSERT[lanes], row)
    else:
        upsert(connection, lanes, row)
        connection.execute(delete(deliveries).where(deliveries.c.id.in_(gone)))
    for delivery in change.put:
        connection.execute(_INSERT[deliveries], delivery_row(delivery))
    if change.dead:
        row = delivery_row(change.dead) | {"dead": True}
        connection.execute(update(deliveries).where(deliveries.c.id == change.dead.id).values(row))


def put_link(connection: Connection, link: Link) -> None:
    place = {"key": link.key, "episode": link.episode, "receiver": link.receiver}
    upsert(connection, links, place | {"external_id": link.external_id, "doc": codec.dump_link(link)})


def put_episode(connection: Connection, alert: Alert) -> None:
    """Keep an episode that is over, as it is now."""
    ended_at = codec.micros(alert.ended_at or alert.updated_at)
    place = {"key": alert.key, "episode": alert.episode}
    upsert(connection, episodes, place | {"ended_at": ended_at, "doc": codec.dump_alert(alert)})


def forget(connection: Connection, alert: Alert) -> None:
    """Delete an archived episode with all that belongs to it; with the newest, all that is known of its key."""
    head = and_(alerts.c.key == alert.key, alerts.c.episode == alert.episode)
    newest = connection.scalar(select(alerts.c.archived).where(head))
    if newest is not None and not newest:
        return  # it was changed meanwhile
    code = internal_code(alert.internal_id)
    connection.execute(delete(internal_ids).where(internal_ids.c.code == code, internal_ids.c.key == alert.key))
    for table in (timeline, links, deliveries, episodes):
        mine = table.c.key == alert.key if newest else and_(table.c.key == alert.key, table.c.episode == alert.episode)
        connection.execute(delete(table).where(mine))
    if newest:
        connection.execute(delete(alerts).where(head))
        connection.execute(delete(lanes).where(lanes.c.key == alert.key))


def timeline_rows(connection: Connection, key: str, episode: int) -> list[Row]:
    """Return the rows of an episode's timeline, the oldest first."""
    mine = and_(timeline.c.key == key, timeline.c.episode == episode)
    wanted = select(timeline.c.revision, timeline.c.doc).where(mine).order_by(timeline.c.revision)
    return [(revision, codec.load_transitions(doc)) for revision, doc in connection.execute(wanted)]


def rewrite_timeline(connection: Connection, key: str, changes: Mapping[int, tuple[Transition, ...]]) -> None:
    """Write other transitions into rows of a timeline, by revision; delete those that hold none."""
    for revision, transitions in changes.items():
        place = and_(timeline.c.key == key, timeline.c.revision == revision)
        doc = codec.dump_transitions(transitions)
        changed = update(timeline).where(place).values(doc=doc) if transitions else delete(timeline).where(place)
        connection.execute(changed)


def upsert(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Insert a whole row, or replace the one with its primary key."""
    connection.execute(dialects.of(connection).upsert(table), row)


def delivery_row(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "key": delivery.key,
        "receiver": delivery.receiver,
        "episode": delivery.episode,
        "dead": False,
        "severity": delivery.severity.rank,
        "due_at": codec.micros(delivery.due_at) if delivery.due_at else None,
        "lease_until": codec.micros(delivery.lease_until) if delivery.lease_until else None,
        "owner": delivery.owner,
        "created_at": codec.micros(delivery.created_at) if delivery.created_at else 0,
        "doc": codec.dump_delivery(delivery),
    }


def alert_row(alert: Alert) -> dict[str, Any]:
    return {
        "source": alert.source,
        "fingerprint": alert.fingerprint,
        "kind": alert.kind.value,
        "status": alert.status.value,
        "severity": alert.severity.rank,
        "episode": alert.episode,
        "open": alert.open,
        "withheld": bool(alert.withheld),
        "archived": False,
        "updated_at": codec.micros(alert.updated_at),
        "revision": alert.revision,
        "doc": codec.dump_alert(alert),
    }


def _refusal(connection: Connection, write: Write, stored: Alert) -> Conflict | IdTaken | None:
    """Write the alert's row and its internal id; return why that cannot be."""
    opening = any(transition.why.opens for transition in write.transitions)
    if write.alert.revision == 0:
        try:
            connection.execute(_INSERT[alerts], {"key": stored.key, **alert_row(stored)})
        except IntegrityError:
            return Conflict(stored.key)
    else:
        if opening:
            _keep_previous(connection, stored.key)
        expected = and_(alerts.c.key == stored.key, alerts.c.revision == write.alert.revision)
        if connection.execute(update(alerts).where(expected).values(**alert_row(stored))).rowcount == 0:
            return Conflict(stored.key)
    if opening and not _take_id(connection, stored):
        return IdTaken(stored.key)
    return None


def _keep_previous(connection: Connection, key: str) -> None:
    """Keep the episode that the new one follows: its last deliveries may still wait."""
    doc = connection.scalar(select(alerts.c.doc).where(alerts.c.key == key))
    if doc:
        put_episode(connection, codec.load_alert(doc))


def _take_id(connection: Connection, alert: Alert) -> bool:
    code = internal_code(alert.internal_id)
    holder = connection.execute(_ID_HOLDER, {"code": code}).mappings().first()
    if holder is None:
        connection.execute(_INSERT[internal_ids], {"code": code, "key": alert.key, "episode": alert.episode})
        return True
    return bool(holder["key"] == alert.key and holder["episode"] == alert.episode)


def _append(connection: Connection, write: Write, now: datetime) -> tuple[Transition, ...]:
    """Queue the deliveries; return a transition for each open that was over before it was sent."""
    cancelled: list[Transition] = []
    for receiver in dict.fromkeys(delivery.receiver for delivery in write.deliveries):
        new = [delivery for delivery in write.deliveries if delivery.receiver == receiver]
        lane, waiting = Lane(key=write.alert.key, receiver=receiver), list[Delivery]()
        if write.alert.revision:  # what was never written has no lanes
            lane, waiting = read_lane(connection, write.alert.key, receiver, lock=True)
        change = lane_rules.append(lane, waiting, new, now)
        apply(connection, change)
        if change.cancelled:
            cancelled.append(over_before_sent(write.alert, receiver, now))
    return tuple(cancelled)
