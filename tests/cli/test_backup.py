"""`outage backup` and `outage restore`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.engine import heartbeat
from service_event_checker.engine.services import Services
from tests.cli.runner import Terminal
from tests.factories import NOW, event


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    made = Terminal(tmp_path, {}, OUTAGE_CALLED_FROM=str(tmp_path))
    ingest(made, "first")
    return made


def ingest(terminal: Terminal, fingerprint: str) -> None:
    """Do what an app would that is over by now: no connection stays open."""
    services = terminal.services
    services.pipeline.ingest([event(fingerprint=fingerprint)], NOW)
    close(services)


def count(terminal: Terminal) -> int:
    services = terminal.services
    found = len(services.store.open_alerts())
    close(services)
    return found


def close(services: Services) -> None:
    store: Any = services.store
    store.close()


def test_a_store_is_saved_beside_the_person_and_brought_back(terminal: Terminal, tmp_path: Path) -> None:
    saved = terminal.run("backup", "saved.db")
    ingest(terminal, "later")

    restored = terminal.run("restore", "saved.db", input="y\n")

    assert (saved.exit_code, restored.exit_code) == (0, 0), restored.output
    assert f"./outage restore {tmp_path}/saved.db" in saved.stdout
    assert "Its present content is lost" in restored.output
    assert count(terminal) == 1


def test_a_person_who_does_not_say_yes_keeps_his_store(terminal: Terminal) -> None:
    terminal.run("backup", "saved.db")
    ingest(terminal, "later")

    assert terminal.run("restore", "saved.db", input="n\n").exit_code == 1
    assert count(terminal) == 2


def test_an_app_that_was_at_work_just_now_stops_a_restore(terminal: Terminal) -> None:
    terminal.run("backup", "saved.db")
    heartbeat.beat(terminal.services.store, datetime.now(UTC))

    answer = terminal.run("restore", "saved.db", "--yes")

    assert answer.exit_code == 1
    assert "the app was running 0 s ago. Stop it. If it is stopped already, try again in" in answer.stderr


def test_a_file_that_is_not_a_backup_changes_nothing_and_says_so(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")

    wrong = terminal.run("restore", "notes.txt", "--yes")

    assert (wrong.exit_code, count(terminal)) == (1, 1)
    assert "nothing was changed: " in wrong.stderr
    assert terminal.run("restore", "none.db").exit_code == 2
    assert terminal.run("backup", "config.json").exit_code == 1


def test_another_store_says_what_to_do_instead(tmp_path: Path) -> None:
    account = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=c2VjcmV0;TableEndpoint=http://127.0.0.1:9/a;"
    terminal = Terminal(tmp_path, {}, AZURE_STORAGE_CONNECTION_STRING=account)

    answer = terminal.run("backup", str(tmp_path / "x.db"))

    assert answer.exit_code == 1
    assert "Copy the tables EventTickets and ResolvedEvents" in answer.stderr
