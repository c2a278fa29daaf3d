"""/api/v1/quarantine and its command: seen, tried again with today's reader, thrown away."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient

from service_event_checker.cli.context import Here
from service_event_checker.cli.main import outage
from service_event_checker.engine import quarantine
from service_event_checker.engine.services import Services
from tests.sources.alertmanager.test_webhook import alert, message
from tests.web.conftest import MakeApp, bearer

ADMIN = bearer("canary-of-an-admin")
BROKEN = {"alerts": [{"status": "firing"}]}


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(API_TOKENS="ops:admin:canary-of-an-admin;eye:read:canary-of-a-reader")


def keep(services: Services, body: Any, *, minutes_ago: int = 0, **changes: Any) -> str:
    """Put a body aside as an earlier version would have, which could not read it."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    refused = quarantine.refusal(text, **{"route": "/webhook", "error": "of yesterday", **changes})
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    (id,) = quarantine.put(services.store.holding, changes.get("receiver", "alertmanager"), [refused], at)
    return id


def left(services: Services) -> list[str]:
    return [one.id for one in quarantine.held(services.store.holding)]


def test_what_was_refused_is_listed_the_newest_first_and_shown_whole(client: FlaskClient, services: Services) -> None:
    old, new = keep(services, BROKEN, minutes_ago=5), keep(services, b"{")

    listed = client.get("/api/v1/quarantine", **ADMIN).json["quarantine"]
    shown = client.get(f"/api/v1/quarantine/{old}", **ADMIN).json

    assert [one["id"] for one in listed] == [new, old]
    assert listed[0].keys() == {"id", "source", "route", "received_at", "error", "cut"}
    assert (json.loads(shown["body"]), shown["route"], shown["error"]) == (BROKEN, "/webhook", "of yesterday")


def test_a_body_that_can_be_read_today_is_taken_by_its_old_way_in(client: FlaskClient, services: Services) -> None:
    id = keep(services, message())

    answer = client.post(f"/api/v1/quarantine/{id}/replay", **ADMIN)

    assert (answer.status_code, answer.json) == (200, {"replayed": id, "accepted": 1})
    assert left(services) == []
    assert [one.intakes for one in services.store.open_alerts("alertmanager")] == [("/webhook",)]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (BROKEN, "labels"),
        (b"{", "not JSON"),
        ({"alerts": 5}, "not a list"),
        (b'{"a": "' + b"x" * 70_000 + b'"}', "completely"),
    ],
)
def test_what_is_still_wrong_stays_and_says_so(body: Any, error: str, client: FlaskClient, services: Services) -> None:
    id = keep(services, body)

    answer = client.post(f"/api/v1/quarantine/{id}/replay", **ADMIN)

    assert answer.status_code == 422
    assert error in answer.json["error"]["message"]
    assert left(services) == [id]


def test_of_a_body_that_is_partly_good_today_the_rest_stays(client: FlaskClient, services: Services) -> None:
    id = keep(services, message(alert(), {"status": "firing"}))

    assert client.post(f"/api/v1/quarantine/{id}/replay", **ADMIN).json["accepted"] == 1

    (rest,) = left(services)
    assert rest != id
    assert "labels" in client.get(f"/api/v1/quarantine/{rest}", **ADMIN).json["error"]


def test_a_rejected_alert_keeps_its_sender_when_it_is_replayed(client: FlaskClient, services: Services) -> None:
    answer = client.post("/alert", json=message(alert(fingerprint="a"), alert(fingerprint="b" * 256)))
    (id,) = [one["quarantined"] for one in answer.json["rejected"]]

    body = json.loads(client.get(f"/api/v1/quarantine/{id}", **ADMIN).json["body"])

    assert (body["externalURL"], body["groupKey"]) == (message()["externalURL"], message()["groupKey"])


def test_a_firing_alert_that_was_put_aside_before_its_end_opens_nothing(
    client: FlaskClient, services: Services
) -> None:
    began = (datetime.now(UTC) - timedelta(minutes=30)).isoformat()
    ended = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    id = keep(services, message(alert(startsAt=began)), minutes_ago=10)
    client.post("/alert", json=message(alert(startsAt=began)))
    client.post("/alert", json=message(alert(startsAt=began, status="resolved", endsAt=ended)))

    assert client.post(f"/api/v1/quarantine/{id}/replay", **ADMIN).status_code == 200

    assert services.store.open_alerts() == []


def test_what_nobody_wants_is_thrown_away(client: FlaskClient, services: Services) -> None:
    id = keep(services, BROKEN)

    assert client.delete(f"/api/v1/quarantine/{id}", **ADMIN).json == {"discarded": id}

    assert client.delete(f"/api/v1/quarantine/{id}", **ADMIN).status_code == 404
    assert client.get(f"/api/v1/quarantine/{id}", **ADMIN).status_code == 404
    assert client.post(f"/api/v1/quarantine/{id}/replay", **ADMIN).status_code == 404


def test_who_may_read_may_not_act(client: FlaskClient, services: Services) -> None:
    id = keep(services, message())
    reader = bearer("canary-of-a-reader")

    assert client.get("/api/v1/quarantine", **reader).status_code == 200
    assert client.post(f"/api/v1/quarantine/{id}/replay", **reader).status_code == 403
    assert client.delete(f"/api/v1/quarantine/{id}", **reader).status_code == 403
    assert left(services) == [id]


def run(app: Flask, *args: str) -> tuple[int, str]:
    services: Services = app.extensions["services"]
    here = Here(services.settings.variables, services)
    result = CliRunner().invoke(outage, ["quarantine", *args], obj=here)
    return result.exit_code, result.stdout


def test_the_command_lists_shows_and_deletes(app: Flask, services: Services) -> None:
    assert run(app) == (0, "nothing in quarantine\n")
    id = keep(services, BROKEN)

    assert all(part in run(app)[1] for part in (id, "/webhook", "of yesterday"))
    assert run(app, "--show", id) == (0, json.dumps(BROKEN) + "\n")
    assert run(app, "--discard", id)[0] == 0
    assert run(app, "--discard", id)[0] == run(app, "--show", id)[0] == run(app, "--replay", id)[0] == 1


def test_the_command_replays_all_from_the_oldest_on(app: Flask, services: Services) -> None:
    over = alert(status="resolved", endsAt="2026-11-20T10:12:00Z")
    keep(services, message(over), minutes_ago=1)
    bad = keep(services, BROKEN, minutes_ago=2)
    keep(services, message(), minutes_ago=3)

    code, said = run(app, "--replay", "all")

    assert code == 1
    assert f"{bad}: still rejected" in said
    assert left(services) == [bad]
    assert services.store.open_alerts("alertmanager") == []
    assert run(app, "--discard", bad)[0] == 0
    assert run(app, "--replay", "all") == (0, "nothing in quarantine\n")
