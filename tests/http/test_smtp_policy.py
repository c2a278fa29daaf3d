"""SMTP keeps to the same bounds as HTTP: a deadline for the whole conversation, and a cap on what a server says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.smtp.adapter import Adapter
from service_event_checker.destinations.smtp.config import Config
from service_event_checker.http import outbound
from service_event_checker.http.outbound import Outbound
from tests.factories import alert, delivery
from tests.http.raw import GOES_ON_FOR

CAP = 32 * 1024 * 1024  # bytes; the cap is far below, but sockets hold some


class Greeter:
    """Begins a greeting of many lines that never ends; `pause`: seconds between two writes of `lines` lines."""

    def __init__(self, lines: int, pause: float) -> None:
        self.sent = 0
        self._block, self._pause = b"220-hello\r\n" * lines, pause
        self._stopping = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._greet, daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self._listening.close()

    def _greet(self) -> None:
        with suppress(OSError):
            connection, _ = self._listening.accept()
            with connection:
                while not self._stopping.wait(self._pause):
                    connection.sendall(self._block)
                    self.sent += len(self._block)


@contextmanager
def greeting(lines: int, pause: float) -> Iterator[Greeter]:
    greeter = Greeter(lines, pause)
    try:
        yield greeter
    finally:
        greeter.stop()


def failure(port: int, timeout: float) -> DeliveryError:
    about = alert()
    config = Config(
        host="127.0.0.1", port=port, security="none", sender="a@example.com", to=("b@example.com",), timeout=timeout
    )
    with pytest.raises(DeliveryError) as raised:
        Adapter("mail", config).deliver(delivery(about, receiver="mail"), about, None)
    return raised.value


def test_a_greeting_without_end_is_cut_at_the_byte_cap() -> None:
    with greeting(5000, 0.0) as server:
        error = failure(server.port, 10.0)

    assert error.reason is Reason.UNREACHABLE
    assert server.sent < CAP


def test_a_dripping_greeting_ends_at_the_deadline_of_the_whole_conversation() -> None:
    began = time.monotonic()
    with greeting(1, 0.05) as server:
        error = failure(server.port, 0.4)

    assert error.reason is Reason.UNREACHABLE
    assert time.monotonic() - began < GOES_ON_FOR / 2


def test_mail_does_not_go_through_the_proxy_for_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "_shared", [Outbound(proxy="http://127.0.0.1:9")])
    with greeting(1, 0.05) as server:
        failure(server.port, 0.3)

    assert server.sent > 0
