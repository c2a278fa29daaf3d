"""The audit: numbered rows of who did what, each with the hash of the row before it. Pure; stores keep the rows.

The hashes show that a row was changed, removed, inserted or moved. They are not signatures: who may write to the
database can make a new chain. So the head is logged daily as an `Anchor`, and `verify` compares with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from service_event_checker.core.errors import InvalidInput

GENESIS = "0" * 64  # the previous hash of row 1
ACTOR_MAX = 200  # characters; longer ones are cut
WHAT_MAX = 256 * 1024  # bytes; under one row of Azure Tables
RETENTION = "retention"  # the actor of checkpoints
CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """`what` is canonical JSON (ASCII, sorted keys, no spaces); `previous` and `hash` are 64 hex digits."""

    number: int
    at: datetime
    actor: str
    what: str
    previous: str
    hash: str

    @property
    def anchor(self) -> Anchor:
        return Anchor(self.number, self.hash)


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of the chain at some time: how many rows were ever appended, and the hash of the last."""

    number: int
    hash: str


class Flaw(StrEnum):
    """What is wrong with a row."""

    CHANGED = "its content does not match its hash"
    MISSING = "rows before it are missing"
    DETACHED = "it does not continue the row before it"
    BEGINNING = "the rows before it were removed without a checkpoint"
    REWRITTEN = "its hash is not that of the anchor"
    CUT = "it and later rows are missing, although the anchor names them"


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that proves tampering or loss."""

    number: int
    flaw: Flaw


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What `verify` found. `first` and `head` are None for an audit without rows."""

    rows: int = 0
    first: AuditRow | None = None
    head: AuditRow | None = None
    broken: tuple[Broken, ...] = ()


def chained(head: Anchor | None, actor: str, what: Mapping[str, Any], now: datetime) -> AuditRow:
    """Return the row that follows the head (None: the first one).

    `what`: JSON values only. Raises InvalidInput when it is no JSON or larger than WHAT_MAX.
    """
    number, previous = (head.number + 1, head.hash) if head else (1, GENESIS)
    name = actor.encode("utf-8", "backslashreplace").decode().replace("\0", "\ufffd")[:ACTOR_MAX]
    text = canonical(what)
    if len(text) > WHAT_MAX:
        raise InvalidInput("audit", f"has {len(text)} bytes", f"At most {WHAT_MAX} are stored: shorten the output")
    made = digest(number, now, name, text, previous)
    return AuditRow(number=number, at=now.astimezone(UTC), actor=name, what=text, previous=previous, hash=made)


def canonical(what: Mapping[str, Any]) -> str:
    """Return the one text of a JSON object: ASCII, keys sorted, no spaces. Raises InvalidInput when it is no JSON."""
    try:
        return json.dumps(what, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        problem = f"is no JSON: {type(error).__name__}"
        raise InvalidInput("audit", problem, "Give text, numbers, lists and objects") from error


def digest(number: int, at: datetime, actor: str, what: str, previous: str) -> str:
    """Return the SHA-256 of a row's canonical content followed by the previous hash, as 64 hex digits."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    content = canonical({"actor": actor, "at": moment, "number": number, "what": what})
    return hashlib.sha256((content + previous).encode("ascii", "backslashreplace")).hexdigest()


def checkpoint(last_removed: Anchor) -> Mapping[str, Any]:
    """Return the `what` of the row that is appended before the rows up to this one are removed."""
    return {CHECKPOINT: {"through": last_removed.number, "hash": last_removed.hash}}


def verify(rows: Iterable[AuditRow], anchors: Iterable[Anchor] = ()) -> Verified:
    """Check the rows, which come in the order of their numbers, and compare them with anchors.

    Rows that retention removed are attested by a checkpoint that is still there, also where it was cut in between.
    """
    hashes: dict[int, str] = {}
    removed: set[Anchor] = set()
    broken: list[Broken] = []
    first = last = None
    for row in rows:
        first = first or row
        broken += [Broken(row.number, flaw) for flaw in _flaws(row, last)]
        hashes[row.number] = row.hash
        removed |= _attested(row)
        last = row
    if first and not _begins_well(first, removed, hashes):
        broken.append(Broken(first.number, Flaw.BEGINNING))
    broken += _unlike(anchors, first, hashes)
    return Verified(rows=len(hashes), first=first, head=last, broken=tuple(broken))


def _flaws(row: AuditRow, last: AuditRow | None) -> Iterable[Flaw]:
    if digest(row.number, row.at, row.actor, row.what, row.previous) != row.hash:
        yield Flaw.CHANGED
    if last and row.number > last.number + 1:
        yield Flaw.MISSING
    elif last and (row.number, row.previous) != (last.number + 1, last.hash):
        yield Flaw.DETACHED


def _attested(row: AuditRow) -> set[Anchor]:
    """Return what a checkpoint says was removed; nothing for another row."""
    if row.actor != RETENTION:
        return set()
    try:
        said = json.loads(row.what)[CHECKPOINT]
        return {Anchor(int(said["through"]), str(said["hash"]))}
    except (ValueError, TypeError, KeyError):
        return set()


def _begins_well(first: AuditRow, removed: Iterable[Anchor], hashes: Mapping[int, str]) -> bool:
    known = {**hashes, first.number - 1: first.previous}
    if first.number == 1:
        return first.previous == GENESIS
    return any(each.number >= first.number - 1 and known.get(each.number) == each.hash for each in removed)


def _unlike(anchors: Iterable[Anchor], first: AuditRow | None, hashes: Mapping[int, str]) -> Iterable[Broken]:
    """An anchor older than the first row that is kept is passed over: nothing to compare with is left."""
    for anchor in anchors:
        if anchor.number in hashes and hashes[anchor.number] != anchor.hash:
            yield Broken(anchor.number, Flaw.REWRITTEN)
        elif anchor.number > max(hashes, default=0):
            yield Broken(anchor.number if first is None else max(hashes) + 1, Flaw.CUT)
