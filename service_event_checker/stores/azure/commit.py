"""Commits many alerts to Azure Tables: reads what each write builds upon, packs, sends, and tries again alone.

A commit never waits for another: what somebody changed meanwhile is read and decided again a few times.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from service_event_checker.core.ids import internal_code
from service_event_checker.core.store import Conflict, Done, IdTaken, Write
from service_event_checker.stores.azure import client, keys
from service_event_checker.stores.azure import rows as azure_rows
from service_event_checker.stores.azure.client import EntityChange, Raced, Table, Tables
from service_event_checker.stores.azure.draft import Draft, Picture, receivers_of
from service_event_checker.stores.azure.keys import partition
from service_event_checker.stores.azure.rows import StoredLane

TRIES = 10  # of a write whose rows others keep changing

Written = Done | Conflict | IdTaken


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A write of a commit on its way: its place in the answer, its mark, its rows, and what comes of it.

    `done` is the answer when the rows are written, `result` the answer when it is known.
    """

    place: int
    write: Write
    op: str
    changes: tuple[EntityChange, ...] = ()
    done: Done | None = None
    result: Written | None = None


def commit(tables: Tables, active: Table, writes: Sequence[Write], now: datetime) -> list[Written]:
    """Write all, each alert on its own; results in order."""
    results: dict[int, Written] = {}
    for wave in _waves(writes):
        tried = tables.each(lambda attempt: _draft(active, attempt, now), wave)
        results |= {attempt.place: attempt.result for attempt in tried if attempt.result}
        packed = _packed(attempt for attempt in tried if attempt.result is None)
        for group in tables.each(lambda group: _send(active, group, now), packed):
            results |= {attempt.place: attempt.result for attempt in group if attempt.result}
    return [results[place] for place in range(len(writes))]


def read_lanes(active: Table, key: str, receivers: Sequence[str]) -> dict[str, StoredLane]:
    if len(receivers) == 1:
        row = active.get(partition(key), keys.lane_row(key, receivers[0]))
        rows = [row] if row else []
    else:
        rows = active.scan(partition(key), keys.LANE + key) if receivers else []
    return {row["receiver"]: azure_rows.load_lane(row) for row in rows}


def read_picture(active: Table, key: str, receivers: Sequence[str], write: Write | None, *, again: bool) -> Picture:
    """Read what a write builds upon; at its second try also what tells why the first failed."""
    if write is None:
        return Picture(lanes=read_lanes(active, key, receivers))
    new = write.alert.revision == 0
    if new and not again:
        return Picture()
    place, code = partition(key), internal_code(write.alert.internal_id)
    done = keys.timeline_row(key, write.alert.revision + 1)
    alert = active.get(place, keys.alert_row(key))
    return Picture(
        alert=alert,
        known=active.get(place, keys.known_row(key)) if alert is None else None,
        internal_id=active.get(place, keys.internal_id_row(code)) if again else None,
        timeline=active.get(place, done) if again else None,
        lanes=read_lanes(active, key, receivers),
    )


def new_op() -> str:
    """Return a mark for one write, to know it again when its answer was lost."""
    return uuid.uuid4().hex


def _waves(writes: Sequence[Write]) -> Iterator[list[_Attempt]]:
    """Yield the writes such that no key comes twice at once; a key's writes keep their order."""
    waves: list[list[_Attempt]] = []
    seen: dict[str, int] = {}
    for place, write in enumerate(writes):
        turn = seen.get(write.alert.key, 0)
        seen[write.alert.key] = turn + 1
        if turn == len(waves):
            waves.append([])
        waves[turn].append(_Attempt(place, write, new_op()))
    yield from waves


def _draft(active: Table, attempt: _Attempt, now: datetime, *, again: bool = False) -> _Attempt:
    """Return the attempt with what is to be written, or with its result where that is known already."""
    key = attempt.write.alert.key
    picture = read_picture(active, key, tuple(receivers_of(attempt.write)), attempt.write, again=again)
    if again and picture.shows(attempt.op):
        return replace(attempt, result=attempt.done)
    draft = Draft(key, picture, attempt.op)
    refusal = draft.write(attempt.write, now)
    done = Done(draft.stored or attempt.write.alert)
    return replace(attempt, changes=tuple(draft.changes()), done=done, result=refusal)


def _packed(attempts: Iterable[_Attempt]) -> list[list[_Attempt]]:
    """Put alerts of one partition together as long as they fit one transaction."""
    groups: dict[str, list[list[_Attempt]]] = {}
    for attempt in attempts:
        place = groups.setdefault(partition(attempt.write.alert.key), [[]])
        if client.fits([change for other in (*place[-1], attempt) for change in other.changes]):
            place[-1].append(attempt)
        else:
            place.append([attempt])
    return [group for place in groups.values() for group in place if group]


def _send(active: Table, group: Sequence[_Attempt], now: datetime) -> list[_Attempt]:
    """Write alerts of a partition at once; when that fails each alone, so that a conflict is one alert's."""
    try:
        active.write([change for attempt in group for change in attempt.changes])
    except Raced:
        return [_send_again(active, attempt, now) for attempt in group]
    return [replace(attempt, result=attempt.done) for attempt in group]


def _send_again(active: Table, attempt: _Attempt, now: datetime) -> _Attempt:
    for _ in range(TRIES):
        attempt = _draft(active, attempt, now, again=True)
        if attempt.result:
            return attempt
        try:
            active.write(attempt.changes)
        except Raced:
            continue
        return replace(attempt, result=attempt.done)
    return replace(attempt, result=Conflict(attempt.write.alert.key))
