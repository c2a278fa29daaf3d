"""Destinations that tell us: who sends is proved on the raw bytes, then what they tell changes the alert it is of.

Payloads are ours, in the shape of PagerDuty's V3 webhooks (developer.pagerduty.com/docs/webhooks-overview), Opsgenie's
webhook integration and Azure DevOps' service hooks.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Event, Link
from service_event_checker.core.store import Query, Settled
from service_event_checker.core.vocabulary import EventStatus, Kind, Status
from service_event_checker.destinations.console import Adapter as Console
from service_event_checker.engine import quarantine
from service_event_checker.engine.services import Services
from service_event_checker.sources.replay import take_again
from service_event_checker.web.webhooks.destinations import BODY_MAX
from tests.factories import event
from tests.root import ROOT
from tests.sources.alertmanager.test_webhook import ANY_JSON
from tests.strategies import REPEATABLE
from tests.web.conftest import MakeApp
from tests.web.test_errors import MALFORMED
from tests.web.webhooks.test_status_pages import AWAY

NOBODY = "http://127.0.0.1:9"  # the discard port: what is asked there is refused at once
PAGERDUTY = {"kind": "pagerduty", "url": NOBODY, "token": "env:PD", "service_id": "PSRVC01", "email": "bot@example.com"}
OPSGENIE = {"kind": "opsgenie", "url": NOBODY, "token": "env:OG"}
DEVOPS = {"kind": "azure_devops", "url": NOBODY, "project": "ops", "token": "env:PD"}
REDMINE = {"kind": "redmine", "url": NOBODY, "token": "env:PD", "project": "1"}
KEYS = {"PD": "canary-of-a-pager", "OG": "canary-of-opsgenie"}
SECRET = "canary-of-a-webhook"
EXAMPLES = ROOT / "examples"


def config(**destinations: Mapping[str, Any]) -> dict[str, Any]:
    rules = [{"name": "all", "send": [name for name in destinations if name != "off"]}]
    return {"destinations": {"chat": {"kind": "console"}, **destinations}, "rules": rules}


def incident(id: str = "PINC1", kind: str = "incident.acknowledged") -> dict[str, Any]:
    data = {"id": id, "type": "incident", "status": "acknowledged"}
    at = datetime.now(UTC).isoformat()
    return {"event": {"id": "01E", "event_type": kind, "occurred_at": at, "agent": None, "data": data}}


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-PagerDuty-Signature": "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def post(client: FlaskClient, path: str, body: object, **more: Any) -> TestResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(path, data=data, content_type=more.pop("content_type", "application/json"), **more)


def page(client: FlaskClient, body: object, path: str = "/pd-webhook", **more: Any) -> TestResponse:
    """Send as PagerDuty does, from another machine."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return post(client, path, data, headers=signed(data), environ_overrides=AWAY, **more)


def opened(services: Services, receiver: str, external_id: str) -> Alert:
    """An alert whose object was made at a receiver a minute ago."""
    now = datetime.now(UTC) - timedelta(minutes=1)
    alert = next(iter(services.pipeline.ingest([event(starts_at=now, at=None)], now).values()))
    (claimed,) = services.store.claim(receiver, limit=1, owner="test", now=now, until=now + timedelta(seconds=30))
    key = remote_key(alert.key, alert.episode)
    link = Link(key=alert.key, episode=1, receiver=receiver, remote_key=key, external_id=external_id)
    services.store.settle(claimed.delivery, Settled(link=link), now)
    return alert


def now_is(services: Services, alert: Alert) -> Status:
    return services.store.get([alert.key])[alert.key].status


def kept(services: Services) -> list[quarantine.Held]:
    return quarantine.held(services.store.holding)


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(
        config(pagerduty={**PAGERDUTY, "webhook_secret": "env:PDS"}, azure_devops=DEVOPS, redmine=REDMINE),
        **KEYS,
        PDS=SECRET,
        WEBHOOK_TOKEN="canary-for-all-senders",
    )


@pytest.mark.parametrize("path", ["/hooks/jira", "/hooks/nothing", "/hooks/azure_devops"])
def test_an_address_of_no_configured_kind_says_what_to_do_and_names_nobody(client: FlaskClient, path: str) -> None:
    answer = post(client, path, {})

    assert answer.status_code == 403
    assert "Add it to config.json" in answer.json["error"]["message"]
    assert not re.search("pagerduty|azure|redmine", answer.text)


def test_a_signed_acknowledgement_is_the_alerts(client: FlaskClient, services: Services) -> None:
    alert = opened(services, "pagerduty", "PINC1")

    answer = page(client, incident())

    assert (answer.status_code, answer.json) == (200, {"accepted": 1})
    assert now_is(services, alert) is Status.ACKNOWLEDGED


def test_it_is_answered_within_a_second(client: FlaskClient, services: Services) -> None:
    opened(services, "pagerduty", "PINC1")

    def seconds() -> float:
        began = time.monotonic()
        assert page(client, incident()).status_code == 200
        return time.monotonic() - began

    assert min(seconds() for _ in range(3)) < 1  # the machine may have been busy once


@pytest.mark.parametrize(
    "headers", [{}, {"X-PagerDuty-Signature": "v1="}, {"X-PagerDuty-Signature": "é"}, signed(b"other")]
)
def test_what_is_not_signed_is_refused_and_not_kept(
    headers: dict[str, str], client: FlaskClient, services: Services
) -> None:
    alert = opened(services, "pagerduty", "PINC1")
    token = {"X-Webhook-Token": "canary-for-all-senders"}

    assert post(client, "/pd-webhook", incident(), headers=headers | token).status_code == 401

    assert now_is(services, alert) is Status.FIRING
    assert kept(services) == []


def test_the_signature_is_of_the_raw_bytes(client: FlaskClient) -> None:
    body = json.dumps(incident(), indent=3).encode()

    assert page(client, body).status_code == 200
    assert post(client, "/pd-webhook", body + b" ", headers=signed(body)).status_code == 401


@pytest.mark.parametrize(
    "body", [{}, [], None, {"event": None}, {"event": {"event_type": 5}}, b'{"a":1,"a":2}', b"[NaN]"]
)
def test_pagerduty_is_not_told_of_a_body_that_cannot_be_used(
    body: Any, client: FlaskClient, services: Services
) -> None:
    """Three refusals in a row, and it sends nothing for a day."""
    answer = page(client, body)

    assert answer.status_code == 202
    assert [one.id for one in kept(services)] == [answer.json["quarantined"]]


def test_pagerduty_is_told_of_what_is_no_json(client: FlaskClient, services: Services) -> None:
    assert page(client, b"{").status_code == 400

    assert len(kept(services)) == 1


def test_a_ping_and_other_events_are_heard_and_nothing_else(client: FlaskClient, services: Services) -> None:
    ping = {"event": {"event_type": "pagey.ping", "data": {"message": "Hello", "type": "ping"}}}

    assert page(client, ping, content_type="text/plain").json == {"accepted": 0}
    assert kept(services) == []


@REPEATABLE
@given(ANY_JSON)
def test_an_authentic_json_body_is_never_answered_with_an_error(client: FlaskClient, body: Any) -> None:
    assert page(client, body).status_code in {200, 202}


def test_without_a_secret_the_token_decides(make_app: MakeApp) -> None:
    client = make_app(
        config(pagerduty=PAGERDUTY), **KEYS, WEBHOOK_TOKEN_PAGERDUTY="canary-of-the-right-one"
    ).test_client()

    right, wrong = {"X-Webhook-Token": "canary-of-the-right-one"}, {"X-Webhook-Token": "wrong"}
    assert post(client, "/pd-webhook", incident(), headers=right, environ_overrides=AWAY).status_code == 200
    assert post(client, "/pd-webhook", incident(), headers=wrong).status_code == 401


def test_without_secret_and_token_only_this_machine_is_heard(make_app: MakeApp) -> None:
    client = make_app(config(pagerduty=PAGERDUTY), **KEYS).test_client()

    assert post(client, "/pd-webhook", incident()).status_code == 200
    assert post(client, "/pd-webhook", incident(), environ_overrides=AWAY).status_code == 403


@pytest.mark.parametrize(
    "path", ["/pd-webhook", "/ops-webhook", "/hooks/jira", "/hooks/nothing", "/hooks/redmine/other"]
)
def test_where_nothing_is_on_nobody_is_heard(path: str, client: FlaskClient, services: Services) -> None:
    services.outbox.destinations.pop("pagerduty")

    assert post(client, path, {}, headers={"X-Webhook-Token": "canary-for-all-senders"}).status_code == 403


JIRA = {"kind": "jira", "url": NOBODY, "token": "env:PD", "project": "OPS"}
SERVICENOW = {"kind": "servicenow", "url": NOBODY, "username": "bot", "password": "env:PD"}


@pytest.fixture
def everybody(make_app: MakeApp) -> FlaskClient:
    """A local caller of an app where all that can talk back is on, and nothing is demanded of local callers."""
    all_of_them = {"jira": JIRA, "redmine": REDMINE, "servicenow": SERVICENOW, "azure_devops": DEVOPS}
    return make_app(config(**all_of_them, opsgenie=OPSGENIE), **KEYS).test_client()


@REPEATABLE
@given(
    path=st.sampled_from(
        [*(f"/hooks/{kind}" for kind in ("azure-devops", "jira", "redmine", "servicenow")), "/ops-webhook"]
    ),
    body=ANY_JSON
    | st.fixed_dictionaries(
        {},
        optional={name: ANY_JSON for name in ("eventType", "resource", "issue", "webhookEvent", "action", "alert")},
    ),
)
def test_any_json_is_read_or_refused_by_every_destination(everybody: FlaskClient, path: str, body: Any) -> None:
    with capture_logs() as lines:
        answer = post(everybody, path, body)

    assert answer.status_code in {200, 400}
    assert "remote_change_unreadable" not in {line["event"] for line in lines}


def test_a_destination_that_is_off_says_what_to_set(make_app: MakeApp) -> None:
    answer = post(make_app(config(pagerduty=PAGERDUTY)).test_client(), "/pd-webhook", {})

    assert answer.status_code == 403
    assert "PD is not set" in answer.json["error"]["message"]


def test_of_several_the_address_or_the_signature_says_which(make_app: MakeApp) -> None:
    two = {name: {**PAGERDUTY, "webhook_secret": f"env:{name.upper()}"} for name in ("day", "night")}
    app = make_app(config(**two), **KEYS, DAY=SECRET, NIGHT="another-canary")
    client, services = app.test_client(), app.extensions["services"]
    alert = opened(services, "day", "PINC1")

    assert page(client, incident(), "/pd-webhook/night").status_code == 401
    assert now_is(services, alert) is Status.FIRING
    assert page(client, incident(), "/pd-webhook").json == {"accepted": 1}
    assert page(client, incident(), "/pd-webhook/day").json == {"accepted": 1}
    assert now_is(services, alert) is Status.ACKNOWLEDGED


def test_of_several_that_cannot_sign_the_address_must_say_which(make_app: MakeApp) -> None:
    app = make_app(config(day=PAGERDUTY, night=PAGERDUTY, red=REDMINE, black=REDMINE), **KEYS)
    client = app.test_client()

    answer = post(client, "/hooks/redmine", {})

    assert answer.status_code == 400
    assert "/hooks/redmine/<red|black>" in answer.json["error"]["message"]
    assert post(client, "/pd-webhook", incident()).status_code == 202
    assert {one.source for one in kept(app.extensions["services"])} == {"redmine", "pagerduty"}


def test_a_replay_does_not_guess_which_of_several_was_meant(make_app: MakeApp) -> None:
    app = make_app(config(red=REDMINE, black=REDMINE), **KEYS)
    services: Services = app.extensions["services"]
    post(app.test_client(), "/hooks/redmine", {})
    (one,) = kept(services)

    with pytest.raises(InvalidInput, match="several"):
        take_again(services, one, datetime.now(UTC))


def put_to_work(item: int) -> dict[str, Any]:
    fields = {"System.WorkItemType": "Bug", "System.State": "Active", "System.ChangedDate": "2026-11-20T03:05:00Z"}
    return {
        "eventType": "workitem.updated",
        "resource": {
            "id": 2,
            "workItemId": item,
            "rev": 2,
            "revisedBy": {"displayName": "Ada", "uniqueName": "ada@example.com"},
            "fields": {"System.State": {"oldValue": "New", "newValue": "Active"}},
            "revision": {"id": item, "rev": 2, "fields": {**fields, "System.Tags": "platform-outage-checker"}},
        },
    }


def test_a_work_item_that_is_put_to_work_acknowledges_its_alert(client: FlaskClient, services: Services) -> None:
    alert = opened(services, "azure_devops", "13")
    token = {"X-Webhook-Token": "canary-for-all-senders"}

    assert post(client, "/hooks/azure-devops", put_to_work(13)).status_code == 401
    assert (
        post(client, "/hooks/azure-devops", put_to_work(13), headers=token, environ_overrides=AWAY).status_code == 200
    )

    found = services.store.get([alert.key])[alert.key]
    assert (found.status, found.owner) == (Status.ACKNOWLEDGED, "Ada")


@pytest.mark.parametrize("case", MALFORMED)
def test_a_ticket_systems_body_that_is_no_json_is_refused_and_kept(
    case: str, client: FlaskClient, services: Services
) -> None:
    answer = post(client, "/hooks/redmine", MALFORMED[case], headers={"X-Webhook-Token": "canary-for-all-senders"})

    assert answer.status_code == 400
    (one,) = kept(services)
    assert (one.source, one.refusal.receiver, one.refusal.route) == ("redmine", "redmine", "/hooks/redmine")


def test_a_body_of_more_than_a_mebibyte_is_not_read(client: FlaskClient, services: Services) -> None:
    token = {"X-Webhook-Token": "canary-for-all-senders"}

    assert post(client, "/hooks/redmine", b" " * (BODY_MAX + 1), headers=token).status_code == 413
    assert post(client, "/hooks/redmine", b"{}", headers=token, content_type="text/plain").status_code == 415
    assert [one.refusal.error for one in kept(services)] == ["Send JSON, with Content-Type: application/json."]


class Talker(Console):
    """A destination that talks back of nothing but its mood."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.understands = False

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        return None

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        self.asked.append((headers["Content-Type"], payload))
        if payload == "defect":
            return [payload["missing"]]
        if not self.understands:
            raise InvalidInput("mood", "is not known")
        return []


@pytest.fixture
def talker(services: Services) -> Talker:
    made = Talker()
    services.outbox.destinations["redmine"] = made
    return made


def test_a_defect_of_ours_is_no_500_that_is_repeated_for_days(
    client: FlaskClient, services: Services, talker: Talker
) -> None:
    answer = post(client, "/hooks/redmine", "defect", headers={"X-Webhook-Token": "canary-for-all-senders"})

    assert answer.status_code == 400
    assert [one.id for one in kept(services)] == [answer.json["error"]["details"]["quarantined"]]


def test_a_replay_goes_to_the_destination_it_was_meant_for(
    client: FlaskClient, services: Services, talker: Talker
) -> None:
    post(client, "/hooks/redmine/redmine", {"mood": "fair"}, headers={"X-Webhook-Token": "canary-for-all-senders"})
    (one,) = kept(services)
    talker.understands = True

    assert take_again(services, one, datetime.now(UTC)) == 0

    assert talker.asked == [("application/json", {"mood": "fair"})] * 2
    assert kept(services) == []


def test_a_replay_waits_for_a_destination_that_is_off(client: FlaskClient, services: Services, talker: Talker) -> None:
    post(client, "/hooks/redmine", {}, headers={"X-Webhook-Token": "canary-for-all-senders"})
    (one,) = kept(services)
    services.outbox.destinations.pop("redmine")

    with pytest.raises(InvalidInput, match="redmine is off"):
        take_again(services, one, datetime.now(UTC))
    assert kept(services) == [one]


def test_a_store_that_is_away_is_503(make_app: MakeApp, tmp_path: Path) -> None:
    away = f"sqlite:///{tmp_path}/never-made.db"
    client = make_app(config(pagerduty=PAGERDUTY), **KEYS, DATABASE_URL=away).test_client()

    assert post(client, "/pd-webhook", incident()).status_code == 503


CREATE = {"action": "Create", "alert": {"alertId": "test-123", "message": "Test alert"}, "integrationId": "right-id"}
OpsStatus = Callable[..., int]


@pytest.fixture
def ops_status(make_app: MakeApp) -> OpsStatus:
    """Send an Opsgenie body from another machine and return the status."""

    def status(sent_id: str = "right-id", *, token: str = "", here: bool = False, **environ: str) -> int:
        opsgenie = {**OPSGENIE, **({"integration_id": "env:OGI"} if "OGI" in environ else {})}
        client = make_app(config(opsgenie=opsgenie), **KEYS, **environ).test_client()
        more: dict[str, Any] = {} if here else {"environ_overrides": AWAY}
        headers = {"X-Webhook-Token": token} if token else {}
        return post(client, "/ops-webhook", CREATE | {"integrationId": sent_id}, headers=headers, **more).status_code

    return status


def test_with_token_and_id_both_must_be_right(ops_status: OpsStatus) -> None:
    both = {"OGI": "right-id", "WEBHOOK_TOKEN_OPSGENIE": "canary-of-the-right-one"}

    assert ops_status(token="canary-of-the-right-one", **both) == 200
    assert ops_status("wrong-id", token="canary-of-the-right-one", **both) == 403
    assert ops_status(token="wrong", **both) == 401
    assert ops_status(here=True, **both) == 401


def test_with_an_id_alone_who_knows_it_is_heard_from_anywhere(ops_status: OpsStatus) -> None:
    assert ops_status(OGI="right-id") == 200
    assert ops_status("wrong-id", OGI="right-id") == 403
    assert ops_status("wrong-id", here=True, OGI="right-id") == 403


def test_with_neither_only_this_machine_is_heard(ops_status: OpsStatus) -> None:
    assert ops_status(here=True) == 200
    assert ops_status() == 403


def test_an_open_door_is_told_of_on_the_page_and_in_the_log(make_app: MakeApp) -> None:
    opsgenie = {**OPSGENIE, "integration_id": "env:OGI"}

    with capture_logs() as lines:
        open_one = make_app(config(opsgenie=opsgenie), **KEYS, OGI="right-id").test_client()
        closed = make_app(
            config(opsgenie=opsgenie), **KEYS, OGI="right-id", WEBHOOK_TOKEN="canary-of-the-right-one"
        ).test_client()

    assert [line["event"] for line in lines] == ["webhook_unprotected"]
    assert "WEBHOOK_TOKEN_OPSGENIE" in open_one.get("/").text
    assert "WEBHOOK_TOKEN_OPSGENIE" not in closed.get("/").text


def test_strangers_at_an_open_door_fill_no_quarantine(make_app: MakeApp) -> None:
    app = make_app(config(opsgenie={**OPSGENIE, "integration_id": "env:OGI"}), **KEYS, OGI="right-id")

    for body in (b"{", b"[]", {"integrationId": "wrong"}):
        assert post(app.test_client(), "/ops-webhook", body, environ_overrides=AWAY).status_code in {400, 403}
    assert kept(app.extensions["services"]) == []


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("ops-webhook-*.json")), ids=lambda file: file.stem)
def test_the_examples_of_opsgenie_are_taken(file: Path, make_app: MakeApp) -> None:
    client = make_app(config(opsgenie=OPSGENIE), **KEYS).test_client()

    answer = post(client, "/ops-webhook", file.read_bytes())

    assert (answer.status_code, answer.json) == (200, {"accepted": 1})


def test_what_opsgenie_creates_is_an_alert_of_ours(make_app: MakeApp) -> None:
    app = make_app(config(opsgenie=OPSGENIE), **KEYS)

    assert post(app.test_client(), "/ops-webhook", CREATE).json == {"accepted": 1}

    (alert,) = app.extensions["services"].store.page(Query()).alerts
    assert (alert.title, alert.source, alert.kind) == ("Test alert", "opsgenie", Kind.ALERT)
    assert EventStatus.FIRING.value == alert.status.value
