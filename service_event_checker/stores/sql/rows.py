"""The rows of the SQL store: what values become in columns, and the statements that write many at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, delete, insert, select, update

from service_event_checker.core.ids import internal_code
from service_event_checker.core.lanes import Lane, LaneChange
from service_event_checker.core.model import Alert, Delivery, Link, Transition
from service_event_checker.core.timeline import Row as TimelineRow
from service_event_checker.core.timeline import outcome_place
from service_event_checker.core.vocabulary import Status
from service_event_checker.stores import codec
from service_event_checker.stores.sql import dialects, driver, prepared
from service_event_checker.stores.sql.driver import Driver
from service_event_checker.stores.sql.tables import (
    alerts,
    deliveries,
    episodes,
    internal_ids,
    lanes,
    links,
    members,
    metadata,
    outcomes,
    timeline,
)

# Built once: making a statement costs more than SQLite needs to run it.
_NEW_ALERTS, _NEW_IDS, _NEW_STEPS = insert(alerts), insert(internal_ids), insert(timeline)
_NEW_MEMBERS = insert(members)
_NO_MEMBERS = delete(members).where(members.c.key == bindparam("of_key"))
_CHANGED_ALERTS = (
    update(alerts)
    .where(alerts.c.key == bindparam("of_key"))
    .values({column.name: bindparam(column.name) for column in alerts.columns if not column.primary_key})
)
_COLUMNS = {table: tuple(table.columns.keys()) for table in metadata.tables.values()}
_DROPPED = delete(deliveries).where(deliveries.c.id == bindparam("of_id"))

Row = dict[str, Any]


@dataclass(slots=True)
class Rows:
    """Collects the rows of a transaction, then writes them table by table. Known alerts are locked by the caller."""

    new_alerts: list[Row] = field(default_factory=list)
    alerts: list[Row] = field(default_factory=list)
    ids: list[Row] = field(default_factory=list)
    episodes: list[Row] = field(default_factory=list)
    steps: list[Row] = field(default_factory=list)
    lanes: list[Row] = field(default_factory=list)
    deliveries: list[Row] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    links: list[Row] = field(default_factory=list)
    outcomes: list[Row] = field(default_factory=list)
    grouped: list[str] = field(default_factory=list)
    members: list[Row] = field(default_factory=list)

    def add_membership(self, alert: Alert) -> None:
        """Have an alert counted in its groups as it is now, and no longer in those that it has left."""
        if alert.revision > 1:  # one that is new is a member of none
            self.grouped.append(alert.key)
        self.members += member_rows(alert)

    def add_alert(self, row: Row, *, new: bool) -> None:
        if new:
            self.new_alerts.append(row)
        else:
            self.alerts.append({**row, "of_key": row["key"]})

    def add_id(self, code: str, alert: Alert) -> None:
        self.ids.append({"code": code, "key": alert.key, "episode": alert.episode})

    def add_episode(self, alert: Alert) -> None:
        """Keep an episode that is over, as it is now."""
        ended_at = codec.micros(alert.ended_at or alert.updated_at)
        place = {"key": alert.key, "episode": alert.episode}
        self.episodes.append(place | {"ended_at": ended_at, "doc": codec.dump_alert(alert)})

    def add_transitions(self, alert: Alert, transitions: tuple[Transition, ...]) -> None:
        if transitions:
            place = {"key": alert.key, "revision": alert.revision, "episode": alert.episode}
            self.steps.append(place | {"doc": codec.dump_transitions(transitions)})

    def add_lane(self, change: LaneChange) -> None:
        """Take over what the lane rules decided."""
        lane = change.lane
        row = {"key": lane.key, "receiver": lane.receiver, "revision": lane.revision}
        self.lanes.append(row | {"head": lane.head, "dead_episode": lane.dead_episode})
        self.dropped += change.drop
        self.deliveries += [delivery_row(delivery) for delivery in change.put]
        if change.dead:
            self.deliveries.append(delivery_row(change.dead) | {"dead": True})

    def add_link(self, link: Link) -> None:
        place = {"key": link.key, "episode": link.episode, "receiver": link.receiver}
        self.links.append(place | {"external_id": link.external_id, "doc": codec.dump_link(link)})

    def add_outcome(self, delivery: Delivery, step: Transition) -> None:
        revision, name = outcome_place(step, delivery.revision)
        place = {"key": delivery.key, "episode": delivery.episode, "revision": revision, "name": name}
        self.outcomes.append(place | {"at": codec.micros(step.at), "doc": codec.dump_transitions((step,))})

    def write(self, given: Driver) -> None:
        upsert = dialects.of(given).upsert
        if self.grouped:
            prepared.write(given, _NO_MEMBERS, ("of_key",), [{"of_key": key} for key in sorted(self.grouped)])
        if self.dropped:
            prepared.write(given, _DROPPED, ("of_id",), [{"of_id": id} for id in self.dropped])
        for table, statement, rows in (
            (lanes, upsert(lanes), self.lanes),
            (alerts, _NEW_ALERTS, self.new_alerts),
            (alerts, _CHANGED_ALERTS, self.alerts),
            (members, _NEW_MEMBERS, self.members),
            (internal_ids, _NEW_IDS, self.ids),
            (episodes, upsert(episodes), self.episodes),
            (timeline, _NEW_STEPS, self.steps),
            (deliveries, upsert(deliveries), self.deliveries),
            (links, upsert(links), self.links),
            (outcomes, upsert(outcomes), self.outcomes),
        ):
            if rows:
                prepared.write(given, statement, _COLUMNS[table], sorted(rows, key=_place))


def _place(row: Row) -> tuple[str, str]:
    """Return what rows are written in the order of, so that two writers never wait for each other in a circle."""
    return (row.get("key") or row["of_key"], row.get("receiver", ""))


def read_lane(connection: Connection, key: str, receiver: str) -> tuple[Lane, list[Delivery]]:
    """Return a lane's row and its waiting deliveries, all locked until the transaction ends."""
    wanted = select(lanes).where(lanes.c.key == key, lanes.c.receiver == receiver)
    row = connection.execute(wanted.with_for_update()).mappings().first()
    lane = Lane(**row) if row else Lane(key=key, receiver=receiver)
    query = select(deliveries.c.doc).where(
        deliveries.c.key == key, deliveries.c.receiver == receiver, deliveries.c.dead.is_(False)
    )
    return lane, [codec.load_delivery(doc) for doc in connection.scalars(query.with_for_update())]


def apply(
    connection: Connection,
    change: LaneChange,
    link: Link | None = None,
    told: tuple[Delivery, Transition] | None = None,
) -> None:
    """Write what the lane rules decided, the link that a delivery has made, and its row of the timeline."""
    rows = Rows()
    rows.add_lane(change)
    if link:
        rows.add_link(link)
    if told:
        rows.add_outcome(*told)
    rows.write(driver.of(connection))


def archive(connection: Connection, alert: Alert) -> None:
    """Copy an alert to its past episodes, if it still is what was read."""
    same = and_(alerts.c.key == alert.key, alerts.c.revision == alert.revision)
    if connection.execute(update(alerts).where(same).values(archived=True)).rowcount:
        rows = Rows()
        rows.add_episode(alert)
        rows.write(driver.of(connection))


def forget(connection: Connection, alert: Alert) -> None:
    """Delete an archived episode with all that belongs to it; with the newest, all that is known of its key.

    It stays where a delivery waits again: a person has sent it again after the episode was found to be old.
    """
    connection.execute(select(lanes.c.key).where(lanes.c.key == alert.key).with_for_update())  # who requeues does so
    head = and_(alerts.c.key == alert.key, alerts.c.episode == alert.episode)
    newest = connection.scalar(select(alerts.c.archived).where(head).with_for_update())
    if newest is not None and not newest:
        return  # it was changed meanwhile
    mine = and_(deliveries.c.key == alert.key, deliveries.c.episode == alert.episode, deliveries.c.dead.is_(False))
    if connection.scalar(select(deliveries.c.id).where(mine).limit(1)):
        return
    code = internal_code(alert.internal_id)
    connection.execute(delete(internal_ids).where(internal_ids.c.code == code, internal_ids.c.key == alert.key))
    for table in (timeline, outcomes, links, deliveries, episodes):
        mine = table.c.key == alert.key if newest else and_(table.c.key == alert.key, table.c.episode == alert.episode)
        connection.execute(delete(table).where(mine))
    if newest:
        connection.execute(delete(alerts).where(head))
        connection.execute(delete(lanes).where(lanes.c.key == alert.key))


def timeline_rows(connection: Connection, key: str, episode: int) -> list[TimelineRow]:
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


def upsert(connection: Connection, table: Table, row: Row) -> None:
    """Insert a whole row, or replace the one with its primary key."""
    connection.execute(dialects.of(connection).upsert(table), row)


def delivery_row(delivery: Delivery) -> Row:
    return {
        "id": delivery.id,
        "key": delivery.key,
        "receiver": delivery.receiver,
        "episode": delivery.episode,
        "dead": False,
        "severity": delivery.rank,
        "due_at": codec.micros(delivery.due_at) if delivery.due_at else None,
        "lease_until": codec.micros(delivery.lease_until) if delivery.lease_until else None,
        "owner": delivery.owner,
        "created_at": codec.micros(delivery.created_at) if delivery.created_at else 0,
        "doc": codec.dump_delivery(delivery),
    }


def member_rows(alert: Alert) -> list[Row]:
    """Return the rows by which an alert counts in the groups that it is an open member of."""
    counted = {
        "key": alert.key,
        "severity": alert.severity.rank,
        "firing": alert.status is Status.FIRING,
        "opened_at": codec.micros(alert.opened_at),
        "updated_at": codec.micros(alert.updated_at),
    }
    return [{"group_key": group, **counted} for group in alert.memberships]


def alert_row(alert: Alert) -> Row:
    return {
        "key": alert.key,
        "source": alert.source,
        "fingerprint": alert.fingerprint,
        "kind": alert.kind.value,
        "status": alert.status.value,
        "severity": alert.severity.rank,
        "episode": alert.episode,
        "open": alert.open,
        "withheld": alert.waits,
        "archived": False,
        "updated_at": codec.micros(alert.updated_at),
        "revision": alert.revision,
        "doc": codec.dump_alert(alert),
    }
