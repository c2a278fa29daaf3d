"""What only a database behind a server does: it goes away and comes back, and it rolls one of two writers back."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from sqlalchemy import bindparam, inspect, update
from sqlalchemy.exc import DBAPIError

from service_event_checker.core.errors import StoreError
from service_event_checker.core.store import Conflict, Done, Settled, Write
from service_event_checker.core.vocabulary import Verb
from service_event_checker.stores.sql.address import database_address
from service_event_checker.stores.sql.schema import upgrade
from service_event_checker.stores.sql.store import WRITTEN_AT_ONCE, SqlStore
from service_event_checker.stores.sql.tables import alerts, metadata
from tests.conftest import require
from tests.factories import NOW
from tests.real.databases import Database, MariaDB, PostgreSQL
from tests.real.parts import MARIADB, POSTGRESQL
from tests.real.redmine_folder import private_folder
from tests.stores.steps import at_once, commit, ending, new_alert, next_episode, opened, opening, pay

SERVERS = {"postgresql": (POSTGRESQL, PostgreSQL), "mariadb": (MARIADB, MariaDB)}


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def empty(kind: str, request: pytest.FixtureRequest) -> Iterator[SqlStore]:
    """A store on a database without tables."""
    made = SqlStore(database_address(request.getfixturevalue(kind).new_database()))
    yield made
    made.close()


@pytest.fixture
def breakable(kind: str) -> Iterator[Database]:
    part, server = SERVERS[kind]
    require(part)
    with private_folder(f"{kind}-") as folder:
        made: Database = server(folder)
        made.start()
        yield made
        made.kill()


def test_a_server_that_dies_is_away_and_what_it_acknowledged_is_there_when_it_is_back(breakable: Database) -> None:
    store = SqlStore(database_address(breakable.new_database()))
    store.prepare()
    alert = opened(store)
    breakable.kill()

    for call in (store.ping, lambda: store.get([alert.key]), lambda: store.commit([opening(new_alert("two"))], NOW)):
        with pytest.raises(StoreError):
            call()

    breakable.start()
    with suppress(StoreError):  # a connection from before may be found broken once
        store.ping()
    assert store.get([alert.key]) == {alert.key: alert}
    assert isinstance(store.commit([ending(alert)], NOW)[0], Done)
    assert pay(store, Settled()) == [Verb.OPEN, Verb.CLOSE]
    store.close()


def test_after_a_restart_of_the_server_one_message_fails_and_not_one_for_each_connection(breakable: Database) -> None:
    store = SqlStore(database_address(breakable.new_database()))
    store.prepare()
    with ExitStack() as stack:  # at once, so that each has a connection of its own
        for engine in (store.engine, store.reader) * 4:
            stack.enter_context(engine.connect())
    breakable.kill()
    breakable.start()

    failed = 0
    for number in range(8):
        try:
            commit(store, opening(new_alert(f"{number}")))
        except StoreError:
            failed += 1
        try:
            store.get([f"{number}"])
        except StoreError:
            failed += 1

    assert failed <= 2  # the first write and the first read
    store.close()


def test_writers_that_lock_each_others_alerts_in_any_order_are_told_of_conflicts_not_of_an_outage(
    empty: SqlStore,
) -> None:
    empty.prepare()
    known = [opened(empty, f"n{number}") for number in range(6)]

    def change(turn: int) -> list[Done | Conflict]:
        now = empty.get([alert.key for alert in known])
        writes = [Write(alert=each) for each in now.values()]
        return empty.commit(writes if turn % 2 else writes[::-1], NOW)  # type: ignore[return-value]

    results = [result for each in at_once(change, range(12)) for result in each]

    assert {type(result) for result in results} <= {Done, Conflict}
    done = sum(isinstance(result, Done) for result in results)
    assert done == sum(alert.revision for alert in empty.get([alert.key for alert in known]).values()) - 6


def test_a_deadlock_with_somebody_else_is_a_conflict(empty: SqlStore) -> None:
    empty.prepare()
    first, last = sorted((opened(empty, name) for name in ("one", "two")), key=lambda alert: alert.key)
    lock = update(alerts).where(alerts.c.key == bindparam("which")).values(archived=False)

    with empty.engine.connect() as other, ThreadPoolExecutor() as threads:
        with other.begin() as transaction:
            other.execute(lock, {"which": last.key})
            commit = threads.submit(empty.commit, [Write(alert=first), Write(alert=last)], NOW)
            with suppress(DBAPIError):  # where it is this one that the database ends
                other.execute(lock, {"which": first.key})
            transaction.rollback()
        results = commit.result()

    assert {type(result) for result in results} <= {Done, Conflict}


def test_an_episode_ends_and_comes_back_many_times_while_others_archive(empty: SqlStore) -> None:
    empty.prepare()
    alert = opened(empty)

    def live(_: int) -> int:
        nonlocal alert
        for _round in range(5):
            over = commit(empty, ending(alert))
            alert = commit(empty, opening(next_episode(over)))
        return alert.episode

    def archive(_: int) -> int:
        return sum(empty.archive(NOW) for _round in range(10))

    assert at_once(lambda work: work(0), [live, archive, archive])[0] == 6
    assert empty.get([alert.key]) == {alert.key: alert}


def test_processes_that_start_at_once_make_the_tables_once(empty: SqlStore) -> None:
    at_once(lambda _: upgrade(empty.engine), range(4))

    assert set(inspect(empty.engine).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_a_migration_that_was_cut_goes_on_at_the_next_start(empty: SqlStore) -> None:
    """MySQL and MariaDB keep the tables that were made before the cut; PostgreSQL takes them back."""
    upgrade(empty.engine)
    with empty.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
        connection.exec_driver_sql("DROP TABLE kept")
        if connection.dialect.name == "postgresql":
            for table in metadata.tables.keys() - {"kept"}:
                connection.exec_driver_sql(f'DROP TABLE "{table}"')
        else:
            connection.exec_driver_sql("DROP TABLE settings")
            connection.exec_driver_sql("DROP INDEX links_external ON links")

    upgrade(empty.engine)

    made = inspect(empty.engine)
    for table in metadata.sorted_tables:
        assert {index["name"] for index in made.get_indexes(table.name)} >= {index.name for index in table.indexes}
    opened(empty)


def test_a_value_that_the_database_refuses_fails_its_own_alert_only(request: pytest.FixtureRequest) -> None:
    store = SqlStore(database_address(request.getfixturevalue("postgresql").new_database()))
    store.prepare()
    bad = opening(new_alert("x" * 300))  # the column holds 255 characters
    good = [opening(new_alert(f"good {number}")) for number in range(WRITTEN_AT_ONCE)]

    with pytest.raises(StoreError, match="too long"):
        store.commit([bad, *good], NOW)

    keys = {each.alert.key for each in good}
    assert store.get([*keys, bad.alert.key]).keys() == keys
    store.close()
