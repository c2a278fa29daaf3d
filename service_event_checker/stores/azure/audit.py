"""The audit in the active table of Azure Tables: one partition, in which a row of its own says which one is the last.

A row and that head are written in one transaction, guarded by the head's ETag.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from azure.data.tables import TableEntity

from service_event_checker.core.audit import Anchor, AuditRow, chained
from service_event_checker.core.errors import StoreConflict
from service_event_checker.stores.azure import client, keys
from service_event_checker.stores.azure import rows as azure_rows
from service_event_checker.stores.azure.client import Raced, Table, etag_of
from service_event_checker.stores.azure.commit import new_op

TRIES = 50  # of each try one process gets through; threads of one process wait for each other


class AzureAudit:
    """See `core.roles.Audit`."""

    def __init__(self, active: Table) -> None:
        self._active = active
        self._turn = threading.Lock()

    def append(self, actor: str, what: Mapping[str, Any], now: datetime) -> AuditRow:
        op = new_op()
        with self._turn:
            for _ in range(TRIES):
                stored = self._active.get(keys.AUDIT, keys.AUDIT_HEAD)
                row = chained(_anchor(stored) if stored else self._newest(), actor, what, now)
                if self._appended(row, stored, op):
                    return row
        raise StoreConflict("the audit is changed by others all the time")

    def list(self, *, after: int = 0, limit: int = 200) -> Sequence[AuditRow]:
        if limit < 1:
            return []
        found = self._active.scan(keys.AUDIT, keys.AUDIT_ROW, top=limit, beyond=keys.audit_row(after))
        return [azure_rows.load_audit(row) for row in found]

    def head(self) -> Anchor | None:
        stored = self._active.get(keys.AUDIT, keys.AUDIT_HEAD)
        return _anchor(stored) if stored else self._newest()

    def drop(self, through: int) -> None:
        while True:  # oldest first, so that a cut leaves no gap
            found = self._active.scan(keys.AUDIT, keys.AUDIT_ROW, columns=["op"], top=keys.ENTITIES_MAX)
            old = [row for row in found if row["RowKey"] <= keys.audit_row(through)]
            if not old:
                return
            self._delete(old)

    def _delete(self, old: Sequence[TableEntity]) -> None:
        try:
            self._active.write([client.delete(row, client.ANY) for row in old])
        except Raced:
            return  # another process deletes them, too

    def _appended(self, row: AuditRow, head: TableEntity | None, op: str) -> bool:
        """Write a row as the new head; False when somebody was faster, not when our own first try was."""
        new_head = azure_rows.audit_head_entity(row.anchor, op)
        moved = client.update(new_head, etag_of(head)) if head else client.create(new_head)
        try:
            self._active.write([client.create(azure_rows.audit_entity(row, op)), moved])
        except Raced:
            there = self._active.get(keys.AUDIT, keys.audit_row(row.number))
            return there is not None and there["op"] == op
        return True

    def _newest(self) -> Anchor | None:
        """Return the last row that is there; for the first row, and if somebody deleted the head."""
        rows = self._active.scan(keys.AUDIT, keys.AUDIT_ROW, columns=["hash"])
        return Anchor(azure_rows.audit_number(rows[-1]), rows[-1]["hash"]) if rows else None


def _anchor(head: TableEntity) -> Anchor:
    return Anchor(head["number"], head["hash"])
