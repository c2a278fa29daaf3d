"""What was put aside, in the active table of Azure Tables: a partition for each shelf, a row for each thing.

A shelf is kept short by `trim`, so that one scan of its small columns can say which rows are the newest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from azure.data.tables import TableEntity

from service_event_checker.core.model import Kept
from service_event_checker.stores import codec
from service_event_checker.stores.azure import client, keys
from service_event_checker.stores.azure import rows as azure_rows
from service_event_checker.stores.azure.client import Raced, Table, Tables, etag_of


def keep(tables: Tables, active: Table, things: Iterable[Kept]) -> None:
    rows = {(thing.shelf, thing.id): azure_rows.kept_entity(thing) for thing in things}  # of one thing the last
    tables.each(lambda row: active.write([client.upsert(row)]), rows.values())


def newest(active: Table, shelf: str, source: str, limit: int) -> list[Kept]:
    """Return the newest things of a shelf; only those are read whole."""
    where, values = ("source eq @source", {"source": source}) if source else ("", {})
    place = keys.shelf_partition(shelf)
    found = sorted((row["at"] for row in active.scan(place, "", where, values, columns=["at"])), reverse=True)[:limit]
    if not found:
        return []
    where = f"{where} and at ge @oldest" if where else "at ge @oldest"
    rows = active.scan(place, "", where, {**values, "oldest": found[-1]})
    things = sorted(map(azure_rows.load_kept, rows), key=lambda thing: (thing.at, thing.id), reverse=True)
    return things[:limit]


def remove(active: Table, shelf: str, id: str) -> bool:
    """Delete one thing, whatever was put in its place meanwhile; False if there is none."""
    place: dict[str, Any] = {"PartitionKey": keys.shelf_partition(shelf), "RowKey": keys.digest(id)}
    try:
        active.write([client.delete(place, client.ANY)])
    except Raced:
        return False
    return True


def trim(active: Table, shelf: str, before: datetime, per_source: int) -> int:
    """Delete what is old or beyond its source's share; what is put anew meanwhile stays. Return how many went."""
    rows = active.scan(keys.shelf_partition(shelf), columns=["id", "source", "at"])
    stale = _stale(rows, keys.sortable(codec.micros(before)), per_source)
    chunks = (stale[start : start + keys.ENTITIES_MAX] for start in range(0, len(stale), keys.ENTITIES_MAX))
    return sum(_drop(active, chunk) for chunk in chunks)


def _stale(rows: Iterable[TableEntity], before: str, per_source: int) -> list[TableEntity]:
    seen: Counter[str] = Counter()
    stale = []
    for row in sorted(rows, key=lambda row: (row["at"], row["id"]), reverse=True):
        seen[row["source"]] += 1
        if row["at"] < before or seen[row["source"]] > per_source:
            stale.append(row)
    return stale


def _drop(active: Table, rows: list[TableEntity]) -> int:
    """Delete all of the rows; none when one of them was changed, then the next trim does it."""
    try:
        active.write([client.delete(row, etag_of(row)) for row in rows])
    except Raced:
        return 0
    return len(rows)
