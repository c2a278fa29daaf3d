"""Whoever is refused leaves a trace: a metric, a line in the log, a note on the page; guesses are slowed down."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from service_event_checker.config.load import ConfigError
from service_event_checker.engine.refusals import TRIES_MAX
from tests.web.conftest import MakeApp, bearer

TOKEN = "7c1f0e2a-canary-of-the-api"
HOOK = "canary-of-the-alertmanager"
WRONG = bearer("a-wrong-token-of-some-length")
OTHERS = {"environ_overrides": {"REMOTE_ADDR": "198.51.100.7"}}


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(API_TOKENS=f"ops:admin:{TOKEN}", WEBHOOK_TOKEN=HOOK)


def alert(client: FlaskClient, token: str, **request: Any) -> int:
    return client.post("/alert", json={"alerts": []}, **bearer(token), **request).status_code


def page(client: FlaskClient) -> str:
    return client.get("/", **bearer(TOKEN)).text


def test_a_wrong_webhook_token_is_counted_logged_once_a_minute_and_shown(client: FlaskClient) -> None:
    with capture_logs() as lines:
        statuses = {alert(client, "wrong") for _ in range(50)}

    assert statuses == {401}
    (line,) = [line for line in lines if line["event"] == "request_refused"]
    assert (line["log_level"], line["reason"], line["peer"]) == ("warning", "wrong_token", "127.0.0.1")
    metrics = client.get("/metrics", **bearer(TOKEN)).text
    assert 'poc_requests_refused_total{reason="wrong_token",route="alertmanager.alert"}' in metrics
    assert "Alertmanager&#39;s token is wrong since" in page(client)
    assert "50 tries from 127.0.0.1" in page(client)


def test_the_note_on_the_page_goes_when_the_right_token_comes(client: FlaskClient) -> None:
    alert(client, "wrong")

    alert(client, HOOK)

    assert "token is wrong" not in page(client)


def test_wrong_tokens_are_throttled_where_people_call_and_a_right_one_never_is(client: FlaskClient) -> None:
    tries = [client.get("/api/v1/alerts", **WRONG).status_code for _ in range(TRIES_MAX + 2)]

    assert tries == [401] * TRIES_MAX + [429] * 2
    answer = client.get("/", **WRONG)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert answer.json["error"]["code"] == "too_many_tries"
    assert client.get("/api/v1/alerts", **bearer(TOKEN)).status_code == 200
    assert client.get("/api/v1/alerts").status_code == 401  # a browser that asks for the password first
    assert client.get("/api/v1/alerts", **WRONG, **OTHERS).status_code == 401


def test_a_sender_of_alerts_is_never_told_to_slow_down(client: FlaskClient) -> None:
    assert {alert(client, "wrong") for _ in range(3 * TRIES_MAX)} == {401}
    assert alert(client, HOOK) not in (401, 429)


def test_guesses_at_an_open_route_count(client: FlaskClient) -> None:
    for _ in range(TRIES_MAX + 1):
        assert client.get("/health", **WRONG).status_code in (200, 503)

    assert client.get("/api/v1/alerts", **WRONG).status_code == 429


def test_a_proxys_clients_are_told_apart_only_where_it_is_trusted(make_app: MakeApp) -> None:
    tokens = {"API_TOKENS": f"ops:admin:{TOKEN}"}
    plain, proxied = make_app(**tokens).test_client(), make_app(**tokens, TRUSTED_PROXIES="127.0.0.0/8").test_client()

    def last_of_many(client: FlaskClient) -> int:
        statuses = []
        for number in range(TRIES_MAX + 2):
            headers = {**WRONG["headers"], "X-Forwarded-For": f"192.0.2.{number}"}
            statuses.append(client.get("/api/v1/alerts", headers=headers).status_code)
        return statuses[-1]

    assert (last_of_many(plain), last_of_many(proxied)) == (429, 401)


def test_a_stranger_learns_no_name_of_a_destination(make_app: MakeApp) -> None:
    tickets = {"kind": "jira", "url": "https://tickets.example.com"}
    signed = {"kind": "pagerduty", "webhook_secret": "env:PDS"}
    config = {"destinations": {"secret-tickets": tickets, "secret-pager": signed}}
    keys = {"PDS": "canary-of-a-webhook", "PAGERDUTY_API_KEY": "canary-of-a-pager", "PAGERDUTY_SERVICE_ID": "P1"}
    closed = make_app(config, **keys, API_TOKENS=f"ops:admin:{TOKEN}").test_client()

    for path in ("/hooks/jira", "/hooks/jira/other", "/pd-webhook", "/hooks/redmine", "/ops-webhook"):
        answer = closed.post(path, json={})
        assert answer.status_code in (401, 403), path
        assert "secret-" not in answer.text, path
    assert "secret-tickets" in closed.post("/hooks/jira", json={}, **bearer(TOKEN)).text
    assert "secret-pager" in make_app(config, **keys).test_client().post("/pd-webhook", json={}).text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WEBHOOK_TOKEN", "x"),
        ("WEBHOOK_TOKEN_OPSGENIE", "fifteen-chars-x"),
        ("SECRET_KEY", "fifteen-chars-x"),
        ("API_TOKENS", f"a:read:{TOKEN};b:read:fifteen-chars-x"),
    ],
)
def test_a_secret_that_can_be_guessed_stops_the_start_and_is_not_shown(
    make_app: MakeApp, variable: str, value: str
) -> None:
    with pytest.raises(ConfigError, match=f"{variable}: .*at least 16") as caught:
        make_app(**{variable: value})

    assert "fifteen-chars-x" not in str(caught.value)
