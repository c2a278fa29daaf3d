"""`outage audit`: what a person sees of the audit, and of one that somebody changed."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.runner import Terminal
from tests.factories import NOW


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    made = Terminal(tmp_path, {}, OUTAGE_CALLED_FROM=str(tmp_path))
    services = made.services
    for number in range(1, 4):
        what = {"action": "restart", "step": number, "said": "\x1b[31m\n"}
        services.store.audit.append(f"person {number}", what, NOW + timedelta(seconds=number))
    store: Any = services.store
    store.close()
    return made


def change(terminal: Terminal, statement: str) -> None:
    with sqlite3.connect(terminal.database) as database:
        database.execute(statement)


def test_a_whole_audit_is_verified_and_its_anchor_told(terminal: Terminal) -> None:
    answer = terminal.run("audit", "verify")

    assert answer.exit_code == 0
    assert "3 rows, 1 to 3" in answer.stdout
    anchor = answer.stdout.split("anchor: ")[1].strip()
    assert terminal.run("audit", "verify", "--anchor", anchor).exit_code == 0
    assert json.loads(terminal.run("audit", "verify", "--json").stdout)["anchor"] == anchor


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE audit SET what = '{}' WHERE number = 2", "row 2: its content does not match its hash"),
        ("UPDATE audit SET at = 9223372036854775807 WHERE number = 2", "row 2: its content does not match its hash"),
        ("DELETE FROM audit WHERE number = 2", "row 3: rows before it are missing"),
        ("DELETE FROM audit WHERE number = 1", "row 2: the rows before it were removed without a checkpoint"),
    ],
)
def test_a_changed_audit_is_told_by_its_rows(terminal: Terminal, statement: str, said: str) -> None:
    change(terminal, statement)

    answer = terminal.run("audit", "verify")

    assert answer.exit_code == 1
    assert said in answer.stdout
    assert not json.loads(terminal.run("audit", "verify", "--json").stdout)["ok"]


def test_a_cut_tail_is_seen_by_an_anchor_from_the_log(terminal: Terminal) -> None:
    anchor = terminal.run("audit", "verify").stdout.split("anchor: ")[1].strip()
    change(terminal, "DELETE FROM audit WHERE number = 3")

    assert terminal.run("audit", "verify").exit_code == 0
    answer = terminal.run("audit", "verify", "--anchor", anchor)

    assert answer.exit_code == 1
    assert "row 3: it and later rows are missing" in answer.stdout


def test_an_anchor_that_is_none_is_refused(terminal: Terminal) -> None:
    answer = terminal.run("audit", "verify", "--anchor", "3:abc")

    assert answer.exit_code == 2
    assert "NUMBER:HASH" in answer.stderr


def test_the_last_rows_are_listed(terminal: Terminal) -> None:
    answer = terminal.run("audit", "list", "--limit", "2")

    assert [line.split()[0] for line in answer.stdout.splitlines()] == ["NUMBER", "2", "3"]
    assert "\x1b" not in answer.stdout
    listed = json.loads(terminal.run("audit", "list", "--json").stdout)["audit"]
    assert [row["actor"] for row in listed] == ["person 1", "person 2", "person 3"]


def test_an_empty_audit_says_so(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, {})

    assert "the audit is empty" in terminal.run("audit", "list").stdout
    assert "the audit is empty" in terminal.run("audit", "verify").stdout


def test_all_rows_are_exported_and_no_file_is_overwritten(terminal: Terminal, tmp_path: Path) -> None:
    answer = terminal.run("audit", "export", "audit.jsonl")

    assert "3 rows written" in answer.stdout
    file = tmp_path / "audit.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert [row["previous"] for row in rows[1:]] == [row["hash"] for row in rows[:-1]]
    assert json.loads(rows[0]["what"])["step"] == 1
    assert file.stat().st_mode & 0o777 == 0o600
    again = terminal.run("audit", "export", "audit.jsonl")
    assert (again.exit_code, "exists" in again.stderr) == (1, True)
    assert terminal.run("audit", "export", "missing/audit.jsonl").exit_code == 1
