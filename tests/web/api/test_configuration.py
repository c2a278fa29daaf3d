"""POST /api/v1/config/reload: what is answered, and that later requests work with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service_event_checker.engine.services import Services
from tests.web.conftest import CONFIG, MakeApp, bearer

OPS = bearer("first-of-two-tokens")
OTHER = {**CONFIG, "checkers": {}, "rules": [{"name": "all", "send": ["chat"]}]}


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(API_TOKENS="ops:admin:first-of-two-tokens")


@pytest.fixture
def file(tmp_path: Path, client: FlaskClient) -> Path:
    assert client.get("/livez", **OPS).status_code == 200
    return tmp_path / "config.json"


def test_later_requests_work_with_what_was_reloaded(client: FlaskClient, services: Services, file: Path) -> None:
    file.write_text(json.dumps(OTHER))

    answer = client.post("/api/v1/config/reload", json={}, **OPS)

    assert answer.status_code == 200, answer.text
    assert answer.json["file"] == "config.json"
    assert answer.json["removed"] == ["checker github", "checker retool", "checker office365"]
    assert answer.json["changed"] == ["rules"]
    assert client.get("/api/v1/checkers", **OPS).json == {"checkers": []}
    assert client.get("/api/v1/rules", **OPS).json["rules"][0]["send"] == ["chat"]
    assert client.application.extensions["slack"].context.services is client.application.extensions["services"]
    assert client.application.extensions["services"].store is services.store


def test_a_wrong_file_is_named_with_path_and_remedy(client: FlaskClient, file: Path) -> None:
    file.write_text('{"destinations": {"chat": {"kind": "consol"}}}')

    answer = client.post("/api/v1/config/reload", json={}, **OPS)

    assert answer.status_code == 422
    (problem,) = answer.json["error"]["details"]["problems"]
    assert problem == 'destinations.chat.kind: "consol" is not a known kind. Did you mean "console"?'
    assert len(client.get("/api/v1/checkers", **OPS).json["checkers"]) == 3
    assert problem in client.get("/", **OPS).text.replace("&#34;", '"')
    assert "poc_config_reload_ok 0.0" in client.get("/metrics", **OPS).text


@pytest.mark.parametrize("body", [{"file": "/etc/passwd"}, [], 1])
def test_it_takes_an_empty_object_only(client: FlaskClient, body: object) -> None:
    assert client.post("/api/v1/config/reload", json=body, **OPS).status_code == 422


def test_it_needs_the_scope_admin(make_app: MakeApp) -> None:
    client = make_app(API_TOKENS="ops:read,write,act:first-of-two-tokens").test_client()

    assert client.post("/api/v1/config/reload", json={}, **bearer("first-of-two-tokens")).status_code == 403
