"""One policy for all that goes out: deadline, byte cap, no proxies by surprise, no redirect with a secret, no leak."""

from __future__ import annotations

import base64
import socket
import time
import traceback

import pytest
from structlog.testing import capture_logs

from service_event_checker import plugins
from service_event_checker.core.errors import OutageCheckerError
from service_event_checker.http import outbound
from service_event_checker.http.outbound import Outbound
from tests.http.clients import CHECKERS, DESTINATIONS, OTHERS, SECRET, SOURCES, calls, importers_of, users_of
from tests.http.raw import GOES_ON_FOR, dripping, endless, running, saying

CAP = 64 * 1024 * 1024  # bytes; the largest cap of a client is 16 MiB, and sockets hold some
PROXY_PASSWORD = "proxy-canary"
ALL = pytest.mark.parametrize("name", sorted(calls()))
#: without the two that hand fixed time-outs of several seconds to a client that is here in another row
TIMED = pytest.mark.parametrize("name", sorted(name for name in calls() if not name.startswith("web.")))


def said_by(name: str, url: str, timeout: float = 5.0) -> str:
    """Let a client call; return all that it raised and logged."""
    with capture_logs() as logs:
        try:
            said = repr(calls()[name](url, timeout))
        except OutageCheckerError as error:
            said = "".join([str(error), repr(error), *traceback.format_exception(error)])
    return said + repr(logs)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the settings of all connections back after the test."""
    monkeypatch.setattr(outbound, "_shared", list(outbound._shared))


def test_every_kind_and_every_module_with_a_client_is_in_this_suite() -> None:
    named = {f"destinations.{kind}" for kind in DESTINATIONS} | {f"checkers.{kind}" for kind in CHECKERS}
    inner = {module.removeprefix("service_event_checker.").replace("service_", "") for module in users_of("Http")}
    parts = ("", ".client", ".checker", ".adapter")
    covered = {f"{name}{part}" for name in calls() for part in parts}

    assert set(plugins.kinds(plugins.CHECKERS)) == set(CHECKERS)
    assert set(plugins.kinds(plugins.DESTINATIONS)) == set(DESTINATIONS) | OTHERS
    assert set(plugins.kinds(plugins.SOURCES)) == set(SOURCES)
    shared = {"remote.robots.robot", "http.in_cluster"}  # under every chat robot; under what asks the cluster
    commands = {"cli.reachability", "cli.running_app"}  # a person waits for them; they ask no other address
    assert (
        inner - covered == {"checkers.entra.api", "http.entra.token"} | shared | commands
    )  # under azure and office365
    assert named <= set(calls())


def test_nothing_else_opens_connections() -> None:
    transports = (
        "requests.",
        "urllib3.",
        "urllib.request.",
        "http.client.",
        "httpx.",
        "aiohttp.",
        "python_http_client.",
    )
    sdks = ("slack_sdk.web", "slack_sdk.WebClient", "slack_sdk.webhook", "sendgrid.SendGridAPIClient")
    modules = {module.removeprefix("service_event_checker.") for module in importers_of(*transports, *sdks)}

    assert modules == {"http.answer", "http.client", "http.guard", "http.session", "stores.azure.client"}
    assert importers_of("socket.") == {
        f"service_event_checker.{name}" for name in ("destinations.smtp.connection", "http.deadline", "http.guard")
    }


@ALL
@pytest.mark.parametrize("status", [200, 400])
def test_an_endless_answer_is_cut_at_the_byte_cap(name: str, status: int) -> None:
    with running(endless(status)) as server:
        said = said_by(name, server.url)

    assert 0 < max(server.sent) < CAP
    assert SECRET not in said


@TIMED
def test_a_dripping_answer_ends_at_the_deadline_of_the_whole_call(name: str) -> None:
    with running(dripping()) as server:
        began = time.monotonic()
        said = said_by(name, server.url, 0.3)

    assert server.asked
    assert time.monotonic() - began < GOES_ON_FOR / 2
    assert SECRET not in said


@ALL
def test_proxies_of_the_environment_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(saying(400)) as server, running(saying(400)) as proxy:
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
            monkeypatch.setenv(variable.lower(), proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        said_by(name, server.url)

    assert server.asked
    assert proxy.asked == []


@ALL
@pytest.mark.usefixtures("shared")
def test_the_configured_proxy_carries_every_call_and_its_password_is_told_to_nobody(name: str) -> None:
    with running(saying(400)) as proxy, socket.create_server(("127.0.0.1", 0)) as nobody:
        target = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        outbound.use(Outbound(proxy=proxy.url.replace("//", f"//me:{PROXY_PASSWORD}@")))
        said = said_by(name, target)

    credentials = b"Proxy-Authorization: Basic " + base64.b64encode(f"me:{PROXY_PASSWORD}".encode())
    assert proxy.asked
    assert all(target.encode() in head.partition(b"\r\n")[0] and credentials in head for head in proxy.asked)
    assert PROXY_PASSWORD not in said
    assert SECRET not in said


@ALL
def test_a_redirect_is_not_followed_with_the_secret(name: str) -> None:
    with running(saying(400)) as elsewhere, running(saying(307, f"Location: {elsewhere.url}/\r\n")) as server:
        said = said_by(name, server.url)

    assert server.asked
    assert elsewhere.asked == []
    assert SECRET not in said
