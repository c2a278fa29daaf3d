"""A backup is a consistent copy of a database in use; a restore is whole or not at all."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from service_event_checker.core.store import Write
from service_event_checker.stores.sql import backup
from service_event_checker.stores.sql.backup import BackupError
from service_event_checker.stores.sql.store import SqlStore
from tests.factories import NOW
from tests.stores.steps import commit, new_alert, opening

MakeStore = Callable[[str], SqlStore]


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    def make(name: str) -> SqlStore:
        store = SqlStore(f"sqlite:///{tmp_path}/{name}")
        store.prepare()
        return store

    return make


def keys(store: SqlStore) -> set[str]:
    return {alert.key for alert in store.open_alerts()}


def test_a_backup_made_while_others_write_is_whole_and_opens_as_a_store(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store("busy.db")
    first = new_alert("first")
    commit(store, opening(first))
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            store.commit([opening(new_alert(f"n{number}"))], NOW + timedelta(seconds=number))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        size = backup.back_up(tmp_path / "busy.db", tmp_path / "copy.db")
    finally:
        stop.set()
        writer.join()

    assert size == (tmp_path / "copy.db").stat().st_size > 0
    copy = make_store("copy.db")
    assert first.key in keys(copy) <= keys(store)
    assert copy.waiting() == len(keys(copy))
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0


def test_what_is_restored_is_what_was_saved_and_no_later_log_is_applied_to_it(
    make_store: MakeStore, tmp_path: Path
) -> None:
    store = make_store("store.db")
    saved = new_alert("saved")
    commit(store, opening(saved))
    backup.back_up(tmp_path / "store.db", tmp_path / "copy.db")
    commit(store, opening(new_alert("later")))
    # A process that was killed leaves its write-ahead log behind.
    left = {name: (tmp_path / name).read_bytes() for name in ("store.db", "store.db-wal")}
    store.close()
    for name, content in left.items():
        (tmp_path / name).write_bytes(content)

    (tmp_path / "store.db").chmod(0o640)

    backup.restore(tmp_path / "copy.db", tmp_path / "store.db")

    assert keys(make_store("store.db")) == {saved.key}
    assert (tmp_path / "store.db").stat().st_mode & 0o777 == 0o640


def test_a_database_in_use_is_not_replaced(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store("store.db")
    backup.back_up(tmp_path / "store.db", tmp_path / "copy.db")
    alert = new_alert()
    commit(store, opening(alert))

    with pytest.raises(BackupError, match="in use"), store.engine.connect():
        backup.restore(tmp_path / "copy.db", tmp_path / "store.db")

    assert keys(store) == {alert.key}
    assert store.commit([Write(alert=store.get([alert.key])[alert.key])], NOW)


@pytest.mark.parametrize("wrong", ["text", "cut", "foreign", "empty"])
def test_what_is_not_a_whole_backup_changes_nothing(make_store: MakeStore, tmp_path: Path, wrong: str) -> None:
    store = make_store("store.db")
    alert = new_alert()
    commit(store, opening(alert))
    file = tmp_path / "backup.db"
    backup.back_up(tmp_path / "store.db", file)
    store.close()
    if wrong == "foreign":
        file.unlink()
        with closing(sqlite3.connect(file)) as other:
            other.execute("CREATE TABLE songs (title TEXT)")
    else:
        file.write_bytes({"text": b"nothing", "empty": b"", "cut": file.read_bytes()[:20_000]}[wrong])

    with pytest.raises(BackupError):
        backup.restore(file, tmp_path / "store.db")

    assert keys(make_store("store.db")) == {alert.key}
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_damaged_database_is_replaced(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store("store.db")
    alert = new_alert()
    commit(store, opening(alert))
    backup.back_up(tmp_path / "store.db", tmp_path / "copy.db")
    store.close()
    whole = (tmp_path / "store.db").read_bytes()
    (tmp_path / "store.db").write_bytes(whole[:100] + b"\xff" * 4000)

    backup.restore(tmp_path / "copy.db", tmp_path / "store.db")

    assert keys(make_store("store.db")) == {alert.key}


def test_a_backup_never_overwrites_what_is_not_one(make_store: MakeStore, tmp_path: Path) -> None:
    make_store("store.db")
    precious = tmp_path / "config.json"
    precious.write_text("{}")

    with pytest.raises(BackupError, match="is not a backup"):
        backup.back_up(tmp_path / "store.db", precious)
    with pytest.raises(BackupError, match="does not exist yet"):
        backup.back_up(tmp_path / "none.db", tmp_path / "copy.db")
    with pytest.raises(BackupError):
        backup.back_up(tmp_path / "store.db", tmp_path / "no folder" / "copy.db")

    assert precious.read_text() == "{}"


def test_a_backup_overwrites_neither_its_own_database_nor_that_of_another_program(
    make_store: MakeStore, tmp_path: Path
) -> None:
    make_store("store.db").close()
    database, link, other = tmp_path / "store.db", tmp_path / "link.db", tmp_path / "photos.db"
    link.symlink_to(database)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    before = database.stat().st_ino, other.read_bytes()

    for copy, reason in (
        (database, "is the database itself"),
        (link, "is the database itself"),
        (other, "not a backup"),
    ):
        with pytest.raises(BackupError, match=reason):
            backup.back_up(database, copy)

    assert (database.stat().st_ino, other.read_bytes()) == before
