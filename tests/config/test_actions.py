"""`actions` and `people` of config.json: what cannot be right stops the start, with its path and a hint."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from service_event_checker import wiring
from service_event_checker.config.load import Config, ConfigError
from tests.root import ROOT

ACTION = {"kind": "script", "path": "/bin/true", "approval": {"by": ["Ada"]}}


def load(folder: Path, actions: dict[str, Any], **more: Any) -> Config:
    file = folder / "config.json"
    file.write_text(json.dumps({"destinations": {"chat": {"kind": "console"}}, "actions": actions, **more}))
    return wiring.examine({"CONFIG_FILE": str(file), "DATABASE_URL": f"sqlite:///{folder}/x.db"})[1]


def problems(folder: Path, actions: dict[str, Any], **more: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        load(folder, actions, **more)
    return "\n".join(refused.value.problems)


def test_the_example_of_the_manual_is_right(tmp_path: Path) -> None:
    entry = {
        "kind": "systemd",
        "hosts": ["web-01"],
        "parameters": {"service_name": "nginx|redis", "server": "web-0[1-9]"},
        "approval": {"by": ["U123"], "people": 1},
        "cooldown": "10m",
        "per_day": 5,
    }
    people = [{"name": "ada", "slack": "U123", "login": "ada@example.com"}]

    found = load(tmp_path, {"restart_service": entry}, people=people)

    (action,) = found.actions
    assert action.config is not None
    assert (action.kind, action.config.per_day, found.people[0].slack) == ("systemd", 5, "U123")


def test_a_rule_may_send_to_an_action(tmp_path: Path) -> None:
    rules = [{"name": "r", "send": ["restart"]}]

    assert load(tmp_path, {"restart": ACTION}, rules=rules).rules[0].send == ("restart",)
    assert "rules[0].send" in problems(tmp_path, {"restarts": ACTION}, rules=rules)


def test_a_rule_escalates_to_no_action(tmp_path: Path) -> None:
    rules = [{"name": "r", "send": ["chat"], "escalate": {"after": "5m", "send": ["restart"]}}]

    assert "rules[0].escalate.send" in problems(tmp_path, {"restart": ACTION}, rules=rules)


def test_the_example_of_the_documentation_is_right(tmp_path: Path) -> None:
    example = re.search(r"```json\n(.*?)```", (ROOT / "docs" / "actions.md").read_text(), re.DOTALL)
    assert example

    found = load(tmp_path, **json.loads("{" + example[1] + "}"))

    assert [entry.name for entry in found.actions] == ["restart_service"]


@pytest.mark.parametrize(
    ("actions", "more", "said"),
    [
        ({"x": {"kind": "shell"}}, {}, "actions.x.kind"),
        ({"chat": ACTION}, {}, "actions.chat: a destination has this name"),
        ({"x": {**ACTION, "approval": {"by": ["Ada"], "people": 2}}}, {}, "actions.x.approval.people"),
        (
            {"x": {**ACTION, "approval": {"by": ["Ada", "U1"], "people": 2}}},
            {"people": [{"name": "Ada", "slack": "U1"}]},
            "actions.x.approval.people",
        ),
        ({"x": {**ACTION, "shell": True}}, {}, "actions.x.shell"),
        ({"x": ACTION}, {"people": [{"name": "a", "slack": "U1"}, {"name": "b", "slack": "u1"}]}, "people[1].slack"),
        ({"x": {**ACTION, "environment": {"TOKEN": "bare"}, "args": ["{y}"]}}, {}, '"y" is not a parameter'),
    ],
)
def test_what_cannot_be_right_stops_the_start(
    tmp_path: Path, actions: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    assert said in problems(tmp_path, actions, **more)


def test_an_action_that_nobody_approves_is_warned_of(tmp_path: Path) -> None:
    found = load(tmp_path, {"x": {"kind": "script", "path": "/bin/true"}})

    assert any("actions.x.approval: nobody has to approve" in warning for warning in found.warnings)


def test_one_whose_program_is_missing_is_off_with_the_reason(tmp_path: Path) -> None:
    found = load(tmp_path, {"x": {**ACTION, "path": "/nowhere/at/all"}})

    assert found.actions[0].why_off == "/nowhere/at/all cannot be read"
