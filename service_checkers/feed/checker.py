"""Any RSS or Atom feed of a status page: fetched by us, read in payload.py.

A feed is a window and never complete: what it no longer names is unknown, not over. Prefer `statuspage` where
the vendor has the JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from service_checkers.feed.payload import parse
from service_checkers.reading.fetch import WebAddress, fetch
from service_event_checker.config.models import CheckerConfig, Duration
from service_event_checker.core.model import Snapshot
from service_event_checker.http.client import Http

MAX_BYTES = 1024 * 1024


class Config(CheckerConfig):
    """`url`: the feed's address. `max_age`: an entry that is open but had no news for so long is not believed."""

    kind: Literal["feed"]
    url: WebAddress
    max_age: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(days=14)


class Checker:
    """Reads one feed."""

    def __init__(self, name: str, config: Config, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._name = name
        self._config = config
        self._clock = clock
        self._http = Http(config.url, timeout=config.timeout.total_seconds(), max_bytes=MAX_BYTES)

    def check(self, tracked: frozenset[str]) -> Snapshot:
        """Return what the feed shows; what is tracked and not in it is unknown. Raises SourceError."""
        body = fetch(self._http, self._name, "").body
        reading = parse(self._name, body, self._clock(), self._config.max_age)
        shown = {event.fingerprint for event in reading.events}
        return Snapshot(source=self._name, events=reading.events, unknown=tracked - shown, warnings=reading.warnings)


def read_file(config: Config, name: str, body: bytes) -> Snapshot:
    """Read one feed file, as of the newest time that it tells itself. Raises SourceError."""
    reading = parse(name, body, None, config.max_age)
    return Snapshot(source=name, events=reading.events, warnings=reading.warnings)
