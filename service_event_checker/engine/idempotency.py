"""Answers that are kept for a day under the caller's Idempotency-Key, so that a repeated request is done once.

A process that is killed between the commit and the note of its answer does a repetition again: what it does must be
harmless to repeat.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from service_event_checker.core.errors import OutageCheckerError
from service_event_checker.core.model import HeldItem
from service_event_checker.core.roles import HoldingArea

AREA = "idempotency-"  # and the first digit of the ID: where no index helps, a look reads one area whole
_DIGITS = "0123456789abcdef"
KEPT_FOR = timedelta(hours=24)


class KeyReused(OutageCheckerError):
    """The key belongs to a request with another body."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An HTTP status and the JSON body that went with it."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Request:
    """A request with a key: who makes it, to which route, and the bytes that it sends."""

    caller: str
    route: str
    key: str
    body: bytes

    @property
    def id(self) -> str:
        """Callers cannot see each other's answers: the name of the token belongs to the identity."""
        return hashlib.sha256(json.dumps([self.caller, self.route, self.key]).encode()).hexdigest()

    @property
    def area(self) -> str:
        return AREA + self.id[0]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


def find(holding: HoldingArea, request: Request, now: datetime) -> KeptAnswer | None:
    """Return the answer of the same request within a day; None for a new one. Raises KeyReused and StoreError."""
    for item in holding.list(request.area, source=request.id, limit=1):
        if now - item.at < KEPT_FOR:
            kept = json.loads(item.doc)
            if kept["digest"] != request.digest:
                raise KeyReused(request.key)
            return KeptAnswer(kept["status"], kept["body"])
    return None


def keep(holding: HoldingArea, request: Request, answer: KeptAnswer, now: datetime) -> None:
    """Keep an answer. Raises StoreError."""
    doc = json.dumps({"digest": request.digest, "status": answer.status, "body": answer.body}, ensure_ascii=False)
    holding.put([HeldItem(area=request.area, id=request.id, source=request.id, at=now, doc=doc)])


def prune(holding: HoldingArea, now: datetime) -> int:
    """Delete what is older than a day; return how many."""
    return sum(holding.prune(AREA + digit, before=now - KEPT_FOR, per_source=1) for digit in _DIGITS)
