"""The records of vendors, read from the stored alerts within the bounds of a search."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from service_event_checker.core.model import Alert
from service_event_checker.core.roles import Store
from service_event_checker.core.store import Query
from service_event_checker.core.vendor_record import Record, record
from service_event_checker.engine.search import Search, read_all

DAYS_DEFAULT = 90
DAYS_MAX = 366


@dataclass(frozen=True, slots=True)
class _Read:
    alerts: tuple[Alert, ...]
    since: datetime
    until: datetime
    complete: bool


def of_vendor(store: Store, name: str, days: int, now: datetime) -> Record:
    """Return the record of one source for the last `days`. Raises StoreError."""
    read = _read(store, days, now)
    return record(name, read.alerts, read.since, read.until, complete=read.complete)


def of_all(store: Store, names: Iterable[str], days: int, now: datetime) -> list[Record]:
    """Return the records of the sources in their order, from one reading. Raises StoreError."""
    read = _read(store, days, now)
    return [record(name, read.alerts, read.since, read.until, complete=read.complete) for name in names]


def _read(store: Store, days: int, now: datetime) -> _Read:
    since = now - timedelta(days=days)
    open_now, all_open = read_all(store, Search(query=Query(open=True)))
    changed, all_changed = read_all(store, Search(query=Query(), since=since))
    by_key = {alert.key: alert for alert in (*open_now, *changed)}
    return _Read(tuple(by_key.values()), since, now, all_open and all_changed)
