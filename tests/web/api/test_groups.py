"""A group and its members by API, page and command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from service_event_checker.core.model import GROUPS
from tests.cli.runner import Terminal
from tests.web.conftest import MakeApp

GROUPED: dict[str, Any] = {
    "destinations": {"chat": {"kind": "console"}, "other": {"kind": "console"}},
    "rules": [
        {"name": "each", "match": ['team="web"'], "send": ["other"], "proceed": True},
        {"name": "slow", "send": ["chat"], "per": "group", "group_by": ["alertname", "cluster"], "group_wait": "0s"},
    ],
}


def message(*instances: str, status: str = "firing") -> dict[str, Any]:
    labels = {"alertname": "HighLatency", "cluster": "eu", "severity": "critical"}
    return {"alerts": [{"status": status, "labels": {**labels, "instance": each}} for each in instances]}


@pytest.fixture
def client(make_app: MakeApp) -> FlaskClient:
    return make_app(GROUPED).test_client()


def found(client: FlaskClient, source: str) -> list[dict[str, Any]]:
    listed = client.get("/api/v1/alerts", query_string={"source": source}).json["alerts"]
    return [client.get(f"/api/v1/alerts/{each['id']}").json for each in listed]


def test_a_group_lists_its_members_and_a_member_its_groups(client: FlaskClient) -> None:
    client.post("/alert", json=message("web-1", "web-2"))

    (group,) = found(client, GROUPS)
    one, two = found(client, "alertmanager")

    assert group["title"] == "HighLatency · 2 alerts (2 critical) · cluster=eu"
    assert (group["member_count"], {each["id"] for each in group["members"]}) == (2, {one["id"], two["id"]})
    assert [each["id"] for each in one["groups"]] == [group["id"]]
    assert (one["members"], group["groups"], one["receivers"], group["receivers"]) == ([], [], [], ["chat"])
    told = {each["receiver"]: (each["state"], each["why"]) for each in one["deliveries"]}
    assert told["chat"] == ("waiting", f"as part of the group {group['id']}")


def test_who_acknowledges_the_group_by_api_acknowledges_its_members(client: FlaskClient) -> None:
    client.post("/alert", json=message("web-1", "web-2"))
    (group,) = found(client, GROUPS)

    client.put(f"/api/v1/alerts/{group['id']}/status", json={"status": "acknowledged"})

    assert {each["status"] for each in found(client, "alertmanager")} == {"acknowledged"}


def test_the_end_of_all_members_ends_the_group(client: FlaskClient) -> None:
    client.post("/alert", json=message("web-1", "web-2"))

    client.post("/alert", json=message("web-1", "web-2", status="resolved"))

    (group,) = found(client, GROUPS)
    assert (group["status"], group["members"], group["member_count"]) == ("resolved", [], 0)


def test_a_dry_run_names_the_group_that_a_payload_would_join(client: FlaskClient) -> None:
    answer = client.post("/api/v1/rules/evaluate", json={"payload": message("web-1", "web-2")}).json

    (joined,) = answer["groups"]
    labels = {"alertname": "HighLatency", "cluster": "eu"}
    assert (joined["rule"], joined["labels"], joined["receivers"], joined["wait"]) == ("slow", labels, ["chat"], 0)
    assert answer["receivers"] == ["chat"]
    client.post("/alert", json=message("web-1"))
    assert [each["key"] for each in found(client, GROUPS)] == [joined["key"]]


def test_the_rules_say_how_they_group(client: FlaskClient) -> None:
    each, slow = client.get("/api/v1/rules").json["rules"]

    assert "per" not in each
    assert (slow["per"], slow["group_by"], slow["group_wait"]) == ("group", ["alertname", "cluster"], 0)


def test_the_page_of_a_group_shows_its_members_and_that_of_a_member_its_group(client: FlaskClient) -> None:
    client.post("/alert", json=message("web-1", "web-2"))
    (group,) = found(client, GROUPS)
    one, two = found(client, "alertmanager")

    of_group = client.get(f"/alerts/{group['id']}").text
    of_member = client.get(f"/alerts/{one['id']}").text

    assert "Open alerts of the group: 2" in of_group
    assert all(f"/alerts/{each['id']}" in of_group for each in (one, two))
    assert "Groups that stand for it" in of_member
    assert f"/alerts/{group['id']}" in of_member


def test_the_command_line_shows_both(client: FlaskClient, tmp_path: Path) -> None:
    client.post("/alert", json=message("web-1"))
    (group,), (one,) = found(client, GROUPS), found(client, "alertmanager")
    terminal = Terminal(tmp_path, GROUPED)

    of_group = terminal.run("show", group["id"]).output
    of_member = terminal.run("show", one["id"]).output
    asked = terminal.run("route", json.dumps(message("web-1"))).output

    assert "open alerts of the group (1):" in of_group
    assert one["id"] in of_group
    assert "groups that stand for it:" in of_member
    assert "told: chat" in asked
    assert 'group of "slow", alertname=HighLatency, cluster=eu: chat, after 0s' in asked


def test_a_group_does_not_count_beside_its_members(client: FlaskClient) -> None:
    client.post("/alert", json=message("web-1", "web-2"))

    assert client.get("/api/v1/stats").json["open"]["source"] == {"alertmanager": 2}
    assert "2 internal alerts are open" in client.get("/").text
