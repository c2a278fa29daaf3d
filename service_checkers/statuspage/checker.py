"""Any page on Atlassian Statuspage, or in its dialect (incident.io): what a check asks, and what the answers add up to.

What a payload says is read in payload.py. A page is run three things: what is open now (complete,
so absence means something), the last 50 incidents (how they ended, and those that were over before we looked),
and each tracked incident that neither of the two names.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from service_checkers.reading.fetch import WebAddress, fetch_json, fetch_page, read_json, shuffled
from service_checkers.reading.places import Summary, checked, is_place
from service_checkers.statuspage.payload import PageReading, Places, is_partial, parse, raised
from service_checkers.statuspage.summary import summary_of
from service_event_checker.config.models import CheckerConfig
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import EventStatus, Severity
from service_event_checker.http.client import Http

LOOKUP_TIMEOUTS = 2  # how many times `timeout` all of them may take together
LOOKUPS_MAX = 10  # single incidents run for in one check; the others stay unknown until the next
MAX_BYTES = 8 * 1024 * 1024  # 50 incidents with all their updates reach 1 MB
SUMMARY = "/api/v2/summary.json"
UNRESOLVED = "/api/v2/incidents/unresolved.json"
HISTORY = "/api/v2/incidents.json"
COMPONENTS = "/api/v2/components.json"
PLANNED = "/api/v2/scheduled-maintenances.json"
_NEEDS = {SUMMARY: "incidents", UNRESOLVED: "incidents", HISTORY: "incidents", PLANNED: "scheduled_maintenances"}
_ENDPOINT = re.compile(r"/(?:api/v2(?:/.*)?|history\.(?:rss|atom)|index\.json)?$")


class Config(CheckerConfig):
    """`url`: the page's address, or that of one of its endpoints."""

    kind: Literal["statuspage"]
    url: WebAddress


class Checker:
    """Reads one page."""

    def __init__(self, name: str, config: Config) -> None:
        self._name = name
        self._base, self._named = split_endpoint(config.url)
        self._http = Http(self._base, timeout=config.timeout.total_seconds(), max_bytes=MAX_BYTES)
        self._lookup_seconds = config.timeout.total_seconds() * LOOKUP_TIMEOUTS
        # as last seen: a summary that fails once must not take the groups and the page's level from an alert
        self._places = Places({})
        self._page_severity: Mapping[str, Severity] = {}

    def check(self, tracked: frozenset[str]) -> Snapshot:
        """Return what the page shows; complete when what is open now could be read. Raises SourceError."""
        run = _CheckRun(self._name, self._base, self._http, self._places, self._page_severity, self._lookup_seconds)
        open_now = self._open_now(run)
        self._places = run.places
        history = run.require(HISTORY) if self._named == HISTORY else run.optional(HISTORY)
        if open_now is None and history is None:
            raise run.trouble or SourceError(self._name, Reason.NOT_FOUND, "no list of incidents at this address")
        run.look_up(frozenset(name for name in tracked if not is_place(name)))
        snapshot = run.snapshot(tracked, complete=open_now is not None and not open_now.flawed)
        self._page_severity = run.raised
        return snapshot

    def _open_now(self, run: _CheckRun) -> PageReading | None:
        """Read what is open now; an endpoint that the configuration names must be good.

        The summary is worth asking in any case: it alone knows groups, planned work and the page's level.
        """
        if self._named == UNRESOLVED:
            run.optional(SUMMARY)
            return run.require(UNRESOLVED)
        if self._named == HISTORY:
            return run.optional(SUMMARY) or run.optional(UNRESOLVED)
        return run.require(SUMMARY, if_there=True) or run.require(UNRESOLVED, if_there=True)


class _CheckRun:
    """The answers of one check so far: the newest event of each incident, and what could not be read."""

    def __init__(
        self,
        source: str,
        base: str,
        http: Http,
        places: Places,
        raised_before: Mapping[str, Severity],
        lookup_seconds: float,
    ) -> None:
        self.trouble: SourceError | None = None
        self.places = places
        self.raised = raised_before
        self._level: Severity | None = None
        self._summary: Summary | None = None
        self._named: dict[str, frozenset[str]] = {}
        self._source = source
        self._base = base
        self._http = http
        self._events: dict[str, Event] = {}
        self._warnings: list[str] = []
        self._host = ""
        self._lists_components = False
        self._in_part = False
        self._unknown: set[str] = set()
        self._retracted: set[str] = set()
        self._lookup_seconds = lookup_seconds

    def require(self, path: str, *, if_there: bool = False) -> PageReading | None:
        """Read one endpoint; None where it is missing and may be. Raises SourceError."""
        try:
            payload, host = fetch_page(self._http, self._source, path)
        except SourceError as error:
            if if_there and error.reason is Reason.NOT_FOUND:
                return None
            raise
        if path == SUMMARY and isinstance(payload, dict):
            payload = self._with_all_components(payload)
            self.places = Places.of(payload)
        listed_open = path in (SUMMARY, UNRESOLVED)
        needs = _NEEDS.get(path, "incident")
        reading = parse(self._source, self._base, payload, self.places, needs=needs, listed_open=listed_open)
        self._host = self._host or host
        if path == SUMMARY:
            self._lists_components = "components" in payload and not self._in_part
            self._level, self._summary = reading.level, summary_of(self._base, payload, self.places)
        self._named.update(reading.named)
        self._take(reading.events)
        self._warnings.extend(reading.warnings)
        return reading

    def _with_all_components(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the summary with the whole list of components, where its own may be a part that changes.

        Where that cannot be read, it is not known which components there are.
        """
        if not is_partial(payload):
            return payload
        whole = self._whole_list()
        self._in_part = whole is None
        return payload if whole is None else {**payload, "components": whole}

    def _whole_list(self) -> list[Any] | None:
        try:
            found = fetch_json(self._http, self._source, COMPONENTS)
            if isinstance(found, dict) and isinstance(found.get("components"), list):
                return list(found["components"])
            why = Reason.GARBAGE
        except SourceError as error:
            why = error.reason
        self._warnings.append(f"{COMPONENTS} could not be read: {why}")
        return None

    def optional(self, path: str) -> PageReading | None:
        """Read one endpoint that can be done without; None, with a warning, where it cannot be read."""
        try:
            return self.require(path, if_there=True)
        except SourceError as error:
            self.trouble = error
            self._warnings.append(f"{path} could not be read: {error.reason}")
            return None

    def look_up(self, tracked: frozenset[str]) -> None:
        """Ask for each tracked incident that no list named: planned works first, then one by one.

        One that the page does not know (404) counts as absent; one that could not be read is unknown.
        """
        absent = sorted(tracked - self._events.keys())
        trouble = self.trouble
        if absent and self.optional(PLANNED) is None and self.trouble is not trouble:
            self._unknown.update(absent)  # each may be a planned work
            return
        absent = shuffled(tracked - self._events.keys())
        until = time.monotonic() + self._lookup_seconds
        for place, fingerprint in enumerate(absent):
            if place == LOOKUPS_MAX or time.monotonic() > until:
                self._unknown.update(absent[place:])
                return
            reading = self.optional(f"/api/v2/incidents/{quote(fingerprint, safe='')}.json")
            if self.trouble is not trouble:
                self._unknown.update(absent[place:])
                return
            if reading is None:
                self._retracted.add(fingerprint)
            elif fingerprint not in self._events:
                self._unknown.add(fingerprint)  # there, but in a state that we do not know

    def snapshot(self, tracked: frozenset[str], *, complete: bool) -> Snapshot:
        """Return what the answers add up to, held against the page's summary."""
        read = Snapshot(
            source=self._source,
            events=tuple(self._events.values()),
            complete=complete,
            unknown=frozenset(self._unknown - self._events.keys()),
            warnings=tuple(self._warnings),
        )
        seen = checked(read, self._summary, tracked, self._named)
        events, warnings = self._with_page_severity(seen.events), tuple(dict.fromkeys(seen.warnings))
        hidden = frozenset(filter(is_place, tracked)) - {event.fingerprint for event in seen.events}
        return replace(
            seen,
            events=events,
            unknown=seen.unknown | hidden if self._in_part else seen.unknown,
            warnings=warnings,
            listed={} if self._in_part else self.places.listed,
            components=self.places.names if self._lists_components else None,
            host=self._host,
            retracted=frozenset(self._retracted - self._events.keys()),
        )

    def _with_page_severity(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        """Raise what the page's level means, whichever list told the newer word; without a summary, as before."""
        if self._summary is None:
            return tuple(self._as_before(event) for event in events)
        lifted = raised(events, self._level)
        self.raised = {
            now.fingerprint: now.severity
            for now, event in zip(lifted, events, strict=True)
            if now.severity != event.severity
        }
        return lifted

    def _as_before(self, event: Event) -> Event:
        severity = self.raised.get(event.fingerprint, event.severity)
        worse = event.status is EventStatus.FIRING and severity.rank < event.severity.rank
        return replace(event, severity=severity) if worse else event

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            known = self._events.get(event.fingerprint)
            if known is None or (event.at and known.at and event.at > known.at):
                self._events[event.fingerprint] = event


def read_file(config: Config, name: str, body: bytes) -> Snapshot:
    """Read one payload file of any endpoint. Only a summary says for sure that it is complete. Raises SourceError."""
    payload, base = read_json(name, body), split_endpoint(config.url)[0]
    reading = parse(name, base, payload)
    if not isinstance(payload, dict) or "status" not in payload or "incidents" not in payload:
        return Snapshot(source=name, events=raised(reading.events, reading.level), warnings=reading.warnings)
    read = Snapshot(source=name, events=reading.events, complete=not reading.flawed, warnings=reading.warnings)
    places = Places.of(payload)
    seen = checked(read, summary_of(base, payload, places), frozenset(), reading.named)
    return replace(seen, events=raised(seen.events, reading.level), listed=places.listed)


def split_endpoint(url: str) -> tuple[str, str]:
    """Split a page's or endpoint's address into the page's base and the endpoint's path ("" for none)."""
    parts = urlsplit(url)
    found = _ENDPOINT.search(parts.path)
    path = parts.path[: found.start()] if found else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path.rstrip("/"), "", "")), found.group() if found else ""
