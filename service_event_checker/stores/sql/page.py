"""The query behind a page of alerts: filters, order and cursor."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select, union_all

from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Severity
from service_event_checker.stores.sql.tables import alerts

LIMIT_MAX = 501  # one more than a page holds, which tells that there is another one
_LATEST = alerts.c.updated_at.desc(), alerts.c.key.desc()
_ROW = alerts.c.doc, alerts.c.updated_at, alerts.c.key


def page(query: Query) -> Select[Any]:
    """Return the query for the alerts' documents, without its limit."""
    parts = list(_index_ranges(query))
    if len(parts) == 1:
        return select(alerts.c.doc).where(*parts[0], *_filters(query)).order_by(*_LATEST)
    limit = min(query.limit + 1, LIMIT_MAX)
    found = union_all(
        *(
            select(select(*_ROW).where(*part, *_filters(query)).order_by(*_LATEST).limit(limit).subquery())
            for part in parts
        )
    ).subquery()
    return select(found.c.doc).order_by(found.c.updated_at.desc(), found.c.key.desc())


def _index_ranges(query: Query) -> Iterable[tuple[ColumnElement[bool], ...]]:
    """Yield the ranges of an index that hold what is wanted, each in the order of pages.

    The indexes by severity and by source begin with or hold `open`: a database that had to read both values of it, or
    several severities, would read all there is and sort it.
    """
    if not query.severities and not query.source:
        return [() if query.open is None else (alerts.c.open.is_(query.open),)]
    states = [alerts.c.open.is_(state) for state in ((True, False) if query.open is None else (query.open,))]
    ranks = [alerts.c.severity == severity.rank for severity in Severity if severity in query.severities]
    return product(states, ranks) if ranks else product(states)


def _filters(query: Query) -> Iterable[ColumnElement[bool]]:
    if query.statuses:
        yield alerts.c.status.in_(sorted(query.statuses))
    if query.kinds:
        yield alerts.c.kind.in_(sorted(query.kinds))
    if query.source:
        yield alerts.c.source == query.source
    if query.cursor:
        at, _, key = query.cursor.partition("-")
        number = int(at) if at.isdecimal() else 0
        older = alerts.c.updated_at < number
        yield or_(older, and_(alerts.c.updated_at == number, alerts.c.key < key))
