"""Grafana's webhook. The payloads are ours, in the shape of its documentation:

https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
https://grafana.com/docs/grafana/v8.5/alerting/old-alerting/notifications/#webhook
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.sources.grafana.hook import message, parse
from tests.strategies import REPEATABLE, json_values

ALERT = {
    "status": "firing",
    "labels": {"alertname": "High memory usage", "team": "blue", "severity": "high"},
    "annotations": {"summary": "memory of web-1 is full", "description": "above 90 %"},
    "startsAt": "2026-11-20T09:51:03.157076+02:00",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "https://grafana.example.com/alerting/grafana/1afz29v7z/view?orgId=1",
    "fingerprint": "c6eadffa33fcdf37",
    "silenceURL": "https://grafana.example.com/alerting/silence/new?alertmanager=grafana&matcher=team%3Dblue",
    "dashboardURL": "https://grafana.example.com/d/abc?orgId=1",
    "panelURL": "https://grafana.example.com/d/abc?orgId=1&viewPanel=2",
    "values": {"C": 1, "B": 44.239},
    "valueString": "[ var='B' labels={team=blue} value=44.239 ]",
}
MESSAGE = {
    "receiver": "outage checker",
    "status": "firing",
    "orgId": 3,
    "groupKey": '{}:{alertname="High memory usage"}',
    "externalURL": "https://grafana.example.com/",
    "version": "1",
    "truncatedAlerts": 0,
    "title": "[FIRING:1]  (High memory usage blue)",
    "state": "alerting",
    "message": "**Firing**",
    "alerts": [ALERT],
}
DASHBOARD_ALERT = {
    "title": "[Alerting] Panel Title alert",
    "ruleId": 42,
    "ruleName": "Panel Title alert",
    "state": "alerting",
    "ruleUrl": "https://grafana.example.com/d/hZ7BuVbWz/test?tab=alert&viewPanel=2&orgId=1",
    "evalMatches": [{"value": 91.5, "metric": "cpu", "tags": None}],
    "message": "CPU is busy",
    "imageUrl": "https://images.example.com/1.png",
    "orgId": 1,
    "dashboardId": 1,
    "panelId": 2,
    "tags": {"severity": "critical"},
}


def only(payload: Any) -> Event:
    (found,) = parse(message(payload)).events
    return found


def test_an_alert_is_an_event_with_all_that_grafana_adds() -> None:
    found = only(MESSAGE)

    assert found == Event(
        source="hook:grafana",
        fingerprint="c6eadffa33fcdf37",
        kind=Kind.ALERT,
        status=EventStatus.FIRING,
        title="High memory usage: memory of web-1 is full",
        severity=Severity.ERROR,
        description="above 90 %",
        starts_at=datetime(2026, 11, 20, 7, 51, 3, 157076, tzinfo=UTC),
        url=str(ALERT["generatorURL"]),
        labels={"alertname": "High memory usage", "team": "blue", "severity": "high"},
        annotations={
            "summary": "memory of web-1 is full",
            "description": "above 90 %",
            "dashboard_url": str(ALERT["dashboardURL"]),
            "panel_url": str(ALERT["panelURL"]),
            "silence_url": str(ALERT["silenceURL"]),
            "values": "B=44.239, C=1",
            "org_id": "3",
        },
        intake="/hooks/grafana",
    )


def test_what_the_rule_says_by_itself_is_kept() -> None:
    own = {"dashboard_url": "https://wiki.example.com/memory", "values": "mine"}

    found = only(MESSAGE | {"alerts": [ALERT | {"annotations": own}]})

    assert own.items() <= found.annotations.items()


def test_versions_before_ten_write_their_values_as_a_text() -> None:
    older = {name: value for name, value in ALERT.items() if name != "values"}

    assert only(MESSAGE | {"alerts": [older]}).annotations["values"] == ALERT["valueString"]


def test_a_message_of_a_dead_data_source_has_no_values() -> None:
    assert "values" not in only(MESSAGE | {"alerts": [ALERT | {"values": None, "valueString": ""}]}).annotations


@pytest.mark.parametrize(("state", "status"), [("alerting", "firing"), ("no_data", "firing"), ("ok", "resolved")])
def test_a_dashboard_alert_is_one_by_its_rule(state: str, status: str) -> None:
    found = only(DASHBOARD_ALERT | {"state": state})

    assert (found.status, found.fingerprint) == (EventStatus(status), "rule:1:42")
    assert (found.title, found.severity, found.description) == ("Panel Title alert", Severity.CRITICAL, "CPU is busy")
    assert found.annotations["values"] == "cpu=91.5"


@pytest.mark.parametrize("broken", [{"state": "paused"}, {"state": None}, {"ruleId": None}, {"ruleId": {}}])
def test_a_dashboard_alert_without_rule_or_state_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as error:
        message(DASHBOARD_ALERT | broken)

    assert error.value.where in broken


@given(json_values)
@REPEATABLE
def test_any_json_is_read_or_refused(payload: Any) -> None:
    try:
        parse(message(payload))
    except InvalidInput:
        return


@given(st.dictionaries(st.sampled_from([*ALERT, *DASHBOARD_ALERT]), json_values))
@REPEATABLE
def test_any_change_of_a_message_is_read_or_refused(changes: dict[str, Any]) -> None:
    for payload in (MESSAGE | {"alerts": [ALERT | changes]}, DASHBOARD_ALERT | changes, MESSAGE | changes):
        try:
            parsed = parse(message(payload))
        except InvalidInput:
            continue
        assert all(event.source == "hook:grafana" for event in parsed.events)
