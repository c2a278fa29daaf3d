"""POST /api/v1/alerts/acts: one act on many alerts, with a preview and a limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.vocabulary import EventStatus, Severity, Status
from service_event_checker.engine.services import Services
from tests.factories import NOW, event
from tests.web.conftest import MakeApp, bearer

Ingest = Callable[[Event], Alert]
OVER = event(fingerprint="over", severity=Severity.CRITICAL)


@pytest.fixture
def alerts(ingest: Ingest) -> dict[str, Alert]:
    """Two critical ones, a warning, and a critical one that is over."""
    found = {name: ingest(event(fingerprint=name, severity=Severity.CRITICAL)) for name in ("a", "b")}
    found["c"] = ingest(event(fingerprint="c", severity=Severity.WARNING))
    ingest(OVER)
    found["over"] = ingest(replace(OVER, status=EventStatus.RESOLVED, at=NOW + timedelta(minutes=5)))
    return found


def asked(client: FlaskClient, **body: Any) -> Any:
    return client.post("/api/v1/alerts/acts", json=body)


def results(answer: Any) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {each["id"]: each["result"] for each in answer.json["results"]}


def statuses(services: Services, alerts: dict[str, Alert]) -> dict[str, Status]:
    now = services.store.get({alert.key for alert in alerts.values()})
    return {name: now[alert.key].status for name, alert in alerts.items()}


def test_a_filter_touches_the_open_alerts_that_the_act_would_change(
    client: FlaskClient, services: Services, alerts: dict[str, Alert]
) -> None:
    asked(client, act="acknowledge", ids=["a"])

    answer = asked(client, act="acknowledge", filter=['severity="critical"'], note="on it")

    assert results(answer) == {alerts["b"].internal_id: "done"}
    assert (answer.json["count"], answer.json["preview"]) == (1, False)
    assert statuses(services, alerts) == {
        "a": Status.ACKNOWLEDGED,
        "b": Status.ACKNOWLEDGED,
        "c": Status.FIRING,
        "over": Status.RESOLVED,
    }
    assert services.store.timeline(alerts["b"].key)[-1].note == "on it"


def test_a_preview_says_what_would_be_touched_and_touches_nothing(
    client: FlaskClient, services: Services, alerts: dict[str, Alert]
) -> None:
    before = statuses(services, alerts)

    answer = asked(client, act="resolve", filter=['source="github"'], preview=True, limit=2)

    assert answer.json["count"] == 3
    assert [each["result"] for each in answer.json["results"]] == ["planned", "planned"]
    assert statuses(services, alerts) == before


def test_more_than_the_limit_is_refused_as_a_whole_and_counted(
    client: FlaskClient, services: Services, alerts: dict[str, Alert]
) -> None:
    before = statuses(services, alerts)

    answer = asked(client, act="resolve", filter=['source="github"'], limit=2)

    assert answer.status_code == 422
    assert answer.json["error"]["details"] == {"count": 3, "limit": 2}
    assert "would change 3 alerts" in answer.json["error"]["message"]
    assert statuses(services, alerts) == before


def test_each_name_gets_an_answer_of_its_own(client: FlaskClient, ingest: Ingest, alerts: dict[str, Alert]) -> None:
    asked(client, act="acknowledge", ids=["b"])
    ingest(event(fingerprint="a", source="retool"))  # now two alerts have this fingerprint
    past = alerts["over"].internal_id
    again = ingest(replace(OVER, starts_at=NOW + timedelta(hours=1), at=NOW + timedelta(hours=1)))

    answer = asked(client, act="acknowledge", ids=["a", "b", "c", alerts["c"].key, past, "nobody"])

    assert results(answer) == {
        "a": "unknown",
        alerts["b"].internal_id: "unchanged",
        alerts["c"].internal_id: "done",
        past: "refused",
        "nobody": "unknown",
    }
    whys = {each["id"]: each["why"] for each in answer.json["results"]}
    assert again.internal_id in whys[past]
    assert "2 alerts" in whys["a"]


def test_what_is_over_cannot_be_taken_back_but_may_be_noted(
    client: FlaskClient, services: Services, alerts: dict[str, Alert]
) -> None:
    id = alerts["over"].internal_id

    assert results(asked(client, act="unacknowledge", ids=["over"])) == {id: "refused"}
    assert results(asked(client, act="note", ids=["over"], note="was a test")) == {id: "done"}
    assert services.store.timeline(alerts["over"].key)[-1].note == "was a test"


def test_each_alert_gets_one_ticket_however_often_it_is_asked(
    make_app: MakeApp, ingest: Ingest, alerts: dict[str, Alert]
) -> None:
    variables = {"ADO_ORG_URL": "http://127.0.0.1:9", "ADO_PROJECT": "Outages", "ADO_PAT": "a-secret-pat-of-ours"}
    config = {
        "destinations": {
            "azure_devops": {"kind": "azure_devops", "url": "env:ADO_ORG_URL", "project": "env:ADO_PROJECT"}
        }
    }
    client = make_app(config, **variables).test_client()

    first, again = (asked(client, act="ticket", ids=["b", "c"]) for _ in range(2))

    assert set(results(first).values()) == {"done"}
    assert {each["why"] for each in first.json["results"]} == {"requested"}
    assert set(results(again).values()) == {"unchanged"}
    assert asked(client, act="ticket", ids=["b"], receiver="nobody").status_code == 422


def test_without_a_ticket_system_the_whole_act_is_refused(client: FlaskClient, alerts: dict[str, Alert]) -> None:
    answer = asked(client, act="ticket", ids=["a"])

    assert answer.status_code == 409
    assert "ADO_ORG_URL" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"act": "acknowledge"},
        {"act": "acknowledge", "ids": ["a"], "filter": ['source="github"']},
        {"act": "acknowledge", "filter": [" "]},
        {"act": "acknowledge", "filter": ["no matcher"]},
        {"act": "acknowledge", "filter": ['title=~"(a+)+"']},
        {"act": "delete", "ids": ["a"]},
        {"act": "note", "ids": ["a"], "note": " "},
        {"act": "ticket", "ids": ["a"], "note": "why"},
        {"act": "resolve", "ids": ["a"], "receiver": "jira"},
        {"act": "resolve", "ids": ["a"], "limit": 501},
        {"act": "resolve", "ids": ["a"], "dry_run": True},
    ],
)
def test_a_body_that_does_not_fit_is_refused(client: FlaskClient, body: dict[str, Any]) -> None:
    assert asked(client, **body).status_code == 422


def test_it_needs_the_scope_write(make_app: MakeApp) -> None:
    client = make_app(API_TOKENS="viewer:read:first-of-two-tokens").test_client()

    answer = client.post("/api/v1/alerts/acts", json={"act": "resolve", "ids": ["a"]}, **bearer("first-of-two-tokens"))

    assert answer.status_code == 403
