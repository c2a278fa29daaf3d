"""The holding area in the active table of Azure Tables: a partition for each area, a row for each item.

An area is kept short by `prune`, so that one scan of its small columns can say which rows are the newest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from azure.data.tables import TableEntity

from service_event_checker.core.model import HeldItem
from service_event_checker.stores import codec
from service_event_checker.stores.azure import client, keys
from service_event_checker.stores.azure import rows as azure_rows
from service_event_checker.stores.azure.client import Raced, Table, Tables, etag_of


class AzureHoldingArea:
    """See `core.roles.HoldingArea`."""

    def __init__(self, tables: Tables, active: Table) -> None:
        self._tables, self._active = tables, active

    def put(self, items: Iterable[HeldItem]) -> None:
        rows = {(item.area, item.id): azure_rows.held_entity(item) for item in items}  # of one item the last
        self._tables.each(lambda row: self._active.write([client.upsert(row)]), rows.values())

    def add(self, item: HeldItem) -> bool:
        row = azure_rows.held_entity(item)
        try:
            self._active.write([client.create(row)])
        except Raced:
            held = self._active.get(row["PartitionKey"], row["RowKey"])
            return held is not None and azure_rows.load_held(held).doc == item.doc
        return True

    def list(self, area: str, *, source: str = "", limit: int = 200) -> Sequence[HeldItem]:
        where, values = ("source eq @source", {"source": source}) if source else ("", {})
        place = keys.area_partition(area)
        rows = self._active.scan(place, "", where, values, columns=["at"])
        newest = sorted((row["at"] for row in rows), reverse=True)[:limit]
        if not newest:
            return []
        where = f"{where} and at ge @oldest" if where else "at ge @oldest"  # only the newest are read whole
        rows = self._active.scan(place, "", where, {**values, "oldest": newest[-1]})
        items = sorted(map(azure_rows.load_held, rows), key=lambda item: (item.at, item.id), reverse=True)
        return items[:limit]

    def remove(self, area: str, id: str) -> bool:
        """Delete one item, whatever was put in its place meanwhile."""
        place: dict[str, Any] = {"PartitionKey": keys.area_partition(area), "RowKey": keys.digest(id)}
        try:
            self._active.write([client.delete(place, client.ANY)])
        except Raced:
            return False
        return True

    def prune(self, area: str, *, before: datetime, per_source: int) -> int:
        """What is put anew meanwhile stays."""
        rows = self._active.scan(keys.area_partition(area), columns=["id", "source", "at"])
        stale = _stale(rows, keys.sortable(codec.micros(before)), per_source)
        chunks = (stale[start : start + keys.ENTITIES_MAX] for start in range(0, len(stale), keys.ENTITIES_MAX))
        return sum(_drop(self._active, chunk) for chunk in chunks)


def _stale(rows: Iterable[TableEntity], before: str, per_source: int) -> list[TableEntity]:
    seen: Counter[str] = Counter()
    stale = []
    for row in sorted(rows, key=lambda row: (row["at"], row["id"]), reverse=True):
        seen[row["source"]] += 1
        if row["at"] < before or seen[row["source"]] > per_source:
            stale.append(row)
    return stale


def _drop(active: Table, rows: list[TableEntity]) -> int:
    """Delete all of the rows; none when one of them was changed, then the next prune does it."""
    try:
        active.write([client.delete(row, etag_of(row)) for row in rows])
    except Raced:
        return 0
    return len(rows)
