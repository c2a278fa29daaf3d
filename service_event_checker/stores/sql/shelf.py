"""Statements of the SQL store about what was put aside. On an open connection, no transactions."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, or_, select

from service_event_checker.core.model import Kept
from service_event_checker.stores import codec
from service_event_checker.stores.sql import rows as sql_rows
from service_event_checker.stores.sql.tables import kept


def put(connection: Connection, things: Iterable[Kept]) -> None:
    for thing in things:
        place = {"shelf": thing.shelf, "id": thing.id}
        values = {"source": thing.source, "at": codec.micros(thing.at), "doc": thing.doc}
        sql_rows.upsert(connection, kept, place, values)


def newest(connection: Connection, shelf: str, source: str, limit: int) -> list[Kept]:
    wanted = select(kept).where(kept.c.shelf == shelf)
    if source:
        wanted = wanted.where(kept.c.source == source)
    rows = connection.execute(wanted.order_by(kept.c.at.desc(), kept.c.id.desc()).limit(limit)).mappings()
    return [Kept(**{**row, "at": codec.from_micros(row["at"])}) for row in rows]


def remove(connection: Connection, shelf: str, id: str) -> bool:
    return connection.execute(delete(kept).where(kept.c.shelf == shelf, kept.c.id == id)).rowcount > 0


def trim(connection: Connection, shelf: str, before: int, per_source: int) -> int:
    """Delete what is older than `before` (microseconds) or beyond its source's share; return how many."""
    place = func.row_number().over(partition_by=kept.c.source, order_by=(kept.c.at.desc(), kept.c.id.desc()))
    ranked = select(kept.c.id, kept.c.at, place.label("place")).where(kept.c.shelf == shelf).subquery()
    stale = select(ranked.c.id).where(or_(ranked.c.at < before, ranked.c.place > per_source))
    return connection.execute(delete(kept).where(kept.c.shelf == shelf, kept.c.id.in_(stale))).rowcount
