"""The stores under one contract: SQLite on a disk and Azure Tables on the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service_event_checker.stores.azure.store import AzureTablesStore
from service_event_checker.stores.sql.schema import upgrade
from service_event_checker.stores.sql.store import SqlStore

Stored = SqlStore | AzureTablesStore


@pytest.fixture(params=["sqlite", pytest.param("azure", marks=pytest.mark.real)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stored]:
    """An empty store."""
    made = azure_store(request) if request.param == "azure" else sqlite_store(tmp_path / "checker.db")
    yield made
    made.close()


def azure_store(request: pytest.FixtureRequest) -> AzureTablesStore:
    return AzureTablesStore(request.getfixturevalue("azurite").new_account())


def sqlite_store(path: Path) -> SqlStore:
    made = SqlStore(f"sqlite:///{path}")
    upgrade(made.engine)
    return made
