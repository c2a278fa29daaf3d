"""Walks through what changed in a window: episodes with their timelines, a page of keys at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, or_, select

from service_event_checker.core.store import Recorded, RecordedPage
from service_event_checker.core.timeline import Row
from service_event_checker.stores import codec
from service_event_checker.stores.sql import driver, prepared
from service_event_checker.stores.sql.tables import alerts, episodes, outcomes, timeline

_HEADS = select(alerts.c.key, alerts.c.episode, alerts.c.doc)
_PAST = select(episodes.c.key, episodes.c.episode, episodes.c.ended_at, episodes.c.doc)
_COMMITS = select(timeline.c.key, timeline.c.episode, timeline.c.revision, timeline.c.doc)
_OUTCOMES = select(outcomes.c.key, outcomes.c.episode, outcomes.c.revision, outcomes.c.doc, outcomes.c.at)

Rows = dict[tuple[str, int], list[Row]]


def page(connection: Connection, since: datetime, limit: int, cursor: str) -> RecordedPage:
    """Return the episodes of the next keys; `cursor` is the last key before."""
    at = codec.micros(since)
    changed = _HEADS.where(alerts.c.key > cursor, or_(alerts.c.open.is_(True), alerts.c.updated_at >= at))
    heads = connection.execute(changed.order_by(alerts.c.key).limit(limit + 1)).all()
    direct = driver.of(connection)
    more, heads = len(heads) > limit, heads[:limit]
    keys = [row.key for row in heads]
    newest = {row.key: row.episode for row in heads}
    docs = {(row.key, row.episode): row.doc for row in heads}
    for key, episode, ended_at, doc in prepared.read(direct, _PAST, episodes.c.key, keys):
        if ended_at >= at and episode < newest[key]:
            docs[key, episode] = doc
    commits, told = Rows(), Rows()
    rows = sorted(prepared.read(direct, _COMMITS, timeline.c.key, keys), key=lambda row: (row[0], row[2]))
    for key, episode, revision, doc in rows:
        _add(commits, docs, (key, episode), revision, doc)
    ends = sorted(prepared.read(direct, _OUTCOMES, outcomes.c.key, keys), key=lambda row: (row[0], row[4], row[2]))
    for key, episode, revision, doc, _ in ends:
        _add(told, docs, (key, episode), revision, doc)
    found = tuple(
        Recorded(
            alert=codec.load_alert(docs[place]),
            commits=tuple(commits.get(place, ())),
            outcomes=tuple(told.get(place, ())),
        )
        for place in sorted(docs)
    )
    return RecordedPage(episodes=found, cursor=keys[-1] if more else "")


def _add(rows: Rows, docs: dict[tuple[str, int], str], place: tuple[str, int], revision: int, doc: str) -> None:
    if place in docs:
        rows.setdefault(place, []).append((revision, codec.load_transitions(doc)))
