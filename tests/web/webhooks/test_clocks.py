"""Senders whose clocks are wrong: one time that is still to come does not outrank all that is told after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Status
from service_event_checker.engine.services import Services
from tests.sources.alertmanager.test_webhook import alert, message
from tests.web.conftest import MakeApp
from tests.web.webhooks.test_destinations import KEYS, PAGERDUTY, SECRET, config, incident, now_is, opened, page, post

Send = Callable[..., int]


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(config(pagerduty={**PAGERDUTY, "webhook_secret": "env:PDS"}), **KEYS, PDS=SECRET)


@pytest.fixture
def send(client: FlaskClient) -> Send:
    """Send an alert of Alertmanager with times in seconds from now."""

    def sender(status: str, starts: float, ends: float | None = None) -> int:
        times = {"startsAt": _in(starts)} | ({} if ends is None else {"endsAt": _in(ends)})
        return post(client, "/alert", message(alert(status=status, **times))).status_code

    return sender


def test_an_alert_from_the_future_ends_and_comes_again(send: Send, services: Services) -> None:
    year = timedelta(days=365).total_seconds()

    assert send("firing", year) == 200
    assert send("resolved", year, ends=0) == 200
    assert [found.status for found in services.store.page(Query()).alerts] == [Status.RESOLVED]

    assert send("firing", 1) == 200
    (found,) = services.store.page(Query()).alerts
    assert (found.status, found.episode) == (Status.FIRING, 2)


def test_an_end_in_the_future_is_now(send: Send, services: Services) -> None:
    send("firing", -60)
    send("resolved", -60, ends=10**7)

    (found,) = services.store.page(Query()).alerts
    assert found.ended_at is not None
    assert found.ended_at <= datetime.now(UTC)


def test_a_status_from_the_future_does_not_silence_its_sender(client: FlaskClient, services: Services) -> None:
    known = opened(services, "pagerduty", "PINC1")
    told = incident()
    told["event"]["occurred_at"] = _in(10**7)

    assert page(client, told).status_code == 200
    assert now_is(services, known) is Status.ACKNOWLEDGED
    page(client, incident(kind="incident.unacknowledged"))

    assert now_is(services, known) is Status.FIRING


def test_clocks_may_differ_a_little(send: Send, services: Services) -> None:
    send("firing", 60)

    (found,) = services.store.page(Query()).alerts
    assert found.starts_at is not None
    assert found.starts_at > datetime.now(UTC)


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
