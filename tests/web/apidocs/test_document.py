"""The OpenAPI document says what the routes take and answer; its two pages load nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from service_event_checker.core.model import Alert, Event
from service_event_checker.engine.services import Services
from service_event_checker.web import access
from service_event_checker.web.apidocs.document import PREFIX
from service_event_checker.web.apidocs.operations import OPERATIONS
from service_event_checker.web.security.auth import Scope
from tests.factories import event
from tests.sources.rest.test_payload import SHOWN
from tests.web.conftest import MakeApp, bearer, give_up

TOKEN = "token-of-an-administrator"


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json
    return found


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_every_route_of_the_api_is_described_and_nothing_else(app: Flask, document: dict[str, Any]) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith(PREFIX)]

    assert {rule.endpoint for rule in rules} == set(OPERATIONS)
    described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert described == {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_each_operation_names_its_scope_and_each_reference_leads_somewhere(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    ids = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert len(ids) == len(set(ids))
    for reference in references(document):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for endpoint in OPERATIONS:
        need = access.RULES[endpoint]
        assert isinstance(need, Scope)
        assert f"Needs the scope {need}." in str(document["paths"])


Ask = Callable[[FlaskClient], Any]
ASKED: dict[str, tuple[str, str, Any]] = {
    "alerts.many": ("GET", "/api/v1/alerts?total=true", None),
    "new_alerts.create": ("POST", "/api/v1/alerts", SHOWN),
    "new_alerts.create list": ("POST", "/api/v1/alerts", [SHOWN, {}, {**SHOWN, "status": "resolved", "title": "x"}]),
    "alerts.one": ("GET", "/api/v1/alerts/8zc63m64hy36", None),
    "alerts.change_status": ("PUT", "/api/v1/alerts/8zc63m64hy36/status", {"status": "acknowledged"}),
    "alerts.add_note": ("POST", "/api/v1/alerts/8zc63m64hy36/notes", {"note": "we know"}),
    "stats.show": ("GET", "/api/v1/stats", None),
    "vendors.many": ("GET", "/api/v1/vendors", None),
    "vendors.one": ("GET", "/api/v1/vendors/github?days=7", None),
    "rules.many": ("GET", "/api/v1/rules", None),
    "rules.evaluate": ("POST", "/api/v1/rules/evaluate", {"labels": {"a": "b"}}),
    "verdicts.of_labels": ("GET", "/api/v1/verdict?service=shop", None),
    "changes.many": ("GET", "/api/v1/changes", None),
    "changes.create": ("POST", "/api/v1/changes", {"service": "shop", "title": "v42"}),
    "heartbeats.many": ("GET", "/api/v1/heartbeats", None),
    "parts.checkers": ("GET", "/api/v1/checkers", None),
    "parts.destinations": ("GET", "/api/v1/destinations", None),
    "deliveries.many": ("GET", "/api/v1/deliveries", None),
    "dead_letters.many": ("GET", "/api/v1/dead-letters", None),
    "quarantined.many": ("GET", "/api/v1/quarantine", None),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_a_route_answers_is_what_the_document_says(
    name: str, client: FlaskClient, services: Services, ingest: Callable[[Event], Alert], document: dict[str, Any]
) -> None:
    ingest(event())
    give_up(services, "chat", "refused")
    client.post("/api/v1/alerts", json={"title": "for the quarantine"})
    method, path, body = ASKED[name]

    answer = client.open(path, method=method, json=body)

    described = next(
        operation
        for methods in document["paths"].values()
        for operation in methods.values()
        if operation["operationId"] == name.partition(" ")[0].replace(".", "_")
    )
    schema = described["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
    closed = {**schema, "components": document["components"]}
    assert list(map(str, Draft202012Validator(closed).iter_errors(answer.json))) == []


def test_errors_are_as_the_document_says(client: FlaskClient, document: dict[str, Any]) -> None:
    described = document["components"]["responses"]["Error"]["content"]
    for kind in ("application/json", "application/problem+json"):
        answer = client.get("/api/v1/alerts/none", headers={"Accept": kind})
        assert answer.mimetype == kind
        schema = {**described[kind]["schema"], "components": document["components"]}
        assert list(Draft202012Validator(schema).iter_errors(answer.json)) == []


@pytest.mark.parametrize(("path", "worker"), [("/docs", False), ("/redoc", True)])
def test_its_pages_load_their_files_from_here_alone(path: str, worker: bool, client: FlaskClient) -> None:
    page = client.get(path)

    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert files
    assert {client.get(file).status_code for file in files} == {200}
    assert not re.search(r"<script>|<style|style=|https?://", page.text)
    policy = page.headers["Content-Security-Policy"]
    assert "script-src" not in policy
    assert ("worker-src blob:" in policy) is worker


def test_these_pages_alone_allow_inline_styles(app: Flask, make_app: MakeApp) -> None:
    client = make_app(API_TOKENS=f"ops:admin:{TOKEN}").test_client()
    loose = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        answer = client.get(path, **bearer(TOKEN))
        if (
            "unsafe" in answer.headers["Content-Security-Policy"]
            or "blob:" in answer.headers["Content-Security-Policy"]
        ):
            loose.add(rule.endpoint)

    assert loose == {"apidocs.swagger", "apidocs.redoc"}


def test_a_file_that_is_not_served_is_not_found(client: FlaskClient) -> None:
    assert client.get("/docs/files/__init__.py").status_code == 404
