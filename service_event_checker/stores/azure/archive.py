"""Moves what is over to the resolved table, and forgets what is old. Every step may be repeated after a crash.

The resolved table holds for each key its head (the newest episode, read by point) and a row in the list of
`azure_keys.RESOLVED` (latest change first), and one row for each episode. Links, timeline and internal ids stay in
the active table, where only reads by key find them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from azure.data.tables import TableEntity

from service_event_checker.core.model import Link
from service_event_checker.stores import codec
from service_event_checker.stores.azure import client, keys, rows
from service_event_checker.stores.azure.client import Raced, Table, etag_of


def archive(active: Table, resolved: Table, partition: str, limit: int, op: str) -> int:
    """Archive at most `limit` alerts of a partition that are over and have no waiting deliveries; return how many."""
    for past in active.scan(partition, keys.EPISODE):
        _archive_past(active, resolved, past)  # what of it still waits finds it there
    busy = {lane["key"] for lane in active.scan(partition, keys.LANE, "waiting gt 0", columns=["key"])}
    over = active.scan(partition, keys.ALERT, "open eq false")
    idle = [row for row in over if row["key"] not in busy][:limit]
    return sum(_archive_alert(active, resolved, row, op) for row in idle)


def retain(active: Table, resolved: Table, partition: str, before_micros: int) -> int:
    """Forget archived episodes that ended earlier, but for the newest of each key; return how many."""
    wanted = {"before": keys.sortable(before_micros)}
    old = resolved.scan(partition, keys.EPISODE, "ended_at lt @before", wanted, columns=["key", "episode"])
    pending = {lane["key"] for lane in active.scan(partition, keys.LANE, "waiting gt 0", columns=["key"])}
    idle = (row for row in old if row["key"] not in pending)
    past = [row for row in idle if row["episode"] < _newest_episode(active, resolved, partition, row["key"])]
    for row in past:
        _forget(active, partition, row["key"], row["episode"])
        with suppress(Raced):
            resolved.write([client.delete(row, etag_of(row))])
    return len(past)


def _archive_past(active: Table, resolved: Table, past: TableEntity) -> None:
    resolved.write([client.upsert(_episode(past))])
    with suppress(Raced):
        active.write([client.delete(past, etag_of(past))])


def _archive_alert(active: Table, resolved: Table, row: TableEntity, op: str) -> bool:
    """Copy an alert to the resolved table, then delete its row if it is still the same."""
    alert = rows.load_alert(row)
    place = keys.resolved_row(codec.micros(alert.updated_at), alert.key)
    resolved.write([client.upsert(_episode(row))])
    try:
        stale = _put_head(resolved, row, place)
        if stale != place:
            _drop(resolved, keys.RESOLVED, stale)
        resolved.write([client.upsert(rows.moved(row, place, partition=keys.RESOLVED))])
        archived = rows.known_entity(alert.key, op, alert.revision)
        active.write([client.delete(row, etag_of(row)), client.upsert(archived)])
    except Raced:
        return False  # somebody changed the alert, or archives it too
    return True


def _put_head(resolved: Table, row: TableEntity, place: str) -> str:
    """Write the key's head; return the key of the list row that it had before, or "".

    The head remembers that key, so that a run after a crash can still delete the row.
    """
    head = resolved.get(row["PartitionKey"], row["RowKey"])
    if head is None:
        resolved.write([client.create(rows.moved(row, row["RowKey"], place=place, stale=""))])
        return ""
    stale = str(head["place"] if head["place"] != place else head["stale"])
    moved = rows.moved(row, row["RowKey"], place=place, stale=stale)
    resolved.write([client.update(moved, etag_of(head))])
    return stale


def _drop(table: Table, partition: str, row_key: str) -> None:
    row = table.get(partition, row_key) if row_key else None
    if row is not None:
        with suppress(Raced):
            table.write([client.delete(row, etag_of(row))])


def _episode(row: TableEntity) -> dict[str, Any]:
    alert = rows.load_alert(row)
    ended_at = keys.sortable(rows.ended_micros(alert))
    return rows.moved(row, keys.episode_row(alert.key, alert.episode), ended_at=ended_at)


def _newest_episode(active: Table, resolved: Table, partition: str, key: str) -> int:
    row = active.get(partition, keys.alert_row(key)) or resolved.get(partition, keys.alert_row(key))
    return int(row["episode"]) if row else 0


def _forget(active: Table, partition: str, key: str, episode: int) -> None:
    """Delete an episode's links, timeline and failed deliveries."""
    links = active.scan(partition, keys.LINK + key)
    kept = {_target(rows.text_of(row)) for row in links if row["episode"] != episode}
    for row in links:
        target = _target(rows.text_of(row))
        if row["episode"] == episode and target not in kept:
            _drop(active, keys.pointer_partition(*target), keys.digest(*target) + key)
    times = active.scan(partition, keys.TIMELINE + key, "episode eq @episode", {"episode": episode})
    dead = active.scan(partition, keys.DEAD + key, "episode eq @episode", {"episode": episode})
    gone = [row for row in (*links, *times, *dead) if row["episode"] == episode]
    for start in range(0, len(gone), keys.ENTITIES_MAX):
        chunk = gone[start : start + keys.ENTITIES_MAX]
        with suppress(Raced):
            active.write([client.delete(row, etag_of(row)) for row in chunk])


def _target(text: str) -> tuple[str, str]:
    link: Link = codec.load_link(text)
    return link.receiver, link.external_id
