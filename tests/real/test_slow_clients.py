"""Clients that send half of a request and wait, or ask and never listen: the service goes on for all others.

Nobody needs a token for that, and each would keep one of Gunicorn's threads for as long as he likes.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.real.product import Product
from tests.root import ROOT

SETTINGS = (ROOT / "gunicorn.conf.py").read_text()
THREADS, READ_SECONDS = (
    int(re.findall(rf"^{name} = (\d+)", SETTINGS, re.M)[0]) for name in ("threads", "READ_SECONDS")
)
IDLE = 300  # far more than there are threads
CONNECTIONS_MAX = 2000  # of the settings
TOKEN = "canary-of-the-webhook"  # noqa: S105  # a test's
HALF_A_HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
HALF_A_BODY = (
    b"POST /alert HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
    b"X-Webhook-Token: " + TOKEN.encode() + b"\r\n\r\n{"
)
CHUNKED = HALF_A_BODY.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked").removesuffix(b"{")
NO_LAST_CHUNK = CHUNKED + b"1\r\n{\r\n"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    config = {"checkers": {}, "destinations": {"chat": {"kind": "console"}}, "rules": []}
    product = Product(tmp_path_factory.mktemp("product"), config, WEBHOOK_TOKEN=TOKEN)
    product.start()
    assert is_alive_within(60, product)
    yield product
    product.stop()


def is_alive(product: Product) -> bool:
    try:
        with urlopen(f"{product.url}/livez", timeout=1) as answer:  # noqa: S310  # our own loopback address
            return bool(answer.status == 200)
    except (URLError, TimeoutError, ConnectionError):
        return False


def is_alive_within(seconds: float, product: Product) -> bool:
    """Ask until it answers, or the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if is_alive(product):
            return True
    return False


def test_connections_without_a_byte_keep_nobody_waiting(product: Product) -> None:
    with ExitStack() as clients:
        for _ in range(IDLE):
            clients.enter_context(socket.create_connection(("127.0.0.1", product.port)))

        answered = [is_alive_within(READ_SECONDS - 1, product) for _ in range(3)]

    assert answered == [True] * 3


def test_more_idle_connections_than_it_may_hold_make_room_for_those_that_ask(product: Product) -> None:
    with ExitStack() as clients:
        for _ in range(CONNECTIONS_MAX + 50):
            clients.enter_context(socket.create_connection(("127.0.0.1", product.port)))

        assert is_alive_within(READ_SECONDS - 1, product)


@pytest.mark.parametrize("begun", [HALF_A_HEAD, HALF_A_BODY, NO_LAST_CHUNK], ids=["head", "body", "chunks"])
def test_half_requests_give_their_threads_back(product: Product, begun: bytes) -> None:
    with ExitStack() as clients:
        held = [socket.create_connection(("127.0.0.1", product.port)) for _ in range(THREADS + 8)]
        for client in map(clients.enter_context, held):
            client.sendall(begun)

        assert is_alive_within(4 * (READ_SECONDS + 2), product)  # those that found no thread come second


def test_clients_that_do_not_hang_up_keep_nobody_waiting(product: Product) -> None:
    with ExitStack() as clients:
        for _ in range(THREADS + 8):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", product.port)))
            client.sendall(b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n")

        assert is_alive_within(READ_SECONDS - 1, product)


@pytest.mark.parametrize("rest", [b"{\r\n", b"1\r\n{xx", b"-1\r\n", b"1\r\n{\r\n0\r\nno trailer\r\n\r\n"])
def test_broken_chunks_are_the_senders_mistake(product: Product, rest: bytes) -> None:
    with socket.create_connection(("127.0.0.1", product.port), timeout=10) as client:
        client.sendall(CHUNKED + rest)

        assert client.recv(100).startswith(b"HTTP/1.1 400 ")

    assert "Traceback" not in product.log.read_text()


def test_a_body_that_is_shorter_than_announced_is_refused_although_it_could_be_read(product: Product) -> None:
    body = b'{"alerts": [{"status": "firing", "labels": {"alertname": "Short"}}]}'
    head = HALF_A_BODY.removesuffix(b"{").replace(b" 100", f" {len(body) + 1}".encode())
    with socket.create_connection(("127.0.0.1", product.port), timeout=10) as client:
        client.sendall(head + body)
        client.shutdown(socket.SHUT_WR)

        assert client.recv(100).startswith(b"HTTP/1.1 400 ")


def test_one_that_drips_is_cut_off_in_the_middle(product: Product) -> None:
    with socket.create_connection(("127.0.0.1", product.port)) as client:
        client.sendall(HALF_A_HEAD)
        client.settimeout(0.2)
        began = time.monotonic()
        while not _ended(client) and time.monotonic() - began < 3 * READ_SECONDS:
            client.sendall(b"x")

        assert READ_SECONDS - 1 < time.monotonic() - began < 3 * READ_SECONDS  # by then it would never end


def test_one_that_asks_and_never_listens_is_hung_up_on(product: Product) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", product.port))
        client.settimeout(60)

        with pytest.raises(ConnectionError):
            _ask_for_ever(client)


def test_a_whole_request_on_a_slow_line_is_taken(product: Product) -> None:
    body = b'{"alerts": [{"status": "firing", "labels": {"alertname": "Slow"}}]}'
    head = HALF_A_BODY.removesuffix(b"{").replace(b" 100", f" {len(body)}".encode())
    with socket.create_connection(("127.0.0.1", product.port)) as client:
        client.settimeout(0.05)
        for byte in head + body:
            client.sendall(bytes([byte]))

        client.settimeout(10)
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


def _ask_for_ever(client: socket.socket) -> None:
    while True:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500)


def _ended(client: socket.socket) -> bool:
    """Whether the server has closed, or answered, which it only does at the end."""
    try:
        client.recv(1)
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True
