"""/api/v1/rules and `outage route`: which rules match, who would be told, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.engine.services import Services
from tests.cli.runner import Terminal
from tests.strategies import REPEATABLE, json_values
from tests.web.conftest import CONFIG, MakeApp

PATH = "/api/v1/rules/evaluate"
RULED: dict[str, Any] = {
    **CONFIG,
    "rules": [
        {"name": "web", "match": ['team="web"'], "send": ["chat"], "proceed": True},
        {"name": "critical", "match": ['severity="critical"', 'kind="alert"'], "send": ["azure_devops"]},
        {"name": "rest", "send": ["chat"]},
    ],
    "silences": [
        {
            "match": ['team="web"'],
            "starts_at": "2026-01-01T00:00:00Z",
            "ends_at": "2026-01-02T00:00:00Z",
            "owner": "Ada",
            "reason": "upgrade",
        }
    ],
}
MESSAGE = {"alerts": [{"status": "firing", "labels": {"alertname": name, "team": name}} for name in ("web", "db")]}


@pytest.fixture
def ruled(make_app: MakeApp) -> FlaskClient:
    return make_app(RULED).test_client()


def test_the_rules_are_listed_in_their_order(ruled: FlaskClient) -> None:
    (web, critical, _) = ruled.get("/api/v1/rules").json["rules"]

    assert {**web, "last_matched_at": None} == {
        "name": "web",
        "match": ['team="web"'],
        "send": ["chat"],
        "proceed": True,
        "last_matched_at": None,
    }
    assert critical["match"] == ['severity="critical"', 'kind="alert"']


def test_labels_are_judged_as_an_alert_would_be(ruled: FlaskClient) -> None:
    found = ruled.post(PATH, json={"labels": {"team": "web", "severity": "page"}}).json

    assert found["receivers"] == ["chat"]
    assert [each["receiver"] for each in found["withheld"]] == ["azure_devops"]
    assert [(step["rule"], step["matched"]) for step in found["steps"]] == [
        ("web", True),
        ("critical", True),
        ("rest", False),
    ]


def test_a_time_asks_for_the_silences_of_then(ruled: FlaskClient) -> None:
    found = ruled.post(PATH, json={"labels": {"team": "web"}, "at": "2026-01-01T12:00:00Z"}).json

    assert (found["receivers"], found["withheld"][0]["receiver"]) == ([], "chat")
    assert "Ada" in found["withheld"][0]["reason"]


def test_each_alert_of_a_message_is_judged(ruled: FlaskClient) -> None:
    found = ruled.post(PATH, json={"payload": MESSAGE}).json

    assert [(step["alert"], step["rule"]) for step in found["steps"] if step["matched"]] == [
        ("web", "web"),
        ("web", "rest"),
        ("db", "rest"),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": {}},
        {"labels": {"a": 1}},
        {"kind": "incident"},
        {"at": "now"},
        {"payload": {}},
        {"payload": {"alerts": []}},
        {"payload": {"alerts": [{"labels": {}}]}},
        {"payload": MESSAGE, "labels": {"a": "b"}},
        {"source": "x" * 101},
    ],
)
def test_a_question_that_cannot_be_read_is_refused(wrong: dict[str, Any], ruled: FlaskClient) -> None:
    assert ruled.post(PATH, json=wrong).status_code == 422


@REPEATABLE
@given(
    st.dictionaries(
        st.sampled_from(["labels", "payload", "source", "kind", "severity", "title", "intake", "at"]),
        json_values | st.text(max_size=20) | st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3),
    )
)
def test_no_question_is_an_error_of_ours(client: FlaskClient, body: dict[str, Any]) -> None:
    answer = client.post(PATH, data=json.dumps(body), content_type="application/json")

    assert answer.status_code in (200, 400, 422)


def test_asking_stores_nothing(client: FlaskClient, services: Services) -> None:
    client.post(PATH, json={"labels": {"team": "web"}})

    assert services.store.open_alerts() == []


OFFICE = {"days": ["mon-fri"], "from": "08:00", "to": "18:00", "tz": "Europe/Berlin"}
TIMED: dict[str, Any] = {
    **CONFIG,
    "rules": [
        {"name": "long", "match": ['team="web"'], "send": ["chat"], "for": "5m", "proceed": True},
        {"name": "office", "send": ["azure_devops"], "windows": [OFFICE], "proceed": True},
        {
            "name": "again",
            "send": ["chat"],
            "after": {"count": 3, "within": "1h"},
            "escalate": {"after": "10m", "send": ["azure_devops"], "repeat": "30m"},
        },
    ],
}


def test_the_keys_of_a_rule_that_depend_on_time_are_listed(make_app: MakeApp) -> None:
    (long, office, again) = make_app(TIMED).test_client().get("/api/v1/rules").json["rules"]

    assert long["for"] == "5m"
    assert office["windows"] == ["mon-fri 08:00-18:00 Europe/Berlin"]
    assert again["after"] == {"count": 3, "within": "1h"}
    assert again["escalate"] == {"after": "10m", "send": ["azure_devops"], "repeat": "30m"}


def test_what_a_rule_waits_for_is_said_as_of_any_time(make_app: MakeApp, tmp_path: Path) -> None:
    asked = {"labels": {"team": "web"}, "at": "2026-11-20T19:00:00Z"}
    found = make_app(TIMED).test_client().post(PATH, json=asked).json

    answer = Terminal(tmp_path, TIMED).run("route", "team=web", "--at", "2026-11-20T19:00:00Z", "--json")

    assert json.loads(answer.output) == found
    assert [(step["matched"], step["why"]) for step in found["steps"]] == [
        (True, "matched, waits until 2026-11-20 19:05 UTC, because for: 5m"),
        (False, "outside its window (mon-fri 08:00-18:00 Europe/Berlin), which begins 2026-11-23 07:00 UTC"),
        (True, "matched, waits until it fires again, because after: 3 times within 1h, 1 so far"),
    ]
    assert (found["receivers"], [each["receiver"] for each in found["withheld"]]) == ([], ["chat", "azure_devops"])


@pytest.mark.parametrize(
    "words",
    [
        ["severity=critical", "team=web"],
        ['{severity="critical", team="web"}'],
        ['{"severity": "critical", "team": "web"}'],
        ['{"labels": {"severity": "critical", "team": "web"}}'],
        ['{"alerts": [{"status": "firing", "labels": {"severity": "critical", "team": "web"}}]}'],
    ],
)
def test_the_command_takes_labels_or_a_message(words: list[str], tmp_path: Path) -> None:
    answer = Terminal(tmp_path, RULED).run("route", *words)

    assert answer.exit_code == 0, answer.output
    assert "told: chat" in answer.output
    assert "withheld: azure_devops: off: ADO_ORG_URL, ADO_PROJECT and ADO_PAT are not set" in answer.output


def test_the_command_answers_as_the_api_does(tmp_path: Path, ruled: FlaskClient) -> None:
    answer = Terminal(tmp_path, RULED).run("route", "team=web", "--at", "2026-01-01T12:00:00Z", "--json")

    asked = {"labels": {"team": "web"}, "at": "2026-01-01T12:00:00Z"}
    assert json.loads(answer.output) == ruled.post(PATH, json=asked).json


@pytest.mark.parametrize("words", [["team!=web"], ["[1]"], ["x"], ["a=b", "--at", "noon"], ["kind=incident"]])
def test_the_command_says_what_it_cannot_read(words: list[str], tmp_path: Path) -> None:
    assert Terminal(tmp_path, RULED).run("route", *words).exit_code in (1, 2)
