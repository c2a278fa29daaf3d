"""Who may call: every route closed to strangers, tokens by scope, local requests where no token is configured."""

from __future__ import annotations

import base64
import threading
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from service_event_checker.config.load import ConfigError
from service_event_checker.web import access
from service_event_checker.web.access import Open, Signed, Webhook
from service_event_checker.web.errors import Refused
from service_event_checker.web.security import auth
from service_event_checker.web.security.auth import Scope
from tests.web.conftest import MakeApp, bearer

TOKEN = "7c1f0e2a-canary-of-the-api"
STRANGERS: dict[str, dict[str, Any]] = {
    "another machine": {"environ_overrides": {"REMOTE_ADDR": "203.0.113.9"}},
    "another machine, IPv6": {"environ_overrides": {"REMOTE_ADDR": "2001:db8::1"}},
    "no peer address": {"environ_overrides": {"REMOTE_ADDR": ""}},
    "a name that is not loopback": {"environ_overrides": {"HTTP_HOST": "outages.example.com"}},
    "a name that ends like loopback": {"environ_overrides": {"HTTP_HOST": "localhost.example.com"}},
    "a name that begins like loopback": {"environ_overrides": {"HTTP_HOST": "127.0.0.1.example.com"}},
    "no Host": {"environ_overrides": {"HTTP_HOST": ""}},
    "X-Forwarded-For": {"headers": {"X-Forwarded-For": "127.0.0.1"}},
    "X-Forwarded-Proto": {"headers": {"X-Forwarded-Proto": "https"}},
    "Forwarded": {"headers": {"Forwarded": "for=127.0.0.1"}},
    "Via": {"headers": {"Via": "1.1 proxy"}},
    "X-Real-IP": {"headers": {"X-Real-IP": "127.0.0.1"}},
    "foreign Origin": {"headers": {"Origin": "https://evil.example"}},
    "opaque Origin": {"headers": {"Origin": "null"}},
    "Origin on another port": {"headers": {"Origin": "http://localhost:3000"}},
    "broken Origin": {"headers": {"Origin": "http://[::1"}},
    "cross-site fetch": {"headers": {"Sec-Fetch-Site": "cross-site"}},
    "unknown kind of fetch": {"headers": {"Sec-Fetch-Site": "sideways"}},
}


def routes(app: Flask) -> list[tuple[str, Rule, str]]:
    """Every address and method that the app answers, with a value for each variable part."""
    found = []
    for rule in app.url_map.iter_rules():
        path = rule.rule
        for name in rule.arguments:
            for variable in (f"<path:{name}>", f"<{name}>"):
                path = path.replace(variable, "page.css" if rule.endpoint == "static" else "x")
        found += [(path, rule, method) for method in sorted(rule.methods or ())]
    return found


def test_every_route_has_an_access_rule_and_every_rule_a_route(app: Flask) -> None:
    assert {rule.endpoint for rule in app.url_map.iter_rules()} == set(access.RULES)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_without_tokens_every_route_but_the_probes_is_closed_to(stranger: str, app: Flask) -> None:
    client = app.test_client()

    for path, rule, method in routes(app):
        answer = client.open(path, method=method, **STRANGERS[stranger])
        need = access.RULES[rule.endpoint]
        if not isinstance(need, Open):
            assert answer.status_code == 403, (method, path)
            if not isinstance(need, Signed) and method != "HEAD":
                variable = "WEBHOOK_TOKEN" if isinstance(need, Webhook) else "API_TOKENS"
                assert answer.json["error"]["details"] == {"set": variable}


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", "Basic !", "Basic eDp5", "Digest x", f"bearer{TOKEN}"])
def test_with_tokens_every_route_but_the_probes_asks_for_one(given: str, make_app: MakeApp) -> None:
    app = make_app(API_TOKENS=f"ops:admin:{TOKEN}", WEBHOOK_TOKEN="another-canary-of-hooks")

    for number, (path, rule, method) in enumerate(routes(app)):
        peer = {"REMOTE_ADDR": f"192.0.2.{number}"}  # one alone would be throttled
        headers = {"Authorization": given} if given else {}
        answer = app.test_client().open(path, method=method, headers=headers, environ_overrides=peer)
        if not isinstance(access.RULES[rule.endpoint], Open | Signed):
            assert answer.status_code == 401, (method, path)
            assert [value.split()[0] for value in answer.headers.getlist("WWW-Authenticate")] == ["Basic", "Bearer"]


def test_strangers_get_the_probes_and_the_style_of_a_refusal_and_no_more(make_app: MakeApp) -> None:
    client = make_app(API_TOKENS=f"ops:admin:{TOKEN}").test_client()
    opened = {endpoint for endpoint, need in access.RULES.items() if isinstance(need, Open)}

    assert opened == {"health.livez", "health.readyz", "health.health", "static"}
    assert client.get("/static/page.css", **STRANGERS["another machine"]).status_code == 200


def test_a_route_without_a_rule_is_closed_even_to_an_administrator(make_app: MakeApp) -> None:
    app = make_app(API_TOKENS=f"ops:admin:{TOKEN}")
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")

    assert app.test_client().get("/forgotten", **bearer(TOKEN)).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.3.2.1", "[::1]:8000", "[::1]"])
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_a_local_request_needs_no_token_where_none_is_configured(host: str, peer: str, client: FlaskClient) -> None:
    environ = {"REMOTE_ADDR": peer, "HTTP_HOST": host}
    own_page = {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}

    assert client.get("/api/v1/alerts", environ_overrides=environ).status_code == 200
    assert client.get("/api/v1/alerts", environ_overrides=environ, headers=own_page).status_code == 200


def test_a_local_request_never_acts_without_a_token(client: FlaskClient) -> None:
    answer = client.post("/api/v1/dead-letters/x/requeue")

    assert answer.status_code == 403
    assert answer.json["error"]["details"] == {"set": "API_TOKENS"}


def test_a_token_is_taken_as_bearer_and_as_the_password_of_basic(make_app: MakeApp) -> None:
    client = make_app(API_TOKENS=f"ci:read:{TOKEN}").test_client()

    assert client.get("/api/v1/alerts", headers={"Authorization": f"bEaReR  {TOKEN} "}).status_code == 200
    assert client.get("/api/v1/alerts", auth=("anybody", TOKEN)).status_code == 200
    far = client.get("/", **bearer(TOKEN), environ_overrides={"REMOTE_ADDR": "203.0.113.9"})
    assert far.status_code == 200


def test_a_token_with_any_bit_flipped_or_cut_is_refused(make_app: MakeApp) -> None:
    client = make_app(API_TOKENS=f"ci:read:{TOKEN}").test_client()
    good = TOKEN.encode()
    flipped = [
        good[:place] + bytes([good[place] ^ (1 << bit)]) + good[place + 1 :]
        for place, bit in ((place, bit) for place in range(len(good)) for bit in range(8))
    ]

    for wrong in [*flipped, good[:-1], good + b"x", b"", TOKEN.upper().encode(), "é\u2603".encode()]:
        basic = base64.b64encode(b"ci:" + wrong).decode()
        assert client.get("/metrics", headers={"Authorization": f"Basic {basic}"}).status_code in (401, 429)
        raw = {"HTTP_AUTHORIZATION": b"Bearer ".decode() + wrong.decode("latin-1")}
        assert client.get("/metrics", environ_overrides=raw).status_code in (401, 429)


@pytest.mark.parametrize(
    ("scopes", "read", "write", "act"),
    [
        ("read", 200, 403, 403),
        ("write", 403, 404, 403),
        ("act", 403, 403, 404),
        ("admin", 200, 404, 404),
        ("read, WRITE", 200, 404, 403),
    ],
)
def test_a_token_opens_what_its_scopes_name(make_app: MakeApp, scopes: str, read: int, write: int, act: int) -> None:
    client = make_app(API_TOKENS=f"old:read:another-long-token; ci:{scopes}:{TOKEN};").test_client()

    put = client.put("/api/v1/alerts/NO-SUCH00/status", json={"status": "resolved"}, **bearer(TOKEN))
    assert client.get("/api/v1/alerts", **bearer(TOKEN)).status_code == read
    assert put.status_code == write
    assert client.post("/api/v1/dead-letters/none/requeue", **bearer(TOKEN)).status_code == act


def test_a_page_of_another_site_cannot_use_the_password_that_a_browser_keeps(make_app: MakeApp) -> None:
    client = make_app(API_TOKENS=f"ops:admin:{TOKEN}", PUBLIC_URL="https://outages.example.com").test_client()
    path = "/api/v1/dead-letters/none/requeue"

    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert client.post(path, auth=("me", TOKEN), headers=headers).status_code == 403
    assert client.post(path, auth=("me", TOKEN), headers={"Origin": "https://outages.example.com"}).status_code == 404
    assert (
        client.post(path, headers={"Authorization": f"Bearer {TOKEN}", "Origin": "https://tool.example"}).status_code
        == 404
    )


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"ci:{TOKEN}",
        f"ci::{TOKEN}",
        f":read:{TOKEN}",
        "ci:read:",
        f"ci:reed:{TOKEN}",
        f"ci:read,:{TOKEN}",
        f"ci:read:{TOKEN} x",
        f"ci:read:{TOKEN}é",
        f"ci:read:another-long-token;ci:write:{TOKEN}",
        f"ci:read:{TOKEN[:15]}",
        f"ci:read:{TOKEN};me:write:{TOKEN}",
        ";",
    ],
)
def test_malformed_tokens_stop_the_start_and_are_not_shown(make_app: MakeApp, text: str) -> None:
    with pytest.raises(ConfigError, match="API_TOKENS") as caught:
        make_app(API_TOKENS=text)

    assert TOKEN[:15] not in str(caught.value)


def webhook(app: Flask, sender: str, **request: Any) -> int:
    """Ask as the route of a sender would; return 200 or the status of the refusal."""
    with app.test_request_context("/alert", method="POST", **request) as context:
        try:
            auth.authorize_webhook(context.request, sender, app.extensions["keys"])
        except Refused as refused:
            return refused.status
    return 200


def test_a_webhook_token_is_taken_in_three_ways_and_a_senders_own_takes_its_place(make_app: MakeApp) -> None:
    app = make_app(
        WEBHOOK_TOKEN="token-for-all-senders",
        WEBHOOK_TOKEN_OPSGENIE="token-for-opsgenie",
        API_TOKENS=f"a:admin:{TOKEN}",
    )

    assert webhook(app, "ALERTMANAGER", headers={"X-Webhook-Token": "token-for-all-senders"}) == 200
    assert webhook(app, "ALERTMANAGER", headers={"Authorization": "Bearer token-for-all-senders"}) == 200
    assert webhook(app, "ALERTMANAGER", auth=("am", "token-for-all-senders")) == 200
    assert webhook(app, "OPSGENIE", headers={"X-Webhook-Token": "token-for-opsgenie"}) == 200
    assert webhook(app, "OPSGENIE", headers={"X-Webhook-Token": "token-for-all-senders"}) == 401
    assert webhook(app, "ALERTMANAGER", headers={"Authorization": f"Bearer {TOKEN}"}) == 401
    assert webhook(app, "ALERTMANAGER") == 401


def test_a_webhook_without_a_token_is_taken_from_this_machine_only(make_app: MakeApp) -> None:
    app = make_app(API_TOKENS=f"a:admin:{TOKEN}", WEBHOOK_TOKEN=" ")

    assert webhook(app, "ALERTMANAGER", environ_base={"REMOTE_ADDR": "127.0.0.1"}) == 200
    for stranger in STRANGERS.values():
        request = {
            "headers": stranger.get("headers", {}),
            **{"environ_overrides": stranger.get("environ_overrides", {})},
        }
        base = {"REMOTE_ADDR": "127.0.0.1"}
        assert webhook(app, "ALERTMANAGER", environ_base=base, **request) == 403


def test_only_the_scopes_of_a_local_caller_are_open_without_tokens() -> None:
    assert auth.LOCAL.scopes == {Scope.READ, Scope.WRITE}


def test_importing_and_asking_starts_nothing_but_gunicorn_does(make_app: MakeApp) -> None:
    app = make_app(config={})
    app.test_client().get("/")
    assert not app.extensions["engine"].running

    app.test_client().get("/livez", environ_overrides={"SERVER_SOFTWARE": "gunicorn/27.0.1"})

    assert app.extensions["engine"].running
    for beginning in (thread for thread in threading.enumerate() if thread.name == "engine-start"):
        beginning.join(timeout=5)  # a stop in the midst of the start is the engine's affair, and tested there
    app.extensions["engine"].stop()
