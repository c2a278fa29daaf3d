"""Opsgenie and PagerDuty in memory: what people do there, what we write there, and what their webhooks would bring.

They behave as the adapters and the systems together do, at a thousandth of the time: what our own user did is dropped,
or, where `echoes`, comes back as done by nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Event, Link, Remote, RemoteNote
from service_event_checker.core.vocabulary import EventStatus, Family, Kind, Status, Verb
from tests.sink import Clock

US = "Automation"
TICK = 0.001  # seconds
_EVENTS = {
    Status.ACKNOWLEDGED: EventStatus.ACKNOWLEDGED,
    Status.FIRING: EventStatus.UNACKNOWLEDGED,
    Status.RESOLVED: EventStatus.RESOLVED,
}
_WANTED = {Verb.ACK: Status.ACKNOWLEDGED, Verb.UNACK: Status.FIRING, Verb.CLOSE: Status.RESOLVED}


@dataclass
class Object:
    """One alert or incident. `told`: what we wrote on it, by delivery; `acked`: ever."""

    id: str
    created_at: datetime
    key: str = ""
    status: Status = Status.FIRING
    actor: str = ""
    changed_at: datetime | None = None
    touched_at: datetime | None = None
    acked: bool = False
    notes: list[RemoteNote] = field(default_factory=list)
    told: dict[str, Delivery] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        return self.status is not Status.RESOLVED

    def texts(self, verb: Verb | None = None) -> list[str]:
        """What our writes said."""
        return [each.note for each in self.told.values() if verb in (None, each.verb)]


class Side:
    """`hooks`: what its webhooks tell, for a test to deliver, drop, repeat, delay or reorder."""

    family = Family.PAGER
    name = ""
    verbs = frozenset(Verb) - {Verb.RUN}

    def __init__(self, clock: Clock, *, echoes: bool = False) -> None:
        self.clock = clock
        self.echoes = echoes
        self.objects: dict[str, Object] = {}
        self.hooks: deque[Event] = deque()
        self.acts = 0

    # what people do

    def person_notes(self, thing: Object) -> None:
        actor, at = self._actor(), self._now()
        note = RemoteNote(id=f"n{self.acts}", text=f"note of {actor}.", actor=actor, at=at)
        thing.notes.append(note)
        thing.touched_at = at
        self._tell(thing, EventStatus.NOTED, actor, at, note=note.text, note_id=note.id)

    def person_brings(self, thing: Object, status: Status, actor: str | None = None) -> None:
        actor = self._actor() if actor is None else actor
        at = self._change(thing, status, actor)
        self._tell(thing, _EVENTS[status], actor, at)

    # what we do

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        if delivery.verb is Verb.OPEN:
            return self._open(delivery, link)
        assert link is not None
        thing = self.objects[link.external_id]
        if delivery.id not in thing.told:
            thing.told[delivery.id] = delivery
            self._write(thing, delivery)
        return link

    def find(self, remote_key: str) -> Link | None:
        found = next((thing for thing in self.objects.values() if remote_key and thing.key == remote_key), None)
        return Link(key="", episode=0, receiver="", remote_key=remote_key, external_id=found.id) if found else None

    def find_open_for(self, alert_key: str) -> Link | None:
        return None

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        return None

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        return []

    def open_objects(self) -> list[Remote]:
        return [self._remote(thing) for thing in self.objects.values() if thing.open]

    def get_remote(self, external_id: str) -> Remote | None:
        return self._remote(self.objects[external_id])

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        raise AssertionError("nothing was made twice")

    def _write(self, thing: Object, delivery: Delivery) -> None:
        wanted = _WANTED.get(delivery.verb)
        thing.touched_at = self._now()
        if wanted is None or not thing.open or thing.status is wanted:
            return
        at = self._change(thing, wanted, US)
        if self.echoes:
            self._tell(thing, _EVENTS[wanted], "", at)

    def _open(self, delivery: Delivery, link: Link | None) -> Link:
        key = remote_key(delivery.key, delivery.episode)
        thing = Object(f"{self.name}-{len(self.objects)}", self._now(), key)
        self.objects[thing.id] = thing
        return Link(
            key=delivery.key, episode=delivery.episode, receiver=self.name, remote_key=key, external_id=thing.id
        )

    def _change(self, thing: Object, status: Status, actor: str) -> datetime:
        at = self._now()
        thing.status, thing.actor, thing.changed_at, thing.touched_at = status, actor, at, at
        thing.acked |= status is Status.ACKNOWLEDGED
        return at

    def _remote(self, thing: Object) -> Remote:
        raise NotImplementedError

    def _tell(self, thing: Object, status: EventStatus, actor: str, at: datetime, **more: str) -> None:
        base = Event(
            source="",
            fingerprint="",
            kind=Kind.ALERT,
            status=status,
            ref=(self.name, thing.id),
            via=self.name,
            intake=f"/hooks/{self.name}",
            actor=actor,
            at=at,
            **more,
        )
        self.hooks.append(base)

    def _actor(self) -> str:
        self.acts += 1
        return f"{self.name}-person-{self.acts}"

    def _now(self) -> datetime:
        """No two things happen at the same time, here, there or at ours."""
        self.clock.advance(TICK)
        return self.clock()


class MemoryOpsgenie(Side):
    """Where alerts are born. A time at which an acknowledgement was taken back is not told: the last change's is."""

    name = "opsgenie"

    def person_creates(self) -> Object:
        made = Object(f"alert-{len(self.objects)}", self._now())
        self.objects[made.id] = made
        self.hooks.append(self._born(made))
        return made

    def _born(self, thing: Object) -> Event:
        return Event(
            source=self.name,
            fingerprint=thing.id,
            kind=Kind.ALERT,
            status=EventStatus.FIRING,
            title=f"Test {thing.id}",
            at=thing.created_at,
            starts_at=thing.created_at,
            intake="/ops-webhook",
            via=self.name,
        )

    def _remote(self, thing: Object) -> Remote:
        firing = thing.status is Status.FIRING
        return Remote(
            external_id=thing.id,
            remote_key="",
            status=thing.status,
            created_at=thing.created_at,
            actor="" if firing else thing.actor,
            at=(thing.touched_at if thing.acked else None) if firing else thing.changed_at,
            notes=tuple(thing.notes),
            event=self._born(thing),
        )


class MemoryPagerDuty(Side):
    """Where incidents are made. Nothing un-acknowledges there but people and time."""

    name = "pagerduty"
    verbs = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.CLOSE})

    def ack_times_out(self, thing: Object) -> None:
        self.person_brings(thing, Status.FIRING, "")

    def _remote(self, thing: Object) -> Remote:
        return Remote(
            external_id=thing.id,
            remote_key=thing.key,
            status=thing.status,
            created_at=thing.created_at,
            actor=thing.actor,
            at=thing.changed_at or thing.created_at,
            notes=tuple(thing.notes),
        )
