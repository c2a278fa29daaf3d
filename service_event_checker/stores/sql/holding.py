"""The holding area of the SQL store: what was put aside, in the table `kept`; its column `shelf` is the area."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, or_, select

from service_event_checker.core.model import HeldItem
from service_event_checker.stores import codec
from service_event_checker.stores.sql import rows as sql_rows
from service_event_checker.stores.sql.conflicts import after_conflicts
from service_event_checker.stores.sql.tables import kept

Transaction = Callable[[], AbstractContextManager[Connection]]


class SqlHoldingArea:
    """See `core.roles.HoldingArea`. `read` and `write` open a transaction and translate its errors."""

    def __init__(self, read: Transaction, write: Transaction) -> None:
        self._read, self._write = read, write

    @after_conflicts
    def put(self, items: Iterable[HeldItem]) -> None:
        with self._write() as connection:
            for item in items:
                sql_rows.upsert(connection, kept, _row(item))

    @after_conflicts
    def add(self, item: HeldItem) -> bool:
        with self._write() as connection:
            wanted = select(kept.c.doc).where(kept.c.shelf == item.area, kept.c.id == item.id)
            held = connection.scalar(wanted)
            if held is None:  # by an insert, which fails where somebody else was faster
                connection.execute(insert(kept), _row(item))
        return held in (None, item.doc)

    def list(self, area: str, *, source: str = "", limit: int = 200) -> Sequence[HeldItem]:
        wanted = select(kept).where(kept.c.shelf == area)
        if source:
            wanted = wanted.where(kept.c.source == source)
        newest = wanted.order_by(kept.c.at.desc(), kept.c.id.desc()).limit(limit)
        with self._read() as connection:
            rows = connection.execute(newest).all()
        return [
            HeldItem(area=area, id=row.id, source=row.source, at=codec.from_micros(row.at), doc=row.doc) for row in rows
        ]

    @after_conflicts
    def remove(self, area: str, id: str) -> bool:
        with self._write() as connection:
            return connection.execute(delete(kept).where(kept.c.shelf == area, kept.c.id == id)).rowcount > 0

    @after_conflicts
    def prune(self, area: str, *, before: datetime, per_source: int) -> int:
        place = func.row_number().over(partition_by=kept.c.source, order_by=(kept.c.at.desc(), kept.c.id.desc()))
        ranked = select(kept.c.id, kept.c.at, place.label("place")).where(kept.c.shelf == area).subquery()
        stale = select(ranked.c.id).where(or_(ranked.c.at < codec.micros(before), ranked.c.place > per_source))
        with self._write() as connection:
            return connection.execute(delete(kept).where(kept.c.shelf == area, kept.c.id.in_(stale))).rowcount


def _row(item: HeldItem) -> sql_rows.Row:
    place = {"shelf": item.area, "id": item.id, "source": item.source, "at": codec.micros(item.at)}
    return place | {"doc": item.doc}
