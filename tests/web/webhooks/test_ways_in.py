"""Grafana, Azure Monitor and Alertmanager's event recorder: taken durably, refused with a trace, let in by a secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Status
from service_event_checker.engine.quarantine import held
from service_event_checker.engine.services import Services
from service_event_checker.sources.replay import take_again
from service_event_checker.web.webhooks import azure_monitor
from tests.sources.alertmanager.test_events import INHIBITED, LABELS, SILENCE, SILENCED, event, muted_alert
from tests.sources.azure_monitor.test_hook import payload
from tests.sources.grafana.test_hook import ALERT, MESSAGE
from tests.web.conftest import MakeApp, bearer
from tests.web.webhooks.test_status_pages import AWAY

EVENTS = "/hooks/alertmanager-events"
TOKEN = "canary-of-the-senders"


def address(services: Services) -> str:
    return azure_monitor.path(services)


def statuses(services: Services) -> list[Status]:
    return [alert.status for alert in services.store.page(Query()).alerts]


def test_an_alert_of_grafana_comes_and_goes(client: FlaskClient, services: Services) -> None:
    first = client.post("/hooks/grafana", json=MESSAGE)
    firing = statuses(services)
    client.post("/hooks/grafana", json=MESSAGE | {"alerts": [ALERT | {"status": "resolved"}]})

    assert (first.status_code, first.json) == (200, {"accepted": 1, "rejected": []})
    assert (firing, statuses(services)) == ([Status.FIRING], [Status.RESOLVED])


def test_a_bad_alert_of_grafana_is_kept_by_itself_and_can_be_replayed(client: FlaskClient, services: Services) -> None:
    answer = client.post("/hooks/grafana", json=MESSAGE | {"alerts": [ALERT, ALERT | {"status": "?"}]})

    assert (answer.status_code, answer.json["accepted"]) == (200, 1)
    (aside,) = held(services.store.holding)
    assert (aside.source, aside.refusal.route) == ("grafana", "/hooks/grafana")
    assert aside.id == answer.json["rejected"][0]["quarantined"]


def test_an_alert_of_azure_monitor_comes_and_goes(client: FlaskClient, services: Services) -> None:
    first = client.post(address(services), json=payload(), environ_overrides=AWAY)
    firing = statuses(services)
    client.post(address(services), json=payload(monitorCondition="Resolved"), environ_overrides=AWAY)

    assert (first.status_code, first.json) == (200, {"accepted": 1})
    assert (firing, statuses(services)) == ([Status.FIRING], [Status.RESOLVED])
    (found,) = services.store.page(Query()).alerts
    assert found.internal_id.startswith("AZURE_MONITOR-")


def test_only_the_address_itself_lets_azure_monitor_in(client: FlaskClient, services: Services) -> None:
    right = address(services)

    for wrong in (right[:-1], right + "0", right.upper().replace("/HOOKS/AZURE-MONITOR", "/hooks/azure-monitor"), "é"):
        path = wrong if wrong.startswith("/") else f"/hooks/azure-monitor/{wrong}"
        assert client.post(path, json=payload()).status_code == 403
    assert services.store.open_alerts() == []


def test_the_address_of_azure_monitor_is_nowhere_in_quarantine(client: FlaskClient, services: Services) -> None:
    answer = client.post(address(services), json={"schemaId": "AzureMonitorMetricAlert"})

    (aside,) = held(services.store.holding)
    assert (answer.status_code, aside.id) == (400, answer.json["error"]["details"]["quarantined"])
    assert "Turn on the common alert schema" in answer.json["error"]["message"]
    assert aside.refusal.route == "/hooks/azure-monitor"
    assert address(services).rpartition("/")[2] not in str(aside)


@pytest.mark.parametrize("sender", ["grafana", "azure_monitor", "events"])
def test_what_was_refused_is_read_again_as_its_sender_meant_it(
    sender: str, client: FlaskClient, services: Services
) -> None:
    path = {"grafana": "/hooks/grafana", "azure_monitor": address(services), "events": EVENTS}[sender]
    client.post(path, json={"not": "a message"})
    (aside,) = held(services.store.holding)

    with pytest.raises(Exception, match="alerts|schemaId|data"):
        take_again(services, aside, datetime.now(UTC))


def fire(client: FlaskClient) -> str:
    client.post("/alert", json={"alerts": [{"status": "firing", "labels": LABELS}]})
    (alert,) = client.get("/api/v1/alerts").json["alerts"]
    return str(alert["id"])


def until(minutes: int) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


def silenced(at: int = 0, end: int = 60) -> dict[str, Any]:
    """A silence mutes the alert; told so many minutes from now, and it lasts so long."""
    told = event(silenceMutedAlert={"silence": SILENCE | {"endsAt": until(end)}, "mutedAlert": muted_alert()})
    return told | {"@timestamp": until(at)}


def test_what_alertmanager_mutes_is_shown_and_nobody_is_told(client: FlaskClient, services: Services) -> None:
    id = fire(client)
    before = client.get(f"/api/v1/alerts/{id}").json

    answer = client.post(EVENTS, json=silenced())

    after = client.get(f"/api/v1/alerts/{id}").json
    assert answer.json == {"accepted": 1, "ignored": 0}
    assert (before["muted"], "by silence of ada: deploy of the shop, until" in after["muted"]) == ("", True)
    assert (after["timeline"], after["updated_at"]) == (before["timeline"], before["updated_at"])
    assert "Muted in Alertmanager by silence of ada: deploy of the shop, until" in client.get(f"/alerts/{id}").text


def test_repeated_and_disordered_events_change_nothing(client: FlaskClient, services: Services) -> None:
    id = fire(client)
    client.post(EVENTS, json=[silenced(), silenced()])
    first = client.get(f"/api/v1/alerts/{id}").json["muted"]

    client.post(EVENTS, json=silenced(at=-5, end=-1))
    client.post(EVENTS, json=INHIBITED)

    assert client.get(f"/api/v1/alerts/{id}").json["muted"] == first


def test_a_silence_that_was_ended_mutes_no_more(client: FlaskClient) -> None:
    id = fire(client)
    client.post(EVENTS, json=silenced())

    ended = event(silenceUpdated={"silence": SILENCE | {"endsAt": until(0)}}) | {"@timestamp": until(1)}
    client.post(EVENTS, json=[ended, ended])

    assert client.get(f"/api/v1/alerts/{id}").json["muted"] == ""


def test_a_mute_of_an_alert_that_we_do_not_know_opens_nothing(client: FlaskClient, services: Services) -> None:
    assert client.post(EVENTS, json=SILENCED).json == {"accepted": 1, "ignored": 0}
    assert services.store.open_alerts() == []
    assert services.store.holding.list("muted") == []


@pytest.mark.parametrize("path", ["/hooks/grafana", EVENTS])
def test_senders_show_their_token_where_one_is_set(path: str, make_app: MakeApp) -> None:
    client = make_app(WEBHOOK_TOKEN=TOKEN).test_client()
    body = MESSAGE if path == "/hooks/grafana" else SILENCED

    assert client.post(path, json=body).status_code == 401
    assert client.post(path, json=body, **bearer(TOKEN)).status_code == 200
    assert client.post(path, json=body, auth=("sender", TOKEN)).status_code == 200


def test_rules_know_the_new_sources_and_their_ways_in(make_app: MakeApp) -> None:
    rules = [
        {"name": "grafana", "match": ['source="hook:grafana"', 'intake="/hooks/grafana"'], "send": ["chat"]},
        {"name": "azure", "match": ['source="hook:azure_monitor"'], "send": ["chat"]},
        {"name": "prometheus", "match": ['intake="/api/v2/alerts"'], "send": ["chat"]},
    ]
    config = {"destinations": {"chat": {"kind": "console"}}, "rules": rules}

    services: Services = make_app(config).extensions["services"]

    assert services.config.warnings == ()


def test_an_address_is_shown_to_who_runs_the_app(make_app: MakeApp) -> None:
    app = make_app(PUBLIC_URL="https://outages.example.com/")

    shown = app.test_cli_runner().invoke(args=["hook-urls"]).output.splitlines()

    assert f"Azure Monitor: https://outages.example.com{address(app.extensions['services'])}" in shown
