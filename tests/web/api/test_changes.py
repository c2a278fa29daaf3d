from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.vocabulary import Kind
from tests.factories import event

DEPLOY = {"service": "checkout", "kind": "deploy", "title": "v42", "url": "https://ci.example.com/42", "who": "ada"}


def test_a_change_is_kept_listed_and_shown_with_the_alerts_of_its_service(
    client: FlaskClient, ingest: Callable[[Event], Alert]
) -> None:
    begun = datetime.now(UTC) - timedelta(minutes=3)
    told = event(source="a", kind=Kind.ALERT, starts_at=begun, labels={"service": "checkout"})
    made = client.post("/api/v1/changes", json={**DEPLOY, "at": (begun - timedelta(minutes=5)).isoformat()})
    client.post("/api/v1/changes", json={**DEPLOY, "service": "search"})
    alert = ingest(told)

    (listed,) = client.get("/api/v1/changes?service=checkout").json["changes"]  # type: ignore[index]
    shown = client.get(f"/api/v1/alerts/{alert.internal_id}").json["changes"]  # type: ignore[index]

    assert made.status_code == 201
    assert listed == made.json
    assert shown == [listed]
    page = client.get(f"/alerts/{alert.internal_id}").text
    assert "Our changes of this service" in page
    assert "https://ci.example.com/42" in page
    assert len(client.get("/api/v1/changes").json["changes"]) == 2  # type: ignore[index]


@pytest.mark.parametrize(
    "wrong",
    [
        {"service": ""},
        {"kind": "party"},
        {"at": "yesterday"},
        {"at": "2020-01-01T00:00:00Z"},
        {"at": "2026-11-20T03:00:00"},
        {"url": "javascript:alert(1)"},
        {"title": None},
        {"more": 1},
    ],
)
def test_a_change_that_is_not_understood_is_refused(client: FlaskClient, wrong: dict[str, Any]) -> None:
    answer = client.post("/api/v1/changes", json={**DEPLOY, **wrong})

    assert answer.status_code == 422, answer.json
    assert client.get("/api/v1/changes").json == {"changes": []}
