"""Any RSS or Atom feed of a status page: fetched by us, read in payload.py.

A feed is a window: what it no longer names is unknown, not over, unless `complete` says that it lists only what is
open. Prefer `statuspage` where the vendor has the JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from service_checkers.feed.payload import FeedReading, parse
from service_checkers.reading.fetch import WebAddress, fetch, host_of
from service_event_checker.config.models import CheckerConfig, Duration
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.http.client import Http

MAX_BYTES = 1024 * 1024


class Config(CheckerConfig):
    """`url`: the feed's address. `max_age`: what is open but had no news for so long is not believed, and ends.

    `complete`: the feed lists only what is open, so an entry that vanishes is over.
    """

    kind: Literal["feed"]
    url: WebAddress
    max_age: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(days=14)
    complete: bool = False


class Checker:
    """Reads one feed."""

    def __init__(self, name: str, config: Config, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._name = name
        self._config = config
        self._clock = clock
        self._http = Http(config.url, timeout=config.timeout.total_seconds(), max_bytes=MAX_BYTES)

    def check(self, tracked: frozenset[str]) -> Snapshot:
        """Return what the feed shows; of what is over by its words, only what is tracked. Raises SourceError."""
        answer = fetch(self._http, self._name, "")
        reading = parse(self._name, answer.body, self._clock(), self._config.max_age)
        return replace(_snapshot(self._config, self._name, reading, tracked), host=host_of(answer.url))


def read_file(config: Config, name: str, body: bytes) -> Snapshot:
    """Read one feed file, as of the newest time that it tells itself. Raises SourceError."""
    reading = parse(name, body, None, config.max_age)
    return _snapshot(config, name, reading, frozenset(event.fingerprint for event in reading.events))


def _snapshot(config: Config, name: str, reading: FeedReading, tracked: frozenset[str]) -> Snapshot:
    events = [event for event in reading.events if event.fingerprint in tracked or not _is_guess_of_an_end(event)]
    absent = tracked - {event.fingerprint for event in events}
    return Snapshot(
        source=name,
        events=tuple(events),
        complete=config.complete and not reading.flawed,
        unknown=reading.unread & tracked if config.complete else absent,
        warnings=reading.warnings,
        max_age=config.max_age,
    )


def _is_guess_of_an_end(event: Event) -> bool:
    return event.status is EventStatus.RESOLVED and bool(event.annotations)
