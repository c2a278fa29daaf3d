"""Ends a conversation over one socket when its time is up, however it drags on.

A socket's own time-out counts anew with each read, and smtplib and sendgrid know no other. What is said over the
socket is the callers' affair; client.py has a guard of its own.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import time
import urllib.request
from functools import partial
from typing import Any


class Deadline:
    """`with Deadline(15.0) as deadline: ... deadline.watch(sock)`. `watching`: a connection was made.

    It keeps a second descriptor of the connection, so that it can be cut even after TLS has been laid over it.
    """

    def __init__(self, seconds: float) -> None:
        self.watching = False
        self._until = time.monotonic() + seconds
        self._expired = False
        self._own: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._own is not None:
                self._own.close()

    @property
    def left(self) -> float:
        """Seconds; never 0, which sockets take for "do not wait"."""
        return max(self._until - time.monotonic(), 0.001)

    @property
    def over(self) -> bool:
        return self._expired or time.monotonic() >= self._until

    def watch(self, sock: socket.socket) -> None:
        """Cut this connection when the time is up. Raises TimeoutError when it is up already."""
        with self._lock:
            self._own = socket.socket(fileno=os.dup(sock.fileno()))
        self.watching = True
        if self.over:
            sock.close()
            raise TimeoutError
        sock.settimeout(self.left)

    def opener(self) -> urllib.request.OpenerDirector:
        """Return urllib's opener over connections that this deadline watches; it follows no redirects."""
        return urllib.request.build_opener(_Stay(), _Watching(self))

    def _cut(self) -> None:
        self._expired = True
        with self._lock:
            if self._own is None:
                return
            try:
                self._own.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # closed already


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: the answer itself is the error."""


class _Watching(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Plain, self._deadline), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        trust = ssl.create_default_context()
        return self.do_open(partial(_Tls, self._deadline), req, context=trust)


class _Plain(http.client.HTTPConnection):
    def __init__(self, deadline: Deadline, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._deadline = deadline

    def connect(self) -> None:
        super().connect()
        self._deadline.watch(self.sock)


class _Tls(http.client.HTTPSConnection):
    def __init__(self, deadline: Deadline, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._deadline = deadline

    def connect(self) -> None:
        super().connect()
        self._deadline.watch(self.sock)
