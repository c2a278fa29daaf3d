"""Alertmanager's API v2 as Prometheus calls it; the shapes are postableAlert and gettableAlert of its openapi.yaml.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.sources.alertmanager import webhook
from service_event_checker.sources.alertmanager.api import INTAKE, RESOLVE_TIMEOUT, listed, message, parse
from tests.factories import alert
from tests.sources.alertmanager.test_webhook import SAMPLES
from tests.strategies import REPEATABLE, json_values

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
POSTED = {
    "labels": {"alertname": "TargetDown", "instance": "web-1:9100", "severity": "critical"},
    "annotations": {"summary": "web-1:9100 cannot be scraped"},
    "startsAt": "2026-11-20T09:55:00.123456789Z",
    "endsAt": "2026-11-20T10:04:00Z",
    "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
}
times = st.integers(-3600, 3600).map(lambda seconds: NOW + timedelta(seconds=seconds))


def only(**changes: Any) -> Event:
    posted = {name: value for name, value in (POSTED | changes).items() if value is not None}
    (found,) = parse(message([posted]), NOW).events
    return found


def test_an_alert_fires_until_the_end_that_is_still_to_come() -> None:
    found = only()

    assert (found.status, found.at, found.intake) == (EventStatus.FIRING, None, INTAKE)
    assert found.expires_at == datetime(2026, 11, 20, 10, 4, tzinfo=UTC)
    assert found.starts_at == datetime(2026, 11, 20, 9, 55, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize("ends_at", [None, "", "0001-01-01T00:00:00Z"])
def test_one_without_an_end_fires_and_is_over_after_the_resolve_timeout(ends_at: str | None) -> None:
    found = only(endsAt=ends_at)

    assert (found.status, found.expires_at) == (EventStatus.FIRING, NOW + RESOLVE_TIMEOUT)


@pytest.mark.parametrize("ends_at", ["2026-11-20T10:00:00Z", "2026-11-20T09:59:59Z"])
def test_an_end_that_has_come_is_one(ends_at: str) -> None:
    found = only(endsAt=ends_at)

    assert (found.status, found.at) == (EventStatus.RESOLVED, datetime.fromisoformat(ends_at))
    assert found.expires_at is None


def test_the_same_labels_are_the_same_alert_as_by_webhook() -> None:
    by_webhook = webhook.parse({"alerts": [{"status": "firing", **POSTED}]}, "/alert").events[0]

    assert only().key == by_webhook.key
    assert only(labels={"job": "foo", "severity": "warning"}).fingerprint == "9266ef3da838ad95"


def test_a_status_and_a_fingerprint_are_not_the_senders_to_give() -> None:
    found = only(status="resolved", fingerprint="mine")

    assert (found.status, found.fingerprint) == (EventStatus.FIRING, only().fingerprint)


@given(times, times)
@REPEATABLE
def test_an_alert_fires_exactly_while_its_end_is_to_come(ends_at: datetime, now: datetime) -> None:
    (found,) = parse(message([POSTED | {"startsAt": "", "endsAt": ends_at.isoformat()}]), now).events

    assert (found.status is EventStatus.FIRING) is (ends_at > now)
    assert (found.expires_at or found.at) == ends_at


@given(json_values)
@REPEATABLE
def test_any_json_is_read_or_refused(body: Any) -> None:
    try:
        parsed = parse(message(body), NOW)
    except InvalidInput:
        return
    assert len(parsed.events) + len(parsed.rejected) == len(message(body)["alerts"])


def test_an_alert_that_cannot_be_used_is_named_by_its_place() -> None:
    parsed = parse(message([POSTED, {"labels": {}}, 3]), NOW)

    assert [each.error.partition(":")[0] for each in parsed.rejected] == ["alerts[1].labels", "alerts[2]"]


def test_an_open_alert_is_listed_as_alertmanager_lists_it() -> None:
    shown = listed(replace(alert(starts_at=NOW, started_at=NOW, updated_at=NOW), expires_at=NOW + timedelta(minutes=4)))

    assert shown["endsAt"] == "2026-11-20T10:04:00+00:00"
    assert shown["status"] == {"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="SAMPLES_DIR is not set")
def test_it_lists_the_fields_that_a_real_alertmanager_lists() -> None:
    (captured, *_) = json.loads((SAMPLES / "api-v2-alerts-firing.json").read_text())

    shown = listed(alert())

    assert captured.keys() <= shown.keys()
    assert captured["status"].keys() <= shown["status"].keys()
