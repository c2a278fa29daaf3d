"""Statements of the SQL store about deliveries: what is due, claimed, held. On an open connection, no transactions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, or_, select, update

from service_event_checker.core.errors import LeaseLost, StoreError
from service_event_checker.core.model import RANKS, Alert, Delivery
from service_event_checker.core.store import Claimed
from service_event_checker.stores import codec
from service_event_checker.stores.sql import rows
from service_event_checker.stores.sql.tables import alerts, deliveries, episodes, links

# Rank by rank, so that the index gives the order however much waits.
DUE = (
    select(deliveries.c.doc)
    .where(
        deliveries.c.receiver == bindparam("receiver"),
        deliveries.c.dead.is_(False),
        deliveries.c.severity == bindparam("severity"),
        deliveries.c.due_at <= bindparam("at"),
        or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= bindparam("at")),
    )
    .order_by(deliveries.c.due_at)
    .limit(bindparam("most"))
)
DUE_LOCKED = DUE.with_for_update(skip_locked=True)
OLD_LOCKED = DUE_LOCKED.where(deliveries.c.created_at <= bindparam("before"))


def due(connection: Connection, values: dict[str, Any], limit: int, wanted: Select[Any] = DUE) -> list[str]:
    """Return the documents of due deliveries, in the order of claims."""
    found: list[str] = []
    for rank in RANKS:
        if len(found) < limit:
            most = {"severity": rank, "most": limit - len(found)}
            found += connection.scalars(wanted, values | most)
    return found


def claimed(connection: Connection, delivery: Delivery) -> Claimed:
    alert = episode_of(connection, delivery.key, delivery.episode)
    if alert is None:  # the head is written in the same transaction as its deliveries
        raise StoreError(f"delivery {delivery.id} has no alert")
    wanted = select(links.c.doc).where(links.c.key == delivery.key, links.c.receiver == delivery.receiver)
    found = [codec.load_link(doc) for doc in connection.scalars(wanted.order_by(links.c.episode))]
    return Claimed(delivery=delivery, alert=alert, links=tuple(found))


def held(connection: Connection, delivery: Delivery) -> Delivery:
    """Return the row of a delivery that its owner still holds."""
    mine = and_(deliveries.c.id == delivery.id, deliveries.c.owner == delivery.owner, deliveries.c.dead.is_(False))
    doc = connection.scalar(select(deliveries.c.doc).where(mine).with_for_update())
    if doc is None or not delivery.owner:
        raise LeaseLost(f"delivery {delivery.id} is not ours any more")
    return codec.load_delivery(doc)


def put(connection: Connection, delivery: Delivery) -> None:
    connection.execute(update(deliveries).where(deliveries.c.id == delivery.id).values(**rows.delivery_row(delivery)))


def episode_of(connection: Connection, key: str, episode: int) -> Alert | None:
    """Return one episode of a key: the newest from its head, an older one from those kept."""
    doc = connection.scalar(select(alerts.c.doc).where(alerts.c.key == key, alerts.c.episode == episode))
    if doc is None:
        doc = connection.scalar(select(episodes.c.doc).where(episodes.c.key == key, episodes.c.episode == episode))
    return codec.load_alert(doc) if doc else None
