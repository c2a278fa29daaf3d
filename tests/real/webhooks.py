"""Somebody who takes Alertmanager's webhooks and lets a test wait for the next."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

from tests.doubles.base import Answer, Double, Request

PATIENCE_SECONDS = 60.0


class Webhooks(Double):
    """`next()` waits for the next message; a test reads them in the order in which they came."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self._came: SimpleQueue[dict[str, Any]] = SimpleQueue()

    def __enter__(self) -> Webhooks:
        self.start()
        return self

    def next(self) -> dict[str, Any]:
        return self._came.get(timeout=PATIENCE_SECONDS)

    def handle(self, request: Request) -> Answer:
        self._came.put(request.json())
        return Answer(200)
