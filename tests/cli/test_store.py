"""`outage store copy`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.engine import heartbeat
from tests.cli.runner import Terminal
from tests.factories import NOW, event


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    made = Terminal(tmp_path, {}, OTHER=f"sqlite:///{tmp_path}/other.db")
    services = made.services
    services.pipeline.ingest([event(fingerprint="first")], NOW)
    close(services.store)
    return made


def close(store: Any) -> None:
    store.close()


def count(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("SELECT count(*) FROM alerts").fetchone()[0])


def test_a_store_is_copied_and_both_are_compared(terminal: Terminal, tmp_path: Path) -> None:
    first = terminal.run("store", "copy", f"sqlite:///{tmp_path}/store.db", "env:OTHER")
    second = terminal.run("store", "copy", "env:DATABASE_URL", f"sqlite:///{tmp_path}/other.db")

    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert "1 alerts written, 0 deleted" in first.stdout
    assert "0 alerts written, 0 deleted" in second.stdout
    assert "./outage start" in second.stdout
    assert count(tmp_path / "other.db") == 1


def test_an_app_that_was_at_work_just_now_stops_a_copy(terminal: Terminal, tmp_path: Path) -> None:
    store = terminal.services.store
    heartbeat.beat(store, datetime.now(UTC))
    close(store)

    answer = terminal.run("store", "copy", "env:DATABASE_URL", "env:OTHER")

    assert answer.exit_code == 1
    assert "an app was at work on FROM 0 s ago. Stop it; if you have, try again in" in answer.stderr


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("sqlite:////nowhere/none.db", "FROM: /nowhere/none.db does not exist"),
        ("oracle://scott:tiger@db/name", "FROM: names a database that is not supported"),
        ("postgresql://scott:tiger@/name", "FROM: names no host or no database"),
        ("azure:", "FROM: AZURE_STORAGE_CONNECTION_STRING is not set"),
        ("env:NOWHERE", "FROM: the variable NOWHERE is not set"),
    ],
)
def test_an_address_that_names_no_store_is_said_without_its_password(
    terminal: Terminal, source: str, said: str
) -> None:
    answer = terminal.run("store", "copy", source, "env:OTHER")

    assert answer.exit_code == 1
    assert said in answer.stderr
    assert "tiger" not in answer.output


def test_a_store_that_holds_other_data_stays_as_it_is(terminal: Terminal, tmp_path: Path) -> None:
    terminal.run("store", "copy", "env:DATABASE_URL", "env:OTHER")
    (tmp_path / "third").mkdir()
    third = Terminal(tmp_path / "third", {}, OTHER=f"sqlite:///{tmp_path}/other.db")
    close(third.services.store)

    answer = third.run("store", "copy", "env:DATABASE_URL", "env:OTHER")

    assert answer.exit_code == 1
    assert "TO holds a copy of another store" in answer.stderr
    assert count(tmp_path / "other.db") == 1
