"""Releases and deployments that GitHub tells of. Bodies in the format of
https://docs.github.com/en/webhooks/webhook-events-and-payloads, made short."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.web.conftest import MakeApp

SECRET = "it-is-a-secret-of-github"
NOW = datetime.now(UTC).replace(microsecond=0).isoformat()
BY = {"repository": {"id": 1, "name": "checkout", "full_name": "acme/checkout"}, "sender": {"login": "ada", "id": 2}}
RELEASE = {
    "action": "published",
    "release": {"id": 3, "tag_name": "v42", "html_url": "https://github.com/acme/checkout/releases/v42"},
    **BY,
}
DEPLOYMENT = {
    "action": "created",
    "deployment": {"id": 4, "ref": "main", "environment": "production", "created_at": NOW},
    **BY,
}


@pytest.fixture
def client(make_app: MakeApp) -> FlaskClient:
    return make_app(GITHUB_WEBHOOK_SECRET=SECRET).test_client()


def send(client: FlaskClient, event: str, body: Any, secret: str = SECRET, **more: Any) -> Any:
    raw = json.dumps(body).encode()
    mac = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": event, "X-Hub-Signature-256": f"sha256={mac}"}
    return client.post("/hooks/github", data=raw, content_type="application/json", headers=headers, **more)


@pytest.mark.parametrize(
    ("event", "body", "title"),
    [("release", RELEASE, "release v42"), ("deployment", DEPLOYMENT, "deployment of main to production")],
)
def test_a_release_and_a_deployment_are_changes_of_the_repositorys_service(
    client: FlaskClient, event: str, body: dict[str, Any], title: str
) -> None:
    answers = [send(client, event, body).json for _ in range(2)]

    found = client.get("/api/v1/changes?service=checkout").json["changes"]  # type: ignore[index]
    assert answers == [{"accepted": 1}] * 2
    assert {(each["title"], each["who"], each["kind"]) for each in found} == {(title, "ada", "deploy")}


@pytest.mark.parametrize(("event", "body"), [("ping", {"zen": "x"}), ("release", {**RELEASE, "action": "edited"})])
def test_other_events_change_nothing(client: FlaskClient, event: str, body: dict[str, Any]) -> None:
    assert send(client, event, body).json == {"accepted": 0}
    assert client.get("/api/v1/changes").json == {"changes": []}


def test_what_is_not_signed_with_the_secret_is_refused(client: FlaskClient) -> None:
    unsigned = client.post("/hooks/github", json=RELEASE, headers={"X-GitHub-Event": "release"})

    assert [send(client, "release", RELEASE, "another-secret").status_code, unsigned.status_code] == [401, 401]
    assert client.get("/api/v1/changes").json == {"changes": []}


def test_without_a_secret_only_a_local_request_is_answered(make_app: MakeApp) -> None:
    client = make_app().test_client()

    far = send(client, "release", RELEASE, environ_base={"REMOTE_ADDR": "203.0.113.9"})

    assert far.status_code == 403
    assert "GITHUB_WEBHOOK_SECRET" in far.json["error"]["message"]
    assert send(client, "release", RELEASE).json == {"accepted": 1}


@pytest.mark.parametrize("body", [[], {}, {**RELEASE, "release": None}, {**RELEASE, "repository": {"name": ""}}])
def test_what_is_not_in_the_format_is_422(client: FlaskClient, body: Any) -> None:
    assert send(client, "release", body).status_code in (400, 422)
