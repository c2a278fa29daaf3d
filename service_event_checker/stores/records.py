"""What a store holds, as values that no store's layout shows in: what a copy reads from one and writes to another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from service_event_checker.core.audit import AuditRow
from service_event_checker.core.lanes import Lane
from service_event_checker.core.model import Alert, Delivery, HeldItem, Link, Slot, Transition
from service_event_checker.core.silences import Silence
from service_event_checker.core.timeline import outcome_place
from service_event_checker.stores import codec

COPIED_FROM = "copied_from"  # setting of a target: where its content came from; never copied itself


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """What one commit added to a timeline."""

    revision: int
    episode: int
    transitions: tuple[Transition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRow:
    """What became of a delivery; `revision` is the delivery's, 0 for updates (`core.timeline.outcome_place`)."""

    revision: int
    step: Transition

    @property
    def name(self) -> str:
        return outcome_place(self.step, self.revision)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneRecord:
    """A lane with its waiting deliveries in their order."""

    lane: Lane
    waiting: tuple[Delivery, ...]

    @property
    def idle(self) -> bool:
        """Whether it says no more than a lane that is not there."""
        return not self.waiting and not self.lane.dead_episode


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All that is known of one key; every part in an order of its own, so that equal histories are equal values.

    `past`: the episodes before `newest`. `ids`: internal codes with the episode that each names.
    """

    newest: Alert
    archived: bool
    past: tuple[Alert, ...]
    ids: tuple[tuple[str, int], ...]
    timeline: tuple[TimelineRow, ...]
    outcomes: tuple[OutcomeRow, ...]
    lanes: tuple[LaneRecord, ...]
    failed: tuple[Delivery, ...]
    links: tuple[Link, ...]

    @property
    def key(self) -> str:
        return self.newest.key

    def checksum(self) -> bytes:
        return hashlib.sha256("\n".join(self._texts()).encode("utf-8", "surrogatepass")).digest()

    def _texts(self) -> Iterator[str]:
        yield f"{self.archived}"
        yield from map(codec.dump_alert, (self.newest, *self.past))
        yield from (f"{code} {episode}" for code, episode in self.ids)
        for row in self.timeline:
            yield f"{row.revision} {row.episode} {codec.dump_transitions(row.transitions)}"
        yield from (f"{row.revision} {codec.dump_transitions((row.step,))}" for row in self.outcomes)
        for each in self.lanes:
            lane = each.lane
            yield f"{lane.receiver} {lane.revision} {lane.head} {lane.dead_episode} {codec.dump_queue(each.waiting)}"
        yield codec.dump_queue(self.failed)
        yield from map(codec.dump_link, self.links)


def history(
    newest: Alert,
    *,
    archived: bool,
    past: Iterable[Alert] = (),
    ids: Iterable[tuple[str, int]] = (),
    timeline: Iterable[TimelineRow] = (),
    outcomes: Iterable[OutcomeRow] = (),
    lanes: Iterable[LaneRecord] = (),
    failed: Iterable[Delivery] = (),
    links: Iterable[Link] = (),
) -> History:
    """Return what is known of a key, its parts in their order; lanes that say nothing are left out."""
    return History(
        newest=newest,
        archived=archived,
        past=tuple(sorted((alert for alert in past if alert.episode != newest.episode), key=lambda one: one.episode)),
        ids=tuple(sorted(ids)),
        timeline=tuple(sorted(timeline, key=lambda row: row.revision)),
        outcomes=tuple(sorted(outcomes, key=lambda row: (row.step.episode, row.revision, row.name))),
        lanes=tuple(sorted((each for each in lanes if not each.idle), key=lambda each: each.lane.receiver)),
        failed=tuple(sorted(failed, key=lambda delivery: delivery.id)),
        links=tuple(sorted(links, key=lambda link: (link.episode, link.receiver))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """What belongs to no alert: settings, slots, what is put aside by area and id, silences by id, the audit."""

    settings: dict[str, str]
    slots: dict[str, Slot]
    held: dict[tuple[str, str], HeldItem]
    silences: dict[str, Silence]
    audit: tuple[AuditRow, ...]

    @property
    def empty(self) -> bool:
        return not (self.settings or self.slots or self.held or self.silences or self.audit)


class Side(Protocol):
    """One end of a copy. Every method raises StoreError; writes may be repeated."""

    def identity(self) -> str:
        """Return a text that stands for this store and no other, the same at each call; without secrets."""
        ...

    def keys(self) -> list[str]:
        """Return every key that is known, sorted."""
        ...

    def read(self, keys: Sequence[str]) -> list[History]:
        """Return what is known of the keys, which are sorted, in their order; those that are not known are left out."""
        ...

    def others(self) -> Others:
        """Return what belongs to no alert; not what is the store's own, such as its id."""
        ...

    def as_stored(self, history: History) -> History:
        """Return a history as it will be read back: a store may have to shorten long texts."""
        ...

    def write(self, histories: Sequence[History]) -> None:
        """Write histories, each in the place of all that was known of its key."""
        ...

    def drop(self, keys: Sequence[str]) -> None:
        """Delete all that is known of the keys."""
        ...

    def write_others(self, wanted: Others) -> None:
        """Let the store hold exactly these."""
        ...
