"""The REST API of alerts: lists, lookups, and changes of the status through the pipeline."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.engine.services import Services
from tests.factories import NOW, event
from tests.web.conftest import CONFIG, MakeApp, bearer, give_up

Ingest = Callable[[Event], Alert]
CRITICAL = event(fingerprint="own", source="alertmanager", kind=Kind.ALERT, severity=Severity.CRITICAL, intake="/alert")


def listed(client: FlaskClient, query: str = "") -> list[str]:
    answer = client.get(f"/api/v1/alerts?{query}")
    assert answer.status_code == 200, answer.text
    return [alert["fingerprint"] for alert in answer.json["alerts"]]


@pytest.fixture
def three(ingest: Ingest, client: FlaskClient) -> None:
    """A firing outage, an acknowledged alert of ours, and an outage that is over."""
    ingest(event(fingerprint="firing"))
    ingest(CRITICAL)
    over = event(fingerprint="over", source="retool", severity=Severity.WARNING)
    ingest(over)
    ingest(replace(over, status=EventStatus.RESOLVED, at=NOW + timedelta(minutes=9)))
    client.put("/api/v1/alerts/own/status", json={"status": "acknowledged"})


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"firing", "own", "over"}),
        ("status=active", {"firing", "own"}),
        ("status=firing", {"firing"}),
        ("status=acknowledged", {"own"}),
        ("status=resolved", {"over"}),
        ("status=firing,resolved", {"firing", "over"}),
        ("status=active&status=resolved", {"firing", "own", "over"}),
        ("status=active&severity=critical", {"own"}),
        ("severity=CRITICAL,%20warning", {"own", "over"}),
        ("kind=outage", {"firing", "over"}),
        ("kind=alert&kind=maintenance", {"own"}),
        ("source=github", {"firing"}),
        ("source=nobody", set()),
    ],
)
def test_a_list_holds_what_is_asked_for(query: str, expected: set[str], client: FlaskClient) -> None:
    assert set(listed(client, query)) == expected


@pytest.mark.parametrize(
    "query",
    ["status=open", "severity=urgent", "kind=x", "limit=0", "limit=501", "limit=ten", "limit=-1", "limit=%C2%B2"]
    + ["status=firing,x", "source=a&source=b", "source=%00", "stauts=active"],
)
def test_a_value_that_is_not_known_is_refused_and_named(query: str, client: FlaskClient) -> None:
    answer = client.get(f"/api/v1/alerts?{query}")

    assert answer.status_code == 422
    assert answer.json["error"]["details"][0]["field"] == query.partition("=")[0]


def test_pages_follow_each_other_by_cursor_without_gap_or_repetition(ingest: Ingest, client: FlaskClient) -> None:
    for number in range(5):
        ingest(event(fingerprint=f"f{number}"))

    seen, cursor = [], ""
    while cursor is not None:
        page = client.get("/api/v1/alerts", query_string={"limit": 2, "cursor": cursor}).json
        seen += [alert["fingerprint"] for alert in page["alerts"]]
        cursor = page["cursor"]

    assert seen == ["f4", "f3", "f2", "f1", "f0"]


def test_an_alert_is_found_by_id_in_any_case_by_code_by_key_and_by_fingerprint(
    ingest: Ingest, client: FlaskClient
) -> None:
    alert = ingest(event(fingerprint="Pipelines:US/a b"))
    code = alert.internal_id.rpartition("-")[2]

    for name in (alert.internal_id, alert.internal_id.lower(), code, code.lower(), alert.key, alert.key.upper()):
        assert client.get(f"/api/v1/alerts/{name}").json["key"] == alert.key
    assert client.get("/api/v1/alerts/Pipelines:US/a%20b").json["key"] == alert.key


def test_a_fingerprint_that_ends_like_anothers_id_is_not_taken_for_it(ingest: Ingest, client: FlaskClient) -> None:
    alert = ingest(event())

    wrong = "queue-" + alert.internal_id.rpartition("-")[2]
    assert client.get(f"/api/v1/alerts/{wrong}").status_code == 404


def test_a_fingerprint_of_several_alerts_is_answered_with_the_candidates(ingest: Ingest, client: FlaskClient) -> None:
    ids = {ingest(event(fingerprint="same", source=source)).internal_id for source in ("github", "retool")}

    for answer in (
        client.get("/api/v1/alerts/same"),
        client.put("/api/v1/alerts/same/status", json={"status": "resolved"}),
    ):
        assert answer.status_code == 409
        assert {candidate["id"] for candidate in answer.json["error"]["details"]} == ids


@pytest.mark.parametrize("name", ["alert-123", "GITHUB-00000", "0" * 20, "x" * 300, "%00", "é"])
def test_an_alert_that_does_not_exist_is_not_found(name: str, client: FlaskClient) -> None:
    assert client.get(f"/api/v1/alerts/{name}").status_code == 404
    assert client.put(f"/api/v1/alerts/{name}/status", json={"status": "resolved"}).status_code == 404


def test_the_detail_tells_who_was_told_who_was_not_and_what_happened(ingest: Ingest, client: FlaskClient) -> None:
    ingest(event())

    found = client.get("/api/v1/alerts/8zc63m64hy36").json

    assert found["receivers"] == ["chat"]
    assert found["withheld"] == [
        {"receiver": "azure_devops", "reason": "off: ADO_ORG_URL, ADO_PROJECT and ADO_PAT are not set"}
    ]
    assert [entry["why"] for entry in found["timeline"]] == ["opened", "withheld"]
    off = "off: ADO_ORG_URL, ADO_PROJECT and ADO_PAT are not set"
    chat, azure = found["deliveries"]
    assert (chat["receiver"], chat["verb"], chat["state"], chat["tries"]) == ("chat", "open", "waiting", 0)
    assert azure == {
        "receiver": "azure_devops",
        "verb": "open",
        "state": "withheld",
        "at": found["timeline"][1]["at"],
        "tries": 0,
        "url": "",
        "why": off,
        "id": "",
    }


def test_the_detail_tells_of_a_delivery_when_it_arrived_and_where_or_why_it_failed(
    services: Services, ingest: Ingest, client: FlaskClient
) -> None:
    ingest(event())
    services.outbox.drain("chat")
    client.put("/api/v1/alerts/8zc63m64hy36/status", json={"status": "resolved"})
    id = give_up(services, "chat", "refused (token=abcdefghijkl)")

    found = client.get("/api/v1/alerts/8zc63m64hy36").json

    told, failed = (each for each in found["deliveries"] if each["receiver"] == "chat")
    assert (told["verb"], told["state"], told["tries"], told["why"]) == ("open", "delivered", 1, "")
    assert told["at"] in [entry["at"] for entry in found["timeline"] if entry["why"] == "delivered"]
    assert (failed["verb"], failed["state"], failed["id"]) == ("close", "failed", id)
    assert "abcdefghijkl" not in json.dumps(found)


def test_the_detail_names_the_receivers_that_no_rule_names(make_app: MakeApp) -> None:
    app = make_app(CONFIG | {"rules": []})
    services = app.extensions["services"]
    services.pipeline.ingest([event()], NOW)

    found = app.test_client().get("/api/v1/alerts/8zc63m64hy36").json

    assert {(each["receiver"], each["state"], each["why"]) for each in found["deliveries"]} == {
        ("chat", "not_matched", "no rule sends this alert there"),
        ("azure_devops", "not_matched", "no rule sends this alert there"),
    }


TOKENS = "ops:read,write:a-token-of-the-team"


def basic(user: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:a-token-of-the-team".encode()).decode()}


@pytest.mark.parametrize(
    ("tokens", "headers", "actor"),
    [
        ("", {}, "local"),
        ("", {"X-Actor": "ada"}, "ada"),
        ("", {"X-Actor": "Ada Łukasz".encode().decode("latin-1")}, "Ada Łukasz"),
        ("", {"X-Actor": "  "}, "local"),
        ("", {"X-Actor": "x" * 300}, "x" * 59 + "…"),
        ("", basic("ada"), "ada"),
        (TOKENS, basic("ada"), "ada (ops)"),
        (TOKENS, basic("ops"), "ops"),
        (TOKENS, basic(""), "ops"),
        (TOKENS, basic("Ada Łukasz"), "Ada Łukasz (ops)"),
        (TOKENS, basic("ada") | {"X-Actor": "eve"}, "ada (ops)"),
        (TOKENS, {"Authorization": "Bearer a-token-of-the-team", "X-Actor": "ada"}, "ada (ops)"),
    ],
)
def test_a_caller_may_say_who_they_are(
    tokens: str, headers: dict[str, str], actor: str, make_app: MakeApp, ingest: Ingest
) -> None:
    ingest(event())
    client = make_app(**{"API_TOKENS": tokens} if tokens else {}).test_client()

    answer = client.post("/api/v1/alerts/8zc63m64hy36/notes", json={"note": "mine"}, headers=headers)

    assert answer.status_code == 201
    assert answer.json["timeline"][-1]["actor"] == actor


def test_a_name_lets_nobody_in(make_app: MakeApp, ingest: Ingest) -> None:
    ingest(event())
    client = make_app(API_TOKENS=TOKENS).test_client()

    for headers in ({"X-Actor": "ops"}, {"Authorization": "Basic b3BzOm9wcw=="}):
        assert client.get("/api/v1/alerts", headers=headers).status_code == 401


def test_a_change_of_status_is_an_event_of_the_tokens_owner(make_app: MakeApp, ingest: Ingest) -> None:
    ingest(event())
    client = make_app(API_TOKENS="jane:write:first-of-two-tokens;boss:read:second-of-two-tokens").test_client()

    answer = client.put(
        "/api/v1/alerts/8zc63m64hy36/status",
        json={"status": "resolved", "resolution_note": "问题已修复"},
        **bearer("first-of-two-tokens"),
    )

    assert answer.status_code == 200
    assert (answer.json["status"], answer.json["resolved_by"], answer.json["owner"]) == ("resolved", "person", "jane")
    last = answer.json["timeline"][-1]
    assert (last["why"], last["actor"], last["note"]) == ("resolved by a person", "jane", "问题已修复")


def test_an_acknowledgement_is_given_and_taken_back_and_repeats_change_nothing(
    ingest: Ingest, client: FlaskClient
) -> None:
    ingest(event())
    path = "/api/v1/alerts/8zc63m64hy36/status"

    steps = ["active", "acknowledged", "acknowledged", "active", "resolved", "resolved"]
    answers = [client.put(path, json={"status": step}) for step in steps]

    assert [answer.json["status"] for answer in answers] == [
        "firing",
        *["acknowledged"] * 2,
        "firing",
        *["resolved"] * 2,
    ]
    assert [entry["why"] for entry in answers[-1].json["timeline"] if entry["why"] != "withheld"] == [
        "opened",
        "acknowledged",
        "acknowledgement taken back",
        "resolved by a person",
    ]


@pytest.mark.parametrize("wanted", ["active", "acknowledged"])
def test_what_is_resolved_is_opened_by_its_source_alone(wanted: str, ingest: Ingest, client: FlaskClient) -> None:
    ingest(event())
    client.put("/api/v1/alerts/8zc63m64hy36/status", json={"status": "resolved"})

    answer = client.put("/api/v1/alerts/8zc63m64hy36/status", json={"status": wanted})

    assert answer.status_code == 409
    assert "only its source opens it again" in answer.json["error"]["message"]


def test_the_id_of_a_past_episode_shows_that_episode_and_changes_nothing(ingest: Ingest, client: FlaskClient) -> None:
    first = ingest(event())
    ingest(event(status=EventStatus.RESOLVED, at=NOW + timedelta(hours=1)))
    second = ingest(event(starts_at=NOW + timedelta(hours=2), at=NOW + timedelta(hours=2)))

    assert client.get(f"/api/v1/alerts/{first.internal_id}").json["status"] == "resolved"
    answer = client.put(f"/api/v1/alerts/{first.internal_id}/status", json={"status": "resolved"})

    assert answer.status_code == 409
    assert answer.json["error"]["details"]["id"] == second.internal_id
    assert client.get(f"/api/v1/alerts/{second.internal_id}").json["status"] == "firing"


def test_a_note_with_half_a_character_is_kept_without_it(ingest: Ingest, client: FlaskClient) -> None:
    ingest(event())

    body = json.dumps({"status": "acknowledged", "resolution_note": "half \ud83d whole 😀"})
    answer = client.put("/api/v1/alerts/8zc63m64hy36/status", data=body, content_type="application/json")

    assert answer.json["timeline"][-1]["note"] == "half ? whole 😀"


def test_a_note_of_a_person_stands_on_the_timeline_and_is_sent_to_who_was_told(
    client: FlaskClient, ingest: Ingest, services: Services
) -> None:
    ingest(event())

    answer = client.post("/api/v1/alerts/8zc63m64hy36/notes", json={"note": "we fail over by hand"})

    assert answer.status_code == 201
    last = answer.json["timeline"][-1]
    assert (last["why"], last["note"], last["actor"]) == ("note", "we fail over by hand", "local")
    assert "note" in {each.verb for each in services.store.waiting_deliveries()}


@pytest.mark.parametrize("body", [{}, {"note": "  "}, {"note": 3}, {"note": "x" * 20_001}, {"note": "x", "by": "me"}])
def test_a_note_that_says_nothing_is_refused(client: FlaskClient, ingest: Ingest, body: object) -> None:
    ingest(event())

    answer = client.post("/api/v1/alerts/8zc63m64hy36/notes", json=body)

    assert answer.status_code == 422
    assert answer.json["error"]["details"][0]["field"] in ("note", "by")


def test_a_ticket_is_asked_for_once_however_often(make_app: MakeApp) -> None:
    app = make_app(ADO_ORG_URL="http://127.0.0.1:9", ADO_PROJECT="Outages", ADO_PAT="a-secret-pat")
    config_less = event(fingerprint="own", test=False)
    here: Services = app.extensions["services"]
    here.pipeline.ingest([replace(config_less, source="shop")], NOW)
    address = "/api/v1/alerts/own/tickets"

    answers = [app.test_client().post(address, json=body) for body in ({"receiver": "azure_devops"}, {})]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert {answer.json["receiver"] for answer in answers} == {"azure_devops"}
    assert answers[1].json["state"] == "asked for before"
    opens = [each for each in here.store.waiting_deliveries() if each.receiver == "azure_devops"]
    assert len(opens) == 1


def test_a_ticket_that_cannot_be_says_why(client: FlaskClient, ingest: Ingest) -> None:
    ingest(event())

    off = client.post("/api/v1/alerts/8zc63m64hy36/tickets", json={})
    wrong = [client.post("/api/v1/alerts/8zc63m64hy36/tickets", json={"receiver": name}) for name in ("none", "chat")]

    assert off.status_code == 409
    assert "azure_devops: ADO_ORG_URL" in off.json["error"]["message"]
    assert [answer.status_code for answer in wrong] == [422, 422]
    assert '"chat" is not a ticket system. Name one of azure_devops' in wrong[1].json["error"]["message"]


def test_a_change_that_names_what_it_has_seen_is_refused_when_that_is_past(ingest: Ingest, client: FlaskClient) -> None:
    ingest(event())
    path = "/api/v1/alerts/8zc63m64hy36"
    seen = client.get(path).headers["ETag"]

    first = client.put(f"{path}/status", json={"status": "acknowledged"}, headers={"If-Match": seen})
    late = client.put(f"{path}/status", json={"status": "resolved"}, headers={"If-Match": seen})

    assert (first.status_code, late.status_code) == (200, 412)
    assert first.headers["ETag"] == client.get(path).headers["ETag"] != seen
    for now in (first.headers["ETag"], "*"):
        assert (
            client.put(f"{path}/status", json={"status": "acknowledged"}, headers={"If-Match": now}).status_code == 200
        )
