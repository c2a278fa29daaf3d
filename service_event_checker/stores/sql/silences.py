"""The silences of the SQL store, with a cache. One row, read each time, says whether somebody has changed them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from service_event_checker.core.replacing import replace
from service_event_checker.core.silences import Silence
from service_event_checker.stores import codec
from service_event_checker.stores.sql import prepared
from service_event_checker.stores.sql import rows as sql_rows
from service_event_checker.stores.sql.conflicts import after_conflicts
from service_event_checker.stores.sql.driver import Driver
from service_event_checker.stores.sql.tables import revisions, silences

NAME = "silences"  # in the table of revisions
_REVISION = "SELECT revision FROM revisions WHERE name = 'silences'"  # run by the driver: it is asked often
_HIT = (
    update(silences).where(silences.c.id == bindparam("of")).values(hits=silences.c.hits + bindparam("more"))
)  # locks no alert

Transaction = Callable[[], AbstractContextManager[Connection]]


class SqlSilences:
    """See `core.roles.Silences`. `read` and `write` open a transaction and translate its errors."""

    def __init__(self, read: Transaction, write: Transaction) -> None:
        self._read, self._write = read, write
        self._known: tuple[int, Sequence[Silence]] | None = None  # replaced as a whole, so it needs no lock

    def live(self, now: datetime) -> Sequence[Silence]:
        with self._read() as connection:
            revision = connection.exec_driver_sql(_REVISION).scalar() or 0
            known = self._known
            if known is None or known[0] != revision:
                rows = connection.execute(select(silences).where(silences.c.ends_at > codec.micros(now))).all()
                known = self._known = (revision, tuple(map(_load, rows)))
        return known[1]

    def list(self, limit: int = 1000) -> Sequence[Silence]:
        wanted = select(silences).order_by(silences.c.ends_at.desc(), silences.c.id.desc()).limit(limit)
        with self._read() as connection:
            return tuple(map(_load, connection.execute(wanted).all()))

    def get(self, id: str) -> Silence | None:
        with self._read() as connection:
            row = connection.execute(select(silences).where(silences.c.id == id)).first()
        return _load(row) if row else None

    @after_conflicts
    def put(self, silence: Silence) -> Silence | None:
        stored = replace(silence, revision=silence.revision + 1)
        with self._write() as connection:
            _raise_revision(connection)  # first: its row keeps two writers apart
            wanted = select(silences.c.revision).where(silences.c.id == silence.id)
            if (connection.scalar(wanted.with_for_update()) or 0) != silence.revision:
                return None
            row = _row(stored)
            if silence.revision:
                connection.execute(update(silences).where(silences.c.id == silence.id).values(**row))
            else:
                connection.execute(insert(silences), row | {"hits": 0})
        return stored

    @after_conflicts
    def prune(self, before: datetime) -> int:
        with self._write() as connection:
            return connection.execute(delete(silences).where(silences.c.ends_at < codec.micros(before))).rowcount


def count_hits(driver: Driver, hits: Mapping[str, int]) -> None:
    """Add hits to silences, by id; one that is not stored has none."""
    if hits:
        prepared.write(driver, _HIT, ("hits",), [{"of": id, "more": more} for id, more in sorted(hits.items())])


def read_all(connection: Connection) -> dict[str, Silence]:
    return {row.id: _load(row) for row in connection.execute(select(silences))}


def replace_all(connection: Connection, wanted: Iterable[Silence]) -> None:
    """Let the table hold exactly these, as they are."""
    _raise_revision(connection)
    connection.execute(delete(silences))
    for silence in wanted:
        connection.execute(insert(silences), _row(silence) | {"hits": silence.hits})


def _raise_revision(connection: Connection) -> None:
    same = revisions.c.name == NAME
    if not connection.execute(update(revisions).where(same).values(revision=revisions.c.revision + 1)).rowcount:
        connection.execute(insert(revisions), {"name": NAME, "revision": 1})


def _row(silence: Silence) -> sql_rows.Row:
    place = {"id": silence.id, "ends_at": codec.micros(silence.ends_at), "revision": silence.revision}
    return place | {"doc": codec.dump_silence(silence)}


def _load(row: Row[tuple[str, int, int, int, str]]) -> Silence:
    return codec.load_silence(row.id, row.doc, hits=row.hits, revision=row.revision)
