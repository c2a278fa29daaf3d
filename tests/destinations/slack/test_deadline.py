"""An answer that drips on for ever ends with the deadline of the call, though every single read is quick."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.slack.client import SlackCalls, web_api

DRIPS_FOR = 20.0  # seconds; far beyond any doubt about a slow machine
DEADLINE = 0.4


@pytest.fixture
def dripping() -> Iterator[str]:
    """An address that answers with a byte every tenth of a second."""
    stopping = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def drip(connection: socket.socket) -> None:
        until = time.monotonic() + DRIPS_FOR
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
        while time.monotonic() < until and not stopping.wait(0.1):
            try:
                connection.sendall(b" ")
            except OSError:
                return

    def serve() -> None:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            drip(connection)

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/api/"
    stopping.set()
    server.close()


def test_a_dripping_answer_is_cut_at_the_deadline_and_is_in_doubt(dripping: str) -> None:
    begun = time.monotonic()

    with pytest.raises(DeliveryError) as refused:
        SlackCalls(web_api(dripping, "xoxb-canary"), DEADLINE).send("chat.postMessage", channel="C1", text="x")

    assert refused.value.reason is Reason.TIMEOUT
    assert time.monotonic() - begun < DRIPS_FOR / 2
    assert "canary" not in str(refused.value)
