"""The gate before a store: closed until it is prepared, and again to a database of a newer version."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service_event_checker.core.errors import StoreError
from service_event_checker.core.model import HeldItem
from service_event_checker.core.roles import Store
from service_event_checker.stores.prepared import gated
from service_event_checker.stores.sql.store import SqlStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "checker.db"


def store_in(file: Path) -> Store:
    return gated(SqlStore(f"sqlite:///{file}"))


def held(id: str) -> HeldItem:
    return HeldItem(area="quarantine", id=id, source="x", at=datetime.now(UTC), doc="{}")


def test_nothing_is_read_or_written_before_the_store_is_prepared(file: Path) -> None:
    store = store_in(file)

    for call in (lambda: store.ping(), lambda: store.slots(), lambda: store.holding.put([held("1")])):
        with pytest.raises(StoreError, match="not prepared"):
            call()
    assert not file.exists()

    store.prepare()
    store.ping()
    store.holding.put([held("1")])
    assert [item.id for item in store.holding.list("quarantine")] == ["1"]


def test_a_database_of_a_newer_version_stays_closed_and_says_why(file: Path) -> None:
    store_in(file).prepare()
    with sqlite3.connect(file) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    store = store_in(file)

    with pytest.raises(StoreError, match="start the newer version"):
        store.prepare()
    with pytest.raises(StoreError, match="start the newer version"):
        store.set_setting("name", "value")
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT count(*) FROM settings WHERE name = 'name'").fetchone() == (0,)
