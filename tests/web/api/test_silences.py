"""/api/v1/silences: who may make one, what it says of itself, and that live and dry decisions obey it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.engine.services import Services
from tests.factories import event
from tests.strategies import REPEATABLE, json_values
from tests.web.conftest import CONFIG, MakeApp

PATH = "/api/v1/silences"
TOKENS = {"API_TOKENS": "ops:read,write:a-token-that-writes;viewer:read:a-token-that-reads"}
AUTH = {"Authorization": "Bearer a-token-that-writes"}
LATER = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0).isoformat()
BODY: dict[str, Any] = {"match": ['source="github"'], "ends_at": LATER, "reason": "upgrade"}
RULED = {**CONFIG, "rules": [{"name": "all", "send": ["chat"]}]}


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(RULED, **TOKENS)


def post(client: FlaskClient, path: str = "", **changes: Any) -> Any:
    return client.post(PATH + path, json=BODY | changes, headers=AUTH)


def test_a_silence_is_made_in_the_name_of_its_token(client: FlaskClient) -> None:
    made = post(client, repeat={"weekly": ["sun", "mon"], "from": "22:00", "to": "06:00", "tz": "Europe/Berlin"})

    assert made.status_code == 201
    shown = made.json
    assert (shown["owner"], shown["state"], shown["hits"], shown["editable"]) == ("ops", "active", 0, True)
    assert shown["repeat"] == {"weekly": ["mon", "sun"], "from": "22:00", "to": "06:00", "tz": "Europe/Berlin"}
    assert client.get(f"{PATH}/{shown['id'].lower()}", headers=AUTH).json == shown
    assert [each["id"] for each in client.get(PATH, headers=AUTH).json["silences"]] == [shown["id"]]


def test_it_withholds_live_and_dry_alike_and_says_whose_until_when_and_why(
    client: FlaskClient, services: Services
) -> None:
    id = post(client, owner="Ada").json["id"]
    why = f"silenced by Ada until {LATER[:10]} {LATER[11:16]} UTC: upgrade ({id})"

    dry = client.post("/api/v1/rules/evaluate", json={"source": "github", "kind": "outage"}, headers=AUTH).json
    (live,) = services.pipeline.ingest([event()], datetime.now(UTC)).values()

    assert dry["withheld"] == [{"receiver": "chat", "reason": why}]
    assert dry["silences"] == [
        {"id": id, "owner": "Ada", "until": LATER.replace("+00:00", "Z"), "reason": "upgrade", "match": BODY["match"]}
    ]
    assert live.withheld == {"chat": why}
    assert client.get(f"{PATH}/{id}", headers=AUTH).json["hits"] == 1


def test_an_earlier_time_is_judged_by_the_silences_of_then(client: FlaskClient) -> None:
    id = post(client).json["id"]
    during = datetime.now(UTC).isoformat()
    client.delete(f"{PATH}/{id}", headers=AUTH)

    asked = {"source": "github", "kind": "outage"}
    now = client.post("/api/v1/rules/evaluate", json=asked, headers=AUTH).json
    then = client.post("/api/v1/rules/evaluate", json={**asked, "at": during}, headers=AUTH).json

    assert (now["receivers"], now["silences"]) == (["chat"], [])
    assert (then["receivers"], [each["id"] for each in then["silences"]]) == ([], [id])


def test_the_end_announces_what_still_fires_and_not_what_is_over(client: FlaskClient, services: Services) -> None:
    id, now = post(client).json["id"], datetime.now(UTC)
    over = event(fingerprint="over")
    services.pipeline.ingest([event(), over], now)
    services.pipeline.ingest([event(fingerprint="over", status=EventStatus.RESOLVED)], now)

    ended = client.delete(f"{PATH}/{id}", headers=AUTH | {"X-Actor": "Bob"}).json

    assert (ended["state"], ended["ended_by"], ended["hits"]) == ("ended", "Bob (ops)", 2)
    assert [(each.key, each.verb.value) for each in services.store.waiting_deliveries()] == [(event().key, "open")]
    again = client.delete(f"{PATH}/{id}", headers=AUTH)
    assert (again.status_code, "is over" in again.json["error"]["message"]) == (409, True)


def test_a_silence_is_changed_by_who_has_seen_its_present_state(client: FlaskClient) -> None:
    made = post(client, owner="Ada")
    path, seen = f"{PATH}/{made.json['id']}", {"If-Match": made.headers["ETag"]}

    longer = client.put(path, json=BODY | {"reason": "slow upgrade"}, headers=AUTH | seen)
    late = client.put(path, json=BODY | {"reason": "late"}, headers=AUTH | seen)

    assert (longer.status_code, longer.json["reason"], longer.json["owner"]) == (200, "slow upgrade", "Ada")
    assert longer.json["starts_at"] == made.json["starts_at"]
    assert late.status_code == 412
    assert client.put(path, json=BODY, headers=AUTH | {"If-Match": longer.headers["ETag"]}).status_code == 200
    client.delete(path, headers=AUTH)
    assert client.put(path, json=BODY, headers=AUTH).status_code == 409


def test_a_shorter_silence_announces_what_it_no_longer_matches(client: FlaskClient, services: Services) -> None:
    made = post(client).json
    services.pipeline.ingest([event()], datetime.now(UTC))

    client.put(f"{PATH}/{made['id']}", json=BODY | {"match": ['source="azure"']}, headers=AUTH)

    assert services.store.waiting("chat") == 1


def test_a_preview_names_the_open_alerts_and_makes_nothing(client: FlaskClient, services: Services) -> None:
    (alert,) = services.pipeline.ingest([event()], datetime.now(UTC)).values()

    found, none = post(client, "/preview").json, post(client, "/preview", match=['source="azure"']).json

    assert [(each["id"], each["title"]) for each in found["matches"]] == [(alert.internal_id, alert.title)]
    assert (found["count"], none) == (1, {"matches": [], "count": 0})
    assert client.get(PATH, headers=AUTH).json == {"silences": []}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"match": []}, "match"),
        ({"match": ["nonsense"]}, "match"),
        ({"match": ['title=~".*"']}, "match"),
        ({"match": ['severity!=""', 'team=""']}, "match"),
        ({"match": [f'l{number}="x"' for number in range(21)]}, "match"),
        ({"match": ['title=~"(a+)+$"']}, "match"),
        ({"match": ['title=~"("']}, "match"),
        ({"match": [1]}, "match[0]"),
        ({"match": 'source="github"'}, "match"),
        ({"ends_at": None}, "ends_at"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
        ({"ends_at": "2026-01-01T00:00:00"}, "ends_at"),
        ({"ends_at": "9999-12-31T23:59:59-05:00"}, "ends_at"),
        ({"ends_at": "2999-12-31T23:59:59Z"}, "ends_at"),
        ({"starts_at": "2998-01-01T00:00:00Z"}, "ends_at"),
        ({"reason": ""}, "reason"),
        ({"reason": " \u200b "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"owner": 7}, "owner"),
        ({"repeat": {"weekly": []}}, "repeat.weekly"),
        ({"repeat": {"weekly": ["monday"], "from": "01:00", "to": "02:00"}}, "repeat.weekly[0]"),
        ({"repeat": {"weekly": ["mon"], "from": "1:00", "to": "02:00"}}, "repeat.from"),
        ({"repeat": {"weekly": ["mon"], "from": "24:00", "to": "٢٢:00"}}, "repeat.to"),
        ({"repeat": {"weekly": ["mon"], "from": "01:00", "to": "02:00", "tz": "../etc/passwd"}}, "repeat.tz"),
        ({"repeat": {"weekly": ["mon"], "from": "01:00", "to": "02:00", "tz": "Europe"}}, "repeat.tz"),
        ({"repeat": {"monthly": [1]}}, "repeat.monthly"),
        ({"for": "2h"}, "for"),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_made(client: FlaskClient, changes: dict[str, Any], field: str) -> None:
    answer = post(client, **changes)

    assert answer.status_code == 422
    assert field in [each["field"] for each in answer.json["error"]["details"]]
    assert client.get(PATH, headers=AUTH).json == {"silences": []}


@REPEATABLE
@given(name=st.sampled_from([*BODY, "repeat", "starts_at", "owner"]), value=json_values)
def test_no_body_breaks_it(client: FlaskClient, name: str, value: Any) -> None:
    assert post(client, **{name: value}).status_code in (201, 400, 422)
    assert client.get(PATH, headers=AUTH).status_code == 200


def test_only_a_token_that_may_write_changes_silences(client: FlaskClient) -> None:
    id = post(client).json["id"]

    for method, path in (("POST", PATH), ("PUT", f"{PATH}/{id}"), ("DELETE", f"{PATH}/{id}")):
        viewer = client.open(path, method=method, json=BODY, headers={"Authorization": "Bearer a-token-that-reads"})
        nobody = client.open(path, method=method, json=BODY)
        assert (viewer.status_code, nobody.status_code) == (403, 401)


def test_without_tokens_this_machine_may_look_and_is_told_what_to_set(make_app: MakeApp) -> None:
    local = make_app(RULED).test_client()

    refused = local.post(PATH, json=BODY)

    assert (refused.status_code, refused.json["error"]["details"]) == (403, {"set": "API_TOKENS"})
    assert local.delete(f"{PATH}/S-1").status_code == 403
    assert local.get(PATH).json == {"silences": []}
    assert local.post(f"{PATH}/preview", json=BODY).status_code == 200


def test_an_unknown_silence_is_not_found(client: FlaskClient) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert client.open(f"{PATH}/S-NONE", method=method, json=BODY, headers=AUTH).status_code == 404
