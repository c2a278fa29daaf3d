"""Which signed requests were seen already, by all processes: one that is recorded and sent again is a replay."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from service_event_checker.core.model import HeldItem
from service_event_checker.core.roles import HoldingArea

AREA = "seen"
KEPT_FOR = timedelta(minutes=15)  # no signature is good for longer, to either side
PER_SENDER = 100_000


def is_first(holding: HoldingArea, sender: str, signed: str, now: datetime) -> bool:
    """Remember a request by what its sender signed; False where any process has seen it. Raises StoreError."""
    id = hashlib.sha256(f"{sender}\n{signed}".encode("utf-8", "replace")).hexdigest()
    return holding.add(HeldItem(area=AREA, id=id, source=sender, at=now, doc=secrets.token_hex(8)))


def prune(holding: HoldingArea, now: datetime) -> int:
    """Forget the requests whose signatures are no longer good; return how many."""
    return holding.prune(AREA, before=now - KEPT_FOR, per_source=PER_SENDER)
