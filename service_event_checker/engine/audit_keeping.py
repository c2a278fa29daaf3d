"""Keeps the audit trustworthy: verifies it, compares it with its anchor, moves the anchor daily, removes what is old.

What is broken is neither trimmed nor anchored anew: it is evidence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import structlog

from service_event_checker.core.audit import RETENTION, Anchor, AuditRow, Verified, checkpoint, verify
from service_event_checker.core.roles import Audit, Store

ANCHOR_SETTING = "audit_anchor"
ANCHOR_EVERY = timedelta(days=1)
PAGE = 500  # rows that are read at once

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kept:
    """The anchor in the settings, and when it was taken."""

    anchor: Anchor
    at: datetime


def rows(audit: Audit, after: int = 0) -> Iterator[AuditRow]:
    """Yield the rows behind a number, page by page. Raises StoreError."""
    while page := audit.list(after=after, limit=PAGE):
        yield from page
        after = page[-1].number


def kept_anchor(store: Store) -> Kept | None:
    """Return the anchor of the last day; None when there is none, or somebody made it unreadable. Raises StoreError."""
    try:
        said = json.loads(store.setting(ANCHOR_SETTING) or "{}")
        return Kept(Anchor(int(said["number"]), str(said["hash"])), datetime.fromisoformat(said["at"]))
    except (ValueError, TypeError, KeyError):
        return None


def verified(store: Store, anchors: Iterable[Anchor] = ()) -> Verified:
    """Check all rows; beside the given anchors with those of the settings and of the store. Raises StoreError."""
    kept, head = kept_anchor(store), store.audit.head()  # before the rows, as others append meanwhile
    known = [*anchors, *([kept.anchor] if kept else []), *([head] if head else [])]
    return verify(rows(store.audit), dict.fromkeys(known))


def keep(store: Store, before: datetime, now: datetime) -> None:
    """Once a day: verify, remove the rows from before `before`, log and store the anchor. Raises StoreError."""
    kept = kept_anchor(store)
    if kept and abs(now - kept.at) < ANCHOR_EVERY:
        return
    found = verified(store)
    if found.broken:
        problems = [f"row {each.number}: {each.flaw}" for each in found.broken[:10]]
        log.error("audit_broken", problems=problems, hint="./outage audit verify lists all")
        return
    trim(store.audit, before, now)
    head = store.audit.head()
    if head:
        log.info("audit_anchor", number=head.number, hash=head.hash)
        store.set_setting(ANCHOR_SETTING, json.dumps({**asdict(head), "at": now.isoformat()}))


def trim(audit: Audit, before: datetime, now: datetime) -> int:
    """Remove the first rows as far as they are older, after a checkpoint that attests them; return how many.

    A cut in between leaves rows that the checkpoint covers, or only the checkpoint: both verify.
    """
    old: AuditRow | None = None
    number = 0
    for row in rows(audit):
        if row.at >= before:
            break
        old, number = row, number + 1
    if old is None:
        return 0
    audit.append(RETENTION, checkpoint(old.anchor), now)
    audit.drop(old.number)
    return number
