"""What is known of reloads of the configuration: what changed, which was applied last, which one failed and why.

One row of the store's settings holds it for all processes. The same text passes from Gunicorn's master to its workers.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from service_event_checker.config.load import Config
from service_event_checker.core.roles import Settings

SETTING = "config_reload"
PROBLEMS_MAX = 8
PROBLEM_MAX = 300  # characters, each up to 12 in JSON; a row of Azure Tables holds 32,000


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A configuration that all processes are to work with. `revision` is new for each reload, also of the same file."""

    revision: str
    checksum: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NotApplied:
    """A reload that was refused: the file's name and what is wrong in it."""

    at: datetime
    file: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The last reload that worked, and the one that failed since then."""

    applied: Applied | None = None
    failed: NotApplied | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a reload brought, as sections ("rules") and parts ("destination pager")."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """What a reload did: `warnings` are those of the new configuration."""

    file: str
    checksum: str
    changes: Changes
    warnings: tuple[str, ...]


class Reloads(Protocol):
    def reload(self) -> Reloaded:
        """Take the file as it is now, and have all processes take it. Raises ConfigError; then nothing changes."""
        ...


def read(store: Settings) -> Record:
    """Return what the store knows. Raises StoreError."""
    return from_text(store.setting(SETTING) or "")


def write(store: Settings, news: Record, *, only_newer: bool = False) -> None:
    """Store what one process has found; a failure leaves what was applied. Raises StoreError.

    `only_newer`: the news may be late, and another process may have applied something since.
    """
    known = read(store)
    if only_newer and news.applied and known.applied and known.applied.at >= news.applied.at:
        return
    store.set_setting(SETTING, to_text(news if news.applied else replace(known, failed=news.failed)))


def apply(store: Settings, checksum: str, now: datetime) -> None:
    """Have all processes take the file of this content. Raises StoreError."""
    write(store, Record(applied=applied(checksum, now)))


def applied(checksum: str, now: datetime) -> Applied:
    return Applied(revision=uuid.uuid4().hex, checksum=checksum, at=now)


def to_text(record: Record) -> str:
    return json.dumps(asdict(record), default=datetime.isoformat)


def from_text(text: str) -> Record:
    """Return the record; an empty one for no text and for what another version wrote."""
    try:
        found = json.loads(text) if text else {}
        applied, failed = found.get("applied"), found.get("failed")
        return Record(
            applied=Applied(**_with_time(applied)) if applied else None,
            failed=NotApplied(**_with_time(failed) | {"problems": tuple(failed["problems"])}) if failed else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return Record()


def refused(file: str, problems: list[str], now: datetime) -> Record:
    """Return the record of a file that cannot be used, cut to what a row holds."""
    kept = tuple(problem[:PROBLEM_MAX] for problem in problems[:PROBLEMS_MAX])
    return Record(failed=NotApplied(at=now, file=file, problems=kept))


def failed_since(record: Record, loaded_at: datetime) -> NotApplied | None:
    """Return the reload that failed after this process had read its configuration; None if there was none."""
    return record.failed if record.failed and record.failed.at > loaded_at else None


def unchanged(before: Config, after: Config) -> frozenset[tuple[str, str]]:
    """Return the parts, as (section, name), that are the same in both, with their resolved values."""
    known = _parts(before)
    return frozenset(part for part, entry in _parts(after).items() if known.get(part) == entry)


def changes(before: Config, after: Config) -> Changes:
    """Return what differs between two configurations."""
    old, new = _parts(before), _parts(after)
    same = unchanged(before, after)
    whole = (name for name in ("rules", "silences", "mirrors", "repeat_within", "moved", "heartbeats", "depends"))
    sections = [name for name in whole if getattr(before, name) != getattr(after, name)]
    return Changes(
        added=tuple(" ".join(part) for part in new if part not in old),
        removed=tuple(" ".join(part) for part in old if part not in new),
        changed=(*(" ".join(part) for part in new if part in old and part not in same), *sections),
    )


def _parts(config: Config) -> dict[tuple[str, str], object]:
    return {(section, entry.name): entry for section, entry in config.entries()}


def _with_time(found: dict[str, Any]) -> dict[str, Any]:
    return found | {"at": datetime.fromisoformat(found["at"])}
