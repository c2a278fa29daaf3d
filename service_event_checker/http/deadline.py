"""Ends a conversation over one socket when its time is up, however slowly it goes on.

A socket's own time-out counts anew with each read, and neither urllib3 nor smtplib knows another one. What is said
over the socket is the callers' affair.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable


class Deadline:
    """The time that one call may take: `with Deadline(15.0) as deadline: ... deadline.watch(sock)`.

    `connected`: a socket was watched. `sent`: the request may have left us; the caller sets it. `expired`: the timer
    has cut the connection.
    """

    def __init__(self, seconds: float) -> None:
        self.connected = False
        self.sent = False
        self.expired = False
        self._until = time.monotonic() + seconds
        self._own: socket.socket | None = None
        self._in_use: Callable[[], bool] = bool
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._let_go()

    @property
    def left(self) -> float:
        """Seconds; never 0, which sockets take for "do not wait"."""
        return max(self._until - time.monotonic(), 0.001)

    @property
    def over(self) -> bool:
        return self.expired or time.monotonic() >= self._until

    def watch(self, sock: socket.socket, in_use: Callable[[], bool] = lambda: True) -> None:
        """Cut this connection, and no earlier one, when the time is up. Raises TimeoutError when it is up already.

        It keeps a second descriptor, so that the cut works even after TLS has been laid over the socket. `in_use`:
        whether the connection still serves this call; one that is back in a pool is left alone.
        """
        with self._lock:
            self._let_go()
            self._own = socket.socket(fileno=os.dup(sock.fileno()))
            self._in_use = in_use
        self.connected = True
        if self.over:  # the timer may have struck while there was no socket to cut
            raise TimeoutError

    def _cut(self) -> None:
        self.expired = True
        with self._lock:
            if self._own is None or not self._in_use():
                return
            try:
                self._own.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # closed already

    def _let_go(self) -> None:
        if self._own is not None:
            self._own.close()
            self._own = None
