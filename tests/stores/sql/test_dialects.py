"""What databases differ in: real errors of SQLite, and for the others the codes and statements that they document."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, PendingRollbackError
from sqlalchemy.schema import CreateTable

from service_event_checker.core.errors import StoreError
from service_event_checker.core.store import Conflict, Done
from service_event_checker.stores.sql import dialects
from service_event_checker.stores.sql.dialects import DIALECTS, MYSQL, POSTGRESQL, SQLITE
from service_event_checker.stores.sql.store import SqlStore
from service_event_checker.stores.sql.tables import lanes, metadata, settings
from tests.factories import NOW
from tests.stores.conftest import sqlite_store
from tests.stores.steps import commit, ending, new_alert, next_episode, opened, opening


class DriverError(Exception):
    """As psycopg's, which bears the code as `sqlstate`, and PyMySQL's, whose first argument it is."""

    def __init__(self, code: object) -> None:
        super().__init__(code, "what the server said")
        self.sqlstate = code


def wrapped(code: object) -> DBAPIError:
    return OperationalError("UPDATE alerts", {}, DriverError(code))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "checker.db"


def test_a_snapshot_that_went_stale_is_a_conflict(file: Path) -> None:
    sqlite_store(file).close()
    deferred = create_engine(f"sqlite:///{file}", isolation_level="SERIALIZABLE")
    with deferred.connect() as stale, closing(sqlite3.connect(file)) as other:
        stale.exec_driver_sql("BEGIN")
        stale.execute(text("SELECT count(*) FROM settings")).all()
        other.execute("INSERT INTO settings VALUES ('a', 'b')")
        other.commit()
        with pytest.raises(OperationalError) as raised:
            stale.execute(text("INSERT INTO settings VALUES ('c', 'd')"))

    assert SQLITE.is_conflict(raised.value)
    deferred.dispose()


def test_a_lock_that_is_not_given_back_and_a_broken_statement_are_no_conflicts(file: Path) -> None:
    sqlite_store(file).close()
    impatient = create_engine(f"sqlite:///{file}", connect_args={"timeout": 0})
    with impatient.connect() as waiting, closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for statement in ("INSERT INTO settings VALUES ('c', 'd')", "SELECT nothing FROM settings"):
            with pytest.raises(OperationalError) as raised:
                waiting.execute(text(statement))
            assert not SQLITE.is_conflict(raised.value)

    assert not SQLITE.is_conflict(PendingRollbackError("has no error of a driver"))
    impatient.dispose()


@pytest.mark.parametrize(
    ("dialect", "code", "conflict"),
    [
        (POSTGRESQL, "40001", True),
        (POSTGRESQL, "40P01", True),
        (POSTGRESQL, "55P03", False),  # lock_not_available: it is locked for too long
        (POSTGRESQL, None, False),
        (MYSQL, 1213, True),
        (MYSQL, 1020, True),
        (MYSQL, 1205, False),  # ER_LOCK_WAIT_TIMEOUT
        (MYSQL, 2006, False),  # the server has gone away
    ],
)
def test_a_deadlock_is_a_conflict_and_a_time_out_is_none(
    dialect: dialects.Dialect, code: object, conflict: bool
) -> None:
    assert dialect.is_conflict(wrapped(code)) is conflict


@pytest.fixture
def deferring(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlStore]:
    """A store whose transactions begin without a lock, as those of other databases do."""
    monkeypatch.setitem(DIALECTS, "sqlite", replace(SQLITE, begin=lambda connection, _: connection.execute("BEGIN")))
    made = sqlite_store(file)
    yield made
    made.close()


def test_a_commit_that_the_database_rolled_back_for_another_is_decided_anew(deferring: SqlStore, file: Path) -> None:
    over = commit(deferring, ending(opened(deferring)))
    another = _each_time(deferring, "INSERT INTO lanes", file, times=2)  # at the second look too
    writes = [opening(next_episode(over)), opening(new_alert("two"))]

    assert deferring.commit(writes, NOW) == [Conflict(write.alert.key) for write in writes]
    assert another == ["committed", "committed"]
    assert deferring.get([write.alert.key for write in writes]) == {over.key: over}

    assert [type(result) for result in deferring.commit(writes, NOW)] == [Done, Done]


def _each_time(store: SqlStore, before: str, file: Path, *, times: int) -> list[str]:
    """Let somebody else commit just before each of the next statements that begin so."""
    done: list[str] = []

    def act(statement: str) -> None:
        if statement.startswith(before) and len(done) < times:
            with closing(sqlite3.connect(file)) as other:
                other.execute("INSERT INTO settings VALUES (?, '')", (f"another {len(done)}",))
                other.commit()
            done.append("committed")

    event.listen(store.engine, "checkout", lambda driver, *_: driver.set_trace_callback(act))
    return done


def test_an_upsert_replaces_all_but_the_key(file: Path) -> None:
    store = sqlite_store(file)
    place = {"key": "k", "receiver": "slack"}
    with store.engine.begin() as connection:
        for number in (1, 2):
            row = {**place, "revision": number, "head": str(number), "dead_episode": number}
            connection.execute(dialects.of(connection).upsert(lanes), row)
        assert connection.execute(lanes.select()).all() == [("k", "slack", 2, "2", 2)]
    store.close()


def test_the_others_get_an_upsert_of_their_own() -> None:
    of_postgresql = str(POSTGRESQL.upsert(settings).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    of_mysql = str(MYSQL.upsert(settings).compile(dialect=mysql.dialect()))  # type: ignore[no-untyped-call]

    assert "ON CONFLICT (name) DO UPDATE SET value = excluded.value" in of_postgresql
    assert "ON DUPLICATE KEY UPDATE value = " in of_mysql


@pytest.mark.parametrize(("dialect", "type"), [(mysql, "MEDIUMTEXT"), (postgresql, "TEXT")])
def test_documents_have_room(dialect: Any, type: str) -> None:
    for table in (metadata.tables["alerts"], metadata.tables["timeline"], metadata.tables["kept"]):
        assert f"doc {type} NOT NULL" in str(CreateTable(table).compile(dialect=dialect.dialect()))


def test_the_lock_for_migrations_is_given_back_though_one_fails(file: Path) -> None:
    store = sqlite_store(file)
    locking = replace(SQLITE, lock="CREATE TABLE locked (a)", unlock="DROP TABLE locked")
    with store.engine.begin() as connection:
        with pytest.raises(OperationalError, match="locked already exists"), locking.migrating(connection):
            connection.execute(text("CREATE TABLE locked (a)"))
        with pytest.raises(OperationalError, match="no such table"):
            connection.execute(text("SELECT * FROM locked"))
    store.close()


def test_a_server_gets_a_bounded_pool_and_sqlite_one_whose_readers_never_wait() -> None:
    assert [one.engine["max_overflow"] for one in (SQLITE, POSTGRESQL, MYSQL)] == [-1, 0, 0]


@pytest.mark.parametrize(("url", "folder"), [("sqlite://", None), ("sqlite:///:memory:", None), ("mysql://h/d", None)])
def test_only_a_file_has_a_folder(url: str, folder: None) -> None:
    assert dialects.folder_of(make_url(url)) is folder
    assert dialects.folder_of(make_url("sqlite:////srv/store.db")) == Path("/srv")


def test_an_unknown_database_is_named() -> None:
    with pytest.raises(StoreError, match="oracle is not a known database"):
        dialects.make_engine(make_url("oracle://host/name"))
