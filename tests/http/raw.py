"""Servers on loopback that speak HTTP badly on purpose, and count what they were asked and what they sent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

HEAD = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
_BLOCK = b" " * 65536
GOES_ON_FOR = 60.0  # seconds; far beyond any doubt about a slow machine


class Raw:
    """Answers each connection by `answer`, which sends until the client hangs up. `asked`: heads and what followed.

    `sent` holds the bytes that each connection took.
    """

    def __init__(self, answer: Callable[[Raw, socket.socket], None]) -> None:
        self.asked: list[bytes] = []
        self.sent: list[int] = []
        self.stopping = threading.Event()
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def send(self, connection: socket.socket, data: bytes) -> None:
        connection.sendall(data)
        self.sent[-1] += len(data)

    def stop(self) -> None:
        self.stopping.set()
        with suppress(OSError):  # closing alone does not wake a thread that waits in accept: it would serve one more
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(GOES_ON_FOR)
            self.asked.append(connection.recv(65536))
            self.sent.append(0)
            self._answer(self, connection)


def endless(status: int = 200, begin: bytes = b"[") -> Callable[[Raw, socket.socket], None]:
    def answer(server: Raw, connection: socket.socket) -> None:
        server.send(connection, HEAD % status + begin)
        while not server.stopping.is_set():
            server.send(connection, _BLOCK)

    return answer


def dripping(begin: bytes = HEAD % 200) -> Callable[[Raw, socket.socket], None]:
    def answer(server: Raw, connection: socket.socket) -> None:
        server.send(connection, begin)
        while not server.stopping.wait(0.05):
            server.send(connection, b" ")

    return answer


def saying(status: int, headers: str = "", body: bytes = b"{}") -> Callable[[Raw, socket.socket], None]:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n{headers}"

    def answer(server: Raw, connection: socket.socket) -> None:
        server.send(connection, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    return answer


@contextmanager
def nobody() -> Iterator[str]:
    """Give an address where connections are refused: its port is taken, so that no other program can get it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def running(answer: Callable[[Raw, socket.socket], None]) -> Iterator[Raw]:
    server = Raw(answer)
    try:
        yield server
    finally:
        server.stop()
