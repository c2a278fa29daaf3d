"""POST /api/v2/alerts: who sends to Alertmanagers can send here; what it answers, and what it needs to be let in."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Status
from service_event_checker.engine.expiry import EVERY
from service_event_checker.engine.quarantine import held
from service_event_checker.engine.services import Services
from service_event_checker.sources.replay import take_again
from tests.web.conftest import MakeApp, bearer

DOWN = {"alertname": "TargetDown", "instance": "web-1:9100", "severity": "critical"}
TOKEN, READER = "canary-of-prometheus", "canary-of-a-reader"


def posted(seconds: float | None = 240, **changes: Any) -> dict[str, Any]:
    """An alert as Prometheus posts it, over so many seconds from now unless it is repeated."""
    now = datetime.now(UTC)
    ends = {} if seconds is None else {"endsAt": (now + timedelta(seconds=seconds)).isoformat()}
    starts_at = (now - timedelta(minutes=5)).isoformat()
    return {"labels": DOWN, "annotations": {"summary": "cannot be scraped"}, "startsAt": starts_at} | ends | changes


def post(client: FlaskClient, *alerts: Any, **more: Any) -> TestResponse:
    return client.post("/api/v2/alerts", json=list(alerts), **more)


def statuses(services: Services) -> list[Status]:
    return [alert.status for alert in services.store.page(Query()).alerts]


def test_an_alert_comes_is_repeated_and_ends(client: FlaskClient, services: Services) -> None:
    first, again = post(client, posted()), post(client, posted())
    firing = statuses(services)
    over = post(client, posted(-1))

    assert [each.status_code for each in (first, again, over)] == [200] * 3
    assert (firing, statuses(services)) == ([Status.FIRING], [Status.RESOLVED])
    (found,) = services.store.page(Query()).alerts
    assert [step.why.value for step in services.store.timeline(found.key)][0] == "opened"
    assert found.intakes == ("/api/v2/alerts",)


def test_the_same_alert_by_webhook_is_the_same_alert(client: FlaskClient, services: Services) -> None:
    post(client, posted())
    client.post("/alert", json={"alerts": [{"status": "resolved", "labels": DOWN}]})

    assert statuses(services) == [Status.RESOLVED]


def test_good_alerts_are_not_lost_with_the_bad_ones_which_can_be_replayed(
    client: FlaskClient, services: Services
) -> None:
    answer = post(client, posted(), posted(startsAt="yesterday", labels=DOWN | {"instance": "web-2"}))

    assert (answer.status_code, answer.json["accepted"]) == (200, 1)
    (aside,) = held(services.store.holding)
    assert aside.refusal.route == "/api/v2/alerts"
    assert [each["index"] for each in answer.json["rejected"]] == [1]
    assert json.loads(aside.refusal.body)["alerts"][0]["startsAt"] == "yesterday"


@pytest.mark.parametrize(("body", "status"), [({}, 400), ("x", 400), ([3], 422), ([{}], 422), ([], 200)])
def test_what_is_no_alert_is_refused_with_its_reason(body: Any, status: int, client: FlaskClient) -> None:
    answer = client.post("/api/v2/alerts", json=body)

    assert answer.status_code == status
    if status != 200:
        assert answer.json["error"]["details"]["quarantined"]


def test_a_whole_body_that_was_refused_is_taken_again_by_its_way_in(client: FlaskClient, services: Services) -> None:
    late = posted(startsAt="2026-11-20T10:00:00")
    post(client, late)
    (aside,) = held(services.store.holding)
    fixed = aside.refusal.body.replace("2026-11-20T10:00:00", "2026-11-20T10:00:00Z")

    assert take_again(services, replace(aside, refusal=replace(aside.refusal, body=fixed)), datetime.now(UTC)) == 1
    (found,) = services.store.open_alerts()
    assert found.expires_at is not None


def test_senders_need_the_webhook_token_and_readers_theirs(make_app: MakeApp) -> None:
    client = make_app(WEBHOOK_TOKEN=TOKEN, API_TOKENS=f"grafana:read:{READER}").test_client()

    assert post(client, posted()).status_code == 401
    assert post(client, posted(), **bearer(READER)).status_code == 401
    assert post(client, posted(), **bearer(TOKEN)).status_code == 200
    assert post(client, posted(), auth=("prometheus", TOKEN)).status_code == 200
    assert client.get("/api/v2/status", **bearer(TOKEN)).json["cluster"]["status"] == "disabled"
    assert client.get("/api/v2/alerts", **bearer(TOKEN)).status_code == 401
    assert len(client.get("/api/v2/alerts", **bearer(READER)).json) == 1


def test_the_open_alerts_are_listed_by_matchers(client: FlaskClient) -> None:
    post(client, posted(), posted(labels=DOWN | {"instance": "web-2:9100"}), posted(-1, labels={"alertname": "Over"}))

    def listed(query: str) -> list[str]:
        return sorted(each["labels"]["instance"] for each in client.get(f"/api/v2/alerts?{query}").json)

    assert listed("") == ["web-1:9100", "web-2:9100"]
    assert listed('filter=instance=~"web-2.*"&filter=alertname=TargetDown') == ["web-2:9100"]
    assert listed("active=false") == []
    assert client.get("/api/v2/alerts?filter=(").status_code == 422
    assert client.get('/api/v2/alerts?filter=a=~"(a%2B)%2B"').status_code == 422


def test_a_repetition_that_could_not_be_stored_is_not_held_against_the_alert(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    post(client, posted(240))
    begun = datetime.now(UTC)
    for number in range(16):
        services.expiry.run(services.pipeline, begun + number * EVERY)
    (tmp_path / "store.db").rename(tmp_path / "away.db")
    refused = post(client, posted(500)).status_code
    (tmp_path / "away.db").rename(tmp_path / "store.db")

    ended = services.expiry.run(services.pipeline, begun + timedelta(seconds=241))

    assert (refused, ended) == (503, 0)
