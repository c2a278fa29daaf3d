"""A SQLite file that vanishes while it is in use: nothing is acknowledged that a restart would not find."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import make_url

from service_event_checker.core.errors import StoreError
from service_event_checker.core.store import Query
from service_event_checker.stores.sql.database_file import file_of
from service_event_checker.stores.sql.store import SqlStore
from tests.factories import NOW
from tests.stores.steps import at_once, new_alert, opened, opening

SIDES = ("", "-wal", "-shm")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.fixture
def store(folder: Path) -> Iterator[SqlStore]:
    made = prepared(folder)
    yield made
    made.close()


def prepared(folder: Path) -> SqlStore:
    made = SqlStore(f"sqlite:///{folder}/live.db")
    made.prepare()
    return made


def backup(store: SqlStore, folder: Path) -> Path:
    with store.engine.begin() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql(f"VACUUM INTO '{folder}/backup.db'")
        connection.exec_driver_sql("BEGIN")
    return folder / "backup.db"


def restored(folder: Path) -> None:
    (folder / "backup.db").replace(folder / "live.db")


def deleted(folder: Path) -> None:
    shutil.rmtree(folder)


def without(side: str) -> Callable[[Path], None]:
    return lambda folder: (folder / f"live.db{side}").unlink()


@pytest.mark.parametrize("harm", [deleted, restored, without(""), without("-wal"), without("-shm")])
def test_nothing_is_taken_or_told_from_the_moment_it_is_gone(
    store: SqlStore, folder: Path, harm: Callable[[Path], None]
) -> None:
    opened(store)
    backup(store, folder)
    assert store.page(Query()).alerts

    harm(folder)

    for call in (
        store.ping,
        store.prepare,
        lambda: store.page(Query()),
        lambda: store.commit([opening(new_alert("two"))], NOW),
    ):
        with pytest.raises(StoreError, match=r"live\.db.* was deleted or replaced .* restart"):
            call()


def test_the_same_file_back_at_its_place_is_good_again(store: SqlStore, folder: Path) -> None:
    opened(store)
    (folder / "live.db").rename(folder / "aside.db")
    with pytest.raises(StoreError):
        store.ping()

    (folder / "aside.db").rename(folder / "live.db")

    opened(store, "two")
    assert len(store.page(Query()).alerts) == 2


def test_a_restart_takes_what_lies_there(store: SqlStore, folder: Path) -> None:
    opened(store)
    shutil.rmtree(folder)
    with suppress(StoreError):
        store.ping()

    again = prepared(folder)

    assert again.page(Query()).alerts == ()
    opened(again)
    again.close()


def test_a_connection_that_was_made_later_must_lead_to_the_same_database(store: SqlStore, folder: Path) -> None:
    """All connections were lost, and the inode of the file may have been given out again."""
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE settings SET value = 'of another' WHERE name = 'database_id'")
    store.engine.dispose()

    with pytest.raises(StoreError, match="deleted or replaced"):
        store.ping()


def test_all_that_was_acknowledged_while_the_file_vanished_is_in_it(store: SqlStore, folder: Path) -> None:
    acknowledged: list[str] = []

    def write(number: int) -> None:
        if number == 25:
            (folder / "live.db").rename(folder / "aside.db")
            return
        with suppress(StoreError):
            acknowledged.append(opened(store, f"alert-{number}").key)

    at_once(write, range(50))

    store.close()
    for side in SIDES[1:]:
        if (folder / f"live.db{side}").exists():
            (folder / f"live.db{side}").rename(folder / f"aside.db{side}")
    (folder / "aside.db").rename(folder / "live.db")
    for side in SIDES[1:]:
        if (folder / f"aside.db{side}").exists():
            (folder / f"aside.db{side}").rename(folder / f"live.db{side}")
    again = prepared(folder)
    assert set(again.get(acknowledged)) == set(acknowledged)
    again.close()


def test_an_id_stays_as_long_as_the_database(store: SqlStore, folder: Path) -> None:
    first = store.setting("database_id")
    again = prepared(folder)

    assert first
    assert again.setting("database_id") == first
    again.close()


@pytest.mark.parametrize(
    "url", ["sqlite:///:memory:", "sqlite://", "sqlite:///file:x.db?uri=true", "postgresql://db/x"]
)
def test_a_database_without_a_path_has_no_file_to_watch(url: str) -> None:
    assert file_of(make_url(url)) is None
