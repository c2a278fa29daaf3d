"""The HTTP client against hostile servers on loopback: slow, endless, lying, redirecting."""

from __future__ import annotations

import gzip
import ipaddress
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from service_event_checker.config.settings import Settings
from service_event_checker.core.errors import Reason
from service_event_checker.http import outbound
from service_event_checker.http.address import redact
from service_event_checker.http.answer import HttpError, Response, json_body
from service_event_checker.http.client import Http
from service_event_checker.http.guard import is_platform_address, is_public
from service_event_checker.http.outbound import Outbound
from tests.doubles.base import Answer, Double, Fault, Request
from tests.http.raw import nobody

DRIPS_FOR = 20.0  # seconds; far beyond any doubt about a slow machine


class Pages(Double):
    """Serves what a test puts in `answers` by path; counts what it is asked with."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, Callable[[Request], Answer]] = {}

    def handle(self, request: Request) -> Answer:
        return self.answers[request.path](request) if request.path in self.answers else Answer(404, b"no such page")

    def redirect(self, path: str, to: str, status: int = 302) -> None:
        self.answers[path] = lambda _: Answer(status, b"", {"Location": to})

    def serve(self, path: str, body: bytes, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = lambda _: Answer(200, body, named)


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as double:
        assert isinstance(double, Pages)
        double.hang_seconds = 3.0
        yield double


@pytest.fixture
def elsewhere() -> Iterator[Pages]:
    with Pages() as double:
        assert isinstance(double, Pages)
        yield double


class Drip:
    """A raw server that sends `head` at once and then one byte each 0.05 s, for as long as somebody listens."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(self._head)
            until = time.monotonic() + DRIPS_FOR
            while time.monotonic() < until:
                time.sleep(0.05)
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    def close(self) -> None:
        self._server.close()


def failure(ask: Callable[[], Response]) -> HttpError:
    with pytest.raises(HttpError) as caught:
        ask()
    return caught.value


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",  # a body that ends with its connection: being cut must not look like the end
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"",
    ],
    ids=["body", "body until close", "chunk size", "header", "status line"],
)
def test_a_server_that_drips_is_cut_at_the_total_deadline(head: bytes) -> None:
    server = Drip(head)
    began = time.monotonic()

    error = failure(lambda: Http(server.url, timeout=0.4).get("/"))

    server.close()
    assert error.reason is Reason.TIMEOUT
    assert 0.35 < time.monotonic() - began < DRIPS_FOR / 2


def test_redirects_do_not_add_time(pages: Pages) -> None:
    pages.answers["/a"] = lambda _: (time.sleep(1.0), Answer(302, b"", {"Location": "/b"}))[1]
    pages.answers["/b"] = lambda _: (time.sleep(1.9), Answer(200, b"late"))[1]

    assert failure(lambda: Http(pages.url, timeout=2.5).get("/a")).reason is Reason.TIMEOUT


def test_a_name_service_that_hangs_is_not_waited_for() -> None:
    asked = threading.Event()

    def resolve(_host: str, _port: int) -> list[str]:
        asked.wait(20)
        return ["127.0.0.1"]

    began = time.monotonic()
    error = failure(lambda: Http("http://status.example", timeout=0.2, resolve=resolve).get("/"))
    asked.set()

    assert error.reason is Reason.UNREACHABLE
    assert time.monotonic() - began < 10


def test_a_decompression_bomb_is_stopped_at_the_cap(pages: Pages) -> None:
    pages.serve("/bomb", gzip.compress(b"0" * 50_000_000), Content_Encoding="gzip")

    assert failure(lambda: Http(pages.url, max_bytes=100_000).get("/bomb")).reason is Reason.TOO_LARGE


def test_a_body_of_just_the_cap_is_read_whole(pages: Pages) -> None:
    pages.serve("/page", gzip.compress(b"0" * 100_000), Content_Encoding="gzip")

    assert len(Http(pages.url, max_bytes=100_000).get("/page").body) == 100_000


def test_a_body_that_does_not_decompress_is_garbage(pages: Pages) -> None:
    pages.serve("/page", b"this is no gzip", Content_Encoding="gzip")

    assert failure(lambda: Http(pages.url).get("/page")).reason is Reason.GARBAGE


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.REFUSED),
        (401, Reason.UNAUTHORIZED),
        (403, Reason.FORBIDDEN),
        (404, Reason.NOT_FOUND),
        (410, Reason.NOT_FOUND),
        (422, Reason.REFUSED),
        (429, Reason.RATE_LIMITED),
        (500, Reason.SERVER_ERROR),
        (503, Reason.SERVER_ERROR),
    ],
)
def test_each_status_has_its_reason_and_keeps_its_body(pages: Pages, status: int, reason: Reason) -> None:
    pages.answers["/x"] = lambda _: Answer(status, b'{"error":"why"}', {"Retry-After": "7"})

    error = failure(lambda: Http(pages.url).send("POST", "/x", json={}))

    assert (error.reason, error.status, error.retry_after, error.body) == (reason, status, 7.0, b'{"error":"why"}')


def test_an_error_keeps_the_headers_of_its_answer_and_shows_them_to_nobody(pages: Pages) -> None:
    pages.answers["/x"] = lambda _: Answer(429, b"", {"RateLimit-Reset": "37", "Set-Cookie": "session=s3cret"})

    error = failure(lambda: Http(pages.url).get("/x"))

    assert error.headers.get("ratelimit-reset") == "37"
    assert "s3cret" not in f"{error} {error!r} {error.detail}"


def test_where_there_was_no_answer_there_are_no_headers(pages: Pages) -> None:
    pages.script.append(Fault.RESET)

    assert dict(failure(lambda: Http(pages.url).get("/x")).headers) == {}


def test_retry_after_may_be_a_date_and_is_capped_and_is_told_of_a_200_too(pages: Pages) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    pages.serve("/soon", b"", Retry_After=soon)
    pages.serve("/never", b"", Retry_After="86400")
    pages.serve("/odd", b"", Retry_After="tomorrow")
    http = Http(pages.url)

    assert 90 < (http.get("/soon").retry_after or 0) <= 100
    assert http.get("/never").retry_after == 3600.0
    assert http.get("/odd").retry_after is None


def test_a_refused_connection_was_certainly_not_sent() -> None:
    with nobody() as address:
        error = failure(lambda: Http(address).send("POST", "/", json={}))

    assert error.reason is Reason.UNREACHABLE
    assert not error.reason.ambiguous


def test_a_connection_that_breaks_after_the_request_is_ambiguous(pages: Pages) -> None:
    pages.answers["/x"] = lambda _: Answer(201)
    pages.script.extend([Fault.RESET_AFTER])

    assert failure(lambda: Http(pages.url).send("POST", "/x", json={})).reason is Reason.RESET


def test_a_request_is_sent_once_whatever_happens(pages: Pages) -> None:
    pages.answers["/x"] = lambda _: Answer(200)
    pages.script.extend([Fault.RESET, Fault.ERROR, Fault.HANG])
    http = Http(pages.url, timeout=0.3)

    for _ in range(3):
        failure(lambda: http.send("POST", "/x", json={}))

    assert len(pages.requests) == 3


def test_a_redirect_is_followed_for_get_only_and_three_times_at_most(pages: Pages) -> None:
    for step in range(4):
        pages.redirect(f"/{step}", f"/{step + 1}")
    pages.serve("/4", b"end")
    http = Http(pages.url)

    assert http.get("/1").body == b"end"
    assert failure(lambda: http.get("/0")).reason is Reason.REFUSED
    assert failure(lambda: http.send("POST", "/1", json={})).reason is Reason.REFUSED


def test_a_redirect_to_another_port_of_loopback_is_forbidden(pages: Pages, elsewhere: Pages) -> None:
    pages.redirect("/a", elsewhere.url + "/secret")
    elsewhere.serve("/secret", b"secret")

    assert failure(lambda: Http(pages.url).get("/a")).reason is Reason.FORBIDDEN_ADDRESS
    assert elsewhere.requests == []


def test_credentials_are_dropped_on_the_way_to_another_host(pages: Pages, elsewhere: Pages) -> None:
    pages.redirect("/a", elsewhere.url.replace("//", "//user:word@") + "/b")
    elsewhere.serve("/b", b"ok")
    http = Http(pages.url, headers={"Authorization": "Bearer s3cret", "X-Api-Key": "k"}, allow_loopback=True)

    http.get("/a")
    http.get(elsewhere.url + "/b")

    assert pages.requests[0].headers["Authorization"] == "Bearer s3cret"
    assert all(not {"Authorization", "X-Api-Key"} & request.headers.keys() for request in elsewhere.requests)
    assert len(elsewhere.requests) == 2


@pytest.mark.parametrize(
    "target",
    [
        "http://2130706433/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://0/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::1]/",
        "http://localhost./",
        "http://169.254.169.254/latest/meta-data",
        "http://100.64.0.1/",
        "http://168.63.129.16/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1:70/_x",
    ],
)
def test_no_redirect_leads_inside(pages: Pages, target: str) -> None:
    pages.redirect("/a", target)

    assert failure(lambda: Http(pages.url, timeout=1).get("/a")).reason is Reason.FORBIDDEN_ADDRESS


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("64:ff9b::808:808", True),
        ("64:ff9b::a00:1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("168.63.129.16", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("0.0.0.0", False),  # noqa: S104 - the address itself is under test
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


@pytest.mark.parametrize(
    ("address", "platform"),
    [("169.254.169.254", True), ("fe80::1%eth0", True), ("::ffff:169.254.169.254", True), ("168.63.129.16", True)]
    + [("0.0.0.0", True), ("224.0.0.1", True), ("127.0.0.1", False), ("10.0.0.5", False), ("192.0.2.1", False)],  # noqa: S104
)
def test_what_only_the_platform_has_is_told_from_what_a_configuration_may_mean(address, platform):
    assert is_platform_address(address) is platform


def test_one_bad_address_among_good_ones_is_enough_to_refuse() -> None:
    http = Http("http://127.0.0.1:1", timeout=0.5, resolve=lambda _host, _port: ["8.8.8.8", "10.0.0.1"])

    assert failure(lambda: http.get("http://evil.example/")).reason is Reason.FORBIDDEN_ADDRESS


def test_a_name_is_resolved_once_and_the_checked_address_is_the_one_connected_to(pages: Pages) -> None:
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    port = pages.url.rpartition(":")[2]
    pages.serve("/", b"ok")
    Http("http://unused.example", timeout=1, allow_loopback=True, resolve=rebinding).get(f"http://name.example:{port}/")

    assert asked == ["name.example"]
    assert pages.requests[0].headers["Host"] == f"name.example:{port}"


def test_an_unchanged_page_is_answered_from_the_kept_body(pages: Pages) -> None:
    pages.answers["/p"] = lambda request: (
        Answer(304) if request.headers.get("If-None-Match") == '"1"' else Answer(200, b"body", {"ETag": '"1"'})
    )
    http = Http(pages.url)

    first, second = http.get("/p", cached=True), http.get("/p", cached=True)

    assert (first.body, first.not_modified) == (b"body", False)
    assert (second.status, second.body, second.not_modified) == (304, b"body", True)


def test_without_a_kept_body_no_validators_are_sent(pages: Pages) -> None:
    pages.serve("/p", b"body", ETag='"1"', Last_Modified="Fri, 20 Nov 2026 03:00:00 GMT")
    http = Http(pages.url)
    http.get("/p", cached=True)
    http.get("/p")
    Http(pages.url).get("/p", cached=True)

    assert not [request for request in pages.requests if "If-None-Match" in request.headers]


def test_a_304_that_nobody_asked_for_is_an_error(pages: Pages) -> None:
    pages.answers["/p"] = lambda _: Answer(304)

    assert failure(lambda: Http(pages.url).get("/p", cached=True)).reason is Reason.REFUSED


def test_relative_addresses_join_the_path_of_the_base_and_absolute_ones_stand(pages: Pages) -> None:
    for path in ("/page/x/api", "/page/x", "/other"):
        pages.serve(path, path.encode())
    http = Http(pages.url + "/page/x?geo=US")

    assert http.get("/api").body == b"/page/x/api"
    assert http.get("api", params={"a": "b"}).body == b"/page/x/api"
    assert http.get("").body == b"/page/x"
    assert http.get(pages.url + "/other").body == b"/other"
    assert [dict(request.query) for request in pages.requests] == [{}, {"a": "b"}, {"geo": "US"}, {}]


def test_no_error_shows_a_secret_of_the_address(pages: Pages) -> None:
    base = pages.url.replace("//", "//user:hunter2@") + "/services/T0/B0/" + "aB3" * 8
    error = failure(lambda: Http(base).send("POST", "?sig=s3cret", json={}))

    assert error.reason is Reason.NOT_FOUND
    assert pages.requests[0].headers["Authorization"].startswith("Basic ")
    for secret in ("hunter2", "s3cret", "aB3"):
        assert secret not in f"{error} {error.detail} {error.__cause__}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@h.example:8443/a/b?x=1#f", "https://h.example:8443/a/b"),
        ("https://h/bot123456:AAF-abcdefghijklm/sendMessage", "https://h/***/sendMessage"),
        ("https://h/api/v2/scheduled-maintenances.json", "https://h/api/v2/scheduled-maintenances.json"),
        ("https://h/incidents/8zc63m64hy36.json", "https://h/incidents/8zc63m64hy36.json"),
        ("https://[::1]:8080/a", "https://[::1]:8080/a"),
        ("https://[::1", "(no valid address)"),
    ],
)
def test_addresses_are_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_a_base_that_is_no_web_address_is_refused_at_once() -> None:
    for base in ("ftp://h/", "status.example.com", "https://", "http://h:port/", f"http://{'ä' * 80}/"):
        with pytest.raises(HttpError):
            Http(base)


def answer(body: bytes, kind: str = "application/json") -> Response:
    return Response(status=200, headers={"Content-Type": kind}, body=body, url="")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_json_is_read_in_each_encoding_that_vendors_use(encoding: str) -> None:
    assert json_body(answer(json.dumps({"a": "é"}).encode(encoding))) == {"a": "é"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"<!doctype html>",
        b"\xef\xbb\xbf<html>",
        b"{",
        b'{"a": NaN}',
        b"[Infinity]",
        b"\xff\xfe\xfd",
        b"[" * 65 + b"]" * 65,
        b"[" * 99999,
    ],
)
def test_what_is_no_sound_json_is_garbage(body: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        json_body(answer(body))

    assert caught.value.reason is Reason.GARBAGE


def test_html_by_its_own_word_is_garbage_and_64_levels_are_fine() -> None:
    assert json_body(answer(b"[" * 64 + b"1" + b"]" * 64)) is not None
    with pytest.raises(HttpError, match="HTML instead of JSON"):
        json_body(answer(b"{}", "text/html; charset=utf-8"))


def test_many_threads_share_one_client(pages: Pages) -> None:
    pages.serve("/p", b"ok")
    http, bodies = Http(pages.url, timeout=2), []
    threads = [threading.Thread(target=lambda: bodies.append(http.get("/p").body)) for _ in range(16)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert bodies == [b"ok"] * 16


class Tls:
    """A raw TLS server for `vendor.example`: answers one request with `head`, then a byte each 0.05 s."""

    def __init__(self, folder: Path, head: bytes) -> None:
        self.names: list[str | None] = []
        self.certificate = folder / "cert.pem"
        command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=vendor.example -keyout {folder}/key.pem"
        command += f" -out {self.certificate} -addext subjectAltName=DNS:vendor.example"
        subprocess.run(command.split(), check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, folder / "key.pem")
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self._context, self._head = context, head
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError), self._context.wrap_socket(self._server.accept()[0], server_side=True) as connection:
            connection.recv(65536)
            connection.sendall(self._head)
            until = time.monotonic() + DRIPS_FOR
            while time.monotonic() < until:
                time.sleep(0.05)
                connection.sendall(b"x")

    def get(self, ca_file: str = "") -> Response:
        http = Http(
            f"https://vendor.example:{self.port}",
            timeout=0.6,
            resolve=lambda _host, _port: ["127.0.0.1"],
            ca_file=ca_file,
        )
        return http.get("/")


def trust(monkeypatch: pytest.MonkeyPatch, server: Tls) -> None:
    settings = Settings.read({"SSL_CERT_FILE": str(server.certificate)})
    monkeypatch.setattr(outbound, "_shared", [Outbound(ca_file=settings.ca_file)])


needs_openssl = pytest.mark.skipif(
    not shutil.which("openssl"), reason="openssl, which makes the certificate, is missing"
)


@needs_openssl
def test_a_certificate_is_checked_against_the_name_and_an_own_authority_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Tls(tmp_path, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    trust(monkeypatch, server)

    assert server.get().body == b"ok"
    assert server.names == ["vendor.example"]


@needs_openssl
def test_one_client_may_have_an_authority_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    server, other = (
        Tls(folder, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") for folder in (tmp_path, tmp_path / "other")
    )
    trust(monkeypatch, other)

    assert server.get(str(server.certificate)).body == b"ok"
    assert failure(lambda: other.get(str(server.certificate))).reason is Reason.UNREACHABLE


@needs_openssl
def test_a_certificate_of_a_stranger_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    server = Tls(tmp_path, b"")

    error = failure(server.get)

    assert (error.reason, "certificate" in error.detail) == (Reason.UNREACHABLE, True)


@needs_openssl
def test_a_server_that_drips_through_tls_is_cut_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Tls(tmp_path, b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
    trust(monkeypatch, server)
    began = time.monotonic()

    assert failure(server.get).reason is Reason.TIMEOUT
    assert time.monotonic() - began < DRIPS_FOR / 2


def test_a_server_that_never_shakes_hands_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        error = failure(lambda: Http(f"https://127.0.0.1:{silent.getsockname()[1]}", timeout=0.4).get("/"))

    assert error.reason is Reason.UNREACHABLE
    assert time.monotonic() - began < 10  # it never would


def test_neither_proxies_nor_cookies_nor_netrc_change_a_request(
    pages: Pages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setattr(outbound, "_shared", [Outbound(contact="https://outages.example.org")])
    pages.serve("/p", b"ok", Set_Cookie="a=b")
    http = Http(pages.url)

    http.get("/p")
    http.get("/p")

    assert {"Authorization", "Cookie"}.isdisjoint(pages.requests[1].headers)
    agent = pages.requests[1].headers["User-Agent"]
    assert agent.startswith("platform-outage-checker/")
    assert agent.endswith(" (+https://outages.example.org)")
