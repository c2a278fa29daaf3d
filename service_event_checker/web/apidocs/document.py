"""The OpenAPI document of the REST API, made of the routes, their docstrings and the models that they use.

https://spec.openapis.org/oas/v3.1.0; its schemas are JSON Schema 2020-12, as pydantic writes them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from service_event_checker.web.apidocs.operations import OPERATIONS, Operation, Schema
from service_event_checker.web.security.auth import Scope

PREFIX = "/api/v1/"
_REF = "#/components/schemas/{model}"
_METHODS = ("GET", "POST", "PUT", "DELETE")
_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")
_MODES: Mapping[str, Literal["validation", "serialization"]] = {"body": "validation", "answer": "serialization"}
_SECURITY = {"bearer": {"type": "http", "scheme": "bearer"}, "basic": {"type": "http", "scheme": "basic"}}


class ErrorFacts(BaseModel):
    code: str
    message: str
    details: Any = None


class ErrorAnswer(BaseModel):
    """Every answer from 400 on."""

    error: ErrorFacts


class Problem(BaseModel):
    """RFC 9457, where the client accepts application/problem+json."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    details: Any = None


def document(app: Flask, needs: Mapping[str, object]) -> dict[str, Any]:
    """Return the document; `needs` says what each endpoint asks of its caller."""
    refs, components = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        operation = OPERATIONS.get(rule.endpoint)
        if operation is None:
            continue
        for method in _METHODS:
            if method in (rule.methods or ()):
                described = _operation(app, rule, operation, refs, needs.get(rule.endpoint))
                paths.setdefault(_ARGUMENT.sub(r"{\1}", rule.rule), {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Platform Outage Checker",
            "version": _version(),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in _SECURITY],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": _SECURITY,
            "responses": {"Error": _error(refs)},
        },
    }


def _schemas() -> tuple[Mapping[Any, Schema], Schema]:
    """Return a reference for each (model, mode), and the schemas that they lead to."""
    used = [(model, _MODES[use]) for operation in OPERATIONS.values() for use, model in _models(operation)]
    errors: list[tuple[type[BaseModel], Any]] = [(ErrorAnswer, "serialization"), (Problem, "serialization")]
    refs, found = models_json_schema([*dict.fromkeys(used), *errors], ref_template=_REF)
    return refs, found.get("$defs", {})


def _models(operation: Operation) -> Iterator[tuple[str, type[BaseModel]]]:
    if operation.body:
        yield "body", operation.body
    yield from (("answer", model) for model in operation.answers.values())


def _operation(
    app: Flask, rule: Rule, operation: Operation, refs: Mapping[Any, Schema], need: object
) -> dict[str, Any]:
    text = inspect.getdoc(app.view_functions[rule.endpoint]) or ""
    summary, _, more = text.partition("\n\n")
    scope = f"Needs the scope {need}." if isinstance(need, Scope) else ""
    answers: dict[str, Any] = {
        str(status): {
            "description": model.__doc__ and inspect.cleandoc(model.__doc__) or "Done.",
            **_json(refs[(model, "serialization")]),
        }
        for status, model in operation.answers.items()
    }
    found: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "tags": [rule.rule.removeprefix(PREFIX).partition("/")[0]],
        "summary": " ".join(summary.split()) or rule.endpoint,
        "description": "\n\n".join(filter(None, (more, scope))),
        "parameters": list(_parameters(rule, operation)),
        "responses": answers | {"default": {"$ref": "#/components/responses/Error"}},
    }
    if operation.body:
        found["requestBody"] = {"required": True, **_json(refs[(operation.body, "validation")])}
    return found


def _parameters(rule: Rule, operation: Operation) -> Iterator[dict[str, Any]]:
    for name in sorted(rule.arguments):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    for name, schema in operation.query.items():
        yield {"name": name, "in": "query", "schema": schema}
    for name, schema in operation.headers.items():
        yield {"name": name, "in": "header", "schema": schema}


def _json(schema: Schema) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _error(refs: Mapping[Any, Schema]) -> dict[str, Any]:
    plain, problem = (refs[(model, "serialization")] for model in (ErrorAnswer, Problem))
    content = {"application/json": {"schema": plain}, "application/problem+json": {"schema": problem}}
    return {"description": "The error, with its code and a message for people.", "content": content}


def _version() -> str:
    try:
        return version("platform-outage-checker")
    except PackageNotFoundError:  # it runs from its folder and is not installed
        return "0.1.0"
