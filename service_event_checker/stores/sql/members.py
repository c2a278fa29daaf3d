"""What the SQL store counts and lists of the open members of groups. On an open connection."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, Integer, cast, func, select

from service_event_checker.core.store import Members
from service_event_checker.core.vocabulary import Severity
from service_event_checker.stores import codec
from service_event_checker.stores.sql import driver, prepared
from service_event_checker.stores.sql.tables import members

_FIRING = func.sum(cast(members.c.firing, Integer))
_COUNTED = select(
    members.c.group_key, members.c.severity, func.count(), _FIRING, func.max(members.c.opened_at)
).group_by(members.c.group_key, members.c.severity)
_SEVERITIES = tuple(Severity)


def counted(connection: Connection, groups: Iterable[str] | None) -> dict[str, Members]:
    """Return how many open members each group has; of all groups where none is named."""
    if groups is None:
        rows = [tuple(row) for row in connection.execute(_COUNTED)]
    else:
        rows = prepared.read(driver.of(connection), _COUNTED, members.c.group_key, dict.fromkeys(groups))
    by_group: dict[str, list[tuple[int, int, int, int]]] = {}
    for group, severity, number, firing, newest in rows:
        by_group.setdefault(group, []).append((severity, number, int(firing), newest))
    return {
        group: Members(
            severities={_SEVERITIES[severity]: number for severity, number, _, _ in sorted(found)},
            firing=sum(firing for _, _, firing, _ in found),
            newest_at=codec.from_micros(max(newest for _, _, _, newest in found)),
        )
        for group, found in by_group.items()
    }


def listed(connection: Connection, group: str, limit: int, firing_before: datetime | None) -> list[str]:
    """Return the keys of a group's open members, the most severe first; only those that fire, unchanged, if asked."""
    wanted = select(members.c.key).where(members.c.group_key == group)
    if firing_before is not None:
        wanted = wanted.where(members.c.firing.is_(True), members.c.updated_at <= codec.micros(firing_before))
    ordered = wanted.order_by(members.c.severity, members.c.opened_at, members.c.key)
    return list(connection.scalars(ordered.limit(limit)))
