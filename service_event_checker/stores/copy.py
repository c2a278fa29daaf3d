"""Copies all that one store holds to another one, of whatever kind, and proves that it arrived.

No app may work on either. It may be interrupted and repeated: what is there already is not written again, and what
the source no longer holds is deleted, but only in a target whose content came from the same source.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from service_event_checker.core.errors import OutageCheckerError
from service_event_checker.core.roles import Store
from service_event_checker.engine.heartbeat import HEARTBEAT_SETTING
from service_event_checker.stores.records import COPIED_FROM, History, Others, Side

BATCH = 100  # keys that are read and written together


class CopyRefused(OutageCheckerError):
    """The copy was not begun, or stopped; the text says why and what to do. The source is never changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What both stores hold now, by kind; `written` and `dropped`: alerts that this run changed in the target."""

    held: dict[str, int]
    checksum: str
    written: int
    dropped: int


def copy(source: Store, target: Store, progress: Callable[[int, int], None] = lambda done, total: None) -> Report:
    """Make a prepared target hold what a prepared source holds. Raises CopyRefused and StoreError.

    `progress` is told how many alerts of how many are done.
    """
    here, there = side_of(source), side_of(target)
    others, known = here.others(), there.keys()
    _demand_free(here, there, known, others, target)
    _mark(target, here, others, complete=False)
    wanted = here.keys()
    gone = sorted(set(known) - set(wanted))
    for batch in _batches(gone):
        there.drop(batch)
    written = 0
    for done, batch in enumerate(_batches(wanted)):
        progress(done * BATCH, len(wanted))
        written += _copy_some(here, there, batch, set(known))
    there.write_others(others)
    held, checksum = _verified(here, there)
    _mark(target, here, others, complete=True)
    return Report(held=held, checksum=checksum, written=written, dropped=len(gone))


def side_of(store: Store) -> Side:
    """Return a store as one end of a copy."""
    from service_event_checker.stores.sql.store import SqlStore

    if isinstance(store, SqlStore):
        from service_event_checker.stores.sql.copy import SqlSide

        return SqlSide(store)
    from service_event_checker.stores.azure.copy import AzureSide
    from service_event_checker.stores.azure.store import AzureTablesStore

    if isinstance(store, AzureTablesStore):
        return AzureSide(store)
    raise TypeError(f"{type(store).__name__} cannot be copied")


def _copy_some(here: Side, there: Side, batch: Sequence[str], known: set[str]) -> int:
    """Write those of the keys that differ; return how many."""
    before = {one.key: one for one in there.read([key for key in batch if key in known])}
    differing = [each for each in here.read(batch) if before.get(each.key) != there.as_stored(each)]
    for each in differing:
        old = before.get(each.key)
        if old and old.newest.revision > each.newest.revision:
            raise CopyRefused(
                f"alert {old.newest.internal_id} was changed in TO since it was copied: nothing is lost there"
            )
    if differing:
        there.write(differing)
    return len(differing)


def _demand_free(here: Side, there: Side, known: Sequence[str], others: Others, target: Store) -> None:
    """Raise CopyRefused unless the target is empty or holds an earlier copy of this source that no app has changed."""
    if here.identity() == there.identity():
        raise CopyRefused("FROM and TO are the same store")
    mark = _marked(target)
    if mark is None:
        if known or not there.others().empty:
            raise CopyRefused("TO holds other data. Name an empty database, or empty tables")
        return
    if mark.get("from") != _digest(here):
        raise CopyRefused("TO holds a copy of another store. Name an empty database, or empty tables")
    beat = there.others().settings.get(HEARTBEAT_SETTING)
    if beat not in (None, mark.get("heartbeat"), others.settings.get(HEARTBEAT_SETTING)):
        raise CopyRefused("the app has worked on TO since the last copy, which a repeated copy would undo")


def _mark(target: Store, here: Side, others: Others, *, complete: bool) -> None:
    mark = {"from": _digest(here), "heartbeat": others.settings.get(HEARTBEAT_SETTING), "complete": complete}
    target.set_setting(COPIED_FROM, json.dumps(mark))


def _marked(target: Store) -> dict[str, Any] | None:
    text = target.setting(COPIED_FROM)
    found = json.loads(text) if text else None
    return found if isinstance(found, dict) else None


def _digest(side: Side) -> str:
    return hashlib.sha256(side.identity().encode()).hexdigest()


def _verified(here: Side, there: Side) -> tuple[dict[str, int], str]:
    """Read both again; return what they hold, with the checksum of it. Raises CopyRefused where they differ."""
    keys = here.keys()
    if there.keys() != keys or there.others() != here.others():
        raise _differ("the list of alerts, or the settings")
    held, checksum = dict.fromkeys(_COUNTED, 0), hashlib.sha256()
    for batch in _batches(keys):
        ours, theirs = [there.as_stored(one) for one in here.read(batch)], there.read(batch)
        for one, other in zip(ours, theirs, strict=True):
            found = other.checksum()
            if one.checksum() != found:
                raise _differ(f"alert {one.newest.internal_id}")
            checksum.update(found)
            for name, count in _COUNTED.items():
                held[name] += count(other)
    others = there.others()
    held |= {"settings": len(others.settings), "slots": len(others.slots), "held items": len(others.held)}
    held["silences"] = len(others.silences)
    held["audit rows"] = len(others.audit)
    return held, checksum.hexdigest()


_COUNTED: dict[str, Callable[[History], int]] = {
    "alerts": lambda one: 1,
    "past episodes": lambda one: len(one.past),
    "timeline rows": lambda one: len(one.timeline),
    "outcomes": lambda one: len(one.outcomes),
    "waiting deliveries": lambda one: sum(len(each.waiting) for each in one.lanes),
    "failed deliveries": lambda one: len(one.failed),
    "links": lambda one: len(one.links),
    "internal ids": lambda one: len(one.ids),
}


def _differ(what: str) -> CopyRefused:
    return CopyRefused(f"the stores differ after the copy: {what}. Make sure that no app works on them, and try again")


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[start : start + BATCH] for start in range(0, len(keys), BATCH))
