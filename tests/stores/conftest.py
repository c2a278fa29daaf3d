"""The stores under one contract: in memory, SQLite on a disk, PostgreSQL, MariaDB, and Azure Tables on the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service_event_checker.stores.azure.store import AzureTablesStore
from service_event_checker.stores.sql.address import database_address
from service_event_checker.stores.sql.dialects import BUSY_SECONDS
from service_event_checker.stores.sql.schema import upgrade
from service_event_checker.stores.sql.store import SqlStore
from tests.stores.memory import MemoryStore

Stored = MemoryStore | SqlStore | AzureTablesStore


SERVED = [pytest.param(name, marks=pytest.mark.real) for name in ("postgresql", "mariadb", "azure")]


@pytest.fixture(params=["memory", "sqlite", *SERVED])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stored]:
    """An empty store."""
    made: Stored
    match request.param:
        case "memory":
            made = MemoryStore()
        case "sqlite":
            made = sqlite_store(tmp_path / "checker.db")
        case "azure":
            made = azure_store(request)
        case server:
            made = SqlStore(database_address(request.getfixturevalue(server).new_database()))
            upgrade(made.engine)
    yield made
    made.close()


def azure_store(request: pytest.FixtureRequest) -> AzureTablesStore:
    return AzureTablesStore(request.getfixturevalue("azurite").new_account())


def sqlite_store(path: Path, patience: float = BUSY_SECONDS) -> SqlStore:
    made = SqlStore(f"sqlite:///{path}", patience=patience)
    upgrade(made.engine)
    return made
