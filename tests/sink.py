"""A destination with a truth of its own and a clock that tests move: for tests of the outbox, not of an adapter."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Event, Link, Remote, RemoteNote
from service_event_checker.core.vocabulary import EventStatus, Family, Kind, Status, Verb
from tests.factories import NOW


class Clock:
    """Aware UTC that only moves when told to; `seconds` is the same clock for throttles."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def seconds(self) -> float:
        return (self.now - NOW).total_seconds()


@dataclass
class Thing:
    """One remote object; `heard` are the delivery ids that changed it, in order."""

    id: str
    key: str
    created_at: datetime
    open: bool = True
    title: str = ""
    reopened: int = 0
    heard: list[str] = field(default_factory=list)


class Unsearchable:
    """Holds objects. `failures`: errors for the next calls of deliver, None = do it; `after` makes them come late.

    `takes`: seconds that a call lasts; its effect comes at its end.
    """

    family: Family = Family.MAIL
    verbs = frozenset(Verb) - {Verb.RUN}

    def __init__(self, clock: Clock, family: Family | None = None) -> None:
        self.clock = clock
        self.family = family or self.family
        self.things: list[Thing] = []
        self.failures: deque[Exception | None] = deque()
        self.after = False
        self.takes = 0.0
        self.told: list[tuple[Verb, str]] = []
        self.notes: list[str] = []

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        self.clock.advance(self.takes)
        failure = self.failures.popleft() if self.failures else None
        if failure and not self.after:
            raise failure
        made = self._do(delivery, alert, link)
        if failure:
            raise failure
        return made

    def thing(self, id: str) -> Thing:
        return next(thing for thing in self.things if thing.id == id)

    def _do(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        self.told.append((delivery.verb, delivery.id))
        self.notes.append(delivery.note)
        if delivery.verb is Verb.OPEN and not (link and link.external_id):
            return self._make(delivery, alert)
        assert link is not None
        thing = self.thing(link.external_id)
        if delivery.id in thing.heard:
            return link
        thing.heard.append(delivery.id)
        thing.title = alert.title
        if delivery.verb is Verb.OPEN and not thing.open:
            thing.open, thing.reopened = True, thing.reopened + 1
        if delivery.verb is Verb.CLOSE:
            thing.open = False
        return link

    def _make(self, delivery: Delivery, alert: Alert) -> Link:
        key = remote_key(delivery.key, delivery.episode)
        id = str(len(self.things) + 1)
        self.things.append(Thing(id, key, self.clock(), title=alert.title, heard=[delivery.id]))
        return Link(
            key=delivery.key,
            episode=delivery.episode,
            receiver=delivery.receiver,
            remote_key=key,
            external_id=id,
            url=f"http://sink.test/{id}",
        )


class Sink(Unsearchable):
    """The same with a search that lags `lag` seconds behind the truth."""

    family = Family.TICKET

    def __init__(self, clock: Clock, family: Family | None = None, *, lag: float = 0.0) -> None:
        super().__init__(clock, family)
        self.lag = timedelta(seconds=lag)

    def find(self, remote_key: str) -> Link | None:
        for thing in self.things:
            if thing.key == remote_key and thing.created_at + self.lag <= self.clock():
                return Link(
                    key="",
                    episode=0,
                    receiver="",
                    remote_key=remote_key,
                    external_id=thing.id,
                    url=f"http://sink.test/{thing.id}",
                )
        return None


class Talker(Sink):
    """A sink that lists what it holds and tells of what people do there: the events that its webhooks would bring.

    `gone`: ids of objects that somebody deleted.
    """

    def __init__(self, clock: Clock, family: Family | None = None, *, name: str = "tickets", lag: float = 0.0) -> None:
        super().__init__(clock, family, lag=lag)
        self.name = name
        self.statuses: dict[str, tuple[Status, str, datetime]] = {}
        self.comments: dict[str, list[RemoteNote]] = {}
        self.gone: set[str] = set()
        self.retired: list[tuple[str, str]] = []

    def says(self, id: str, status: EventStatus, actor: str = "Ada", **changes: Any) -> Event:
        """Return what its webhook tells of a change that a person made just now."""
        base = Event(
            source="",
            fingerprint="",
            kind=Kind.ALERT,
            status=status,
            ref=(self.name, id),
            via=self.name,
            intake=f"/hooks/{self.name}",
            actor=actor,
            at=self.clock(),
        )
        return replace(base, **changes)

    def person(self, id: str, status: Status, actor: str = "Ada") -> None:
        """A person brings an object into a status; no webhook comes."""
        self.statuses[id] = (status, actor, self.clock())
        self.thing(id).open = status is not Status.RESOLVED

    def verify_signature(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        return None

    def parse(self, headers: Mapping[str, str], payload: Any) -> list[Event]:
        return []

    def find_open_for(self, alert_key: str) -> Link | None:
        keys = {remote_key(alert_key, episode) for episode in range(1, 10)}
        found = next((thing for thing in self.things if thing.open and thing.key in keys), None)
        return self.find(found.key) if found else None

    def open_objects(self) -> list[Remote]:
        return [self._remote(thing) for thing in self.things if thing.open and thing.id not in self.gone]

    def get_remote(self, external_id: str) -> Remote | None:
        return None if external_id in self.gone else self._remote(self.thing(external_id))

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        self.thing(duplicate.external_id).open = False
        self.retired.append((duplicate.external_id, original.external_id))

    def _remote(self, thing: Thing) -> Remote:
        plain = Status.FIRING if thing.open else Status.RESOLVED
        status, actor, at = self.statuses.get(thing.id, (plain, "", thing.created_at))
        return Remote(
            external_id=thing.id,
            remote_key=thing.key,
            status=status if thing.open else Status.RESOLVED,
            created_at=thing.created_at,
            url=f"http://sink.test/{thing.id}",
            actor=actor,
            at=at,
            notes=tuple(self.comments.get(thing.id, ())),
        )
