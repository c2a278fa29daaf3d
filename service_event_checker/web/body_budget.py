"""Limits how many bytes of large bodies one process works on at a time: parsed, a body takes many times its size.

Small bodies never wait. A large one waits a little, then its sender is asked to come again: 503, which Alertmanager
repeats, as it does not with 429.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Condition

from flask import Flask, Request, current_app, g
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import HTTPException

from service_event_checker.web.errors import Refused

# One of the largest bodies, which takes up to 220 MB while it is in work. More at once would not be faster: it is one
# processor's work.
BYTES_MAX = 8 * 1024 * 1024
SMALL = 128 * 1024  # bytes; some 200 alerts
WAIT_SECONDS = 3.0
WAITING_MAX = 8  # requests: each keeps a thread, of which probes and the page need some
RETRY_SECONDS = 5
_CHUNK = 64 * 1024


class BodyBudget:
    """Bytes that may be in work at once, for the threads of one process."""

    def __init__(self, total: int = BYTES_MAX, *, wait: float = WAIT_SECONDS, waiting_max: int = WAITING_MAX) -> None:
        self._free = total
        self._wait = wait
        self._places = waiting_max
        self._changed = Condition()

    def take(self, size: int) -> bool:
        """Take bytes, as soon as so many are free; False when it took too long or too many wait already."""
        with self._changed:
            if self._free < size:
                if self._places == 0:
                    return False
                self._places -= 1
                free = self._changed.wait_for(lambda: self._free >= size, self._wait)
                self._places += 1
                if not free:
                    return False
            self._free -= size
            return True

    def give_back(self, size: int) -> None:
        with self._changed:
            self._free += size
            self._changed.notify_all()


def install(app: Flask) -> None:
    """Give every process of the app a budget; what a request took of it comes back with the request's end."""
    app.extensions["body_budget"] = BodyBudget()
    app.teardown_request(_give_back)


def reserve(request: Request, size: int) -> None:
    """Take the request's share, once, before its body is read. Raises Refused (503)."""
    if size <= SMALL or "body_share" in g:
        return
    budget: BodyBudget = current_app.extensions["body_budget"]
    if not budget.take(size):
        _read_past(request)
        retry = (("Retry-After", str(RETRY_SECONDS)),)
        raise Refused(503, "Too many large bodies are in work. Send it again.", headers=retry)
    g.body_share = size


def _read_past(request: Request) -> None:
    """Read the body and keep nothing of it: a client that is still sending would not see the answer."""
    with suppress(HTTPException, OSError, ParseException):
        while request.stream.read(_CHUNK):
            pass


def _give_back(_: BaseException | None) -> None:
    size = g.pop("body_share", 0)
    if size:
        current_app.extensions["body_budget"].give_back(size)
