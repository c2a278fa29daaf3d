"""Stores that many small worlds can be built on, one after the other; and what one process works with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from service_event_checker.core.roles import Store
from service_event_checker.engine.services import Services
from service_event_checker.stores.sql.address import database_address
from service_event_checker.stores.sql.store import SqlStore
from tests.engine.polls import World
from tests.engine.small import Chat, Page, services_in
from tests.stores.memory import MemoryStore

#: each crash point in memory; on a disk or a server, which are slower, each point's neighbours take turns
STRIDES = {"memory": 1, "sqlite": 7, "azure": 23, "postgresql": 7}

FreshStore = Callable[[], Store]


SERVED = [pytest.param(name, marks=pytest.mark.real) for name in ("azure", "postgresql")]


@pytest.fixture(params=["memory", "sqlite", *SERVED])
def store_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def crash_stride(store_kind: str) -> int:
    return STRIDES[store_kind]


@pytest.fixture
def fresh_store(store_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[FreshStore]:
    """A function that returns an empty store each time it is called."""
    numbers = itertools.count()
    made: list[Any] = []

    def sqlite() -> Store:
        store = SqlStore(f"sqlite:///{tmp_path}/{next(numbers)}.db")
        event.listen(store.engine, "connect", _unsynced)
        store.prepare()
        made.append(store)
        return store

    def azure() -> Store:
        from service_event_checker.stores.azure.store import AzureTablesStore

        azurite = request.getfixturevalue("azurite")
        store = AzureTablesStore(azurite.new_account(), active_table="Active", resolved_table="Resolved")
        store.prepare()
        made.append(store)
        return store

    def postgresql() -> Store:
        store = SqlStore(database_address(request.getfixturevalue("postgresql").new_database()))
        store.prepare()
        made.append(store)
        return store

    yield {"memory": MemoryStore, "sqlite": sqlite, "azure": azure, "postgresql": postgresql}[store_kind]
    for store in made:
        store.close()


def _unsynced(connection: Any, _record: Any) -> None:
    """Here processes die in miniature, the machine does not: syncing to disk would only cost time."""
    connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def services(tmp_path: Path, page: Page, chat: Chat) -> Services:
    return services_in(tmp_path, page, chat)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = SqlStore(f"sqlite:///{tmp_path}/polls.db")
    store.prepare()
    yield World(store)
    store.close()
