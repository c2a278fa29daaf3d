"""GET /api/v1/stats: what is open, and how alerts were handled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient

from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus, Severity
from service_event_checker.engine.services import Services
from tests.factories import event

Send = Callable[..., None]
PATH = "/api/v1/stats"


@pytest.fixture
def send(services: Services) -> Send:
    """Send an event as of so many minutes ago."""

    def send(seen: Event, *, ago: int) -> None:
        at = datetime.now(UTC) - timedelta(minutes=ago)
        services.pipeline.ingest([replace(seen, at=at, starts_at=seen.starts_at and at)], at)

    return send


def test_open_alerts_are_counted_by_what_they_are(send: Send, client: FlaskClient) -> None:
    send(event(fingerprint="a", severity=Severity.CRITICAL), ago=5)
    send(event(fingerprint="b"), ago=5)
    send(event(fingerprint="test", test=True), ago=5)
    send(event(fingerprint="b", status=EventStatus.ACKNOWLEDGED, actor="ada", person=True), ago=1)

    found = client.get(PATH).json["open"]

    assert found == {
        "total": 2,
        "status": {"firing": 1, "acknowledged": 1},
        "severity": {"critical": 1, "error": 1},
        "kind": {"outage": 2},
        "source": {"github": 2},
    }


def test_times_are_means_over_the_window(send: Send, client: FlaskClient) -> None:
    for name, acknowledged, resolved in (("a", 50, 40), ("b", 30, 20)):
        send(event(fingerprint=name), ago=60)
        send(event(fingerprint=name, status=EventStatus.ACKNOWLEDGED, actor="ada", person=True), ago=acknowledged)
        send(event(fingerprint=name, status=EventStatus.RESOLVED, starts_at=None), ago=resolved)
    send(event(fingerprint="old"), ago=60 * 24 * 9)

    found = client.get(PATH).json

    assert (found["acknowledged"], found["resolved"], found["complete"]) == (2, 2, True)
    assert found["mean_seconds_to_acknowledge"] == pytest.approx(20 * 60, abs=5)
    assert found["mean_seconds_to_resolve"] == pytest.approx(30 * 60, abs=5)
    assert sum(day["count"] for day in found["opened_per_day"]) == 2
    assert len(found["opened_per_day"]) == 8
    assert sum(day["count"] for day in client.get(f"{PATH}?window=10d").json["opened_per_day"]) == 3


def test_what_opens_often_is_the_noisiest(send: Send, client: FlaskClient) -> None:
    send(event(fingerprint="quiet", title="quiet"), ago=90)
    for ago in (80, 60, 40):
        send(event(fingerprint="noisy", title="noisy"), ago=ago)
        send(event(fingerprint="noisy", title="noisy", status=EventStatus.RESOLVED, starts_at=None), ago=ago - 10)

    first = client.get(PATH).json["noisiest"][0]

    assert (first["title"], first["episodes"]) == ("noisy", 3)


@pytest.mark.parametrize("query", ["window=0s", "window=91d", "window=soon", "window=", "days=7"])
def test_a_window_that_cannot_be_read_is_refused(query: str, client: FlaskClient) -> None:
    assert client.get(f"{PATH}?{query}").status_code == 422
