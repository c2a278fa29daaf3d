"""The query behind a page of alerts: filters, order and cursor."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, and_, or_, select

from service_event_checker.core.store import Query
from service_event_checker.stores.sql.tables import alerts


def page(query: Query) -> Select[Any]:
    wanted = select(alerts.c.doc).order_by(alerts.c.updated_at.desc(), alerts.c.key.desc())
    if query.open is not None:
        wanted = wanted.where(alerts.c.open.is_(query.open))
    if query.statuses:
        wanted = wanted.where(alerts.c.status.in_(sorted(query.statuses)))
    if query.severities:
        wanted = wanted.where(alerts.c.severity.in_(sorted(severity.rank for severity in query.severities)))
    if query.kinds:
        wanted = wanted.where(alerts.c.kind.in_(sorted(query.kinds)))
    if query.source:
        wanted = wanted.where(alerts.c.source == query.source)
    if query.cursor:
        at, _, key = query.cursor.partition("-")
        number = int(at) if at.isdecimal() else 0
        older = alerts.c.updated_at < number
        wanted = wanted.where(or_(older, and_(alerts.c.updated_at == number, alerts.c.key < key)))
    return wanted
