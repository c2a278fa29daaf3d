"""Bodies that were refused after their sender was let in: put aside durably, without secrets, to be seen and replayed.

What is put aside is evidence, never a condition: a store that is away is logged, and the answer stays what it was.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import structlog

from service_event_checker import logs
from service_event_checker.core.errors import InvalidInput, StoreError
from service_event_checker.core.model import HeldItem
from service_event_checker.core.roles import HoldingArea
from service_event_checker.http import strict_json

AREA = "quarantine"
BODY_MAX = 64 * 1024  # bytes of a body that are kept; a template gone wrong shows itself sooner
PER_SOURCE = 1000
PRUNE_EVERY = 100  # bodies that this process has put aside; the hourly pruning comes late in a flood of them
READ_MAX = 2 * BODY_MAX  # bytes of a body that are looked at where it is not whole: a secret may stand across the cut
KEPT_FOR = timedelta(days=30)
ERROR_MAX = 1000
MASK = "[secret]"
_BINARY_MAX = BODY_MAX // 4 * 3  # bytes that make so many characters of base64
_ID = re.compile(r"[a-z0-9_-]{1,100}-[0-9a-f]{20}")
#: names whose values are nobody's affair, in a JSON body
_SECRET = re.compile(r"(?i)(token|passw(or)?d|passphrase|secret|api[-_ ]?key|authorization|credentials?|(^|[-_])pat)$")
#: headers that an adapter may want to see again; none of them proves anything or is a secret
_HEADERS = frozenset(
    {"content-type", "user-agent", "x-webhook-id", "x-webhook-subscription", "x-atlassian-webhook-identifier"}
)

log = structlog.get_logger()
_put = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A body that was refused. `receiver` is the destination that it was meant for, "" for alerts.

    `body` is text; base64 where `binary`. `cut`: only the beginning was kept. `redacted`: it holds masks.
    """

    route: str
    error: str
    body: str
    receiver: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    binary: bool = False
    cut: bool = False
    redacted: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A refusal as it is held."""

    id: str
    source: str
    at: datetime
    refusal: Refusal


def refusal(
    body: bytes, *, route: str, error: str, receiver: str = "", headers: Iterable[tuple[str, str]] = ()
) -> Refusal:
    """Make of a refused body what may be kept: its first 64 KiB, without what looks like a secret."""
    text = _text(body)
    kept = _binary(body) if text is None else _without_secrets(body, text)
    return Refusal(
        route=route,
        receiver=receiver,
        error=logs.masked(error)[:ERROR_MAX],
        headers={name: logs.masked(value)[:200] for name, value in headers if name.lower() in _HEADERS},
        body=kept[:BODY_MAX],
        binary=text is None,
        cut=len(body) > (_BINARY_MAX if text is None else BODY_MAX) or len(kept) > BODY_MAX,
        redacted=text is not None and kept.count(MASK) > text.count(MASK),
    )


def put(holding: HoldingArea, source: str, refused: Sequence[Refusal], now: datetime) -> list[str]:
    """Put the refusals of a source aside and return their ids: none when the store is away.

    The same body lies there once, however often it comes.
    """
    items = [_item(source, each, now) for each in refused]
    try:
        holding.put(items)
        if any([next(_put) % PRUNE_EVERY == 0 for _ in items]):  # a list: counts each of them
            prune(holding, now)
    except StoreError as error:
        log.warning("quarantine_failed", source=source, bodies=len(items), reason=str(error))
        return []
    for item, each in zip(items, refused, strict=True):
        log.warning("quarantined", id=item.id, source=source, route=each.route, error=each.error)
    return [item.id for item in items]


def held(holding: HoldingArea, *, source: str = "", limit: int = 100) -> list[Held]:
    """Return what lies there, the newest first. Raises StoreError."""
    return [_held(item) for item in holding.list(AREA, source=source, limit=limit)]


def find(holding: HoldingArea, id: str) -> Held | None:
    """Return one by its id, which begins with its source; None if it is not there. Raises StoreError."""
    source = id.rpartition("-")[0]
    if not _ID.fullmatch(id):
        return None
    return next((_held(item) for item in holding.list(AREA, source=source, limit=PER_SOURCE) if item.id == id), None)


def discard(holding: HoldingArea, id: str) -> bool:
    """Take one away; False if it is not there. Raises StoreError."""
    return bool(_ID.fullmatch(id)) and holding.remove(AREA, id)


def prune(holding: HoldingArea, now: datetime) -> int:
    """Delete what is older than 30 days, and all but the newest 1,000 of each source; return how many."""
    return holding.prune(AREA, before=now - KEPT_FOR, per_source=PER_SOURCE)


def payload(refused: Refusal) -> Any:
    """Return the JSON of a refused body, to be tried again. Raises InvalidInput."""
    if refused.cut:
        raise InvalidInput("body", "was too long to be kept completely", "Ask the sender to send it again")
    return strict_json.read(base64.b64decode(refused.body) if refused.binary else refused.body.encode())


def _text(body: bytes) -> str | None:
    """Return a body as text, None where it is no UTF-8. The last character of a mere beginning may be broken."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        broken_end = len(body) >= READ_MAX and error.start >= len(body) - 3
        return body[: error.start].decode("utf-8-sig") if broken_end else None


def _binary(body: bytes) -> str:
    masked = logs.masked(body[:_BINARY_MAX].decode("latin-1")).encode("latin-1")
    return base64.b64encode(masked[:_BINARY_MAX]).decode()


def _without_secrets(body: bytes, text: str) -> str:
    """Mask a JSON body value by value, so that it stays JSON; any other, and one too long to be replayed, as text."""
    if len(body) > BODY_MAX:
        return logs.masked(text[:READ_MAX])
    try:
        value = strict_json.read(body)
    except InvalidInput:
        return logs.masked(text)
    masked = _masked(value)
    return text if masked == value else json.dumps(masked, ensure_ascii=False)


def _masked(value: Any, name: str = "") -> Any:
    """Return a JSON value of at most 32 levels without secrets."""
    if value and _SECRET.search(name):
        return MASK
    if isinstance(value, dict):
        return {logs.masked(key): _masked(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_masked(part) for part in value]
    return logs.masked(value) if isinstance(value, str) else value


def _item(source: str, refused: Refusal, now: datetime) -> HeldItem:
    digest = hashlib.sha256(f"{source}\n{refused.route}\n{refused.body}".encode("utf-8", "replace")).hexdigest()
    doc = json.dumps(asdict(refused), ensure_ascii=False)
    return HeldItem(area=AREA, id=f"{source}-{digest[:20]}", source=source, at=now, doc=doc)


def _held(item: HeldItem) -> Held:
    return Held(item.id, item.source, item.at, Refusal(**json.loads(item.doc)))
