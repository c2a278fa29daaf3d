"""A loopback HTTP server with a state of its own, that fails by script: the base of every double.

A double subclasses `Double` and writes `handle`. It keeps its own truth in plain attributes; tests assert on
those. `refused` counts requests that the real system would not allow; a test ends by looking that it is empty.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit


class Fault(StrEnum):
    """How one call may fail. The AFTER kinds have their effect first: what a client must not repeat blindly."""

    ERROR = "500"
    ERROR_AFTER = "500 after the effect"
    RATE_LIMIT = "429 with Retry-After"
    RESET = "connection reset before the effect"
    RESET_AFTER = "connection reset after the effect"
    HANG = "no answer, no effect"
    HANG_AFTER = "no answer, after the effect"
    GARBAGE = "200 with an unreadable body, no effect"
    GARBAGE_AFTER = "200 with an unreadable body, after the effect"
    HTML = "200 with a login page, no effect"
    TRUNCATED = "half of the body"
    LATE = "the effect comes after the client has given up"
    SLOW = "the effect and the answer come late"


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    pairs: tuple[tuple[str, str], ...] = ()  # the query as it was sent, for names that are given several times

    def json(self) -> Any:
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(self.body.decode(), keep_blank_values=True).items()}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def json(value: Any, status: int = 200, **headers: str) -> Answer:
        return Answer(
            status, json.dumps(value).encode(), {"Content-Type": "application/json; charset=utf-8", **headers}
        )


class Double:
    """Start with `with Double() as double:`; `double.url` is its base address.

    `script`: faults for the next calls, None = answer well. `chaos(share, seed)`: fail that share of all calls.
    `hang_seconds` bounds every hang. `lock` guards the double's own state; `handle` runs under it.
    """

    FAULTS = (Fault.ERROR, Fault.ERROR_AFTER, Fault.RATE_LIMIT, Fault.RESET, Fault.RESET_AFTER, Fault.GARBAGE_AFTER)

    def __init__(self, port: int = 0) -> None:
        self.script: deque[Fault | None] = deque()
        self.requests: list[Request] = []
        self.refused: list[str] = []
        self.retry_after = "1"
        self.limits: dict[str, str] = {}  # what a 429 tells besides, in headers
        self.forbids: Callable[[Request], Answer] | None = None  # answers every call, in place of `handle`
        self.refuses_astral = False  # answers 500 to any text above U+FFFF, as one on MySQL's utf8 does
        self.hang_seconds = 30.0
        self.late_seconds = 1.0
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self._share = 0.0
        self._random = random.Random(0)
        self._server = _Server(("127.0.0.1", port), _handler_of(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Double:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def chaos(self, share: float, seed: int = 0) -> None:
        """Let this share (0 to 1) of the calls fail from now on, each way of `FAULTS` alike."""
        self._share, self._random = share, random.Random(seed)

    def next_fault(self) -> Fault | None:
        if self.script:
            return self.script.popleft()
        return self._random.choice(self.FAULTS) if self._random.random() < self._share else None

    def handle(self, request: Request) -> Answer:
        """Have the effect and return the answer; called under `lock`."""
        raise NotImplementedError

    def refuse(self, request: Request, why: str, status: int = 400) -> Answer:
        """Count and answer what the real system would not allow."""
        self.refused.append(f"{request.method} {request.path}: {why}")
        return Answer.json({"error": why}, status)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that was killed leaves broken pipes behind."""


def _has_astral(body: bytes) -> bool:
    """Whether a JSON body has a character above U+FFFF, escaped or not."""
    try:
        return any(char > "\uffff" for char in json.dumps(json.loads(body), ensure_ascii=False))
    except ValueError:
        return False


def _handler_of(double: Double) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def serve(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:  # its sender was killed: no server takes half a request
                self.close_connection = True
                return
            query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            pairs = tuple(parse_qsl(parts.query, keep_blank_values=True))
            request = Request(self.command, parts.path, query, dict(self.headers.items()), body, pairs)
            with double.lock:
                double.requests.append(request)
                fault = Fault.ERROR if double.refuses_astral and _has_astral(body) else double.next_fault()
            self.reply(request, fault)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_OPTIONS = serve

        def reply(self, request: Request, fault: Fault | None) -> None:
            if fault in (Fault.HANG, Fault.RESET):
                self.break_off(fault)
                return
            if fault is Fault.ERROR:
                self.write(Answer.json({"error": "internal"}, 500))
            elif fault is Fault.RATE_LIMIT:
                told = {"Retry-After": double.retry_after, **double.limits}
                self.write(Answer.json({"ok": False, "error": "ratelimited"}, 429, **told))
            elif fault is Fault.GARBAGE:
                self.write(Answer(200, b"\x00\xff<<", {"Content-Type": "application/json"}))
            elif fault is Fault.HTML:
                self.write(Answer(200, b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"}))
            elif fault is Fault.LATE:
                double.stopping.wait(double.late_seconds)
                with double.lock:
                    double.handle(request)
            elif fault is Fault.SLOW:
                double.stopping.wait(double.late_seconds)
                self.reply_after(request, None)
            else:
                self.reply_after(request, fault)

        def reply_after(self, request: Request, fault: Fault | None) -> None:
            with double.lock:
                answer = double.forbids(request) if double.forbids else double.handle(request)
            if fault in (Fault.HANG_AFTER, Fault.RESET_AFTER):
                self.break_off(fault)
            elif fault is Fault.ERROR_AFTER:
                self.write(Answer.json({"error": "internal"}, 500))
            elif fault is Fault.GARBAGE_AFTER:
                self.write(Answer(200, b"{", {"Content-Type": "application/json"}))
            elif fault is Fault.TRUNCATED:
                self.write(Answer(answer.status, answer.body[: len(answer.body) // 2], answer.headers))
            else:
                self.write(answer)

        def break_off(self, fault: Fault) -> None:
            if fault in (Fault.HANG, Fault.HANG_AFTER):
                double.stopping.wait(double.hang_seconds)
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def write(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler
