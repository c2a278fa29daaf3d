"""Processes that append to one audit at once, one of which is killed: the chain stays whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.core.audit import verify
from service_event_checker.stores.azure.store import AzureTablesStore
from service_event_checker.stores.sql.address import database_address
from service_event_checker.stores.sql.store import SqlStore
from tests.root import ROOT
from tests.waiting import wait_for

pytestmark = pytest.mark.real

ROWS, PROCESSES = 20, 3
_APPEND = """
import sys
from datetime import UTC, datetime
from concurrent.futures import ThreadPoolExecutor
from tests.stores.test_audit_processes import opened
kind, address, name, rows = sys.argv[1:]
store = opened(kind, address)
append = lambda number: store.audit.append(name, {"step": number}, datetime.now(UTC))
with ThreadPoolExecutor(4) as pool:
    list(pool.map(append, range(int(rows))))
"""


def opened(kind: str, address: str) -> Any:
    return AzureTablesStore(address) if kind == "azure" else SqlStore(database_address(address))


def address_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder}/checker.db"
    if kind == "azure":
        return str(request.getfixturevalue("azurite").new_account())
    return str(request.getfixturevalue(kind).new_database())


def appending(kind: str, address: str, name: str, rows: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _APPEND, kind, address, name, str(rows)], cwd=ROOT)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb", "azure"])
def test_processes_make_one_chain_and_a_killed_one_leaves_it_whole(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    address = address_of(kind, request, tmp_path)
    store = opened(kind, address)
    store.prepare()
    killed = appending(kind, address, "killed", 100_000)
    others = [appending(kind, address, f"process {number}", ROWS) for number in range(PROCESSES)]

    wait_for(_some_rows_of("killed", store))
    killed.kill()
    codes = [each.wait(60) for each in (*others, killed)]

    rows = store.audit.list(limit=200_000)
    store.audit.append("afterwards", {}, rows[-1].at)
    found = verify(store.audit.list(limit=200_000), [store.audit.head()])
    store.close()
    assert codes[:-1] == [0] * PROCESSES
    assert found.broken == ()
    assert sum(row.actor.startswith("process") for row in rows) == ROWS * PROCESSES


def _some_rows_of(actor: str, store: Any) -> Callable[[], bool]:
    return lambda: sum(row.actor == actor for row in store.audit.list(limit=100_000)) > 5
