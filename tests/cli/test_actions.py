"""`outage act` and `outage actions`, where no app runs: the request is stored, and runs when an app does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.runner import Terminal
from tests.cli.test_acts import ingest
from tests.factories import event

CONFIG = {
    "destinations": {"chat": {"kind": "console"}},
    "rules": [{"name": "all", "send": ["chat"]}],
    "actions": {
        "restart_service": {
            "kind": "script",
            "path": "/bin/true",
            "args": ["{service_name}"],
            "parameters": {"service_name": "nginx|redis"},
            "approval": {"by": ["U0ADA"]},
        }
    },
}


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path, CONFIG)


def test_a_run_is_requested_and_shown_with_its_alert(terminal: Terminal) -> None:
    id = ingest(terminal, event()).internal_id

    asked = terminal.run("act", id, "restart_service", "service_name=nginx")

    assert asked.exit_code == 0
    assert f"of restart_service for {id} is waiting" in asked.output
    assert "It needs 1 approval(s) by U0ADA." in asked.output
    shown = terminal.run("show", id).output
    assert "restart_service" in shown
    assert "waiting" in shown
    assert '"state": "waiting"' in terminal.run("show", id, "--json").output


def test_what_is_not_declared_is_refused(terminal: Terminal) -> None:
    id = ingest(terminal, event()).internal_id

    wrong = terminal.run("act", id, "restart_service", "service_name=sshd")
    unknown = terminal.run("act", id, "reboot")
    bare = terminal.run("act", id, "restart_service", "nginx")

    assert [each.exit_code != 0 for each in (wrong, unknown, bare)] == [True] * 3
    assert "does not match nginx|redis" in wrong.output
    assert "Configured: restart_service" in unknown.output
    assert "is not NAME=VALUE" in bare.output


def test_the_configured_actions_are_listed(terminal: Terminal, tmp_path: Path) -> None:
    listed = terminal.run("actions").output

    assert "service_name=nginx|redis" in listed
    assert "1 of U0ADA" in listed
    (tmp_path / "none").mkdir()
    assert "No action is configured." in Terminal(tmp_path / "none", {}).run("actions").output
