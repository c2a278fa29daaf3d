"""One page of alerts from the active rows at hand and the resolved table's list, the latest change first."""

from __future__ import annotations

from collections.abc import Iterable

from azure.data.tables import TableEntity

from service_event_checker.core.store import Page, Query
from service_event_checker.core.vocabulary import Status
from service_event_checker.stores import codec
from service_event_checker.stores.azure import keys
from service_event_checker.stores.azure import rows as azure_rows
from service_event_checker.stores.azure.client import Table

PAGE_MAX = 500


def page(active: Iterable[TableEntity], resolved: Table, query: Query) -> Page:
    """Return one page.

    `active`: the rows of all alerts that are not archived; where the query is for open ones, of those at least.
    """
    active = list(active)
    limit = min(query.limit, PAGE_MAX)
    beyond = keys.cursor_row(query.cursor) if query.cursor else ""
    rows = {_place(row): row for row in active if _wanted(row, query)}
    if query.open is not True and (not query.statuses or Status.RESOLVED in query.statuses):
        rows |= _archived(resolved, query, beyond, limit + 1, {row["key"] for row in active})
    places = sorted(place for place in rows if place > beyond)[: limit + 1]
    alerts = tuple(azure_rows.load_alert(rows[place]) for place in places[:limit])
    if len(places) <= limit:
        return Page(alerts=alerts)
    return Page(alerts=alerts, cursor=keys.cursor_of(codec.micros(alerts[-1].updated_at), alerts[-1].key))


def _archived(resolved: Table, query: Query, beyond: str, limit: int, active: set[str]) -> dict[str, TableEntity]:
    """Return the next rows of the resolved table's list; a key that is active again is told from there."""
    found: dict[str, TableEntity] = {}
    while True:
        rows = resolved.scan(keys.RESOLVED, top=limit, beyond=beyond)
        wanted = (row for row in rows if row["key"] not in active and _wanted(row, query))
        found |= {row["RowKey"]: row for row in wanted}
        if len(rows) < limit or len(found) >= limit:
            return found
        beyond = rows[-1]["RowKey"]


def _place(row: TableEntity) -> str:
    return keys.resolved_row(int(row["updated_at"]), row["key"])


def _wanted(row: TableEntity, query: Query) -> bool:
    ranks = {severity.rank for severity in query.severities}
    return (
        (query.open is None or row["open"] == query.open)
        and (not query.statuses or row["status"] in query.statuses)
        and (not ranks or row["severity"] in ranks)
        and (not query.kinds or row["kind"] in query.kinds)
        and (not query.source or row["source"] == query.source)
    )
