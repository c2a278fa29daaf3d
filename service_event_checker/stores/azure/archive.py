"""Moves what is over to the resolved table, and forgets what is old. Every step may be repeated after a crash.

The resolved table holds for each key its head (the newest episode, read by point) and a row in the list of
`azure_keys.RESOLVED` (latest change first), and one row for each episode. Links, timeline and internal ids stay in
the active table, where only reads by key find them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from azure.data.tables import TableEntity

from service_event_checker.core import timeline as timeline_rules
from service_event_checker.core.ids import internal_code
from service_event_checker.core.model import Link
from service_event_checker.stores import codec
from service_event_checker.stores.azure import client, keys, rows
from service_event_checker.stores.azure.client import Raced, Table, etag_of


def archive(active: Table, resolved: Table, partition: str, limit: int, op: str) -> int:
    """Archive at most `limit` alerts of a partition that are over and wait for nothing; return how many."""
    for past in active.scan(partition, keys.EPISODE):
        _archive_past(active, resolved, past)  # what of it still waits finds it there
    busy = {lane["key"] for lane in active.scan(partition, keys.LANE, "waiting gt 0", columns=["key"])}
    over = active.scan(partition, keys.ALERT, "open eq false and withheld eq false")
    idle = [row for row in over if row["key"] not in busy][:limit]
    return sum(_archive_alert(active, resolved, row, op) for row in idle)


def retain(active: Table, resolved: Table, partition: str, before_micros: int) -> int:
    """Forget archived episodes that ended earlier, with the newest all that is known of its key; return how many."""
    wanted = {"before": keys.sortable(before_micros)}
    old = resolved.scan(partition, keys.EPISODE, "ended_at lt @before", wanted, columns=["key", "episode"])
    pending = {lane["key"] for lane in active.scan(partition, keys.LANE, "waiting gt 0", columns=["key"])}
    idle = (row for row in old if row["key"] not in pending)
    return sum(_retain_row(active, resolved, partition, row) for row in idle)


def trim(active: Table, partition: str, op: str) -> int:
    """Leave out what `core.timeline` says of a partition's alerts that are not archived; return of how many."""
    where, values = "revision gt @kept", {"kept": timeline_rules.KEPT}
    busy = active.scan(partition, keys.ALERT, where, values, columns=["key", "episode"])
    return sum(_trim_one(active, partition, str(row["key"]), int(row["episode"]), op) for row in busy)


def _trim_one(active: Table, partition: str, key: str, episode: int, op: str) -> bool:
    found = active.scan(partition, keys.TIMELINE + key, "episode eq @episode", {"episode": episode})
    oldest_first = found[::-1]
    steps = [(number, codec.load_transitions(rows.text_of(row))) for number, row in enumerate(oldest_first)]
    changes = [
        client.update(rows.timeline_with(oldest_first[number], kept, op), etag_of(oldest_first[number]))
        if kept
        else client.delete(oldest_first[number], etag_of(oldest_first[number]))
        for number, kept in sorted(timeline_rules.trimmed(steps).items())
    ]
    for start in range(0, len(changes), keys.ENTITIES_MAX):
        with suppress(Raced):  # another process trims it, too
            active.write(changes[start : start + keys.ENTITIES_MAX])
    return bool(changes)


def _retain_row(active: Table, resolved: Table, partition: str, row: TableEntity) -> bool:
    """Forget one archived episode if it is past, or the newest of a key that is archived; its row goes last."""
    key, episode = str(row["key"]), int(row["episode"])
    newest = _newest_episode(active, resolved, partition, key)
    if episode >= newest and active.get(partition, keys.alert_row(key)) is not None:
        return False
    whole = resolved.get(partition, row["RowKey"])
    _forget(active, partition, key, episode)
    if episode >= newest and not _forget_key(active, resolved, partition, key):
        return False
    if whole is not None:
        code = internal_code(rows.load_alert(whole).internal_id)
        _drop(active, partition, keys.internal_id_row(code))
    with suppress(Raced):
        resolved.write([client.delete(row, etag_of(row))])
    return True


def _forget_key(active: Table, resolved: Table, partition: str, key: str) -> bool:
    """Delete what is known of an archived key; False when it fires again just now. Repeatable after a crash.

    The row of the key itself goes first: whoever opens the alert again changes it in the same transaction.
    """
    known = active.get(partition, keys.known_row(key))
    head = resolved.get(partition, keys.alert_row(key))
    if known is not None and head is not None and known["archived"] != rows.load_alert(head).revision:
        return False
    if known is not None:
        try:
            active.write([client.delete(known, etag_of(known))])
        except Raced:
            return False
    if head is not None:
        _drop(resolved, keys.RESOLVED, str(head["place"]))
        _drop(resolved, partition, keys.alert_row(key))
    for lane in active.scan(partition, keys.LANE + key):
        _drop(active, partition, lane["RowKey"])
    return True


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
    told = active.scan(partition, keys.outcomes_of(key, episode))
    dead = active.scan(partition, keys.DEAD + key, "episode eq @episode", {"episode": episode})
    gone = [row for row in (*links, *times, *told, *dead) if row["episode"] == episode]
    for start in range(0, len(gone), keys.ENTITIES_MAX):
        chunk = gone[start : start + keys.ENTITIES_MAX]
        with suppress(Raced):
            active.write([client.delete(row, etag_of(row)) for row in chunk])


def _target(text: str) -> tuple[str, str]:
    link: Link = codec.load_link(text)
    return link.receiver, link.external_id
