"""/api/v1/actions and /api/v1/approvals: what is declared runs, once, after the people who are named have said so."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service_event_checker.core.audit import verify
from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Why
from service_event_checker.engine.services import Services
from tests.factories import event
from tests.web.conftest import MakeApp, bearer

TOKENS = {
    "ada": "token-of-ada-0001",
    "bob": "token-of-bob-0001",
    "shared": "token-of-all-00001",
}
API_TOKENS = ";".join(f"{name}:read,write,act:{token}" for name, token in TOKENS.items())
pytestmark = pytest.mark.real  # it runs scripts
PEOPLE = [{"name": "Ada", "slack": "U0ADA", "login": "ada"}, {"name": "Bob", "slack": "U0BOB", "login": "bob"}]


class World:
    """An app with one script, which appends a line to a file for each time that it runs."""

    def __init__(self, make_app: MakeApp, folder: Path) -> None:
        self.folder = folder
        self.ran = folder / "ran.txt"
        self.script = folder / "restart.sh"
        self.script.write_text(f'#!/bin/sh\necho "$@" >> {self.ran}\necho "restarted $1"\n')
        self.script.chmod(0o755)
        self._make_app = make_app
        self.app: Flask = self.made()

    def made(self, **more: Any) -> Flask:
        action = {
            "kind": "script",
            "path": str(self.script),
            "args": ["{service_name}", "--on", "{server}"],
            "parameters": {"service_name": "nginx|redis", "server": "web-0[1-9]"},
            "approval": {"by": ["Ada", "U0BOB"]},
            "cooldown": 0,
        }
        config = {"destinations": {"chat": {"kind": "console"}}, "rules": [{"name": "all", "send": ["chat"]}]}
        config |= {"people": PEOPLE, "actions": {"restart_service": action | more}}
        self.app = self._make_app(config, API_TOKENS=API_TOKENS)
        return self.app

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    @property
    def services(self) -> Services:
        found: Services = self.app.extensions["services"]
        return found

    def alert(self, **changes: Any) -> Alert:
        fired = event(**changes)
        return self.services.pipeline.ingest([fired], datetime.now(UTC))[fired.key]

    def execute(self, alert: str, **body: Any) -> Any:
        asked = {
            "alert_id": alert,
            "action_type": "restart_service",
            "parameters": {"service_name": "nginx", "server": "web-01"},
        }
        return self.client.post("/api/v1/actions/execute", json=asked | body, **bearer(TOKENS["shared"]))

    def answer(self, run: str, token: str, answer: str = "approve") -> Any:
        return self.client.post(f"/api/v1/approvals/{run}", json={"answer": answer}, **bearer(TOKENS[token]))

    def work(self) -> None:
        """Do what the jobs do each second."""
        for run in self.services.runs.records.open_ids():
            self.services.runs.step(run)

    def lines(self) -> list[str]:
        return self.ran.read_text().splitlines() if self.ran.exists() else []

    def shown(self, alert: Alert) -> Any:
        return self.client.get(f"/api/v1/alerts/{alert.key}", **bearer(TOKENS["shared"])).json


@pytest.fixture
def world(make_app: MakeApp, tmp_path: Path) -> World:
    return World(make_app, tmp_path)


def test_an_approved_action_runs_once_and_shows_what_it_did(world: World) -> None:
    alert = world.alert()
    run = world.execute(alert.internal_id).json
    world.work()
    assert (run["state"], world.lines()) == ("waiting", [])

    approved = world.answer(run["id"], "ada")
    world.work()
    world.work()

    assert (approved.status_code, approved.json["state"]) == (200, "ready")
    assert world.lines() == ["nginx --on web-01"]
    shown = world.shown(alert)
    (seen,) = shown["actions"]
    assert (seen["state"], seen["output"].strip(), seen["why"]) == ("succeeded", "restarted nginx", "exit code 0")
    assert [each["actor"] for each in seen["approvals"]] == ["Ada"]
    assert [step["why"] for step in shown["timeline"]].count(Why.ACTION) == 4  # asked, approved, started, ended


def test_each_step_of_a_run_is_a_row_of_the_audit(world: World) -> None:
    run = world.execute(world.alert().internal_id).json
    world.answer(run["id"], "bob")
    world.work()

    rows = world.services.store.audit.list()

    assert [json.loads(row.what)["event"] for row in rows] == ["requested", "approved", "started", "ended"]
    assert [row.actor for row in rows] == ["shared", "Bob", "shared", "restart_service"]
    assert verify(rows).broken == ()


def test_an_unknown_alert_is_404_and_an_undeclared_action_422_with_what_is_on_the_list(world: World) -> None:
    alert = world.alert().internal_id

    assert world.execute("alert-123").status_code == 404
    refused = world.execute(alert, action_type="rm")
    assert (refused.status_code, "restart_service" in refused.text) == (422, True)


@pytest.mark.parametrize(
    "parameters",
    [
        {"service_name": "nginx"},
        {"service_name": "nginx", "server": "web-01", "shell": "x"},
        {"service_name": "nginx; id", "server": "web-01"},
        {"service_name": "nginx\n", "server": "web-01"},
        {"service_name": ["nginx"], "server": "web-01"},
        {"service_name": "nginx", "server": "web-011"},
        {"service_name": True, "server": "web-01"},
    ],
)
def test_what_is_not_declared_of_parameters_is_422(world: World, parameters: dict[str, Any]) -> None:
    answer = world.execute(world.alert().internal_id, parameters=parameters)
    world.work()

    assert (answer.status_code, world.lines()) == (422, [])
    assert world.services.runs.records.open() == []


def test_a_token_that_stands_for_no_person_approves_nothing(world: World) -> None:
    run = world.execute(world.alert().internal_id).json

    answer = world.answer(run["id"], "shared")
    pretended = world.client.post(
        f"/api/v1/approvals/{run['id']}",
        json={"answer": "approve"},
        headers={"Authorization": f"Bearer {TOKENS['shared']}", "X-Actor": "ada"},
    )
    world.work()

    assert (answer.status_code, pretended.status_code, world.lines()) == (403, 403, [])


def test_a_person_who_is_not_named_approves_nothing(world: World) -> None:
    world.made(approval={"by": ["Ada"]})
    run = world.execute(world.alert().internal_id).json

    assert world.answer(run["id"], "bob").status_code == 403
    world.work()
    assert world.lines() == []


def test_two_people_are_two_people(world: World) -> None:
    world.made(approval={"by": ["Ada", "Bob"], "people": 2})
    run = world.execute(world.alert().internal_id).json

    world.answer(run["id"], "ada")
    again = world.answer(run["id"], "ada").json
    world.work()
    assert (again["state"], world.lines()) == ("waiting", [])
    world.answer(run["id"], "bob")
    world.work()

    assert world.lines() == ["nginx --on web-01"]


def test_a_refusal_ends_it_and_a_later_approval_changes_nothing(world: World) -> None:
    run = world.execute(world.alert().internal_id).json

    refused = world.answer(run["id"], "ada", "refuse").json
    late = world.answer(run["id"], "bob")
    world.work()

    assert (refused["state"], late.status_code, world.lines()) == ("refused", 409, [])


def test_an_approval_is_void_when_the_alert_has_changed(world: World) -> None:
    run = world.execute(world.alert().internal_id).json
    world.answer(run["id"], "ada")
    changed = world.alert(title="Something else")

    world.work()

    assert (world.shown(changed)["actions"][0]["state"], world.lines()) == ("void", [])


def test_an_approval_is_void_when_the_action_has_changed(world: World) -> None:
    alert = world.alert()
    run = world.execute(alert.internal_id).json
    world.answer(run["id"], "ada")
    world.made(args=["{service_name}", "{server}", "--force"])

    world.work()

    assert (world.shown(alert)["actions"][0]["state"], world.lines()) == ("void", [])


def test_a_test_alert_shows_what_would_run(world: World) -> None:
    alert = world.alert(test=True)

    run = world.execute(alert.internal_id).json
    world.work()

    assert (run["state"], run["output"]) == ("dry run", f"{world.script} nginx --on web-01")
    assert world.lines() == []


def test_the_budget_of_a_day_is_kept(world: World) -> None:
    world.made(per_day=2)
    alert = world.alert().internal_id
    for _ in range(2):
        world.answer(world.execute(alert).json["id"], "ada")
        world.work()

    third = world.execute(alert)

    assert (third.status_code, "limit is 2" in third.text, len(world.lines())) == (409, True, 2)


def test_the_same_idempotency_key_is_one_run(world: World) -> None:
    alert = world.alert().internal_id
    asked = {"alert_id": alert, "action_type": "restart_service"}
    headers = {"Authorization": f"Bearer {TOKENS['shared']}", "Idempotency-Key": "k"}

    def send(server: str) -> Any:
        body = {**asked, "parameters": {"service_name": "nginx", "server": server}}
        return world.client.post("/api/v1/actions/execute", json=body, headers=headers)

    first, again, other = send("web-01"), send("web-01"), send("web-02")

    assert first.json["id"] == again.json["id"]
    assert other.status_code == 422


def test_a_rule_requests_a_run_with_the_labels_of_the_alert(world: World) -> None:
    app = world.made(labels={"server": "host"})
    services: Services = app.extensions["services"]
    rules = {"rules": [{"name": "all", "send": ["chat", "restart_service"]}]}
    config = json.loads((world.folder / "config.json").read_text()) | rules
    world.app = world._make_app(config, API_TOKENS=API_TOKENS)
    alert = world.alert(labels={"service_name": "redis", "host": "web-02"})

    world.services.outbox.drain("restart_service")
    (waiting,) = world.client.get("/api/v1/approvals", **bearer(TOKENS["shared"])).json["approvals"]
    world.answer(waiting["id"], "ada")
    world.work()

    assert (waiting["via"], waiting["alert_id"]) == ("rule", alert.internal_id)
    assert world.lines() == ["redis --on web-02"]
    assert services is not world.services


def test_a_rule_with_a_label_that_is_not_declared_runs_nothing_and_says_so(world: World) -> None:
    world.made(approval=None)
    config = json.loads((world.folder / "config.json").read_text())
    config["rules"] = [{"name": "all", "send": ["chat", "restart_service"]}]
    world.app = world._make_app(config, API_TOKENS=API_TOKENS)
    alert = world.alert(labels={"service_name": "$(id)", "server": "web-02"})

    world.services.outbox.drain("restart_service")
    world.work()

    (failed,) = world.services.store.failed_deliveries(key=alert.key)
    assert "parameters.service_name" in failed.reason
    assert world.lines() == []


def test_who_has_no_scope_to_act_requests_and_approves_nothing(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(API_TOKENS="r:read,write:token-of-reader-1")
    client, token = app.test_client(), bearer("token-of-reader-1")

    assert client.post("/api/v1/actions/execute", json={}, **token).status_code == 403
    assert client.post("/api/v1/approvals/1", json={"answer": "approve"}, **token).status_code == 403
    assert client.get("/api/v1/approvals", **token).json == {"approvals": []}


def test_the_page_shows_the_run_and_its_output_as_text(world: World) -> None:
    world.script.write_text("#!/bin/sh\necho '<script>alert(1)</script> password=hunter2hunter2'\n")
    alert = world.alert()
    world.answer(world.execute(alert.internal_id).json["id"], "ada")
    world.work()

    page = world.client.get(f"/alerts/{alert.key}", **bearer(TOKENS["shared"])).text

    assert "&lt;script&gt;alert(1)" in page
    assert "hunter2" not in page
