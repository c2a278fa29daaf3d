"""A double that is none: it hands each request to a real server, so that every scripted fault befalls the real one.

What it hides is only the network in between: a reset "after the effect" is one after the real server's effect.
"""

from __future__ import annotations

import requests

from tests.doubles.base import Answer, Double, Request

SECONDS = 20.0  # a real server's own time, under load
_HOP = frozenset({"host", "connection", "content-length", "accept-encoding", "transfer-encoding"})
#: what the client may be answered without having done anything wrong
_ORDINARY = frozenset({401, 403, 404})


class Proxy(Double):
    """`target`: the real server's address. `refused` holds what it would not allow: every other 4xx."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target
        self._session = requests.Session()

    def headers(self, request: Request) -> dict[str, str]:
        """Return the headers to pass on; a subclass may change them."""
        return {name: value for name, value in request.headers.items() if name.lower() not in _HOP}

    def handle(self, request: Request) -> Answer:
        answer = self._session.request(
            request.method,
            self.target + request.path,
            params=dict(request.query),
            data=request.body or None,
            headers=self.headers(request),
            timeout=SECONDS,
            allow_redirects=False,
        )
        if 400 <= answer.status_code < 500 and answer.status_code not in _ORDINARY:
            self.refused.append(f"{request.method} {request.path}: {answer.status_code} {answer.text[:300]}")
        passed = {name: answer.headers[name] for name in ("Content-Type", "Location") if name in answer.headers}
        # nobody keeps a connection to us: after `stop` there is nobody there
        return Answer(answer.status_code, answer.content, {**passed, "Connection": "close"})

    def stop(self) -> None:
        super().stop()
        self._session.close()
