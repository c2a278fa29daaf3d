"""A destination with a truth of its own and a clock that tests move: for tests of the outbox, not of an adapter."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service_event_checker.core.model import Alert, Delivery, Family, Link, Verb, remote_key
from tests.factories import NOW


class Clock:
    """Aware UTC that only moves when told to; `seconds` is the same clock for gates."""

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
