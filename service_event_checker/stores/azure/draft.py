"""One alert's write to Azure Tables, put together in memory from what was read; the caller sends it. Pure.

Everything of an alert lies in one partition, so that its write is one transaction, guarded by the ETags of the
alert's row and of each lane's row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from azure.data.tables import TableEntity

from service_event_checker.core import lanes as lane_rules
from service_event_checker.core.ids import internal_code
from service_event_checker.core.lanes import Lane, LaneChange, over_before_sent
from service_event_checker.core.model import Alert, Delivery, Link, Transition
from service_event_checker.core.store import Conflict, IdTaken, Write
from service_event_checker.stores.azure import client, keys
from service_event_checker.stores.azure import rows as azure_rows
from service_event_checker.stores.azure.client import EntityChange, etag_of
from service_event_checker.stores.azure.rows import StoredLane


@dataclass(frozen=True, slots=True)
class Picture:
    """The rows that a write builds upon, as far as they were read."""

    alert: TableEntity | None = None
    known: TableEntity | None = None
    internal_id: TableEntity | None = None
    timeline: TableEntity | None = None
    lanes: dict[str, StoredLane] = field(default_factory=dict)

    def shows(self, op: str) -> bool:
        """Whether the write `op` was done: its answer was lost, and a second try has failed on the first."""
        rows = (self.alert, self.timeline)
        return any(row is not None and row["op"] == op for row in rows) or any(
            lane.op == op for lane in self.lanes.values()
        )


class Draft:
    """The changes of one write; `stored` is the alert as it will lie there."""

    def __init__(self, key: str, picture: Picture, op: str) -> None:
        self._key = key
        self._picture = picture
        self._op = op
        self._changes: dict[str, EntityChange] = {}
        self._lanes: dict[str, StoredLane] = {}
        self.stored: Alert | None = None

    def lane(self, receiver: str) -> StoredLane:
        found = self._lanes.get(receiver) or self._picture.lanes.get(receiver)
        return found or StoredLane(Lane(key=self._key, receiver=receiver))

    def apply(self, change: LaneChange, episode: int) -> None:
        """Take over what the lane rules decided when a delivery of `episode` came or went."""
        before = self.lane(change.lane.receiver)
        lane = change.lane if change.lane.dead_episode >= episode else replace(change.lane, dead_episode=0)
        rows = {delivery.id: delivery for delivery in before.waiting}
        gone = (*change.drop, change.dead.id) if change.dead else change.drop
        for id in gone:
            rows.pop(id, None)
        rows |= {delivery.id: delivery for delivery in change.put}
        self._lanes[lane.receiver] = replace(before, lane=lane, waiting=tuple(lane_rules.in_order(rows.values())))
        if change.dead:
            self._add(client.upsert(azure_rows.dead_entity(change.dead, self._op)))

    def replace_waiting(self, receiver: str, delivery: Delivery) -> None:
        """Put a delivery in the place of the one with its id."""
        before = self.lane(receiver)
        waiting = tuple(delivery if other.id == delivery.id else other for other in before.waiting)
        self._lanes[receiver] = replace(before, waiting=waiting)

    def put_link(self, link: Link) -> None:
        self._add(client.upsert(azure_rows.link_entity(link, self._op)))

    def put_outcome(self, delivery: Delivery, step: Transition) -> None:
        self._add(client.upsert(azure_rows.outcome_entity(delivery, step, self._op)))

    def remove(self, row: TableEntity) -> None:
        self._add(client.delete(row, etag_of(row)))

    def guard(self, row: TableEntity) -> None:
        """Let the write fail if `row` is changed meanwhile, and what is built upon `row` if this write is faster."""
        self._add(client.update({**row, "op": self._op}, etag_of(row)))

    def write(self, write: Write, now: datetime) -> Conflict | IdTaken | None:
        """Add an alert's write; return why that cannot be."""
        opening = any(transition.why.opens for transition in write.transitions)
        raised = replace(write.alert, revision=write.alert.revision + 1)
        self.stored, row = azure_rows.alert_entity(raised, self._op)
        change = self._alert_change(write.alert.revision, row, opening=opening)
        if change is None:
            return Conflict(self._key)
        self._add(change)
        if opening and not self._take_id(self.stored):
            return IdTaken(self._key)
        if self.stored.groups:
            self._count_member(self.stored)
        transitions = write.transitions + self._append(write, now)
        if transitions:
            self._add(client.upsert(azure_rows.timeline_entity(self.stored, transitions, self._op)))
        for link in write.links:
            self.put_link(link)
        return None

    def changes(self) -> list[EntityChange]:
        lanes = (self._lane_change(lane) for lane in self._lanes.values())
        return [*self._changes.values(), *(change for change in lanes if change)]

    def _alert_change(self, revision: int, row: dict[str, object], *, opening: bool) -> EntityChange | None:
        """Return how the alert's row is written; None when it is not as the caller read it."""
        stored, known = self._picture.alert, self._picture.known
        if revision == 0:
            if stored is not None or known is not None:
                return None
            self._add(client.create(azure_rows.known_entity(self._key, self._op)))
            return client.create(row)
        if stored is not None:
            if stored["revision"] != revision:
                return None
            if opening:  # the last deliveries of the episode before may still wait
                past = keys.episode_row(self._key, stored["episode"])
                self._add(client.upsert(azure_rows.moved(stored, past)))
            return client.update(row, etag_of(stored))
        if known is None or known["archived"] != revision:
            return None
        self._add(client.update(azure_rows.known_entity(self._key, self._op), etag_of(known)))
        return client.create(row)

    def _count_member(self, alert: Alert) -> None:
        """Have an alert counted in its groups as it is now, and no longer in those that it has left."""
        known = self._picture.alert
        before = azure_rows.member_entities(azure_rows.load_alert(known), self._op) if known is not None else {}
        now = azure_rows.member_entities(alert, self._op)
        for row in now.values():
            self._add(client.upsert(row))
        for place, row in before.items():
            if place not in now:
                self._add(client.delete(row, client.ANY))

    def _take_id(self, alert: Alert) -> bool:
        holder = self._picture.internal_id
        if holder is not None:
            return bool(holder["key"] == alert.key and holder["episode"] == alert.episode)
        code = internal_code(alert.internal_id)
        self._add(client.create(azure_rows.internal_id_entity(alert, code, self._op)))
        return True

    def _append(self, write: Write, now: datetime) -> tuple[Transition, ...]:
        """Queue the deliveries; return a transition for each open that was over before it was sent."""
        cancelled: list[Transition] = []
        for receiver in receivers_of(write):
            new = [delivery for delivery in write.deliveries if delivery.receiver == receiver]
            before = self.lane(receiver)
            change = lane_rules.append(before.lane, before.waiting, new, now)
            self.apply(change, write.alert.episode)
            if change.cancelled:
                cancelled.append(over_before_sent(write.alert, receiver, now))
        return tuple(cancelled)

    def _lane_change(self, changed: StoredLane) -> EntityChange | None:
        row = azure_rows.lane_entity(changed.lane, changed.waiting, self._op)
        kept = changed.waiting or changed.lane.dead_episode
        if changed.etag is None:
            return client.create(row) if kept else None
        return client.update(row, changed.etag) if kept else client.delete(row, changed.etag)

    def _add(self, change: EntityChange) -> None:
        self._changes[change.row_key] = change


def receivers_of(write: Write | None) -> Iterable[str]:
    return dict.fromkeys(delivery.receiver for delivery in write.deliveries) if write else ()
