"""One page, one store and one clock, to poll with: for tests of polls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from service_event_checker.core import matchers
from service_event_checker.core.errors import SourceError
from service_event_checker.core.model import Alert, Event, Slot, Snapshot
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import Affects, Why
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.polling import Poller, Watch
from service_event_checker.stores.sql.store import SqlStore
from tests.factories import NOW, event, receiver

EVERY = timedelta(seconds=60)
LEASE = timedelta(seconds=90)
BOOK = Rulebook((Rule("all", matchers.parse(""), ("slack",)),), (), {"slack": receiver()})


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


class Page:
    """A checker of a page that shows `snapshot`, or fails with `error`; `meanwhile` happens while it is read."""

    def __init__(self) -> None:
        self.snapshot = Snapshot(source="github", complete=True)
        self.error: Exception | None = None
        self.meanwhile: Callable[[], object] = lambda: None
        self.asked: list[frozenset[str]] = []

    def shows(self, *events: Event, complete: bool = True, **changes: object) -> None:
        self.error = None
        self.snapshot = replace(Snapshot(source="github", events=events, complete=complete), **changes)

    def check(self, tracked: frozenset[str]) -> Snapshot:
        self.asked.append(tracked)
        self.meanwhile()
        if self.error:
            raise self.error
        return self.snapshot


class World:
    """One page, one store, one clock, and as many processes as a test starts."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.clock = Clock()
        self.page = Page()
        self.book = BOOK
        self.affects: Callable[[Event], Affects] = lambda _event: Affects.YES
        self.not_listed: Callable[[Mapping[str, frozenset[str]]], tuple[str, ...]] = lambda _listed: ()

    def process(self) -> Poller:
        watch = Watch(
            name="github",
            checker=self.page,
            every=EVERY,
            lease=LEASE,
            resolve_after=2,
            affects=lambda seen: self.affects(seen),
            not_listed=lambda listed: self.not_listed(listed),
        )
        pipeline = Pipeline(self.store, self.book)
        return Poller(self.store, pipeline, {"github": watch}, clock=self.clock, jitter=lambda: 0.0)

    def poll(self, *, after: timedelta = timedelta(0)) -> Snapshot | SourceError:
        """Let time pass and poll, which has to be due."""
        self.clock.advance(after)
        process = self.process()
        (slot,) = process.take_due()
        return process.poll(slot)

    @property
    def slot(self) -> Slot:
        return self.store.slots()["github"]

    @property
    def alert(self) -> Alert:
        return self.store.get([event().key])[event().key]

    def whys(self) -> list[Why]:
        return [row.why for row in self.store.timeline(event().key)]
