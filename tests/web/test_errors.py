"""Error answers: one shape, with what a client can act on and nothing that it must not see; and the headers of all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service_event_checker.core.errors import StoreError
from service_event_checker.web.request_body import BODY_MAX
from tests.factories import event
from tests.web.conftest import MakeApp

STATUS = "/api/v1/alerts/8zc63m64hy36/status"
DEEP = "[" * 100_000
MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "cut off": b'{"status": "reso',
    "NaN": b'{"status": NaN}',
    "infinity": b'{"status": -Infinity}',
    "a float beyond all bounds": b'{"status": 1e999}',
    "an integer of thousands of digits": b'{"status": ' + b"9" * 5000 + b"}",
    "a name given twice": b'{"status": "resolved", "status": "active"}',
    "a bomb of brackets": DEEP.encode(),
    "33 levels and a leaf": b"[" * 33 + b"1" + b"]" * 33,
    "no UTF-8": b'{"status": "\xff"}',
    "UTF-16": '{"status": "resolved"}'.encode("utf-16"),
}


def put(client: FlaskClient, body: bytes, kind: str = "application/json", **headers: str) -> Any:
    return client.put(STATUS, data=body, content_type=kind, headers=headers)


@pytest.mark.parametrize("case", MALFORMED)
def test_a_body_that_is_no_good_json_is_malformed(case: str, client: FlaskClient) -> None:
    answer = put(client, MALFORMED[case])

    assert answer.status_code == 400
    assert answer.json["error"]["code"] == "malformed"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"status"}),
        ([], {"body"}),
        ("resolved", {"body"}),
        ({"status": "closed"}, {"status"}),
        ({"status": 1, "resolution_note": 2, "stauts": 3}, {"status", "resolution_note", "stauts"}),
        ({"status": "resolved", "resolution_note": "x" * 20_001}, {"resolution_note"}),
    ],
)
def test_a_wrong_body_is_refused_field_by_field(body: object, fields: set[str], client: FlaskClient) -> None:
    answer = put(client, json.dumps(body).encode())

    assert answer.status_code == 422
    assert {detail["field"] for detail in answer.json["error"]["details"]} == fields


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json-seq"])
def test_only_json_is_taken(kind: str, client: FlaskClient) -> None:
    assert put(client, b'{"status": "resolved"}', kind).status_code == 415


def test_a_packed_body_is_not_unpacked(client: FlaskClient) -> None:
    assert put(client, b'{"status": "resolved"}', **{"Content-Encoding": "gzip"}).status_code == 415


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(BODY_MAX, 404), (BODY_MAX + 1, 413), (BODY_MAX * 3, 413)])
def test_a_body_over_the_limit_is_too_large(chunked: bool, size: int, status: int, client: FlaskClient) -> None:
    body = b'{"status": "resolved"}'.ljust(size)
    as_chunks = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""} if chunked else {}

    answer = client.put(STATUS, data=body, content_type="application/json", environ_overrides=as_chunks)

    assert answer.status_code == status
    assert answer.json["error"]["code"] == {404: "not_found", 413: "too_large"}[status]


def test_a_method_that_an_address_does_not_take_is_answered_with_those_it_does(client: FlaskClient) -> None:
    answer = client.delete("/api/v1/deliveries")

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert answer.json["error"]["message"] == "This address accepts GET, not DELETE."


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("path", "status", "said", "step"),
    [
        ("/nothing", 404, "There is nothing at this address.", '<a href="/">'),
        ("/api/v1/alerts/NOPE-22222", 404, "Unknown alert.", '<a href="/">'),
        ("/api/v1/alerts?status=odd", 422, "status: is not one of active", '<a href="/">'),
        ("/alert", 405, "This address accepts POST, not GET.", '<a href="/">'),
    ],
)
def test_a_browser_gets_a_page_with_the_next_step(
    path: str, status: int, said: str, step: str, client: FlaskClient
) -> None:
    answer = client.get(path, headers={"Accept": BROWSER})

    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert said in answer.text
    assert step in answer.text
    assert "<script" not in answer.text
    assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "application/json, text/html;q=0.9", "text/html;q=0"]
)
def test_a_program_gets_json(accept: str, client: FlaskClient) -> None:
    answer = client.get("/nothing", headers={"Accept": accept} if accept else {})

    assert answer.json["error"]["code"] == "not_found"


def test_a_browser_without_a_token_is_asked_for_one_and_told_how(make_app: MakeApp) -> None:
    client = make_app(API_TOKENS="ci:read:a-long-enough-token").test_client()

    answer = client.get("/", headers={"Accept": BROWSER})

    assert (answer.status_code, answer.mimetype) == (401, "text/html")
    assert answer.headers.getlist("WWW-Authenticate")[0].startswith("Basic ")
    assert "token as the password" in answer.text


def test_a_browser_is_told_that_the_store_is_away_without_its_text_as_markup(app: Flask, client: FlaskClient) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreError("<b>disk</b> full")

    app.extensions["services"].store.page = away

    answer = client.get("/", headers={"Accept": BROWSER})

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "&lt;b&gt;disk&lt;/b&gt; full" in answer.text
    assert "Load the page again" in answer.text


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(min_size=1, max_size=40))
def test_nothing_of_an_address_becomes_markup(name: str, client: FlaskClient) -> None:
    answer = client.get(f"/api/v1/alerts/<i>{name}", headers={"Accept": BROWSER})

    assert "<i>" not in answer.text


def test_problem_details_come_where_they_are_asked_for(client: FlaskClient) -> None:
    answer = client.get("/nowhere", headers={"Accept": "application/json, application/problem+json"})

    assert answer.mimetype == "application/problem+json"
    assert answer.json["status"] == 404
    assert answer.json["title"] == "Not Found"
    assert (
        client.get("/nowhere", headers={"Accept": "application/problem+json;q=0, */*"}).json["error"]["details"] is None
    )


def test_a_store_that_is_away_is_told_with_the_time_to_try_again(app: Flask, client: FlaskClient) -> None:
    app.extensions["services"].store.close()

    def away() -> None:
        raise StoreError("connection refused by postgres://user:hunter2@db")

    app.view_functions["alerts.many"] = away
    answer = client.get("/api/v1/alerts")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "hunter2" not in answer.text


def test_a_defect_of_ours_shows_neither_trace_nor_secret(app: Flask, client: FlaskClient) -> None:
    def broken() -> None:
        raise RuntimeError("canary-of-a-trace")

    app.view_functions["alerts.many"] = broken
    answer = client.get("/api/v1/alerts")

    assert answer.status_code == 500
    assert answer.json["error"]["code"] == "internal_error"
    assert "canary" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("path", ["/", "/livez", "/api/v1/alerts", "/metrics", "/nowhere", "/static/page.css"])
def test_every_answer_tells_browsers_what_they_may_not_do(path: str, client: FlaskClient) -> None:
    headers = client.get(path).headers

    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert (headers["Cache-Control"] == "no-store") is (path != "/static/page.css")


def test_a_refusal_by_access_carries_the_headers_too(make_app: MakeApp) -> None:
    headers = make_app(API_TOKENS="a:read:a-token-of-some-length").test_client().get("/").headers

    assert headers["X-Content-Type-Options"] == "nosniff"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
BODIES = (
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {"status": st.sampled_from(["acknowledged", "resolved", "active"]) | JSON, "resolution_note": JSON}
    ).map(lambda value: json.dumps(value).encode())
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES, kind=st.sampled_from(["application/json", "application/json; charset=latin-1", "text/plain"]))
def test_no_body_breaks_us(body: bytes, kind: str, ingest: Any, client: FlaskClient) -> None:
    ingest(event())

    assert put(client, body, kind).status_code in {200, 400, 409, 415, 422}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(min_size=1, max_size=60),
    arguments=st.dictionaries(
        st.sampled_from(["status", "severity", "kind", "source", "limit", "cursor", "x"]),
        st.text(max_size=40),
        max_size=3,
    ),
)
def test_no_address_breaks_us(name: str, arguments: dict[str, str], client: FlaskClient) -> None:
    assert client.get("/api/v1/alerts", query_string=arguments).status_code in {200, 422}
    assert client.open(f"/api/v1/alerts/{name}", method="GET").status_code < 500


@pytest.mark.parametrize("route", ["alerts", "deliveries", "quarantine", "dead-letters"])
@pytest.mark.parametrize(
    "cursor",
    ["9" * 30 + "-" + "a" * 20, "9" * 19 + "-" + "a" * 20, "9" * 190, "9-", "-", "x", "a b", "\u0663-\u0663", "é"]
    + ["5", "nonsense", "0-" + "a" * 20, "5-" + "A" * 20, "5-" + "a" * 19, "5-" + "a" * 20 + "\n"],
)
def test_a_cursor_that_nobody_gave_is_refused(route: str, cursor: str, client: FlaskClient) -> None:
    answer = client.get(f"/api/v1/{route}", query_string={"cursor": cursor})

    assert answer.status_code == 422
    assert answer.json["error"]["details"][0]["field"] == "cursor"
