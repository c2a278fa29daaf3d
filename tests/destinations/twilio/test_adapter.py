"""SMS by Twilio: to each number once, for the severities that are wanted, and what it reports later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pydantic import ValidationError

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ledger import State
from service_event_checker.core.model import Alert, Link
from service_event_checker.core.vocabulary import Family, Severity, Status, Verb, Why
from service_event_checker.destinations.twilio.adapter import Adapter, Config
from service_event_checker.engine import ledger
from service_event_checker.engine.services import Services
from service_event_checker.web import create_app
from tests.destinations.twilio.double import FROM, SID, TOKEN, Twilio, problem, sign
from tests.doubles.base import Fault
from tests.factories import alert, delivery, event

ADA, BOB = "+491701234567", "+491707654321"
CRITICAL = alert(severity=Severity.CRITICAL)
OVER = replace(CRITICAL, status=Status.RESOLVED, revision=2)


@pytest.fixture
def twilio() -> Iterator[Twilio]:
    with Twilio() as running:
        yield running
        assert running.refused == []


def adapter(twilio: Twilio, **changes: Any) -> Adapter:
    values = {"url": twilio.url, "account_sid": SID, "token": TOKEN, "sender": FROM, "to": [ADA, BOB], "timeout": 5}
    return Adapter("sms", Config(**{**values, **changes}))


def send(by: Adapter, about: Alert = CRITICAL, verb: Verb = Verb.OPEN, link: Link | None = None) -> Link | None:
    return by.deliver(delivery(about, verb, "sms"), about, link)


def failure(by: Adapter) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        send(by)
    return raised.value


def test_each_number_gets_the_opening_and_the_end(twilio):
    by = adapter(twilio)
    link = send(by)
    send(by, OVER, Verb.CLOSE, link)

    assert [message.to for message in twilio.messages] == [ADA, BOB, ADA, BOB]
    assert twilio.messages[0].body.startswith("CRITICAL: ")
    assert CRITICAL.internal_id in twilio.messages[0].body
    assert twilio.messages[2].body.startswith("Resolved after")
    assert twilio.requests[0].form()["ValidityPeriod"] == "600"


def test_a_messaging_service_is_named_as_such(twilio):
    send(adapter(twilio, sender="MG" + "1" * 32))

    assert twilio.requests[0].form()["MessagingServiceSid"] == "MG" + "1" * 32


@pytest.mark.parametrize(
    ("verb", "severity", "told", "why"),
    [
        (Verb.OPEN, Severity.CRITICAL, False, ""),
        (Verb.OPEN, Severity.ERROR, False, "SMS are not sent for error"),
        (Verb.UPDATE, Severity.CRITICAL, False, ""),  # it became critical
        (Verb.UPDATE, Severity.CRITICAL, True, "an SMS was sent already"),
        (Verb.UPDATE, Severity.WARNING, False, "SMS are not sent for warning"),
        (Verb.CLOSE, Severity.WARNING, True, ""),
        (Verb.CLOSE, Severity.CRITICAL, False, "no SMS was sent for it"),
    ],
)
def test_it_takes_what_is_severe_enough_once_and_the_end_of_what_was_told(twilio, verb, severity, told, why):
    link = Link(key=CRITICAL.key, episode=1, receiver="sms", remote_key="a" * 20, external_id="poc-a" if told else "")

    assert adapter(twilio).declines(delivery(CRITICAL, verb, "sms"), alert(severity=severity), link) == why


def test_the_end_can_be_left_out(twilio):
    link = send(adapter(twilio))

    said = adapter(twilio, on_resolve="none").declines(delivery(OVER, Verb.CLOSE, "sms"), OVER, link)

    assert said == "on_resolve is none"


def test_after_a_failure_only_the_numbers_without_an_sms_are_sent_to(twilio):
    by = adapter(twilio)
    twilio.script += [None, Fault.RATE_LIMIT]

    error = failure(by)
    send(by)

    assert (error.reason, error.permanent) == (Reason.RATE_LIMITED, False)
    assert [message.to for message in twilio.messages] == [ADA, BOB]


def test_a_number_that_is_refused_does_not_keep_the_others_from_theirs(twilio):
    twilio.invalid = {ADA}
    send(adapter(twilio))

    assert [message.to for message in twilio.messages] == [BOB]


def test_where_every_number_is_refused_the_delivery_fails(twilio):
    twilio.invalid = {ADA, BOB}

    error = failure(adapter(twilio))

    assert (error.reason, error.permanent) == (Reason.REFUSED, True)
    assert "21211" in str(error)


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER, Fault.ERROR_AFTER, Fault.GARBAGE_AFTER, Fault.HANG_AFTER])
def test_a_doubtful_result_is_told_as_such(twilio, fault):
    twilio.script.append(fault)

    assert failure(adapter(twilio, to=[ADA], timeout=0.5)).reason.ambiguous


def test_a_wrong_token_or_sender_waits_for_a_person_and_is_named_nowhere(twilio):
    wrong = [failure(adapter(twilio, token="canary4711wrong")), failure(adapter(twilio, sender="+1000000"))]

    assert [error.permanent for error in wrong] == [False, False]
    assert all("TWILIO_FROM" in str(error) and "canary" not in repr(error) for error in wrong)


def test_a_full_queue_is_waited_for(twilio):
    twilio.forbids = lambda _: problem(429, 20429, "Too Many Requests")
    assert failure(adapter(twilio)).retry_after == 30
    twilio.forbids = lambda _: problem(400, 21611, "queue is full")
    assert failure(adapter(twilio)).retry_after == 300


def test_a_test_alert_costs_nothing(twilio):
    by = adapter(twilio)

    assert by.family is Family.MAIL
    assert by.dry_run(delivery(CRITICAL), alert(test=True)).startswith("SMS of 1 segment(s) to 2: [TEST] ERROR: ")
    assert twilio.messages == []


def test_numbers_are_read_as_people_write_them():
    assert Config(to="+49 170 1234567; (0170) 765-4321, +491701234567").to == (ADA, "01707654321")
    with pytest.raises(ValidationError, match="not a telephone number"):
        Config(to="ops@example.com")


def test_a_signature_is_that_of_twilios_documentation(twilio):
    by = adapter(twilio, token="12345", public_url="https://mycompany.com")
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }

    # https://www.twilio.com/docs/usage/security#validating-requests
    good = {"x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}
    assert by.verify_report(good, "/myapp.php?foo=1&bar=2", form)
    assert not by.verify_report(good, "/myapp.php?foo=1&bar=3", form)
    assert not by.verify_report({"X-Twilio-Signature": "é"}, "/myapp.php?foo=1&bar=2", form)
    assert not by.verify_report({}, "/myapp.php?foo=1&bar=2", form)


class TestReports:
    """The whole way: an SMS is sent with an address for reports, and Twilio tells there what became of it."""

    @pytest.fixture
    def app(self, tmp_path: Path, twilio: Twilio) -> Flask:
        file = tmp_path / "config.json"
        sms = {"kind": "twilio", "url": twilio.url, "to": [ADA]}
        rules = [{"name": "all", "send": ["sms", "chat"]}]
        file.write_text(json.dumps({"destinations": {"sms": sms, "chat": {"kind": "console"}}, "rules": rules}))
        environ = {
            "CONFIG_FILE": str(file),
            "DATABASE_URL": f"sqlite:///{tmp_path}/a.db",
            "PUBLIC_URL": "https://outages.example.com",
            "TWILIO_ACCOUNT_SID": SID,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_FROM": FROM,
        }
        app = create_app(environ)
        app.extensions["services"].store.prepare()
        return app

    @pytest.fixture
    def services(self, app: Flask) -> Services:
        found: Services = app.extensions["services"]
        return found

    @pytest.fixture
    def sent(self, services: Services) -> Alert:
        now = datetime.now(UTC) - timedelta(seconds=5)
        fired = event(severity=Severity.CRITICAL, starts_at=now, at=None)
        about = next(iter(services.pipeline.ingest([fired], now).values()))
        services.outbox.drain("sms")
        services.outbox.drain("chat")
        return about

    def report(self, app: Flask, twilio: Twilio, status: str, code: str = "", signature: str = "") -> Any:
        message = twilio.messages[-1]
        form, right = twilio.report(message, status, code)
        path = message.callback.removeprefix("https://outages.example.com")
        headers = {"X-Twilio-Signature": signature or right}
        elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
        return app.test_client().post(path, data=form, headers=headers, environ_overrides=elsewhere)

    def test_an_sms_that_did_not_arrive_is_a_failed_delivery_that_the_chat_hears_of(self, app, services, twilio, sent):
        answer = self.report(app, twilio, "undelivered", "30003")
        again = self.report(app, twilio, "undelivered", "30003")

        about, steps = services.store.get([sent.key])[sent.key], services.store.timeline(sent.key)
        told = {entry.receiver: entry for entry in ledger.ledger(services.store, about, ("sms", "chat"), steps)}
        assert (answer.status_code, answer.json, again.json) == (200, {"accepted": True}, {"accepted": False})
        assert told["sms"].state is State.FAILED
        assert "30003" in told["sms"].why
        assert ADA not in told["sms"].why
        assert services.outbox.drain("chat") == 1
        assert services.outbox.drain("chat") == 0

    @pytest.mark.parametrize("status", ["queued", "sent", "delivered"])
    def test_any_other_report_changes_nothing(self, app, services, twilio, sent, status):
        assert self.report(app, twilio, status).json == {"accepted": False}
        assert all(step.why is not Why.GAVE_UP for step in services.store.timeline(sent.key))

    def test_a_report_that_is_not_signed_is_refused(self, app, twilio, sent):
        assert self.report(app, twilio, "failed", signature="AAAA").status_code == 401

    def test_a_signed_address_that_is_not_ours_is_refused(self, app, twilio, sent):
        path = "/hooks/reports/sms?alert=x&episode=1&verb=open"
        signature = sign(f"https://outages.example.com{path}", {}, TOKEN)

        answer = app.test_client().post(path, headers={"X-Twilio-Signature": signature})

        assert answer.status_code == 400

    def test_another_receiver_takes_no_reports(self, app):
        assert app.test_client().post("/hooks/reports/chat").status_code == 403
