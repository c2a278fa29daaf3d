"""Walks through what changed in a window: episodes with their timelines, a page of keys at a time.

A partition holds the keys of one first digit, so partition after partition is the order of keys.
"""

from __future__ import annotations

from datetime import datetime

from azure.data.tables import TableEntity

from service_event_checker.core.store import Recorded, RecordedPage
from service_event_checker.core.timeline import Row
from service_event_checker.stores import codec
from service_event_checker.stores.azure import keys
from service_event_checker.stores.azure import rows as azure_rows
from service_event_checker.stores.azure.client import Table, Tables

_CHANGED = "updated_at ge @since"


def page(tables: Tables, active: Table, resolved: Table, since: datetime, limit: int, cursor: str) -> RecordedPage:
    """Return the episodes of the next keys; `cursor` is the last key before."""
    at = codec.micros(since)
    heads: dict[str, TableEntity] = {}
    for place in keys.PARTITIONS:
        if len(heads) > limit:
            break
        if place >= cursor[:1]:
            heads |= _heads(active, resolved, place, at, limit + 1 - len(heads), cursor)
    wanted = sorted(heads)[:limit]
    found = tables.each(lambda key: _episodes(active, resolved, heads[key], at), wanted)
    episodes = tuple(each for part in found for each in part)
    return RecordedPage(episodes=episodes, cursor=wanted[-1] if len(heads) > limit else "")


def _heads(active: Table, resolved: Table, place: str, at: int, limit: int, cursor: str) -> dict[str, TableEntity]:
    """Return the newest episodes of a partition's next keys, by key; a key that is active again is told from there."""
    beyond = keys.alert_row(cursor) if cursor[:1] == place else ""
    values = {"since": keys.sortable(at)}
    old = resolved.scan(place, keys.ALERT, _CHANGED, values, top=limit, beyond=beyond)
    new = active.scan(place, keys.ALERT, f"( open eq true or {_CHANGED} )", values, top=limit, beyond=beyond)
    found = {str(row["key"]): row for row in (*old, *new)}
    return {key: found[key] for key in sorted(found)[:limit]}


def _episodes(active: Table, resolved: Table, head: TableEntity, at: int) -> list[Recorded]:
    newest = azure_rows.load_alert(head)
    place, key = keys.partition(newest.key), newest.key
    rows = [row for table in (resolved, active) for row in table.scan(place, keys.EPISODE + key)]
    past = {alert.episode: alert for alert in map(azure_rows.load_alert, rows) if alert.episode < newest.episode}
    kept = {number: alert for number, alert in past.items() if azure_rows.ended_micros(alert) >= at}
    kept[newest.episode] = newest
    first = {"first": min(kept)}
    commits = active.scan(place, keys.TIMELINE + key, "episode ge @first", first)[::-1]
    told = active.scan(place, keys.OUTCOME + key, "episode ge @first", first)
    return [
        Recorded(
            alert=kept[number],
            commits=tuple(_row(row, keys.timeline_revision(row["RowKey"])) for row in commits if _is(row, number)),
            outcomes=tuple(
                sorted(
                    (_row(row, keys.outcome_revision(row["RowKey"])) for row in told if _is(row, number)),
                    key=lambda each: (each[1][0].at, each[0]),
                )
            ),
        )
        for number in sorted(kept)
    ]


def _is(row: TableEntity, episode: int) -> bool:
    return bool(row["episode"] == episode)


def _row(row: TableEntity, revision: int) -> Row:
    return revision, codec.load_transitions(azure_rows.text_of(row))
