"""The silences in the active table of Azure Tables: one partition, read again when what was read is older than 2 s."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from time import monotonic

from service_event_checker.core.replacing import replace
from service_event_checker.core.silences import Silence
from service_event_checker.stores import codec
from service_event_checker.stores.azure import client, keys
from service_event_checker.stores.azure import rows as azure_rows
from service_event_checker.stores.azure.client import Raced, Table, etag_of
from service_event_checker.stores.azure.commit import TRIES, new_op

KNOWN_FOR = 2.0  # seconds


class AzureSilences:
    """See `core.roles.Silences`. `clock` counts seconds."""

    def __init__(self, active: Table, clock: Callable[[], float] = monotonic) -> None:
        self._active, self._clock = active, clock
        self._known: tuple[float, Sequence[Silence]] | None = None  # replaced as a whole, so it needs no lock

    def live(self, now: datetime) -> Sequence[Silence]:
        known = self._known
        if known is None or self._clock() - known[0] >= KNOWN_FOR:
            read_at = self._clock()
            rows = self._active.scan(keys.SILENCES, "", "ends_at gt @now", {"now": _at(now)})
            known = self._known = (read_at, tuple(map(azure_rows.load_silence, rows)))
        return known[1]

    def list(self, limit: int = 1000) -> Sequence[Silence]:
        found = map(azure_rows.load_silence, self._active.scan(keys.SILENCES))
        return sorted(found, key=lambda each: (each.ends_at, each.id), reverse=True)[:limit]

    def get(self, id: str) -> Silence | None:
        row = self._active.get(keys.SILENCES, id) if id.isascii() and id.replace("-", "").isalnum() else None
        return azure_rows.load_silence(row) if row else None

    def put(self, silence: Silence) -> Silence | None:
        stored, op = replace(silence, revision=silence.revision + 1), new_op()
        for _ in range(TRIES):  # a hit that is counted meanwhile changes the row also
            held = self._active.get(keys.SILENCES, silence.id)
            if held is not None and held["op"] == op:
                return stored  # the answer to our own write was lost
            if (held["revision"] if held else 0) != silence.revision:
                return None
            row = azure_rows.silence_entity(replace(stored, hits=held["hits"] if held else 0), op)
            with suppress(Raced):
                self._active.write([client.update(row, etag_of(held)) if held else client.create(row)])
                self._known = None
                return stored
        return None

    def prune(self, before: datetime) -> int:
        rows = self._active.scan(keys.SILENCES, "", "ends_at lt @before", {"before": _at(before)}, columns=["op"])
        gone = 0
        for row in rows:
            with suppress(Raced):  # changed meanwhile, or another process prunes also
                self._active.write([client.delete(row, etag_of(row))])
                gone += 1
        return gone

    def count_hit(self, id: str, more: int) -> None:
        """Add hits to one silence; one that is not stored has none. Not counted where others write all the time."""
        for _ in range(TRIES):
            held = self._active.get(keys.SILENCES, id)
            if held is None:
                return
            row = {**held, "hits": held["hits"] + more, "op": new_op()}
            with suppress(Raced):
                self._active.write([client.update(row, etag_of(held))])
                return


def _at(at: datetime) -> str:
    return keys.sortable(codec.micros(at))
