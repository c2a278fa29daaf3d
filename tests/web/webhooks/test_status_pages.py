"""Status pages that tell us of a change: their secret addresses, and that we look."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service_event_checker.core.model import Slot
from service_event_checker.engine.services import Services
from service_event_checker.web.webhooks.status_pages import hook_token
from tests.web.conftest import MakeApp

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
AWAY = {"REMOTE_ADDR": "203.0.113.9", "HTTP_HOST": "outages.example.com"}


@pytest.fixture
def slot(services: Services) -> Slot:
    """GitHub's page was read ten seconds ago and is due in fifty."""
    return put(services, Slot(name="github", due_at=later(50), last_run_at=later(-10)))


def put(services: Services, slot: Slot) -> Slot:
    written = services.store.put_slot(slot)
    assert written
    return written


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def due(services: Services) -> datetime:
    return services.store.slots()["github"].due_at


def push(client: FlaskClient, services: Services, path: str = "", **more: Any) -> int:
    path = path or f"/hooks/statuspage/github/{hook_token(services, 'github')}"
    return client.post(path, environ_overrides=AWAY, **more).status_code


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\x00", b'{"page": {"status_indicator": "none"}}'])
def test_whatever_the_page_sends_it_is_asked_soon(body: bytes, client: FlaskClient, services: Services) -> None:
    now = datetime.now(UTC)
    put(services, Slot(name="github", due_at=now + timedelta(minutes=5), last_run_at=now - timedelta(minutes=1)))

    assert push(client, services, data=body) == 200

    assert due(services) <= datetime.now(UTC)
    assert [one.name for one in services.poller.take_due() if one.name == "github"] == ["github"]
    assert services.store.open_alerts() == []


def test_only_the_address_itself_opens(client: FlaskClient, services: Services, slot: Slot) -> None:
    token = hook_token(services, "github")
    wrong = [token[:-1], token + "0", token.upper(), "x", "é", hook_token(services, "retool")]

    for path in [f"/hooks/statuspage/github/{each}" for each in wrong]:
        assert push(client, services, path) == 403
    assert push(client, services, f"/hooks/statuspage/nobody/{hook_token(services, 'nobody')}") == 403
    assert push(client, services, f"/hooks/other/github/{token}") == 403
    assert due(services) == slot.due_at


def test_the_address_is_the_same_in_every_process_and_hangs_on_the_secret_key(make_app: MakeApp) -> None:
    def token(**environ: str) -> str:
        return hook_token(make_app(**environ).extensions["services"], "github")

    assert token() == token()
    assert token(SECRET_KEY="one-key-of-some-length") == token(SECRET_KEY="one-key-of-some-length")
    assert (
        len({token(), token(SECRET_KEY="one-key-of-some-length"), token(SECRET_KEY="another-key-of-some-length")}) == 3
    )


def test_a_checker_that_is_off_is_answered_and_nothing_else(client: FlaskClient, services: Services) -> None:
    answer = client.post(f"/hooks/statuspage/office365/{hook_token(services, 'office365')}")

    assert answer.json == {"accepted": False, "reason": "the checker is off"}


def test_instatus_signs_where_its_secret_is_set(make_app: MakeApp) -> None:
    app = make_app(INSTATUS_WEBHOOK_SECRET="instatus-canary")
    services: Services = app.extensions["services"]
    path, body = f"/hooks/instatus/github/{hook_token(services, 'github')}", b'{"page":{}}'
    right = hmac.new(b"instatus-canary", body, hashlib.sha256).hexdigest()

    def status(signature: str, sent: bytes = body) -> int:
        headers = {"x-instatus-webhook-signature": signature}
        return push(app.test_client(), services, path, data=sent, headers=headers)

    assert status(right) == 200
    assert [status(""), status("é"), status(right[:-1]), status(right, body + b" ")] == [401] * 4


def test_hook_urls_are_shown_to_who_runs_the_app(make_app: MakeApp) -> None:
    app: Flask = make_app(PUBLIC_URL="https://outages.example.com/")

    shown = app.test_cli_runner().invoke(args=["hook-urls"]).output.splitlines()

    token = hook_token(app.extensions["services"], "github")
    assert f"github: https://outages.example.com/hooks/statuspage/github/{token}" in shown
    assert not any("office365" in line for line in shown)
