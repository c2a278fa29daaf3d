"""The store on Azure Table Storage, in two tables; for one process or many.

A write is one transaction per alert, guarded by ETags; what a writer finds changed, it reads and decides again a
few times. `azure_keys` says where which row lies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from azure.data.tables import TableEntity

from service_event_checker.core import lanes as lane_rules
from service_event_checker.core import timeline as timeline_rules
from service_event_checker.core.errors import LeaseLost, StoreConflict, StoreError
from service_event_checker.core.ids import code_bucket, internal_code
from service_event_checker.core.model import RANKS, Alert, Delivery, Link, Slot, Transition
from service_event_checker.core.store import (
    Claimed,
    Done,
    Members,
    Outcome,
    Page,
    Query,
    RecordedPage,
    Settled,
    Waiting,
    Write,
)
from service_event_checker.core.vocabulary import Severity
from service_event_checker.stores import codec
from service_event_checker.stores.azure import archive as azure_archive
from service_event_checker.stores.azure import client
from service_event_checker.stores.azure import commit as azure_commit
from service_event_checker.stores.azure import keys as azure_keys
from service_event_checker.stores.azure import members as azure_members
from service_event_checker.stores.azure import page as azure_page
from service_event_checker.stores.azure import recorded as azure_recorded
from service_event_checker.stores.azure import rows as azure_rows
from service_event_checker.stores.azure.audit import AzureAudit
from service_event_checker.stores.azure.client import EntityChange, Raced, Tables, etag_of
from service_event_checker.stores.azure.commit import TRIES, Written, new_op
from service_event_checker.stores.azure.draft import Draft, Picture, receivers_of
from service_event_checker.stores.azure.holding import AzureHoldingArea
from service_event_checker.stores.azure.keys import PARTITIONS, partition
from service_event_checker.stores.azure.rows import StoredLane
from service_event_checker.stores.azure.silences import AzureSilences

ARCHIVED_AT_ONCE = 200
FINGERPRINTS_MAX = 20
GROUPS_ASKED = 8  # of more groups, the members of all are read: each question is one scan of each partition
DUE_ROWS = 30  # rows of one partition that a claim reads before it asks by severity

Answer = TypeVar("Answer")


class AzureTablesStore:
    """See `core.roles.Store` for the contract of every method. The tables are made when they are missing."""

    def __init__(
        self, connection_string: str, *, active_table: str = "EventTickets", resolved_table: str = "ResolvedEvents"
    ) -> None:
        self.tables = Tables(connection_string)
        self.active = self.tables.table(active_table)
        self.resolved = self.tables.table(resolved_table)
        self.silences = AzureSilences(self.active)
        self.audit = AzureAudit(self.active)

    @property
    def holding(self) -> AzureHoldingArea:
        return AzureHoldingArea(self.tables, self.active)

    def prepare(self) -> None:
        self.ping()  # missing tables are made when a write misses them

    def close(self) -> None:
        self.tables.close()

    def get(self, keys: Iterable[str]) -> dict[str, Alert]:
        found = self.tables.each(self._newest, dict.fromkeys(keys))
        return {alert.key: alert for alert in found if alert}

    def by_internal_id(self, code: str) -> Alert | None:
        if not internal_code(code):
            return None
        row = self.active.get(PARTITIONS[code_bucket(code)], azure_keys.internal_id_row(code))
        return self._episode(row["key"], row["episode"]) if row else None

    def by_fingerprint(self, fingerprint: str) -> list[Alert]:
        where, values = "fingerprint eq @fingerprint", {"fingerprint": fingerprint}
        rows = self.resolved.scan(azure_keys.RESOLVED, "", where, values, top=FINGERPRINTS_MAX)
        rows += self._scan(azure_keys.ALERT, where, values)
        newest = {row["key"]: row for row in rows}  # the active one wins
        return [azure_rows.load_alert(row) for row in list(newest.values())[:FINGERPRINTS_MAX]]

    def open_alerts(self, source: str = "") -> list[Alert]:
        where = "open eq true and source eq @source" if source else "open eq true"
        return [azure_rows.load_alert(row) for row in self._scan(azure_keys.ALERT, where, {"source": source})]

    def open_counts(self) -> dict[tuple[str, Severity], int]:
        return dict(Counter((alert.source, alert.severity) for alert in self.open_alerts() if not alert.test))

    def withheld_alerts(self) -> list[Alert]:
        rows = self._scan(azure_keys.ALERT, "withheld eq true")
        return [azure_rows.load_alert(row) for row in rows]

    def page(self, query: Query) -> Page:
        active = self._scan(azure_keys.ALERT, "open eq true" if query.open else "")
        return azure_page.page(active, self.resolved, query)

    def links(self, keys: Iterable[str]) -> dict[str, list[Link]]:
        wanted = list(dict.fromkeys(keys))
        found = self.tables.each(self._links, wanted)
        return {key: links for key, links in zip(wanted, found, strict=True) if links}

    def link_by(self, receiver: str, external_id: str) -> Link | None:
        place = azure_keys.pointer_partition(receiver, external_id)
        pointers = self.active.scan(place, azure_keys.digest(receiver, external_id), top=FINGERPRINTS_MAX)
        links = [link for pointer in pointers for link in self._links(pointer["key"], receiver)]
        same = [link for link in links if link.external_id == external_id]
        return max(same, key=lambda link: link.episode, default=None)

    def timeline(self, key: str, limit: int = 400) -> list[Transition]:
        rows = self.active.scan(partition(key), azure_keys.TIMELINE + key, top=limit)
        written = [codec.load_transitions(azure_rows.text_of(row)) for row in reversed(rows)]
        told = self._outcomes(key, azure_keys.OUTCOME + key, top=limit)
        return timeline_rules.merged([transition for row in written for transition in row], told, limit)

    def outcomes(self, key: str, episode: int) -> list[Transition]:
        return self._outcomes(key, azure_keys.outcomes_of(key, episode))

    def recorded(self, since: datetime, *, limit: int = 200, cursor: str = "") -> RecordedPage:
        return azure_recorded.page(self.tables, self.active, self.resolved, since, limit, cursor)

    def _outcomes(self, key: str, prefix: str, *, top: int = 0) -> list[Transition]:
        rows = self.active.scan(partition(key), prefix, top=top)
        steps = [step for row in rows for step in codec.load_transitions(azure_rows.text_of(row))]
        return sorted(steps, key=lambda step: step.at)

    def members(self, groups: Iterable[str] | None = None) -> dict[str, Members]:
        wanted = None if groups is None else dict.fromkeys(groups)
        asked = wanted if wanted is not None and len(wanted) <= GROUPS_ASKED else [""]
        found = azure_members.counted(row for group in asked for row in self._members(group))
        return found if wanted is None else {group: each for group, each in found.items() if group in wanted}

    def member_keys(self, group: str, limit: int, *, firing_before: datetime | None = None) -> list[str]:
        return azure_members.listed(self._members(group), limit, firing_before)

    def _members(self, group: str) -> list[TableEntity]:
        return self._scan(azure_keys.MEMBER + group, columns=azure_members.COLUMNS)

    def commit(self, writes: Sequence[Write], now: datetime) -> list[Written]:
        self._point_to(link for write in writes for link in write.links)
        results = azure_commit.commit(self.tables, self.active, writes, now)
        self._count_hits(write for write, each in zip(writes, results, strict=True) if isinstance(each, Done))
        return results

    def due(self, receivers: Iterable[str], now: datetime) -> set[str]:
        values = {"now": azure_keys.sortable(codec.micros(now))}
        rows = self._scan(azure_keys.LANE, "free_at le @now", values, columns=["receiver"])
        return {row["receiver"] for row in rows}.intersection(receivers)

    def claim(
        self,
        receiver: str,
        *,
        limit: int,
        owner: str,
        now: datetime,
        until: datetime,
        made_before: datetime | None = None,
    ) -> list[Claimed]:
        def lease(lane: StoredLane) -> Delivery | None:
            return self._lease(lane, owner, until)

        rows = self.tables.each(lambda place: self._due(place, receiver, limit, now, made_before), PARTITIONS)
        due = sorted((row for part in rows for row in part), key=lambda row: (row["severity"], row["free_at"]))
        leased: list[Delivery] = []
        while due and len(leased) < limit:
            wanted, due = due[: limit - len(leased)], due[limit - len(leased) :]
            leased += filter(None, self.tables.each(lease, map(azure_rows.load_lane, wanted)))
        return [claimed for claimed in self.tables.each(self._claimed, leased) if claimed]

    def intend(self, delivery: Delivery, now: datetime) -> Delivery:
        def step(draft: Draft) -> Delivery:
            held = replace(_held(draft, delivery), intent_at=now)
            draft.replace_waiting(held.receiver, held)
            return held

        return self._change_lane(delivery, step)

    def settle(
        self,
        delivery: Delivery,
        outcome: Outcome,
        now: datetime,
        write: Write | None = None,
        step: Transition | None = None,
    ) -> None:
        def change(draft: Draft) -> None:
            held = _held(draft, delivery)
            before = draft.lane(held.receiver)
            draft.apply(lane_rules.settle(before.lane, before.waiting, held, outcome, now), held.episode)
            if isinstance(outcome, Settled) and outcome.link:
                draft.put_link(outcome.link)
            if step:
                draft.put_outcome(held, step)
            if write and draft.write(write, now):
                raise StoreConflict(f"alert {write.alert.key} was changed meanwhile")

        links = [outcome.link] if isinstance(outcome, Settled) and outcome.link else []
        self._point_to([*links, *(write.links if write else ())])
        self._change_lane(delivery, change, write)

    def sweep(self, now: datetime, *, latest: datetime | None = None) -> int:
        at = azure_keys.NEVER if latest is None else azure_keys.sortable(codec.micros(latest) + 1)
        rows = self._scan(azure_keys.LANE, "waiting gt 0 and free_at ge @at", {"at": at})
        for row in rows:
            orphan = azure_rows.load_lane(row)
            draft = Draft(orphan.lane.key, Picture(lanes={orphan.lane.receiver: orphan}), new_op())
            draft.apply(lane_rules.swept(orphan.lane, orphan.waiting, latest, now), orphan.lane.dead_episode)
            self._if_unchanged(draft)
        return len(rows)

    def waiting(self, receiver: str = "") -> int:
        where = "waiting gt 0 and receiver eq @receiver" if receiver else "waiting gt 0"
        rows = self._scan(azure_keys.LANE, where, {"receiver": receiver}, columns=["waiting"])
        return sum(row["waiting"] for row in rows)

    def waiting_by_receiver(self) -> dict[str, Waiting]:
        rows = self._scan(azure_keys.LANE, "waiting gt 0", columns=["receiver", "waiting", "made_at"])
        found: dict[str, Waiting] = {}
        for row in rows:
            made_at = (
                codec.from_micros(int(row["made_at"])) if row["made_at"] != azure_keys.NEVER else codec.from_micros(0)
            )
            known = found.get(row["receiver"], Waiting(0, made_at))
            found[row["receiver"]] = Waiting(known.number + row["waiting"], min(known.oldest_at, made_at))
        return found

    def keys_with_pending(self, receiver: str) -> set[str]:
        where = "waiting gt 0 and receiver eq @receiver"
        rows = self._scan(azure_keys.LANE, where, {"receiver": receiver}, columns=["key"])
        return {str(row["key"]) for row in rows}

    def oldest_waiting(self) -> datetime | None:
        made = [row["made_at"] for row in self._scan(azure_keys.LANE, "waiting gt 0", columns=["made_at"])]
        oldest = min(made, default=azure_keys.NEVER)
        return codec.from_micros(int(oldest)) if oldest != azure_keys.NEVER else None

    def waiting_deliveries(self, limit: int = 200, *, key: str = "") -> list[Delivery]:
        if key and not azure_keys.is_key(key):
            return []
        places = (partition(key),) if key else PARTITIONS
        found = self._scan(azure_keys.LANE + key, "waiting gt 0", partitions=places)
        rows = sorted(found, key=lambda row: str(row["made_at"]))
        queued = [each for row in rows[:limit] for each in azure_rows.load_lane(row).waiting]
        return sorted(queued, key=lambda each: codec.micros(each.created_at) if each.created_at else 0)[:limit]

    def failed_deliveries(self, limit: int = 200, *, receiver: str = "", key: str = "") -> list[Delivery]:
        if key and not azure_keys.is_key(key):
            return []
        where = "receiver eq @receiver" if receiver else ""
        places = (partition(key),) if key else PARTITIONS
        found = self._scan(azure_keys.DEAD + key, where, {"receiver": receiver}, partitions=places)
        rows = sorted(found, key=lambda row: str(row["made_at"]), reverse=True)
        return [codec.load_delivery(azure_rows.text_of(row)) for row in rows[:limit]]

    def failed_counts(self) -> dict[str, int]:
        return dict(Counter(str(row["receiver"]) for row in self._scan(azure_keys.DEAD, columns=["receiver"])))

    def discard(self, delivery_id: str) -> bool:
        key = delivery_id.partition(":")[0]
        row = self.active.get(partition(key), azure_keys.dead_row(key, delivery_id)) if azure_keys.is_key(key) else None
        if row is None:
            return False
        self.active.write([client.delete(row, client.etag_of(row))])
        return True

    def requeue(self, delivery_id: str, now: datetime) -> bool:
        key = delivery_id.partition(":")[0]
        if not azure_keys.is_key(key):
            return False
        op = new_op()
        for _ in range(TRIES):
            row = self.active.get(partition(key), azure_keys.dead_row(key, delivery_id))
            head = self._head_rows(key)
            if row is None or head is None:
                return False
            letter = codec.load_delivery(azure_rows.text_of(row))
            again = lane_rules.requeued(letter, azure_rows.load_alert(head[0]))
            if not again:
                return False
            draft = Draft(key, Picture(lanes=azure_commit.read_lanes(self.active, key, [letter.receiver])), op)
            before = draft.lane(letter.receiver)
            draft.apply(lane_rules.revive(before.lane, before.waiting, again, now), letter.episode)
            draft.remove(row)
            draft.guard(head[1])
            if self._if_unchanged(draft) or op in {
                lane.op for lane in azure_commit.read_lanes(self.active, key, [letter.receiver]).values()
            }:
                return True
        raise StoreConflict(f"delivery {delivery_id} is changed by others all the time")

    def archive(self, now: datetime) -> int:
        op, share = new_op(), -(-ARCHIVED_AT_ONCE // len(PARTITIONS))
        done = self.tables.each(
            lambda place: azure_archive.archive(self.active, self.resolved, place, share, op), PARTITIONS
        )
        return sum(done)

    def trim(self, since: datetime) -> int:
        op = new_op()
        return sum(self.tables.each(lambda place: azure_archive.trim(self.active, place, op), PARTITIONS))

    def retain(self, before: datetime) -> int:
        at = codec.micros(before)
        return sum(
            self.tables.each(lambda place: azure_archive.retain(self.active, self.resolved, place, at), PARTITIONS)
        )

    def slots(self) -> dict[str, Slot]:
        found = [codec.load_slot(azure_rows.text_of(row)) for row in self.active.scan(azure_keys.SLOTS)]
        return {slot.name: slot for slot in found}

    def put_slot(self, slot: Slot) -> Slot | None:
        stored = replace(slot, revision=slot.revision + 1)
        row = azure_rows.slot_entity(stored, new_op())
        held = self.active.get(azure_keys.SLOTS, row["RowKey"]) if slot.revision else None
        if slot.revision and (held is None or held["revision"] != slot.revision):
            return None
        change = client.update(row, etag_of(held)) if held else client.create(row)
        return stored if self._written(change) else None

    def setting(self, name: str) -> str | None:
        row = self.active.get(azure_keys.SETTINGS, azure_keys.digest(name))
        return azure_rows.text_of(row) if row else None

    def set_setting(self, name: str, value: str, *, only_if_new: bool = False) -> str:
        row = azure_rows.setting_entity(name, value, new_op())
        if not only_if_new:
            self.active.write([client.upsert(row)])
        elif not self._written(client.create(row)):
            return self.setting(name) or ""
        return value

    def ping(self) -> None:
        self.set_setting("ping", "")

    def _count_hits(self, writes: Iterable[Write]) -> None:
        """Count what silences withhold; what is committed does not fail for it."""
        hits = Counter(write.silenced_by for write in writes if write.silenced_by)
        for id, more in hits.items():
            with suppress(StoreError):
                self.silences.count_hit(id, more)

    def _scan(
        self,
        prefix: str,
        where: str = "",
        values: Mapping[str, Any] | None = None,
        *,
        columns: Sequence[str] = (),
        partitions: Sequence[str] = PARTITIONS,
    ) -> list[TableEntity]:
        """Return the rows of one kind, from all partitions unless some are named."""
        named = {name: value for name, value in (values or {}).items() if f"@{name}" in where}
        parts = self.tables.each(
            lambda place: self.active.scan(place, prefix, where, named, columns=columns), partitions
        )
        return [row for part in parts for row in part]

    def _newest(self, key: str) -> Alert | None:
        row = self.active.get(partition(key), azure_keys.alert_row(key))
        row = row or self.resolved.get(partition(key), azure_keys.alert_row(key))
        return azure_rows.load_alert(row) if row else None

    def _head_rows(self, key: str) -> tuple[TableEntity, TableEntity] | None:
        """Return the row of a key's newest episode, and the row in the active table that changes whenever it does."""
        row = self.active.get(partition(key), azure_keys.alert_row(key))
        if row is not None:
            return row, row
        known = self.active.get(partition(key), azure_keys.known_row(key))
        head = self.resolved.get(partition(key), azure_keys.alert_row(key))
        return (head, known) if head and known else None

    def _episode(self, key: str, episode: int) -> Alert | None:
        """Return one episode of a key, wherever it lies by now."""
        place, past = partition(key), azure_keys.episode_row(key, episode)
        row = self.active.get(place, azure_keys.alert_row(key))
        if row is None or row["episode"] != episode:
            row = self.active.get(place, past) or self.resolved.get(place, past)
        return azure_rows.load_alert(row) if row else None

    def _links(self, key: str, receiver: str = "") -> list[Link]:
        """Return the links of a key, oldest episode first; of one receiver if named."""
        prefix = azure_keys.LINK + key + (azure_keys.digest(receiver) if receiver else "")
        links = [codec.load_link(azure_rows.text_of(row)) for row in self.active.scan(partition(key), prefix)]
        return sorted(links, key=lambda link: link.episode)

    def _due(
        self, place: str, receiver: str, limit: int, now: datetime, made_before: datetime | None
    ) -> list[TableEntity]:
        """Return a partition's due lanes, old ones if asked; of many, at least the first `limit` to claim."""
        where = "receiver eq @receiver and free_at le @now"
        values: dict[str, Any] = {"receiver": receiver, "now": azure_keys.sortable(codec.micros(now))}
        if made_before is not None:
            where += " and made_at le @before"
            values["before"] = azure_keys.sortable(codec.micros(made_before))
        some = max(limit, DUE_ROWS)
        rows = self.active.scan(place, azure_keys.LANE, where, values, top=some)
        if len(rows) < some:
            return rows
        severe: list[TableEntity] = []
        for rank in RANKS:
            values["rank"] = rank
            severe += self.active.scan(place, azure_keys.LANE, f"{where} and severity eq @rank", values, top=limit)
            if len(severe) >= limit:
                break
        return severe

    def _lease(self, lane: StoredLane, owner: str, until: datetime) -> Delivery | None:
        """Lease a lane's head; None when somebody was faster."""
        op = new_op()
        leased = replace(lane.waiting[0], owner=owner, lease_until=until)
        draft = Draft(leased.key, Picture(lanes={leased.receiver: lane}), op)
        draft.replace_waiting(leased.receiver, leased)
        if self._if_unchanged(draft):
            return leased
        now_there = azure_commit.read_lanes(self.active, leased.key, [leased.receiver]).get(leased.receiver)
        return leased if now_there and now_there.op == op else None

    def _claimed(self, delivery: Delivery) -> Claimed | None:
        alert = self._episode(delivery.key, delivery.episode)
        if alert is None:
            return None  # settled by another meanwhile and archived: its lease is not ours any more
        return Claimed(delivery=delivery, alert=alert, links=tuple(self._links(delivery.key, delivery.receiver)))

    def _change_lane(self, delivery: Delivery, step: Callable[[Draft], Answer], write: Write | None = None) -> Answer:
        """Let `step` change a lane, and `write` with it, until nobody comes between. `step` raises what forbids it."""
        op, answer = new_op(), None
        receivers = tuple(dict.fromkeys((delivery.receiver, *receivers_of(write))))
        for number in range(TRIES):
            picture = azure_commit.read_picture(self.active, delivery.key, receivers, write, again=number > 0)
            if answer is not None and picture.shows(op):
                return answer[0]
            draft = Draft(delivery.key, picture, op)
            answer = (step(draft),)
            if self._if_unchanged(draft):
                return answer[0]
        raise StoreConflict(f"delivery {delivery.id} is changed by others all the time")

    def _if_unchanged(self, draft: Draft) -> bool:
        """Send a draft; False when somebody changed its rows first."""
        try:
            self.active.write(draft.changes())
        except Raced:
            return False
        return True

    def _written(self, change: EntityChange) -> bool:
        """Send one change; False when somebody was faster, not when our own first try was."""
        try:
            self.active.write([change])
        except Raced:
            row = self.active.get(change.entity["PartitionKey"], change.row_key)
            return row is not None and row["op"] == change.entity["op"]
        return True

    def _point_to(self, links: Iterable[Link]) -> None:
        """Write the rows that lead from remote objects to alerts; before the links themselves, and repeatable."""
        rows = {link.receiver + link.external_id + link.key: link for link in links if link.external_id}
        self.tables.each(
            lambda link: self.active.write([client.upsert(azure_rows.pointer_entity(link))]), rows.values()
        )


def _held(draft: Draft, delivery: Delivery) -> Delivery:
    """Return the row of a delivery that its owner still holds."""
    for waiting in draft.lane(delivery.receiver).waiting:
        if waiting.id == delivery.id and delivery.owner and waiting.owner == delivery.owner:
            return waiting
    raise LeaseLost(f"delivery {delivery.id} is not ours any more")
