"""Requests that claim to be Slack's: signature, age, replay, the retired token, and bytes that mean nothing."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import connect
from threading import Timer
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from flask import request
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service_event_checker.engine import jobs, seen_requests
from service_event_checker.engine.services import Services
from service_event_checker.web.errors import Refused
from service_event_checker.web.slack.signature import STORE_SECONDS, is_signed
from tests.web.conftest import MakeApp
from tests.web.slack.caller import SECRET, command_form, press_form, signed

# The example of docs.slack.dev/authentication/verifying-requests-from-slack, whole
PUBLISHED_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
PUBLISHED_STAMP = "1531420618"
PUBLISHED_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
PUBLISHED_SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
FORM = "application/x-www-form-urlencoded"
AWAY = {"REMOTE_ADDR": "203.0.113.9"}


def published(**changes: Any) -> bool:
    given = {
        "secret": PUBLISHED_SECRET,
        "body": PUBLISHED_BODY,
        "stamp": PUBLISHED_STAMP,
        "signature": PUBLISHED_SIGNATURE,
        "now": float(PUBLISHED_STAMP),
    }
    return is_signed(**given | changes)


@pytest.fixture
def slack_client(make_app: MakeApp) -> FlaskClient:
    return make_app(SLACK_SIGNING_SECRET=SECRET).test_client()


def test_the_published_example_is_genuine() -> None:
    assert published()


def test_no_bit_of_body_or_signature_may_differ() -> None:
    for place in range(len(PUBLISHED_BODY)):
        flipped = bytearray(PUBLISHED_BODY)
        flipped[place] ^= 1 << place % 8
        assert not published(body=bytes(flipped))
    for place in range(len(PUBLISHED_SIGNATURE)):
        for bit in range(7):
            letters = list(PUBLISHED_SIGNATURE)
            letters[place] = chr(ord(letters[place]) ^ (1 << bit))
            assert not published(signature="".join(letters))


@pytest.mark.parametrize(("late", "genuine"), [(0, True), (299, True), (-299, True), (301, False), (-301, False)])
def test_a_signature_is_good_for_five_minutes(late: int, genuine: bool) -> None:
    assert published(now=float(PUBLISHED_STAMP) + late) is genuine


@pytest.mark.parametrize(
    "changes",
    [{"stamp": stamp} for stamp in ("", "now", "1e9", "-1", "1531420618.0", " 1531420618", "١٥٣١", "9" * 5000, "1_5")]
    + [{"signature": signature} for signature in ("", "v0=", "é", PUBLISHED_SIGNATURE.upper(), "v1=" + "0" * 64)]
    + [{"body": b"\xff\xfe"}, {"body": b""}, {"secret": "another"}],
)
def test_what_is_malformed_is_not_genuine_and_breaks_nothing(changes: dict[str, Any]) -> None:
    assert not published(**changes)


def test_the_same_request_is_taken_once(slack_client: FlaskClient) -> None:
    body = command_form("/listevents")
    headers = signed(body)

    first = slack_client.post("/slack/commands", data=body, headers=headers, content_type=FORM)
    again = slack_client.post("/slack/commands", data=body, headers=headers, content_type=FORM)

    assert (first.status_code, again.status_code) == (200, 401)


@pytest.mark.parametrize(
    ("route", "body"), [("commands", command_form("/listevents")), ("interactions", press_form("x", "y"))]
)
def test_a_request_that_another_process_has_taken_is_refused(route: str, body: bytes, make_app: MakeApp) -> None:
    headers = signed(body)

    def status() -> int:
        """Ask a process that has just started on the same store."""
        client = make_app(SLACK_SIGNING_SECRET=SECRET).test_client()
        return client.post(f"/slack/{route}", data=body, headers=headers, content_type=FORM).status_code

    assert [status() for _ in range(3)] == [200, 401, 401]


def test_of_many_that_come_at_once_one_is_taken(make_app: MakeApp) -> None:
    body = command_form("/listevents")
    headers = signed(body)
    apps = [make_app(SLACK_SIGNING_SECRET=SECRET) for _ in range(4)]

    def taken(number: int) -> bool:
        """Whether the work of a request may begin, however long the store takes to say so."""
        app = apps[number % len(apps)]
        with app.test_request_context("/slack/commands", method="POST", data=body, headers=headers, content_type=FORM):
            try:
                app.extensions["slack"].signatures.admit(request).wait()
            except Refused:
                return False
            return True

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(taken, range(8)))

    assert sorted(found) == [False] * 7 + [True]


@pytest.mark.parametrize(
    ("route", "body"), [("commands", command_form("/listevents")), ("interactions", press_form("acknowledge", "y"))]
)
def test_a_replay_is_refused_although_the_store_says_so_late(
    route: str, body: bytes, make_app: MakeApp, tmp_path: Path
) -> None:
    headers = signed(body)
    clients = [make_app(SLACK_SIGNING_SECRET=SECRET).test_client() for _ in range(2)]

    def status(client: FlaskClient) -> int:
        return client.post(f"/slack/{route}", data=body, headers=headers, content_type=FORM).status_code

    with ThreadPoolExecutor(2) as threads, connect(tmp_path / "store.db", check_same_thread=False) as writer:
        writer.execute("BEGIN IMMEDIATE")  # somebody else writes for longer than a request waits before its work
        asked = [threads.submit(status, client) for client in clients]
        Timer(STORE_SECONDS * 1.5, writer.rollback).start()
        found = [each.result() for each in asked]

    assert sorted(found) == [200, 401]


def test_while_the_store_is_away_nothing_is_taken_and_nothing_is_lost(make_app: MakeApp, tmp_path: Path) -> None:
    client, body = make_app(SLACK_SIGNING_SECRET=SECRET).test_client(), command_form("/listevents")
    headers = signed(body)

    (tmp_path / "store.db").rename(tmp_path / "elsewhere.db")
    away = client.post("/slack/commands", data=body, headers=headers, content_type=FORM)
    (tmp_path / "elsewhere.db").rename(tmp_path / "store.db")
    back = client.post("/slack/commands", data=body, headers=headers, content_type=FORM)
    again = client.post("/slack/commands", data=body, headers=headers, content_type=FORM)

    assert (away.status_code, away.headers["Retry-After"]) == (503, "5")
    assert (back.status_code, again.status_code) == (200, 401)


def test_what_was_seen_is_forgotten_when_its_signature_is_no_longer_good(services: Services) -> None:
    holding, now = services.store.holding, datetime.now(UTC)
    assert seen_requests.is_first(holding, "slack", "one", now - timedelta(minutes=20))
    assert seen_requests.is_first(holding, "slack", "two", now - timedelta(minutes=9))

    jobs.run("prune", "", services, cast(jobs.Executor, None))

    assert seen_requests.is_first(holding, "slack", "one", now)
    assert not seen_requests.is_first(holding, "slack", "two", now)


@pytest.mark.parametrize("route", ["commands", "interactions"])
@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Slack-Signature": "v0=x"}, {"X-Slack-Request-Timestamp": "1"}, signed(b"x", "another secret")],
)
def test_unsigned_requests_are_refused_from_here_too(
    route: str, headers: dict[str, str], slack_client: FlaskClient
) -> None:
    answer = slack_client.post(f"/slack/{route}", data=command_form("/botstatus"), headers=headers, content_type=FORM)

    assert answer.status_code == 401
    assert answer.json["error"]["code"] == "unauthorized"


def test_an_old_request_is_refused(slack_client: FlaskClient) -> None:
    body = command_form("/botstatus")

    old = slack_client.post("/slack/commands", data=body, headers=signed(body, stamp=int(time.time()) - 302))

    assert old.status_code == 401


def test_the_retired_token_is_taken_where_there_is_no_signing_secret(make_app: MakeApp) -> None:
    client = make_app(SLACK_VERIFICATION_TOKEN="retired-canary").test_client()

    def status(route: str, body: bytes) -> int:
        return client.post(f"/slack/{route}", data=body, environ_overrides=AWAY, content_type=FORM).status_code

    assert status("commands", command_form("/listevents", token="retired-canary")) == 200
    assert status("commands", command_form("/listevents", token="retired-canarx")) == 401
    assert status("commands", command_form("/listevents", token="é")) == 401
    assert status("interactions", press_form("x", "y", token="retired-canary")) == 200
    assert status("interactions", press_form("x", "y", token=["retired-canary"])) == 401
    assert status("interactions", press_form("x", "y")) == 401


def test_the_retired_token_counts_for_nothing_beside_a_signing_secret(make_app: MakeApp) -> None:
    client = make_app(SLACK_SIGNING_SECRET=SECRET, SLACK_VERIFICATION_TOKEN="retired-canary").test_client()

    answer = client.post("/slack/commands", data=command_form("/listevents", token="retired-canary"))

    assert answer.status_code == 401


def test_without_any_secret_only_this_machine_is_answered(make_app: MakeApp) -> None:
    client, body = make_app().test_client(), command_form("/listevents")

    assert client.post("/slack/commands", data=body, content_type=FORM).status_code == 200
    away = client.post("/slack/commands", data=body, content_type=FORM, environ_overrides=AWAY)
    assert away.status_code == 403
    assert away.json["error"]["details"] == {"set": "SLACK_SIGNING_SECRET"}


def test_a_look_at_the_certificate_is_answered(slack_client: FlaskClient) -> None:
    body = b"ssl_check=1&token=x"

    assert slack_client.post("/slack/commands", data=body, headers=signed(body)).status_code == 200


def test_a_body_beyond_all_measure_is_refused(slack_client: FlaskClient) -> None:
    body = b"payload=" + b"x" * 600_000

    assert slack_client.post("/slack/interactions", data=body, headers=signed(body)).status_code == 413


FORMS = st.dictionaries(
    st.sampled_from(["command", "text", "payload", "user_id", "team_id", "response_url", "token"]), st.text(max_size=40)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "actions", "user", "id", "team", "channel", "value", "action_id"]), inner
        )
    ),
    max_leaves=12,
)


def bodies() -> st.SearchStrategy[bytes]:
    forms = FORMS.map(lambda form: urlencode(form, errors="surrogatepass").encode())
    payloads = JSON.map(lambda value: urlencode({"payload": json.dumps(value)}).encode())
    presses = JSON.map(
        lambda value: urlencode({"payload": json.dumps({"type": "block_actions", "actions": [value]})}).encode()
    )
    return st.binary(max_size=200) | forms | payloads | presses


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=bodies(), route=st.sampled_from(["commands", "interactions"]), genuine=st.booleans())
def test_any_bytes_are_answered_without_a_crash(
    body: bytes, route: str, genuine: bool, slack_client: FlaskClient
) -> None:
    answer = slack_client.post(f"/slack/{route}", data=body, headers=signed(body) if genuine else {})

    assert answer.status_code in ({200, 400, 401} if genuine else {401})  # 401: the same bytes again
