"""OUTBOUND_PROXY: how it is set, what goes through it, and what is judged before it is asked."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from service_event_checker import logs, wiring
from service_event_checker.config.load import ConfigError
from service_event_checker.config.settings import Settings
from service_event_checker.core.errors import Reason, StoreError
from service_event_checker.http import outbound
from service_event_checker.http.address import password_forms
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.http.entra.identity import Identity, Way
from service_event_checker.http.entra.token import EntraError, Tokens
from service_event_checker.http.outbound import Outbound
from service_event_checker.remote.errors import delivery_error
from service_event_checker.stores.azure.client import Tables
from tests.doubles.kubernetes import Cluster
from tests.http.raw import GOES_ON_FOR, Raw, dripping, nobody, running, saying

VENDOR = "http://vendor.invalid"  # a name that nobody can resolve, RFC 6761
PROXY = "http://me:p%40ss-canary@proxy.example.com:3128"
Through = Callable[[Raw], None]


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Through:
    """Set the proxy of all clients that are made from now on."""
    return lambda proxy: monkeypatch.setattr(outbound, "_shared", [Outbound(proxy=proxy.url)])


def failure(http: Http, url: str = "/") -> HttpError:
    with pytest.raises(HttpError) as raised:
        http.get(url)
    return raised.value


def tunnelling(server: Raw, client: socket.socket) -> None:
    """Do what a proxy does after CONNECT: carry bytes both ways."""
    place = server.asked[-1].split(b" ")[1].decode()
    host, _, port = place.rpartition(":")
    with socket.create_connection((host, int(port))) as target:
        server.send(client, b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=carry, args=(target, client), daemon=True).start()
        carry(client, target)


def carry(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            to.sendall(data)


def test_tls_goes_through_a_tunnel_to_a_server_that_is_checked(tmp_path: Path, through: Through) -> None:
    with Cluster(tmp_path) as cluster, running(tunnelling) as proxy:
        through(proxy)
        http = Http(cluster.address, headers={"Authorization": "Bearer canary"}, ca_file=str(cluster.folder / "ca.crt"))
        error = failure(http, "/api")

    assert (error.status, len(cluster.requests)) == (404, 1)
    assert proxy.asked[0].startswith(f"CONNECT {cluster.address.removeprefix('https://')} ".encode())
    assert b"canary" not in proxy.asked[0]


def test_a_proxy_that_drips_its_answer_is_cut_at_the_deadline(through: Through) -> None:
    began = time.monotonic()
    with running(dripping(b"HTTP/1.1 200 X\r\nX-Slow: ")) as proxy:
        through(proxy)
        error = failure(Http("https://vendor.invalid", timeout=0.4))

    assert error.reason is Reason.UNREACHABLE
    assert time.monotonic() - began < GOES_ON_FOR / 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_credentials_is_named_and_nothing_is_given_up(scheme: str, through: Through) -> None:
    with running(saying(407, "Proxy-Authenticate: Basic\r\n")) as proxy:
        through(proxy)
        error = failure(Http(f"{scheme}://vendor.invalid"))

    assert (error.reason, delivery_error(error).permanent) == (Reason.UNREACHABLE, False)
    assert "OUTBOUND_PROXY" in str(error)


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with nobody() as address:
        monkeypatch.setattr(outbound, "_shared", [Outbound(proxy=address)])
        error = failure(Http(VENDOR))

    assert (error.reason, "OUTBOUND_PROXY" in str(error)) == (Reason.UNREACHABLE, True)


@pytest.mark.parametrize("inside", ["http://169.254.169.254/latest", "http://localhost/", "http://0x7f.1/"])
def test_a_redirect_inside_is_not_given_to_the_proxy(inside: str, through: Through) -> None:
    with running(saying(302, f"Location: {inside}\r\n")) as proxy:
        through(proxy)
        error = failure(Http(VENDOR))

    assert error.reason is Reason.FORBIDDEN_ADDRESS
    assert len(proxy.asked) == 1


def test_a_name_that_only_the_proxy_can_resolve_is_left_to_it(through: Through) -> None:
    with running(saying(302, "Location: http://elsewhere.invalid/\r\n")) as proxy:
        through(proxy)
        error = failure(Http(VENDOR))

    assert "redirects" in str(error)
    assert proxy.asked[1].startswith(b"GET http://elsewhere.invalid/ ")


def test_the_endpoint_of_the_platform_s_identity_is_asked_directly(
    through: Through, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(saying(400)) as proxy, running(saying(400)) as endpoint:
        through(proxy)
        monkeypatch.setenv("IDENTITY_ENDPOINT", endpoint.url)
        monkeypatch.setenv("IDENTITY_HEADER", "canary")
        identity = Identity(identity_endpoint=endpoint.url)
        with pytest.raises(EntraError):
            Tokens(identity, Way.MANAGED_IDENTITY, "x", timedelta(seconds=15)).token()

    assert (len(endpoint.asked), proxy.asked) == (1, [])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_what_only_this_machine_can_reach_is_asked_directly(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(saying(200)) as proxy, running(saying(200)) as here:
        monkeypatch.setattr(outbound, "_shared", [Outbound(proxy=proxy.url, no_proxy=outbound.LOCAL)])
        answer = Http(here.url.replace("127.0.0.1", host)).get("/")
        Http(VENDOR).get("/")

    assert (answer.status, len(here.asked), len(proxy.asked)) == (200, 1, 1)


@pytest.mark.parametrize(
    ("host", "direct"),
    [
        ("intranet.example", True),
        ("Shop.Intranet.Example.", True),
        ("notintranet.example", False),
        ("intranet.example.org", False),
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("fd00::7", True),
        ("fd00::8", False),
        ("127.9.9.9", True),
        ("::1", True),
        ("169.254.169.254", True),
        ("fe80::1", True),
        ("localhost", True),
        ("", False),
    ],
)
def test_what_is_listed_is_asked_past_the_proxy_with_all_below_it(host: str, direct: bool) -> None:
    listed = Settings.read({"OUTBOUND_NO_PROXY": " *.intranet.example, 10.0.0.0/8,fd00::7 ,"}).outbound_no_proxy

    assert Outbound(no_proxy=(*outbound.LOCAL, *listed)).is_direct(host) is direct


@pytest.mark.parametrize("value", ["shop:8080", "http://shop", "*", "10.0.0.0/99", "a b", "shop,,a/b"])
def test_what_is_neither_host_nor_network_stops_the_start(value: str) -> None:
    with pytest.raises(ConfigError, match="OUTBOUND_NO_PROXY: .* Write hosts"):
        Settings.read({"OUTBOUND_NO_PROXY": value})


def test_azure_tables_go_through_the_configured_proxy_and_no_other(
    through: Through, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(saying(400)) as proxy, running(saying(400)) as other:
        through(proxy)
        monkeypatch.setenv("HTTP_PROXY", other.url)
        tables = Tables(f"AccountName=a;AccountKey=a2V5;TableEndpoint={VENDOR}/a;")
        with pytest.raises(StoreError):
            tables.table("T").get("p", "r")
        tables.close()

    assert proxy.asked[0].startswith(f"GET {VENDOR}/a/T".encode())
    assert other.asked == []


def test_a_proxy_is_read_from_the_environment_and_shown_to_nobody() -> None:
    settings = Settings.read({"OUTBOUND_PROXY": f" {PROXY}/ "})
    logs.hide(password_forms(settings.outbound_proxy))

    assert settings.outbound_proxy == PROXY
    assert "canary" not in repr(settings) + repr(Outbound(proxy=PROXY))
    assert "canary" not in logs.masked("p@ss-canary, p%40ss-canary, me:p%40ss-canary")
    assert Settings.read({"HTTPS_PROXY": PROXY}).outbound_proxy == ""


def test_all_clients_of_the_process_have_the_proxy_and_its_password_is_hidden(through: Through, tmp_path: Path) -> None:
    with running(saying(200)) as other:
        through(other)  # what the start sets is taken back after the test
    file = tmp_path / "config.json"
    file.write_text("{}")
    environ = {"CONFIG_FILE": str(file), "DATABASE_URL": f"sqlite:///{tmp_path}/store.db", "OUTBOUND_PROXY": PROXY}
    wiring.build(Settings.read(environ))

    assert outbound.shared().proxy == PROXY
    assert "ss-canary" not in logs.masked("it said: p@ss-canary")


@pytest.mark.parametrize(
    "value",
    ["proxy.example.com:3128", "https://p:canary@proxy:1", "http://proxy", "http://p:canary@proxy:no", "socks5://p:1"]
    + ["http://proxy:3128/path", "http://proxy:0", "http://:canary@:3128", "http://[::1:3128"],
)
def test_a_wrong_proxy_stops_the_start_and_says_how_to_write_it(value: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Settings.read({"OUTBOUND_PROXY": value})

    (problem,) = raised.value.problems
    assert problem.startswith("OUTBOUND_PROXY: ")
    assert "http://user:password@proxy.example.com:3128" in problem
    assert "canary" not in problem
