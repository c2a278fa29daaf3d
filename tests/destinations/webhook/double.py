"""A receiver of our generic webhook as its documentation asks: checks the signature, and takes each key once."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

from tests.doubles.base import Answer, Double, Request

SECRET = "canary4711secret"


class Hook(Double):
    """`taken`: the documents by Idempotency-Key; `repeated`: how often one came again."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.secret = SECRET
        self.taken: dict[str, dict[str, Any]] = {}
        self.repeated = 0

    def handle(self, request: Request) -> Answer:
        if request.headers.get("Content-Type") != "application/json; charset=utf-8":
            return self.refuse(request, "not JSON", 415)
        if self.secret and not self._is_signed(request):
            return Answer(401)
        key = request.headers["Idempotency-Key"]
        self.repeated += key in self.taken
        self.taken[key] = request.json()
        return Answer(204)

    def _is_signed(self, request: Request) -> bool:
        parts = dict(part.partition("=")[::2] for part in request.headers.get("X-Outage-Signature", "").split(","))
        stamp = parts.get("t", "0")
        own = hmac.new(self.secret.encode(), stamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(own, parts.get("v1", "")) and abs(int(stamp) - time.time()) < 300
