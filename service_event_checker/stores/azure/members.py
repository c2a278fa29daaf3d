"""What the Azure Tables store counts and lists of the open members of groups, from their rows. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from service_event_checker.core.store import Members
from service_event_checker.core.vocabulary import Severity
from service_event_checker.stores import codec
from service_event_checker.stores.azure import keys

COLUMNS = ("RowKey", "key", "severity", "firing", "opened_at", "updated_at")
_SEVERITIES = tuple(Severity)


def counted(rows: Iterable[Any]) -> dict[str, Members]:
    """Return how many open members each group has."""
    by_group: dict[str, list[Any]] = {}
    for row in rows:
        by_group.setdefault(row["RowKey"][1:21], []).append(row)
    return {group: _members(found) for group, found in by_group.items()}


def listed(rows: Iterable[Any], limit: int, firing_before: datetime | None) -> list[str]:
    """Return the keys of a group's open members, the most severe first; only those that fire, unchanged, if asked."""
    if firing_before is not None:
        latest = keys.sortable(codec.micros(firing_before))
        rows = (row for row in rows if row["firing"] and row["updated_at"] <= latest)
    in_order = sorted(rows, key=lambda row: (row["severity"], row["opened_at"], row["key"]))
    return [row["key"] for row in in_order[:limit]]


def _members(rows: list[Any]) -> Members:
    numbers = Counter(row["severity"] for row in rows)
    return Members(
        severities={_SEVERITIES[severity]: numbers[severity] for severity in sorted(numbers)},
        firing=sum(row["firing"] for row in rows),
        newest_at=codec.from_micros(int(max(row["opened_at"] for row in rows))),
    )
