"""What is particular to the SQL store: locks, a damaged lane, a database that is not there, migrations."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event, inspect, select, update

from service_event_checker.core.errors import StoreError
from service_event_checker.core.model import Delivery, HeldItem
from service_event_checker.core.store import Conflict, Done, Failed, Query, Settled
from service_event_checker.core.vocabulary import Verb
from service_event_checker.stores import codec
from service_event_checker.stores.sql import rows
from service_event_checker.stores.sql.dialects import BUSY_SECONDS
from service_event_checker.stores.sql.schema import MIGRATIONS, upgrade
from service_event_checker.stores.sql.store import SqlStore
from service_event_checker.stores.sql.tables import deliveries, metadata
from tests.factories import NOW
from tests.stores.conftest import sqlite_store
from tests.stores.steps import (
    at_once,
    claim,
    claim_one,
    commit,
    ending,
    link_of,
    new_alert,
    next_episode,
    opened,
    opening,
    pay,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    made = sqlite_store(tmp_path / "checker.db")
    yield made
    made.close()


def test_a_lane_without_a_due_head_is_mended_by_the_sweep(store: SqlStore) -> None:
    commit(store, ending(opened(store)))
    with store.engine.begin() as connection:
        for doc in connection.scalars(select(deliveries.c.doc)).all():
            row = replace(codec.load_delivery(doc), due_at=None)
            values = {"due_at": None, "doc": codec.dump_delivery(row)}
            connection.execute(update(deliveries).where(deliveries.c.id == row.id).values(**values))
    assert claim(store) == []

    assert store.sweep(NOW) == 1
    assert store.sweep(NOW) == 0
    assert pay(store, Settled()) == [Verb.OPEN, Verb.CLOSE]


def test_a_database_that_another_process_locks_is_away_for_writers_and_there_for_readers(
    tmp_path: Path,
) -> None:
    store = sqlite_store(tmp_path / "checker.db", patience=0.2)
    alert = opened(store)
    delivery = claim_one(store)
    other = sqlite3.connect(tmp_path / "checker.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    started = monotonic()
    for call in (
        store.ping,
        lambda: store.commit([opening(new_alert("two"))], NOW),
        lambda: store.intend(delivery, NOW),
        lambda: store.settle(delivery, Settled(), NOW),
    ):
        with pytest.raises(StoreError):
            call()

    assert monotonic() - started < 2 * BUSY_SECONDS  # four calls, none of which was so patient
    assert store.get([alert.key]) == {alert.key: alert}
    assert store.page(Query()).alerts == (alert,)
    other.execute("ROLLBACK")
    other.close()
    store.settle(delivery, Settled(), NOW)
    store.close()


def test_a_database_without_tables_or_place_says_so(tmp_path: Path) -> None:
    bare = SqlStore(f"sqlite:///{tmp_path / 'bare.db'}")
    (tmp_path / "folder.db").mkdir()
    nowhere = SqlStore(f"sqlite:///{tmp_path / 'folder.db'}")

    for store in (bare, nowhere):
        for call in (store.ping, store.slots, lambda store=store: store.get(["0" * 20])):  # type: ignore[misc]
            with pytest.raises(StoreError):
                call()
        store.close()


def test_an_upgrade_makes_the_tables_that_the_statements_name_and_may_be_repeated(store: SqlStore) -> None:
    upgrade(store.engine)

    made = inspect(store.engine)
    for table in metadata.sorted_tables:
        assert {column["name"] for column in made.get_columns(table.name)} == set(table.columns.keys())
        assert {index["name"] for index in made.get_indexes(table.name)} >= {index.name for index in table.indexes}


def test_a_database_of_the_first_schema_is_upgraded_with_all_that_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "checker.db"
    first_schema(path)
    store = SqlStore(f"sqlite:///{path}")
    alert = opened(store)
    delivery = claim_one(store)
    store.settle(delivery, Settled(link=link_of(delivery)), NOW)

    at_once(lambda _: upgrade(store.engine), range(4))
    store.holding.put([HeldItem(area="parked", id="one", source="pager", at=NOW, doc="{}")])

    assert store.get([alert.key]) == {alert.key: alert}
    assert store.link_by("slack", "T-1") == link_of(delivery)
    assert len(store.holding.list("parked")) == 1
    assert set(inspect(store.engine).get_table_names()) == {*metadata.tables, "alembic_version"}
    store.close()


def first_schema(path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()


def test_a_database_of_a_newer_version_is_refused_with_what_to_do(store: SqlStore) -> None:
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreError, match="schema 9999.*start the newer version"):
        store.prepare()


def test_readers_do_not_wait_for_writers_that_wait_for_the_lock(store: SqlStore, tmp_path: Path) -> None:
    opened(store)
    locked = sqlite3.connect(tmp_path / "checker.db", isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    stuck = [threading.Thread(target=_writes_in_vain, args=(store,)) for _ in range(40)]
    for thread in stuck:
        thread.start()

    begun = monotonic()
    found = store.page(Query(open=True))
    waited = monotonic() - begun
    locked.execute("ROLLBACK")
    for thread in stuck:
        thread.join()

    assert len(found.alerts) == 1
    assert waited < BUSY_SECONDS / 2


def test_a_full_disk_is_seen_by_the_probe_and_called_by_its_name(store: SqlStore) -> None:
    with store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    store.engine.dispose()
    event.listen(store.engine, "connect", lambda raw, _record: raw.execute(f"PRAGMA max_page_count = {pages}"))

    for call in (lambda: _fill(store), store.ping, store.ping):
        with pytest.raises(StoreError, match="disk full"):
            call()


def _fill(store: SqlStore) -> None:
    for number in range(100):
        store.set_setting(f"s{number}", "x" * 2000)


def _writes_in_vain(store: SqlStore) -> None:
    with suppress(StoreError):
        store.ping()


def test_an_alert_is_taken_though_the_id_of_a_forgotten_episode_is_left(store: SqlStore) -> None:
    """Where the newest episode ended before the one before it, by the source's clock, its whole key is forgotten."""
    first = commit(store, ending(opened(store, receivers=()), (), at=NOW + timedelta(days=10)))
    second = commit(store, opening(next_episode(first), ()))
    commit(store, ending(second, (), at=NOW + timedelta(days=5)))
    store.archive(NOW)
    assert store.retain(NOW + timedelta(days=7)) == 1
    assert store.get([first.key]) == {}

    results = store.commit([opening(new_alert(), ()), opening(new_alert("another"), ())], NOW)

    assert [type(result) for result in results] == [Done, Done]
    assert store.by_internal_id(first.internal_id.rpartition("-")[2]) is not None


def test_an_old_episode_is_not_forgotten_while_its_delivery_waits_again(store: SqlStore) -> None:
    """A person sends it again between the look for old episodes and their deletion."""
    alert = opened(store)
    store.settle(claim_one(store), Failed(reason="refused"), NOW)
    over = commit(store, ending(alert, ()))
    store.archive(NOW)
    (failed,) = store.failed_deliveries()
    with store.engine.begin() as connection:
        sent_again = outbox_row(failed)
        connection.execute(update(deliveries).where(deliveries.c.id == failed.id).values(**sent_again))

        rows.forget(connection, over)

    assert store.get([over.key]) == {over.key: over}
    assert store.waiting() == 1


def outbox_row(delivery: Delivery) -> dict[str, object]:
    return rows.delivery_row(replace(delivery, reason="", due_at=NOW))


def test_what_another_process_has_just_made_is_named_and_the_rest_is_written(tmp_path: Path) -> None:
    ours, theirs = sqlite_store(tmp_path / "checker.db"), sqlite_store(tmp_path / "checker.db")
    opened(theirs, "one")

    results = ours.commit([opening(new_alert("one")), opening(new_alert("two"))], NOW)

    assert [type(each) for each in results] == [Conflict, Done]
    assert len(ours.open_alerts()) == 2
    ours.close()
    theirs.close()
