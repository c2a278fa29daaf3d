"""The shipped nginx.conf in front of the real app: who comes through it is nobody local, and no forgery helps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from service_event_checker.web import BODY_MAX
from tests.conftest import require
from tests.doubles.kubernetes import tls_context
from tests.real.nginx import Nginx
from tests.real.parts import NGINX
from tests.real.product import Product
from tests.waiting import wait_for

ALERT = {"alerts": [{"status": "firing", "labels": {"alertname": "through nginx"}}]}
CONFIG = {"destinations": {"chat": {"kind": "console"}}, "rules": [{"name": "all", "send": ["chat"]}]}
TOKEN = "a-token-of-the-senders"
READ = {"Authorization": "Bearer a-token-for-reading"}

FORGED: tuple[dict[str, str], ...] = (
    {},
    {"Host": "localhost"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X_Forwarded_For": "127.0.0.1", "SCRIPT_NAME": "/livez"},
    {"Forwarded": "for=127.0.0.1", "Connection": "X-Forwarded-For, close"},
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    require(NGINX)
    product = Product(
        tmp_path_factory.mktemp("app"),
        CONFIG,
        API_TOKENS=f"ops:read:{READ['Authorization'].removeprefix('Bearer ')}",
        WEBHOOK_TOKEN_ALERTMANAGER=TOKEN,
        TRUSTED_PROXIES="127.0.0.1",
    )
    product.start()
    yield product
    product.stop()


@pytest.fixture(scope="module")
def nginx(app: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    folder = tmp_path_factory.mktemp("nginx")
    tls_context(folder, folder / "authority.crt")
    pair = folder / "server.pem", folder / "server.pem"  # certificate and key are in one file
    server = Nginx(folder, app.port, pair)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def url(nginx: Nginx) -> str:
    """The address with TLS: plain HTTP is sent there."""
    return f"https://127.0.0.1:{nginx.tls_port}"


@pytest.fixture
def client(nginx: Nginx) -> requests.Session:
    session = requests.Session()
    session.verify = str(nginx.folder / "authority.crt")
    session.trust_env = False
    return session


@pytest.fixture
def unprotected(tmp_path: Path) -> Iterator[tuple[Product, Nginx]]:
    """An app without any token, which answers this machine alone, behind nginx without TLS on the same machine."""
    require(NGINX)
    product = Product(tmp_path / "app", CONFIG, TRUSTED_PROXIES="127.0.0.1")
    product.start()
    server = Nginx(tmp_path / "nginx", product.port)
    server.start()
    yield product, server
    server.stop()
    product.stop()


def test_no_header_makes_a_caller_through_nginx_local(unprotected: tuple[Product, Nginx]) -> None:
    app, nginx = unprotected
    through = f"http://127.0.0.1:{nginx.port}"

    assert requests.get(f"{app.url}/api/v1/alerts", timeout=10).status_code == 200
    assert requests.post(f"{app.url}/alert", json=ALERT, timeout=10).status_code == 200
    for forged in FORGED:
        assert requests.get(f"{through}/api/v1/alerts", headers=forged, timeout=10).status_code == 403
        answer = requests.post(f"{through}/alert", json=ALERT, headers=forged, timeout=10)
        assert answer.status_code == 403
        assert "WEBHOOK_TOKEN" in answer.text


def test_without_the_app_it_answers_502_and_serves_again_with_it(unprotected: tuple[Product, Nginx]) -> None:
    app, nginx = unprotected
    page = f"http://127.0.0.1:{nginx.port}/login"
    assert requests.get(page, timeout=10).status_code < 500

    app.kill()
    assert requests.get(page, timeout=10).status_code == 502
    app.start()
    assert requests.get(page, timeout=10).status_code < 500


def test_the_error_log_names_no_token_of_an_address(unprotected: tuple[Product, Nginx]) -> None:
    app, nginx = unprotected
    app.kill()

    through = f"http://127.0.0.1:{nginx.port}"
    for path in ("/hooks/statuspage/github/a-secret-token", "/alert"):
        assert requests.post(through + path, json={}, timeout=10).status_code == 502

    log = nginx.log.read_text()
    assert "a-secret-token" not in log
    assert 'request: "POST /alert' in log


def test_tokens_pass_and_the_log_names_the_client_and_not_what_it_forged(
    client: requests.Session, url: str, app: Product, nginx: Nginx
) -> None:
    token = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "198.51.100.7"}

    assert client.post(f"{url}/alert", json=ALERT, headers=token, timeout=10).json()["accepted"] == 1
    assert client.get(f"{url}/api/v1/alerts", headers=READ, timeout=10).status_code == 200
    assert client.post(f"{url}/alert", json=ALERT, headers={"X-Forwarded-For": "198.51.100.7"}).status_code == 401
    refused = [json.loads(line) for line in app.log.read_text().splitlines() if "request_refused" in line]
    assert "198.51.100.7" not in {line["peer"] for line in refused}
    client.post(f"{url}/hooks/statuspage/github/a-secret-token", json={}, timeout=10)
    wait_for(lambda: "/hooks/..." in nginx.log.read_text())  # it logs after its answer
    assert "a-secret-token" not in nginx.log.read_text()


def test_bodies_are_limited_as_the_app_limits_them(client: requests.Session, url: str, nginx: Nginx) -> None:
    limit = re.search(r"client_max_body_size (\d+)m;", (nginx.folder / "nginx.conf").read_text())
    assert limit
    assert int(limit[1]) * 1024 * 1024 == BODY_MAX

    too_large = b"x" * (BODY_MAX + 1)
    assert client.post(f"{url}/alert", data=too_large, timeout=30).status_code == 413


def test_plain_http_is_sent_to_tls_and_probes_are_not_served(client: requests.Session, url: str, nginx: Nginx) -> None:
    plain = requests.get(f"http://localhost:{nginx.port}/docs?x=1", allow_redirects=False, timeout=10)

    assert (plain.status_code, plain.headers["Location"]) == (308, "https://localhost/docs?x=1")
    for path in ("/livez", "/readyz", "/metrics"):
        assert client.get(url + path, headers=READ, timeout=10).status_code == 404


def test_a_flood_is_answered_with_503_which_senders_repeat(client: requests.Session, url: str) -> None:
    statuses = {client.get(f"{url}/login", timeout=10).status_code for _ in range(200)}

    assert 503 in statuses
    assert 429 not in statuses


@pytest.mark.parametrize("path", ["/alert", "/ops-webhook", "/ops-webhook/eu", "/pd-webhook/eu", "/hooks/jira"])
def test_as_many_of_a_senders_webhooks_pass_as_of_any_other(client: requests.Session, url: str, path: str) -> None:
    statuses = {client.get(url + path, timeout=10).status_code for _ in range(150)}

    assert statuses == {405}
