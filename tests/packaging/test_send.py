"""examples/send.sh sends the examples as Opsgenie and PagerDuty would: to the right address, proved, unchanged."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.destinations.opsgenie.adapter import Adapter, Config
from tests.doubles.base import Answer, Double, Request
from tests.root import ROOT

EXAMPLES = ROOT / "examples"
OPS = {
    "ops-webhook-create.json": EventStatus.FIRING,
    "ops-webhook-note.json": EventStatus.NOTED,
    "ops-webhook-acknowledge.json": EventStatus.ACKNOWLEDGED,
    "ops-webhook-unacknowledge.json": EventStatus.UNACKNOWLEDGED,
    "ops-webhook-close.json": EventStatus.RESOLVED,
}
SECRET = "s$cret 'with' spaces"
PAGERDUTY = {
    "event": {"id": "01E", "event_type": "incident.acknowledged", "data": {"id": "INCIDENT_ID", "title": "Ünïcode"}}
}


class App(Double):
    """Answers `status` to all that it is sent."""

    status = 200

    def handle(self, request: Request) -> Answer:
        return Answer.json({"accepted": 1}, self.status)


@pytest.fixture
def app() -> Iterator[App]:
    with App() as running:
        yield running


@pytest.fixture
def pagerduty(tmp_path: Path) -> Path:
    file = tmp_path / "pd-webhook-acknowledge.json"
    file.write_text(json.dumps(PAGERDUTY, indent=1, ensure_ascii=False) + "\n\n")
    return file


def send(app: App, *words: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    bare = {"PATH": os.environ["PATH"], "HOST": app.url}
    return subprocess.run(
        [EXAMPLES / "send.sh", *words], capture_output=True, text=True, env={**bare, **environ}, timeout=60
    )


def sent(app: App) -> Request:
    (request,) = app.requests
    return request


def header(request: Request, name: str) -> str | None:
    return {given.lower(): value for given, value in request.headers.items()}.get(name.lower())


@pytest.mark.parametrize("name", OPS)
def test_what_opsgenie_sends_goes_to_its_address_and_is_understood(app: App, name: str) -> None:
    answer = send(app, name, OPSGENIE_INTEGRATION_ID="37c8f316-17c6")

    assert (answer.returncode, answer.stdout) == (0, 'HTTP 200\n{"accepted": 1}\n')
    request = sent(app)
    assert (request.method, request.path, header(request, "Content-Type")) == (
        "POST",
        "/ops-webhook",
        "application/json",
    )
    opsgenie = Adapter("opsgenie", Config(token="key", integration_id="37c8f316-17c6"))
    assert opsgenie.accepts(request.json())
    assert [event.status for event in opsgenie.parse({}, request.json())] == [OPS[name]]


def test_another_alert_takes_the_place_of_the_examples(app: App) -> None:
    send(app, "ops-webhook-note.json", "a-1")

    alert: dict[str, Any] = sent(app).json()["alert"]
    assert alert == {"alertId": "a-1", "username": "test-user"}


def test_what_pagerduty_sends_is_signed_over_its_very_bytes(app: App, pagerduty: Path) -> None:
    answer = send(app, pagerduty, "Q1ABC", PAGERDUTY_WEBHOOK_SECRET=SECRET)

    assert answer.returncode == 0
    request = sent(app)
    expected = hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    assert (request.path, header(request, "X-PagerDuty-Signature")) == ("/pd-webhook", f"v1={expected}")
    assert request.body.decode() == pagerduty.read_text().replace("INCIDENT_ID", "Q1ABC")


def test_without_a_secret_or_a_token_nothing_is_signed_and_none_is_sent(app: App, pagerduty: Path) -> None:
    send(app, pagerduty)

    assert header(sent(app), "X-PagerDuty-Signature") is None
    assert header(sent(app), "X-Webhook-Token") is None


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ({"WEBHOOK_TOKEN": "one"}, "one"),
        ({"WEBHOOK_TOKEN": "one", "WEBHOOK_TOKEN_OPSGENIE": "two"}, "two"),
        ({"WEBHOOK_TOKEN": "one", "WEBHOOK_TOKEN_PAGERDUTY": "two"}, "one"),
    ],
)
def test_the_token_of_the_route_is_sent(app: App, tokens: dict[str, str], expected: str) -> None:
    send(app, "ops-webhook-create.json", **tokens)

    assert header(sent(app), "X-Webhook-Token") == expected


def test_a_refusal_is_shown_and_is_a_failure(app: App) -> None:
    app.status = 403

    answer = send(app, "ops-webhook-create.json")

    assert (answer.returncode, answer.stdout.splitlines()[0]) == (1, "HTTP 403")


def test_nobody_there_is_a_failure_that_says_so(app: App) -> None:
    answer = send(app, "ops-webhook-create.json", HOST="http://127.0.0.1:1")

    assert answer.returncode == 1
    assert "curl" in answer.stderr


@pytest.mark.parametrize(
    "words", [(), ("no-such.json",), ("README.md",), ("ops-webhook-note.json", "a/b"), ("a", "b", "c")]
)
def test_a_mistake_is_explained_and_nothing_is_sent(app: App, words: tuple[str, ...]) -> None:
    answer = send(app, *words)

    assert (answer.returncode, app.requests) == (2, [])
    assert answer.stderr.startswith("send.sh: ")
