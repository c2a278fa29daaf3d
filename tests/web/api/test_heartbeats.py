from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.web.conftest import CONFIG, MakeApp

WATCHDOG = {"every": "5m", "match": ['alertname="Watchdog"']}


@pytest.fixture
def client(make_app: MakeApp) -> FlaskClient:
    return make_app({**CONFIG, "heartbeats": {"cron": {"every": "1h"}, "prometheus": WATCHDOG}}).test_client()


def test_a_sender_says_that_it_lives_and_is_listed_with_when_and_until_when(client: FlaskClient) -> None:
    answer = client.post("/api/v1/heartbeats/cron")

    listed = {each["name"]: each for each in client.get("/api/v1/heartbeats").json["heartbeats"]}  # type: ignore[index]
    assert answer.status_code == 200
    assert (listed["cron"]["state"], listed["cron"]["due_at"][:16]) == ("heard", answer.json["due_at"][:16])  # type: ignore[index]
    assert (listed["prometheus"]["state"], listed["prometheus"]["last_at"]) == ("waiting", None)


def test_an_unknown_sender_gets_404_and_the_names_that_there_are(client: FlaskClient) -> None:
    answer = client.post("/api/v1/heartbeats/nobody")

    assert answer.status_code == 404
    assert "cron, prometheus" in answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/alert", {"alerts": [{"status": "firing", "labels": {"alertname": "Watchdog"}}]}),
        ("/api/v1/alerts", {"source": "m", "title": "t", "severity": "info", "metadata": {"alertname": "Watchdog"}}),
        ("/api/v1/alerts", [{"source": "m", "title": "t", "severity": "info", "metadata": {"alertname": "Watchdog"}}]),
    ],
)
def test_an_alert_that_is_a_sign_of_life_is_accepted_by_each_way_in(
    client: FlaskClient, path: str, body: object
) -> None:
    answer = client.post(path, json=body)

    listed = {each["name"]: each for each in client.get("/api/v1/heartbeats").json["heartbeats"]}  # type: ignore[index]
    assert answer.status_code == 200
    assert listed["prometheus"]["state"] == "heard"
    assert client.get("/api/v1/alerts").json["alerts"] == []  # type: ignore[index]
