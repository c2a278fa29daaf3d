"""Every difference between the databases of the SQL store: SQLite, PostgreSQL, MySQL and MariaDB.

The modules beside this one ask here and name no database; `address` reads how people write them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, Text, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.sql.dml import Insert

from service_event_checker.core.errors import StoreError
from service_event_checker.stores.sql.driver import Driver

BUSY_SECONDS = 5  # a store that is locked longer counts as away
CONNECTIONS = 16
CONNECTIONS_OF_SERVER = 8  # for writers, and as many for readers
NAP = 0.001  # seconds between two tries to begin
_PATIENCE = "patience"  # in a connection's `info`
LARGE_TEXT = Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")  # TEXT ends at 64 KiB there


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What is particular to one database.

    `engine`: arguments of `create_engine`. `begin` begins a transaction on the driver's connection, where one writer
    at a time is let in, and waits so many seconds for that; without it the driver begins. `code` reads the database's
    own code from its driver's error, and `conflicts` are the codes of a transaction that was rolled back in favour of
    another one. `upsert` makes the statement that inserts a row or replaces all of it but its primary key. `lock` and
    `unlock` keep other processes from a migration. `ddl_commits`: a migration that was cut leaves the statements before
    the cut done.
    """

    engine: Mapping[str, Any]
    code: Callable[[Any], object]
    conflicts: frozenset[object]
    upsert: Callable[[Table], Insert]
    on_connect: Callable[[Any], None] | None = None
    on_writers_connect: Callable[[Any], None] | None = None
    begin: Callable[[Any, float], None] | None = None
    lock: str = ""
    unlock: str = ""
    ddl_commits: bool = False

    def is_conflict(self, error: SQLAlchemyError) -> bool:
        """Whether to decide anew and try again, since the database itself is well.

        A row that is there already was made by another transaction after we had looked.
        """
        if isinstance(error, IntegrityError):
            return True
        cause = getattr(error, "orig", None)
        return cause is not None and self.code(cause) in self.conflicts

    @contextmanager
    def migrating(self, connection: Connection) -> Iterator[None]:
        """Hold the lock for migrations, where a transaction does not keep others away by itself."""
        if self.lock:
            connection.exec_driver_sql(self.lock)
        try:
            yield
        finally:
            if self.unlock:
                connection.exec_driver_sql(self.unlock)


def of(connection: Connection | Engine | Driver) -> Dialect:
    return _named(connection.dialect.name)


def make_engine(address: URL) -> Engine:
    """Return an engine that is set up for its database; connects to nothing. Raises StoreError for an unknown one."""
    dialect = _named(address.get_backend_name())
    engine = create_engine(address, **dialect.engine)
    prepare = dialect.on_writers_connect or dialect.on_connect
    if prepare:
        event.listen(engine, "connect", lambda connection, _record: prepare(connection))
    if dialect.begin:
        begin = dialect.begin
        event.listen(engine, "begin", lambda connection: _begin(connection, begin))
    return engine


def make_reader(address: URL, writer: Engine) -> Engine:
    """Return the engine for what is read outside of transactions.

    It has connections of its own. SQLite's writer so keeps one to itself: pages that another connection has written
    leave its cache. A database in memory belongs to the one connection that it has.
    """
    dialect = _named(address.get_backend_name())
    if dialect.begin and folder_of(address) is None:
        return writer.execution_options(isolation_level="AUTOCOMMIT")
    reader = create_engine(address, **{**dialect.engine, "isolation_level": "AUTOCOMMIT"})
    if dialect.on_connect:
        prepare = dialect.on_connect
        event.listen(reader, "connect", lambda connection, _record: prepare(connection))
    return reader


def folder_of(address: URL) -> Path | None:
    """Return where a database that is a file lies; None for one in memory or behind a server."""
    if address.get_backend_name() != "sqlite" or address.database in (None, "", ":memory:"):
        return None
    return Path(str(address.database)).resolve().parent


def wait_at_most(connection: Connection, seconds: float) -> None:
    """Have the next transaction of this connection wait no longer for other writers."""
    connection.info[_PATIENCE] = seconds


def _named(name: str) -> Dialect:
    if name not in DIALECTS:
        raise StoreError(f"{name} is not a known database")
    return DIALECTS[name]


def _begin(connection: Connection, begin: Callable[[Any, float], None]) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        begin(connection.connection.dbapi_connection, connection.info.pop(_PATIENCE, BUSY_SECONDS))


def _begin_sqlite(connection: Any, patience: float) -> None:
    """Begin to write; what the transaction has read cannot go stale then.

    SQLite's own waiting naps up to 100 ms at a time, and the other process is served again meanwhile.
    """
    until = monotonic() + patience
    while not _begun(connection, last=monotonic() >= until):
        sleep(NAP)


def _begun(connection: Any, *, last: bool) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if last or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:  # of a kind or another
            raise OperationalError("BEGIN IMMEDIATE", {}, error) from error
        return False
    return True


def _prepare_sqlite(connection: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_sqlites_writer(connection: Any) -> None:
    """Prepare a connection that is kept for writing; it waits for others in `_begin_sqlite`."""
    _prepare_sqlite(connection)
    for pragma in ("cache_size=-16000", "wal_autocheckpoint=4000", "busy_timeout=0"):
        connection.execute(f"PRAGMA {pragma}")


# Made once for each table: making a statement costs more than SQLite needs to run it.
@cache
def _sqlite_upsert(table: Table) -> Insert:
    return _on_conflict(sqlite.insert(table), table)


@cache
def _postgresql_upsert(table: Table) -> Insert:
    from sqlalchemy.dialects import postgresql  # takes 70 ms

    return _on_conflict(postgresql.insert(table), table)


@cache
def _mysql_upsert(table: Table) -> Insert:
    from sqlalchemy.dialects import mysql

    statement = mysql.insert(table)
    return statement.on_duplicate_key_update({name: statement.inserted[name] for name in _content(table)})


def _on_conflict(statement: Any, table: Table) -> Insert:
    place = [column.name for column in table.primary_key]
    content = {name: statement.excluded[name] for name in _content(table)}
    made: Insert = statement.on_conflict_do_update(index_elements=place, set_=content)
    return made


def _content(table: Table) -> list[str]:
    return [column.name for column in table.columns if not column.primary_key]


SQLITE = Dialect(
    # No ceiling: a caller that waits for the lock must not keep readers, who need none, from a connection.
    engine={
        "pool_size": CONNECTIONS,
        "max_overflow": -1,
        "pool_use_lifo": True,  # whose pages are in its cache
        "connect_args": {"timeout": BUSY_SECONDS},
    },
    on_connect=_prepare_sqlite,
    on_writers_connect=_prepare_sqlites_writer,
    begin=_begin_sqlite,
    code=lambda error: getattr(error, "sqlite_errorname", None),
    conflicts=frozenset({"SQLITE_BUSY_SNAPSHOT"}),  # https://www.sqlite.org/rescode.html#busy_snapshot
    upsert=_sqlite_upsert,
)
_BOUNDED = {"pool_size": CONNECTIONS_OF_SERVER, "max_overflow": 0, "pool_timeout": BUSY_SECONDS}
POSTGRESQL = Dialect(
    engine={
        **_BOUNDED,
        "connect_args": {
            "connect_timeout": BUSY_SECONDS,
            "tcp_user_timeout": BUSY_SECONDS * 1000,  # of a server whose machine or network is gone
            "options": f"-c lock_timeout={BUSY_SECONDS}s -c statement_timeout={3 * BUSY_SECONDS}s",
        },
    },
    code=lambda error: getattr(error, "sqlstate", None),
    # serialization_failure, deadlock_detected: https://www.postgresql.org/docs/current/errcodes-appendix.html
    conflicts=frozenset({"40001", "40P01"}),
    upsert=_postgresql_upsert,
    lock="SELECT pg_advisory_xact_lock(731455)",  # until the transaction ends
)
MYSQL = Dialect(
    engine={
        **_BOUNDED,
        "isolation_level": "READ COMMITTED",  # what a transaction reads is what it would lock, and gaps stay free
        "pool_pre_ping": True,  # the server ends idle connections
        "connect_args": {
            "connect_timeout": BUSY_SECONDS,
            "read_timeout": 3 * BUSY_SECONDS,
            "write_timeout": 3 * BUSY_SECONDS,
            "init_command": f"SET SESSION innodb_lock_wait_timeout={BUSY_SECONDS}",
        },
    },
    code=lambda error: error.args[0] if error.args else None,
    # ER_LOCK_DEADLOCK, and MariaDB's ER_CHECKREAD: https://mariadb.com/docs/server/reference/error-codes
    conflicts=frozenset({1213, 1020}),
    upsert=_mysql_upsert,
    lock="SELECT GET_LOCK('platform_outage_checker_schema', 3600)",  # of the connection: a DDL statement commits
    unlock="SELECT RELEASE_LOCK('platform_outage_checker_schema')",
    ddl_commits=True,
)
DIALECTS = {"sqlite": SQLITE, "postgresql": POSTGRESQL, "mysql": MYSQL, "mariadb": MYSQL}
