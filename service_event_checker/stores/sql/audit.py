"""The audit of the SQL store: the table `audit`. Writers of all processes append one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from service_event_checker.core.audit import Anchor, AuditRow, chained
from service_event_checker.stores import codec
from service_event_checker.stores.sql.conflicts import after_conflicts
from service_event_checker.stores.sql.holding import Transaction
from service_event_checker.stores.sql.tables import audit, settings

LOCK = "audit_lock"  # the setting whose row a writer locks, where a database lets several write


class SqlAudit:
    """See `core.roles.Audit`. `read` and `write` open a transaction and translate its errors."""

    def __init__(self, read: Transaction, write: Transaction) -> None:
        self._read, self._write = read, write

    @after_conflicts
    def append(self, actor: str, what: Mapping[str, Any], now: datetime) -> AuditRow:
        with self._write() as connection:
            _lock(connection)
            row = chained(_head(connection), actor, what, now)
            connection.execute(insert(audit), as_columns(row))
        return row

    def list(self, *, after: int = 0, limit: int = 200) -> Sequence[AuditRow]:
        wanted = select(audit).where(audit.c.number > after).order_by(audit.c.number).limit(limit)
        with self._read() as connection:
            return [load(row) for row in connection.execute(wanted)]

    def head(self) -> Anchor | None:
        with self._read() as connection:
            return _head(connection)

    @after_conflicts
    def drop(self, through: int) -> None:
        with self._write() as connection:
            connection.execute(delete(audit).where(audit.c.number <= through))


def as_columns(row: AuditRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "at": codec.micros(row.at),
        "actor": row.actor,
        "what": row.what,
        "previous": row.previous,
        "hash": row.hash,
    }


def load(row: Any) -> AuditRow:
    columns = dict(row._mapping)
    return AuditRow(**columns | {"at": codec.from_micros_clamped(row.at)})


def _lock(connection: Connection) -> None:
    """Wait for other writers. Where the row is missing, one of those who insert it wins, the others come again."""
    wanted = select(settings.c.name).where(settings.c.name == LOCK).with_for_update()
    if connection.scalar(wanted) is None:
        connection.execute(insert(settings).values(name=LOCK, value=""))


def _head(connection: Connection) -> Anchor | None:
    last = select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)
    found = connection.execute(last).first()
    return Anchor(found.number, found.hash) if found else None
