"""POST /api/v1/alerts: one alert or a list, what is refused, and a repetition with the same Idempotency-Key."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.engine import idempotency, quarantine
from service_event_checker.engine.services import Services
from service_event_checker.sources.replay import take_again
from tests.sources.rest.test_payload import SHOWN
from tests.strategies import REPEATABLE, json_values
from tests.web.conftest import MakeApp, bearer

PATH = "/api/v1/alerts"
KEYS = "ops:write,read:first-of-two-tokens;other:write:second-of-two-tokens"


def body(**changes: Any) -> dict[str, Any]:
    return {**SHOWN, **changes}


def test_an_alert_is_created_listed_resolved_and_opened_again(client: FlaskClient) -> None:
    created = client.post(PATH, json=SHOWN)
    assert created.status_code == 201
    assert (created.json["source"], created.json["severity"], created.json["title"]) == (
        "rest:monitoring-system",
        "critical",
        "服务器CPU使用率过高",
    )
    (listed,) = client.get(f"{PATH}?status=active&severity=critical").json["alerts"]
    assert listed["id"] == created.json["id"]
    assert client.post(PATH, json=SHOWN).status_code == 200

    done = {"status": "resolved", "resolution_note": "问题已修复"}
    resolved = client.put(f"{PATH}/{created.json['id']}/status", json=done)
    assert (resolved.status_code, resolved.json["timeline"][-1]["note"]) == (200, "问题已修复")

    again = client.post(PATH, json=SHOWN)
    assert (again.status_code, again.json["episode"]) == (201, 2)


def test_its_sender_ends_it_by_the_same_identity(client: FlaskClient) -> None:
    client.post(PATH, json=body(fingerprint="disk-1"))

    ended = client.post(PATH, json=body(fingerprint="disk-1", status="resolved"))

    assert (ended.status_code, ended.json["status"], ended.json["resolved_by"]) == (200, "resolved", "source")
    assert client.post(PATH, json=body(fingerprint="other", status="resolved")).status_code == 404


def test_a_fingerprint_of_two_sources_is_answered_with_both(client: FlaskClient) -> None:
    ids = {client.post(PATH, json=body(source=name, fingerprint="x")).json["id"] for name in ("a", "b")}

    answer = client.get(f"{PATH}/x")

    assert (answer.status_code, {one["id"] for one in answer.json["error"]["details"]}) == (409, ids)


def test_a_list_is_answered_one_by_one_and_the_bad_ones_are_put_aside(client: FlaskClient, services: Services) -> None:
    answer = client.post(PATH, json=[body(title="one"), {"title": "no source"}, body(title="one"), body(title="two")])

    assert answer.status_code == 200
    results = answer.json["results"]
    assert [result["status"] for result in results] == [201, 422, 200, 201]
    assert results[1]["fields"] == [{"field": "source", "problem": "Field required"}]
    held = quarantine.find(services.store.holding, results[1]["quarantined"])
    assert held is not None
    assert json.loads(held.refusal.body) == {"title": "no source"}


@pytest.mark.parametrize("wrong", [[], [SHOWN] * 1001, [{}], {}, 5, "x", None, [None]])
def test_what_holds_no_alert_is_refused(wrong: Any, client: FlaskClient) -> None:
    assert client.post(PATH, data=json.dumps(wrong), content_type="application/json").status_code == 422


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("source", ""),
        ("source", "a\nb"),
        ("source", "x" * 96),
        ("title", " "),
        ("title", None),
        ("tags", "cpu"),
        ("tags", [1]),
        ("metadata", []),
        ("status", "open"),
        ("fingerprint", "x" * 256),
        ("starts_at", "2026-01-01T00:00:00"),
        ("starts_at", 1_700_000_000),
        ("starts_at", "1700000000"),
        ("sevrity", "critical"),
    ],
)
def test_a_wrong_field_is_named_and_the_body_is_put_aside(
    field: str, value: object, client: FlaskClient, services: Services
) -> None:
    answer = client.post(PATH, json=body(**{field: value}))

    details = answer.json["error"]["details"]
    assert (answer.status_code, details["fields"][0]["field"].partition("[")[0]) == (422, field)
    assert quarantine.find(services.store.holding, details["quarantined"])


def test_a_body_in_quarantine_is_taken_as_of_when_it_came(client: FlaskClient, services: Services) -> None:
    now = datetime.now(UTC)
    kept = quarantine.refusal(json.dumps(SHOWN).encode(), route=PATH, error="was wrong once")
    (id,) = quarantine.put(services.store.holding, "rest", [kept], now - timedelta(hours=2))
    held = quarantine.find(services.store.holding, id)
    assert held is not None

    assert take_again(services, held, now) == 1

    (alert,) = client.get(PATH).json["alerts"]
    assert datetime.fromisoformat(alert["started_at"]) == now - timedelta(hours=2)


def test_an_unknown_word_for_the_severity_counts_as_warning_and_is_named(client: FlaskClient) -> None:
    answer = client.post(PATH, json=body(severity="terrible"))

    assert (answer.status_code, answer.json["severity"]) == (201, "warning")
    assert "terrible" in answer.json["warnings"][0]


def test_a_repetition_with_the_same_key_gets_the_same_answer(client: FlaskClient) -> None:
    key = {"Idempotency-Key": "8e03978e-40d5"}
    first = client.post(PATH, json=SHOWN, headers=key)
    client.put(f"{PATH}/{first.json['id']}/status", json={"status": "resolved"})

    again = client.post(PATH, json=SHOWN, headers=key)

    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert client.get(f"{PATH}/{first.json['key']}").json["episode"] == 1


def test_a_key_with_another_body_is_refused_and_its_day_ends(client: FlaskClient, services: Services) -> None:
    key = {"Idempotency-Key": "k"}
    client.post(PATH, json=SHOWN, headers=key)

    other = client.post(PATH, json=body(title="other"), headers=key)
    assert (other.status_code, other.json["error"]["details"][0]["field"]) == (422, "Idempotency-Key")

    assert idempotency.prune(services.store.holding, datetime.now(UTC) + timedelta(hours=25)) == 1
    assert client.post(PATH, json=body(title="other"), headers=key).status_code == 201


def test_callers_do_not_share_keys(make_app: MakeApp) -> None:
    client = make_app(API_TOKENS=KEYS).test_client()
    for token, status in (("first-of-two-tokens", 201), ("second-of-two-tokens", 200)):
        headers = {**bearer(token)["headers"], "Idempotency-Key": "k"}
        answer = client.post(PATH, json=SHOWN, headers=headers)
        assert (answer.status_code, "Idempotency-Replayed" in answer.headers) == (status, False)


@pytest.mark.parametrize("key", ["x" * 256, "é"])
def test_a_key_that_is_too_long_or_not_ascii_is_refused(key: str, client: FlaskClient) -> None:
    assert client.post(PATH, json=SHOWN, headers={"Idempotency-Key": key}).status_code == 422


@REPEATABLE
@given(
    st.dictionaries(
        st.sampled_from([*SHOWN, "fingerprint", "status", "starts_at", "url", "x"]), json_values | st.text(max_size=300)
    ).map(lambda some: {**SHOWN, **some})
    | json_values
    | st.lists(json_values, max_size=3)
)
def test_no_body_is_an_error_of_ours(client: FlaskClient, given_body: Any) -> None:
    answer = client.post(PATH, data=json.dumps(given_body), content_type="application/json")

    assert answer.status_code in (200, 201, 400, 404, 422)


EXECUTE = {
    "alert_id": "alert-123",
    "action_type": "restart_service",
    "parameters": {"service_name": "nginx", "server": "web-01"},
}


def test_an_action_needs_an_alert_that_exists_and_an_action_that_is_configured(make_app: MakeApp) -> None:
    client = make_app(API_TOKENS="ops:admin:first-of-two-tokens").test_client()
    token = bearer("first-of-two-tokens")
    assert client.post("/api/v1/actions/execute", json=EXECUTE, **token).status_code == 404

    id = client.post(PATH, json=SHOWN, **token).json["id"]
    answer = client.post("/api/v1/actions/execute", json={**EXECUTE, "alert_id": id}, **token)

    said = "action_type: is not a configured action. No action is configured"
    assert (answer.status_code, answer.json["error"]["message"]) == (422, said)
