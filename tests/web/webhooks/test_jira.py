"""The whole way: an outage becomes an issue, and what people do to the issue becomes the outage's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import EventStatus, Status
from service_event_checker.engine.services import Services
from tests.destinations.jira.double import Hook, Jira
from tests.factories import event
from tests.web.conftest import MakeApp
from tests.web.webhooks.test_status_pages import AWAY


@pytest.fixture(params=["cloud", "server"])
def jira(request: pytest.FixtureRequest) -> Iterator[Jira]:
    with Jira(api=request.param) as running:
        yield running


@pytest.fixture
def app(make_app: MakeApp, jira: Jira) -> Flask:
    config = {
        "destinations": {"jira": {"kind": "jira", "api": jira.kind}},
        "rules": [{"name": "all", "send": ["jira"]}],
    }
    known = {"JIRA_URL": jira.url, "JIRA_PROJECT": jira.project, "JIRA_EMAIL": jira.email}
    return make_app(config, **known, JIRA_API_TOKEN=jira.token, JIRA_WEBHOOK_SECRET=jira.secret)


@pytest.fixture
def outage(services: Services) -> Alert:
    """An outage whose issue, 10001, is made."""
    return tell(services)


def tell(services: Services, **changes: Any) -> Alert:
    now = datetime.now(UTC)
    seen = event(starts_at=now - timedelta(minutes=1), at=None, **changes)
    alert = services.pipeline.ingest([seen], now)[seen.key]
    while services.outbox.drain("jira"):
        pass
    return alert


def hear(client: FlaskClient, hook: Hook) -> int:
    headers, body = hook
    return client.post("/hooks/jira", data=body, headers=headers, environ_overrides=AWAY).status_code


def now_is(services: Services, alert: Alert) -> Alert:
    return services.store.get([alert.key])[alert.key]


def test_an_outage_is_one_issue_from_its_beginning_to_its_end(services: Services, jira: Jira, outage: Alert) -> None:
    tell(services, status=EventStatus.RESOLVED)

    (issue,) = jira.issues.values()
    assert issue.status == "Done"
    assert now_is(services, outage).links["jira"] == f"{jira.url}/browse/OPS-1"
    assert jira.refused == []


def test_what_people_do_to_the_issue_is_done_to_the_alert(
    services: Services, client: FlaskClient, jira: Jira, outage: Alert
) -> None:
    assert hear(client, jira.person_moves("10001", "In Progress")) == 200
    taken = now_is(services, outage)
    assert hear(client, jira.person_comments("10001", "The vendor is on it")) == 200
    noted = now_is(services, outage)
    assert hear(client, jira.person_moves("10001", "To Do")) == 200
    given_back = now_is(services, outage)

    assert (taken.status, taken.owner) == (Status.ACKNOWLEDGED, "Alice Archer")
    assert "The vendor is on it" in noted.note
    assert given_back.status is Status.FIRING


def test_a_webhook_that_is_not_signed_changes_nothing(
    services: Services, client: FlaskClient, jira: Jira, outage: Alert
) -> None:
    headers, body = jira.person_closes("10001")

    assert hear(client, ({**headers, "X-Hub-Signature": "sha256=00"}, body)) == 401
    assert hear(client, (headers, body.replace(b"Done", b"Gone"))) == 401

    assert now_is(services, outage).status is Status.FIRING


def test_our_own_comment_that_comes_back_is_no_note(
    services: Services, client: FlaskClient, jira: Jira, outage: Alert
) -> None:
    tell(services, description="It spreads.", title="Disruption with all GitHub services")
    assert jira.issues["10001"].comments
    before = services.store.timeline(outage.key)

    for number in range(len(jira.issues["10001"].comments)):
        assert hear(client, jira.comment_hook("10001", number)) == 200

    assert services.store.timeline(outage.key) == before
