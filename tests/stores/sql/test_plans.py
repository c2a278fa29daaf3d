"""How SQLite finds what is read all the time: by ranges of indexes, not by reading the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Severity
from service_event_checker.stores.sql.store import SqlStore
from tests.factories import NOW
from tests.stores.conftest import sqlite_store
from tests.stores.steps import opened

CRITICAL, ERROR = frozenset({Severity.CRITICAL}), frozenset({Severity.CRITICAL, Severity.ERROR})
PAGES = [
    Query(open=True),
    Query(open=False),
    Query(severities=CRITICAL),
    Query(severities=ERROR),
    Query(open=True, severities=ERROR),
    Query(source="github"),
    Query(source="github", open=True),
    Query(source="github", severities=ERROR),
    Query(severities=CRITICAL, cursor=f"{10**15}-abc"),
]
COUNTS: list[Callable[[SqlStore], Any]] = [
    SqlStore.waiting,
    lambda store: store.waiting("slack"),
    SqlStore.waiting_by_receiver,
    SqlStore.failed_counts,
    SqlStore.oldest_waiting,
]


def plans(store: SqlStore, read: Callable[[SqlStore], Any]) -> list[str]:
    """Return the steps of the plans for what `read` asks the database."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    event.listen(store.reader, "before_cursor_execute", note)
    read(store)
    event.remove(store.reader, "before_cursor_execute", note)
    with store.engine.connect() as connection:
        found = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all() for text, values in asked]
    return [str(step[3]) for steps in found for step in steps]


@pytest.mark.parametrize("query", PAGES, ids=range(len(PAGES)))
def test_a_page_is_read_from_ranges_of_an_index_in_their_order(tmp_path: Path, query: Query) -> None:
    store = sqlite_store(tmp_path / "checker.db")

    steps = plans(store, lambda store: store.page(query))

    of_alerts = [step for step in steps if " alerts " in f"{step} "]
    assert of_alerts, steps
    assert all(step.startswith("SEARCH alerts USING INDEX") for step in of_alerts), steps
    store.close()


@pytest.mark.parametrize("read", COUNTS)
def test_deliveries_are_counted_in_an_index_alone(tmp_path: Path, read: Callable[[SqlStore], Any]) -> None:
    store = sqlite_store(tmp_path / "checker.db")
    opened(store)

    steps = plans(store, read)

    assert steps
    assert all("deliveries USING COVERING INDEX" in step for step in steps), steps
    store.close()


@pytest.mark.parametrize("query", PAGES, ids=range(len(PAGES)))
def test_pages_of_ranges_hold_what_one_filter_would(tmp_path: Path, query: Query) -> None:
    store = sqlite_store(tmp_path / "checker.db")
    for number in range(12):
        opened(store, f"n{number}", (), severity=list(Severity)[number % 4], updated_at=NOW.replace(minute=number))

    first = store.page(Query(severities=query.severities, source=query.source, open=query.open, limit=2))
    second = store.page(
        Query(severities=query.severities, source=query.source, open=query.open, limit=500, cursor=first.cursor)
    )

    wanted = [
        alert
        for alert in store.page(Query(limit=500)).alerts
        if (query.open is None or alert.open == query.open)
        and (not query.severities or alert.severity in query.severities)
        and (not query.source or alert.source == query.source)
    ]
    rest = second.alerts if first.cursor else ()
    assert [*first.alerts, *rest] == wanted
    store.close()
