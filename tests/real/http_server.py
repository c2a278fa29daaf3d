"""A real server that speaks HTTP: up when its own page says so, not when its port takes connections."""

from __future__ import annotations

import time
from typing import Any

import requests

from tests.real.server import START_SECONDS, Server

CALL_SECONDS = 20.0


class HttpServer(Server):
    """Base of a server over HTTP. A subclass gives `READY`, a path that answers 200 as soon as all is served."""

    READY = "/-/ready"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Ask it something, past any proxy that the environment names; any status is an answer."""
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, self.url + path, timeout=CALL_SECONDS, **options)

    def _start(self) -> None:
        super()._start()
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise self._not_started()
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        try:
            return self.call("GET", self.READY).ok
        except requests.RequestException:
            return False
