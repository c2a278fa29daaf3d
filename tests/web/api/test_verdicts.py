from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.vocabulary import Kind
from service_event_checker.engine.services import Services
from tests.factories import event
from tests.web.conftest import CONFIG, MakeApp

START = datetime.now(UTC) - timedelta(minutes=5)
OUTAGE = event(source="github", fingerprint="o", kind=Kind.OUTAGE, title="Actions are slow", starts_at=START)
BUILD = event(
    source="alertmanager",
    fingerprint="b",
    kind=Kind.ALERT,
    title="Builds wait",
    starts_at=START,
    labels={"service": "ci"},
)
DEPENDS = [{"match": ['service="ci"'], "on": ["github"]}]


@pytest.fixture
def client(make_app: MakeApp) -> FlaskClient:
    return make_app({**CONFIG, "depends": DEPENDS}).test_client()


@pytest.fixture
def services(client: FlaskClient) -> Services:
    found: Services = client.application.extensions["services"]
    return found


@pytest.fixture
def ingest(services: Services) -> Callable[[Event], Alert]:
    def send(told: Event) -> Alert:
        (alert,) = services.pipeline.ingest([told], datetime.now(UTC)).values()
        return alert

    return send


def test_an_alert_shows_its_verdict_with_reasons(client: FlaskClient, ingest: Callable[[Event], Alert]) -> None:
    outage, alert = ingest(OUTAGE), ingest(BUILD)

    shown = client.get(f"/api/v1/alerts/{alert.internal_id}").json["verdict"]  # type: ignore[index]

    assert (shown["answer"], shown["explained_by"], shown["by"]) == ("vendor", [outage.internal_id], "engine")
    assert "It depends on GitHub, as the configuration says" in [item["text"] for item in shown["evidence"]]
    assert shown["sentence"].startswith("Likely GitHub: Actions are slow")
    assert "Likely GitHub: Actions are slow" in client.get(f"/alerts/{alert.internal_id}").text
    assert "Likely GitHub: Actions are slow" in client.get("/").text


def test_the_trouble_of_a_service_is_judged_with_and_without_open_alerts(
    client: FlaskClient, ingest: Callable[[Event], Alert]
) -> None:
    ingest(OUTAGE)
    without = client.get("/api/v1/verdict?service=ci").json
    alert = ingest(BUILD)

    found = client.get("/api/v1/verdict?service=CI").json

    assert without
    assert found
    assert (without["answer"], without["alerts"]) == ("vendor", [])
    assert (found["answer"], [each["id"] for each in found["alerts"]]) == ("vendor", [alert.internal_id])
    assert client.get("/api/v1/verdict?service=other").json["answer"] == "unknown"  # type: ignore[index]


@pytest.mark.parametrize("query", ["", "?service=", "?service=a&service=b"])
def test_which_labels_are_asked_about_must_be_said(client: FlaskClient, query: str) -> None:
    assert client.get(f"/api/v1/verdict{query}").status_code == 422


def test_a_person_who_says_no_outranks_what_was_found_and_is_on_the_timeline(
    client: FlaskClient, services: Services, ingest: Callable[[Event], Alert]
) -> None:
    outage, alert = ingest(OUTAGE), ingest(BUILD)
    path = f"/api/v1/alerts/{alert.internal_id}"

    answer = client.post(f"{path}/verdict", json={"answer": "reject", "note": "our own runner"})
    again = client.post(f"{path}/verdict", json={"answer": "reject", "note": "our own runner"})

    shown = client.get(path).json
    assert shown
    assert answer.json
    assert again.json
    assert (answer.json["answer"], answer.json["explained_by"]) == ("unknown", [])
    assert again.json == answer.json
    steps = [(step["why"], step["note"]) for step in shown["timeline"]]
    assert ("judged by a person", f"said no: {outage.internal_id}. our own runner") in steps
    assert sum(why == "judged by a person" for why, _ in steps) == 1
    assert services.correlation.look_back(services.pipeline, datetime.now(UTC)) == 0


def test_a_person_who_agrees_is_counted_once(client: FlaskClient, ingest: Callable[[Event], Alert]) -> None:
    ingest(OUTAGE)
    alert = ingest(BUILD)

    answer = client.post(f"/api/v1/alerts/{alert.internal_id}/verdict", json={"answer": "confirm"})

    assert answer.json
    assert (answer.json["answer"], answer.json["score"]) == ("vendor", 0.982)
    assert any(item["text"].endswith("agreed") for item in answer.json["evidence"])


def test_where_nothing_explains_an_alert_there_is_nothing_to_agree_to(
    client: FlaskClient, ingest: Callable[[Event], Alert]
) -> None:
    alert = ingest(BUILD)

    answer = client.post(f"/api/v1/alerts/{alert.internal_id}/verdict", json={"answer": "confirm"})

    assert answer.status_code == 409
    assert "No outage explains" in answer.text


def test_a_word_that_is_neither_is_refused_by_field(client: FlaskClient, ingest: Callable[[Event], Alert]) -> None:
    alert = ingest(BUILD)

    answer = client.post(f"/api/v1/alerts/{alert.internal_id}/verdict", json={"answer": "maybe"})

    assert answer.status_code == 422
    assert "answer" in answer.text
