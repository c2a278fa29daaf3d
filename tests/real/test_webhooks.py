"""Webhooks through a real Gunicorn: large, chunked, slow and broken-off bodies, and a crash after the answer."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from typing import Any

import pytest

from service_event_checker.web.webhooks.alertmanager import BODY_MAX
from tests.real.product import Product
from tests.sources.alertmanager.test_webhook import alert, message

CONFIG: dict[str, Any] = {
    "destinations": {"chat": {"kind": "console"}},
    "rules": [{"name": "all", "match": ['alertname="nothing"'], "send": ["chat"]}],
}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    server = Product(tmp_path_factory.mktemp("product"), CONFIG)
    server.start()
    _wait_until_ready(server)
    yield server
    server.stop()


def ask(server: Product, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, path, body, **more)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    return answer.status, said


def post(server: Product, body: Any, **more: Any) -> int:
    return ask(server, "POST", "/alert", body, headers=JSON, **more)[0]


def tracked(server: Product, fingerprint: str) -> bool:
    return ask(server, "GET", f"/api/v1/alerts/{fingerprint}")[0] == 200


def _wait_until_ready(server: Product) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError):
            if ask(server, "GET", "/readyz")[0] == 200:
                return
        time.sleep(0.1)
    raise AssertionError(server.log.read_text()[-2000:])


def body_of(*fingerprints: str) -> bytes:
    return json.dumps(message(*[alert(fingerprint=fingerprint) for fingerprint in fingerprints])).encode()


def padded(body: bytes, size: int) -> bytes:
    head, tail = body[:-1] + b', "padding": "', b'"}'
    return head + b"x" * (size - len(head) - len(tail)) + tail


def pieces(body: bytes) -> Iterator[bytes]:
    return (body[start : start + 65_536] for start in range(0, len(body), 65_536))


def head(framing: str) -> bytes:
    lines = ("POST /alert HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", framing, "", "")
    return "\r\n".join(lines).encode()


def test_a_body_of_eight_mebibytes_is_taken(product: Product) -> None:
    assert post(product, padded(body_of("large"), BODY_MAX)) == 200

    assert tracked(product, "large")


def test_a_chunked_body_is_taken_and_refused_beyond_the_same_size(product: Product) -> None:
    assert post(product, pieces(padded(body_of("chunked"), 200_000)), encode_chunked=True) == 200
    assert post(product, pieces(padded(body_of("over"), BODY_MAX + 1)), encode_chunked=True) == 413

    assert (tracked(product, "chunked"), tracked(product, "over")) == (True, False)


def test_a_slow_body_is_waited_for_and_nobody_waits_with_it(product: Product) -> None:
    body = body_of("slow")
    with socket.create_connection(("127.0.0.1", product.port), timeout=10) as slow:
        slow.sendall(head(f"Content-Length: {len(body)}") + body[:10])
        assert post(product, body_of("quick")) == 200  # while the other one still waits
        slow.sendall(body[10:])
        assert slow.recv(100).startswith(b"HTTP/1.1 200")

    assert tracked(product, "slow")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_breaks_off_changes_nothing(product: Product, *, chunked: bool) -> None:
    body = body_of("broken")
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    first = f"{len(body):x}\r\n".encode() if chunked else b""
    with socket.create_connection(("127.0.0.1", product.port), timeout=10) as broken:
        broken.sendall(head(framing) + first + body[:-5])
        broken.shutdown(socket.SHUT_WR)
        assert b" 200 " not in broken.recv(100)

    assert not tracked(product, "broken")
    assert "Traceback" not in product.log.read_text()


def test_what_was_answered_outlives_a_crash(product: Product) -> None:
    many = [f"crash-{number}" for number in range(100)]

    assert post(product, body_of(*many)) == 200
    product.kill()
    product.start()
    _wait_until_ready(product)

    assert all(tracked(product, fingerprint) for fingerprint in many)
