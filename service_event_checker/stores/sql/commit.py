"""Writes alerts with all that belongs to them, in a few statements for a whole message. On an open transaction.

What needs no database is made beforehand (`draft`). A write that is refused leaves no row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from service_event_checker.core import lanes as lane_rules
from service_event_checker.core.ids import internal_code
from service_event_checker.core.lanes import Lane, over_before_sent
from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.replacing import replace
from service_event_checker.core.store import Conflict, Done, IdTaken, Write
from service_event_checker.stores import codec
from service_event_checker.stores.sql import prepared
from service_event_checker.stores.sql import rows as sql_rows
from service_event_checker.stores.sql.driver import Driver
from service_event_checker.stores.sql.rows import Rows
from service_event_checker.stores.sql.silences import count_hits
from service_event_checker.stores.sql.tables import alerts, deliveries, internal_ids, lanes

LaneKey = tuple[str, str]

_REVISIONS = select(alerts.c.key, alerts.c.revision).order_by(alerts.c.key).with_for_update()
_ALERTS = select(alerts.c.key, alerts.c.doc)
_LANES = select(lanes).order_by(lanes.c.key, lanes.c.receiver).with_for_update()
# Locked: what is dropped because its create was not begun must not be begun meanwhile (`intend` locks no lane).
_WAITING = select(deliveries.c.doc).where(deliveries.c.dead.is_(False)).with_for_update()
_HOLDERS = select(internal_ids)


@dataclass(frozen=True, slots=True)
class Draft:
    """A write, and what of its rows can be said before the database is asked.

    `code`: of the internal id, "" unless an episode begins.
    """

    write: Write
    stored: Alert
    row: dict[str, Any]
    code: str
    now: datetime

    @property
    def key(self) -> str:
        return self.stored.key


def draft(write: Write, now: datetime) -> Draft:
    stored = replace(write.alert, revision=write.alert.revision + 1)
    opening = any(transition.why.opens for transition in write.transitions)
    code = internal_code(stored.internal_id) if opening else ""
    return Draft(write, stored, sql_rows.alert_row(stored), code, now)


def write_all(driver: Driver, drafts: Sequence[Draft], *, trusting: bool = False) -> list[Done | Conflict | IdTaken]:
    """Write all that can be written, and say what of each came.

    `trusting`: of what is new to its writer, nobody looks whether it is new to the database. Where it is not, the
    database refuses all.

    Rows are locked in the order lane, alert, delivery, and by key, so that two writers never wait in a circle.
    """
    changing = [each for each in drafts if each.write.alert.revision]
    queues = _queues(driver, [each.key for each in changing if each.write.deliveries])
    asked = changing if trusting else drafts
    revisions = dict(prepared.read(driver, _REVISIONS, alerts.c.key, [each.key for each in asked]))
    previous = dict(prepared.read(driver, _ALERTS, alerts.c.key, [each.key for each in changing if each.code]))
    holders = _holders(driver, [each.code for each in drafts if each.code])
    known = frozenset(holders)  # also ids of episodes that were forgotten with their key
    rows, results = Rows(), list[Done | Conflict | IdTaken]()
    for each in drafts:
        if revisions.get(each.key, 0) != each.write.alert.revision:
            results.append(Conflict(each.key))
        elif each.code and holders.setdefault(each.code, _episode(each)) != _episode(each):
            results.append(IdTaken(each.key))
        else:
            if each.key in previous:  # the episode that the new one follows: its last deliveries may still wait
                rows.add_episode(codec.load_alert(previous[each.key]))
            _add(rows, each, queues, new_id=bool(each.code) and each.code not in known)
            revisions[each.key] = each.stored.revision
            results.append(Done(each.stored))
    rows.write(driver)
    done = zip(drafts, results, strict=True)
    hits = Counter(each.write.silenced_by for each, result in done if isinstance(result, Done))
    del hits[""]
    count_hits(driver, hits)  # last: what everybody waits for is locked for the shortest time
    return results


def _add(rows: Rows, each: Draft, queues: dict[LaneKey, tuple[Lane, list[Delivery]]], *, new_id: bool) -> None:
    write, stored = each.write, each.stored
    rows.add_alert(each.row, new=not write.alert.revision)
    if stored.groups:
        rows.add_membership(stored)
    if new_id:
        rows.add_id(each.code, stored)
    cancelled = []
    for receiver in dict.fromkeys(delivery.receiver for delivery in write.deliveries):
        new = [delivery for delivery in write.deliveries if delivery.receiver == receiver]
        lane, waiting = queues.get((stored.key, receiver)) or (Lane(key=stored.key, receiver=receiver), [])
        change = lane_rules.append(lane, waiting, new, each.now)
        rows.add_lane(change)
        if change.cancelled:
            cancelled.append(over_before_sent(write.alert, receiver, each.now))
    rows.add_transitions(stored, (*write.transitions, *cancelled))
    for link in write.links:
        rows.add_link(link)


def _queues(driver: Driver, keys: list[str]) -> dict[LaneKey, tuple[Lane, list[Delivery]]]:
    """Return the lanes of the keys, locked, with what waits in them."""
    found: dict[LaneKey, tuple[Lane, list[Delivery]]] = {}
    for row in prepared.read(driver, _LANES, lanes.c.key, keys):
        lane = Lane(**dict(zip(lanes.columns.keys(), row, strict=True)))
        found[lane.key, lane.receiver] = (lane, [])
    for (doc,) in prepared.read(driver, _WAITING, deliveries.c.key, keys):
        delivery = codec.load_delivery(doc)
        place = (delivery.key, delivery.receiver)
        found.setdefault(place, (Lane(key=delivery.key, receiver=delivery.receiver), []))[1].append(delivery)
    return found


def _holders(driver: Driver, codes: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return the key and episode that each internal id belongs to already."""
    rows = prepared.read(driver, _HOLDERS, internal_ids.c.code, codes)
    return {code: (key, episode) for code, key, episode in rows}


def _episode(each: Draft) -> tuple[str, int]:
    return (each.key, each.stored.episode)
