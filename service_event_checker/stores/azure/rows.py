"""Entities of the Azure Tables store as values and back. Pure.

What is too long for the service is shortened at the very end, with a mark, and never refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from service_event_checker.core.audit import Anchor, AuditRow
from service_event_checker.core.lanes import Lane, in_order
from service_event_checker.core.mirrors import STATUSES_MAX
from service_event_checker.core.model import Alert, Delivery, HeldItem, Link, Slot, Transition
from service_event_checker.core.silences import Silence
from service_event_checker.core.timeline import outcome_place
from service_event_checker.core.vocabulary import Status
from service_event_checker.stores import codec
from service_event_checker.stores.azure import keys

SCHEMA = 1
PLAIN_MAX = 16_000  # characters; more is packed. Text stays readable in Storage Explorer
# Bytes of a packed document, so that an alert, the episode before it, 24 lanes and their links fit one transaction.
ALERT_MAX = 600 * 1024
LANE_MAX = 32 * 1024
TIMELINE_MAX = 64 * 1024
MARK = " … (shortened)"
_LENGTHS = (100_000, 30_000, 10_000, 3_000, 1_000, 300, 100)  # characters of one text, tried in this order

Entity = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredLane:
    """A lane with its waiting deliveries in their order; `etag` is None when there is no row yet."""

    lane: Lane
    waiting: tuple[Delivery, ...] = ()
    etag: str | None = None
    op: str = ""


def alert_entity(alert: Alert, op: str) -> tuple[Alert, dict[str, Any]]:
    """Return the alert as it is stored, and its row."""
    alert, document = _fit_alert(alert)
    return alert, _row(keys.partition(alert.key), keys.alert_row(alert.key), op) | {
        **_alert_columns(alert),
        **document,
    }


def load_alert(entity: Entity) -> Alert:
    return codec.load_alert(text_of(entity))


def moved(entity: Entity, row_key: str, *, partition: str = "", **columns: Any) -> dict[str, Any]:
    """Return a copy of a row for another place."""
    copy = {**entity, "RowKey": row_key, **columns}
    return copy | {"PartitionKey": partition} if partition else copy


def lane_entity(lane: Lane, waiting: tuple[Delivery, ...], op: str) -> dict[str, Any]:
    waiting, document = _fit_queue(waiting)
    head = waiting[0] if waiting else None
    made = [codec.micros(delivery.created_at) for delivery in waiting if delivery.created_at]
    return {
        **_row(keys.partition(lane.key), keys.lane_row(lane.key, lane.receiver), op),
        "key": lane.key,
        "receiver": lane.receiver,
        "revision": lane.revision,
        "head": lane.head,
        "dead_episode": lane.dead_episode,
        "waiting": len(waiting),
        "severity": head.rank if head else 0,
        "free_at": _free_at(head),
        "made_at": keys.sortable(min(made)) if made else keys.NEVER,
        **document,
    }


def load_lane(entity: Any) -> StoredLane:
    return StoredLane(lane_of(entity), waiting_of(entity), entity.metadata["etag"], entity["op"])


def lane_of(entity: Entity) -> Lane:
    return Lane(
        key=entity["key"],
        receiver=entity["receiver"],
        revision=entity["revision"],
        head=entity["head"],
        dead_episode=entity["dead_episode"],
    )


def waiting_of(entity: Entity) -> tuple[Delivery, ...]:
    return tuple(in_order(codec.load_queue(text_of(entity))))


def link_entity(link: Link, op: str) -> dict[str, Any]:
    row_key = keys.link_row(link.key, link.receiver, link.episode)
    columns = {"episode": link.episode, "receiver": link.receiver, "external_id": link.external_id[:1000]}
    return {**_row(keys.partition(link.key), row_key, op), **columns, **document_of(codec.dump_link(link))}


def pointer_entity(link: Link) -> dict[str, Any]:
    """Return the row that leads from a remote object's own id to the alert. It may be written again and again."""
    row_key = keys.digest(link.receiver, link.external_id) + link.key
    return _row(keys.pointer_partition(link.receiver, link.external_id), row_key, "") | {"key": link.key}


def timeline_entity(alert: Alert, transitions: tuple[Transition, ...], op: str) -> dict[str, Any]:
    place = _row(keys.partition(alert.key), keys.timeline_row(alert.key, alert.revision), op)
    return {**place, "episode": alert.episode, **_timeline_document(transitions)}


def timeline_with(row: Any, transitions: tuple[Transition, ...], op: str) -> dict[str, Any]:
    """Return a row of a timeline with other transitions."""
    place = _row(row["PartitionKey"], row["RowKey"], op)
    return {**place, "episode": row["episode"], **_timeline_document(transitions)}


def outcome_entity(delivery: Delivery, step: Transition, op: str) -> dict[str, Any]:
    revision, name = outcome_place(step, delivery.revision)
    return outcome_row(revision, name, replace(step, key=delivery.key, episode=delivery.episode), op)


def outcome_row(revision: int, name: str, step: Transition, op: str) -> dict[str, Any]:
    """Return the row of an outcome that is kept under a revision and a name."""
    place = _row(keys.partition(step.key), keys.outcome_row(step.key, step.episode, revision, name), op)
    return {**place, "episode": step.episode, **_timeline_document((step,))}


def _timeline_document(transitions: tuple[Transition, ...]) -> dict[str, Any]:
    document = document_of(codec.dump_transitions(transitions))
    for length in _LENGTHS:
        if _size(document) <= TIMELINE_MAX:
            break
        transitions = tuple(replace(each, note=_short(each.note, length)) for each in transitions)
        document = document_of(codec.dump_transitions(transitions))
    return document


def internal_id_entity(alert: Alert, code: str, op: str) -> dict[str, Any]:
    row = _row(keys.partition(alert.key), keys.internal_id_row(code), op)
    return {**row, "key": alert.key, "episode": alert.episode}


def known_entity(key: str, op: str, archived: int = 0) -> dict[str, Any]:
    """Return the row that every key has for good; `archived` is the revision that lies in the archive."""
    return {**_row(keys.partition(key), keys.known_row(key), op), "archived": archived}


def dead_entity(delivery: Delivery, op: str) -> dict[str, Any]:
    row_key = keys.dead_row(delivery.key, delivery.id)
    made_at = keys.sortable(codec.micros(delivery.created_at)) if delivery.created_at else ""
    return {
        **_row(keys.partition(delivery.key), row_key, op),
        "made_at": made_at,
        "receiver": delivery.receiver,
        "episode": delivery.episode,
        **document_of(codec.dump_delivery(_short_note(delivery, _LENGTHS[1]))),
    }


def member_entities(alert: Alert, op: str) -> dict[str, dict[str, Any]]:
    """Return the rows by which an alert counts in the groups that it is an open member of, by their row keys."""
    counted = {
        "key": alert.key,
        "severity": alert.severity.rank,
        "firing": alert.status is Status.FIRING,
        "opened_at": keys.sortable(codec.micros(alert.opened_at)),
        "updated_at": keys.sortable(codec.micros(alert.updated_at)),
    }
    places = [keys.member_row(group, alert.key) for group in alert.memberships]
    return {place: {**_row(keys.partition(alert.key), place, op), **counted} for place in places}


def slot_entity(slot: Slot, op: str) -> dict[str, Any]:
    row = _row(keys.SLOTS, keys.digest(slot.name), op)
    return {**row, "revision": slot.revision, **document_of(codec.dump_slot(slot))}


def silence_entity(silence: Silence, op: str) -> dict[str, Any]:
    row = _row(keys.SILENCES, silence.id, op)
    ends_at = keys.sortable(codec.micros(silence.ends_at))
    columns = {"revision": silence.revision, "hits": silence.hits, "ends_at": ends_at}
    return {**row, **columns, **document_of(codec.dump_silence(silence))}


def load_silence(entity: Entity) -> Silence:
    hits, revision = entity["hits"], entity["revision"]
    return codec.load_silence(entity["RowKey"], text_of(entity), hits=hits, revision=revision)


def setting_entity(name: str, value: str, op: str) -> dict[str, Any]:
    row = _row(keys.SETTINGS, keys.digest(name), op)
    return {**row, "name": name[:1000], **document_of(value)}


def held_entity(item: HeldItem) -> dict[str, Any]:
    """Return the row of an item put aside; what does not fit is for the caller to hear of, it is never shortened."""
    row = _row(keys.area_partition(item.area), keys.digest(item.id), "")
    at = keys.sortable(codec.micros(item.at))
    columns = {"shelf": item.area, "id": item.id, "source": item.source, "at": at}
    return {**row, **columns, **document_of(item.doc)}


def load_held(entity: Entity) -> HeldItem:
    return HeldItem(
        area=entity["shelf"],
        id=entity["id"],
        source=entity["source"],
        at=codec.from_micros(int(entity["at"])),
        doc=text_of(entity),
    )


def audit_entity(row: AuditRow, op: str) -> dict[str, Any]:
    place = _row(keys.AUDIT, keys.audit_row(row.number), op)
    columns = {
        "at": keys.sortable(codec.micros(row.at)),
        "actor": row.actor,
        "previous": row.previous,
        "hash": row.hash,
    }
    return {**place, **columns, **document_of(row.what)}


def load_audit(entity: Entity) -> AuditRow:
    return AuditRow(
        number=audit_number(entity),
        at=codec.from_micros_clamped(int(entity["at"])),
        actor=entity["actor"],
        what=text_of(entity),
        previous=entity["previous"],
        hash=entity["hash"],
    )


def audit_number(entity: Entity) -> int:
    return int(entity["RowKey"].removeprefix(keys.AUDIT_ROW))


def audit_head_entity(head: Anchor, op: str) -> dict[str, Any]:
    return {**_row(keys.AUDIT, keys.AUDIT_HEAD, op), "number": head.number, "hash": head.hash}


def document_of(text: str) -> dict[str, Any]:
    """Return the properties that hold a text: itself, or packed in pieces when it is long."""
    if len(text) <= PLAIN_MAX:
        return {"doc": text}
    packed = zlib.compress(text.encode(), level=6)
    return {f"doc{number:02d}": piece for number, piece in enumerate(keys.pieces(packed))}


def text_of(entity: Entity) -> str:
    plain = entity.get("doc")
    if isinstance(plain, str):
        return plain
    names = sorted(name for name in entity if name.startswith("doc"))
    return zlib.decompress(b"".join(entity[name] for name in names)).decode()


def ended_micros(alert: Alert) -> int:
    return codec.micros(alert.ended_at or alert.updated_at)


def _row(partition: str, row_key: str, op: str) -> dict[str, Any]:
    """Return what every row has; `op` names the write, to know it again when its answer was lost."""
    return {"PartitionKey": partition, "RowKey": row_key, "schema": SCHEMA, "op": op}


def _alert_columns(alert: Alert) -> dict[str, Any]:
    return {
        "key": alert.key,
        "source": alert.source[:1000],
        "fingerprint": alert.fingerprint[:1000],
        "kind": alert.kind.value,
        "status": alert.status.value,
        "severity": alert.severity.rank,
        "episode": alert.episode,
        "revision": alert.revision,
        "open": alert.open,
        "withheld": alert.waits,
        "updated_at": keys.sortable(codec.micros(alert.updated_at)),
    }


def _free_at(head: Delivery | None) -> str:
    """Return from when on a worker may take the head: it is due and nobody else's lease runs."""
    if head is None or head.due_at is None:
        return keys.NEVER
    return keys.sortable(codec.micros(_later(head.due_at, head.lease_until)))


def _later(at: datetime, other: datetime | None) -> datetime:
    return max(at, other) if other else at


def _fit_alert(alert: Alert) -> tuple[Alert, dict[str, Any]]:
    document = document_of(codec.dump_alert(alert))
    for length in _LENGTHS:
        if _size(document) <= ALERT_MAX:
            break
        alert = _short_alert(alert, length)
        document = document_of(codec.dump_alert(alert))
    return alert, document


def _short_alert(alert: Alert, length: int) -> Alert:
    return replace(
        alert,
        title=_short(alert.title, length),
        description=_short(alert.description, length),
        url=_short(alert.url, length),
        note=_short(alert.note, length),
        owner=_short(alert.owner, length),
        labels=dict(_short_pairs(alert.labels, length)),
        annotations=dict(_short_pairs(alert.annotations, length)),
        links={receiver: _short(url, length) for receiver, url in alert.links.items()},
        note_ids=tuple(_short(note_id, length) for note_id in alert.note_ids),
        origin=_short(alert.origin, length),
        status_seen_at=dict(islice(alert.status_seen_at.items(), length)),
        mirrored_at={pair: times[-STATUSES_MAX:] for pair, times in islice(alert.mirrored_at.items(), length)},
    )


def _short_pairs(pairs: Mapping[str, str], length: int) -> Iterator[tuple[str, str]]:
    """Yield the first pairs, at most as many as characters are left to each."""
    for _, (name, value) in zip(range(length), pairs.items(), strict=False):
        yield _short(name, length), _short(value, length)


def _fit_queue(waiting: tuple[Delivery, ...]) -> tuple[tuple[Delivery, ...], dict[str, Any]]:
    document = document_of(codec.dump_queue(waiting))
    for length in _LENGTHS:
        if _size(document) <= LANE_MAX:
            break
        waiting = tuple(_short_note(delivery, length) for delivery in waiting)
        document = document_of(codec.dump_queue(waiting))
    return waiting, document


def _short_note(delivery: Delivery, length: int) -> Delivery:
    note, reason = _short(delivery.note, length), _short(delivery.reason, length)
    return replace(delivery, note=note, reason=reason, note_id=_short(delivery.note_id, length))


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - len(MARK)] + MARK


def _size(document: Mapping[str, Any]) -> int:
    return keys.entity_bytes(document)
