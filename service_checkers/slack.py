"""Slack's own status page: what is open now from `/current`; how a tracked incident ended from `/history`.

Format: https://docs.slack.dev/reference/slack-status-api. An incident that Slack closed too early opens again
under its id. Version 1 of the API shows a single incident, for an hour after its end too: it is never complete.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from service_checkers.reading.fetch import WebAddress, fetch_json, read_json
from service_checkers.reading.places import Summary, checked, is_place, page
from service_checkers.reading.text import lines, moment, newest, one_line, plain
from service_checkers.reading.values import identity, link, names, objects
from service_event_checker.config.models import CheckerConfig
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.http.client import Http

API = "/api/v2.0.0"
PAGE_URL = "https://slack-status.com"
LEVELS = {"ok": Severity.INFO, "active": Severity.WARNING}  # of the page as a whole
SEVERITIES = {"outage": Severity.ERROR, "incident": Severity.WARNING, "notice": Severity.INFO}
_DONE = frozenset({"resolved", "completed", "cancelled", "canceled"})
_PLANNED = frozenset({"scheduled", "completed"})
_ENDPOINT = re.compile(r"(?P<api>/api(?:/v[0-9.]+)?)?/?(?:(?:current|history)/?)?$")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Config(CheckerConfig):
    """`url`: the page's address, or that of `/api/v2.0.0/current`."""

    kind: Literal["slack"]
    url: WebAddress


class Checker:
    """Reads the page; the history only when a tracked incident is no longer open."""

    def __init__(self, name: str, config: Config) -> None:
        self._name = name
        self._api = api_address(config.url)
        self._http = Http(self._api, timeout=config.timeout.total_seconds())

    def check(self, tracked: frozenset[str]) -> Snapshot:
        """Return what is open and how the tracked that are not have ended. Raises SourceError."""
        reader = _Reader(self._name, self._api)
        complete = reader.current(fetch_json(self._http, self._name, "/current"))
        absent = frozenset(name for name in tracked - reader.seen if not is_place(name))
        if absent:
            self._look_up(reader, absent)
        return checked(reader.snapshot(complete=complete), reader.summary, tracked)

    def _look_up(self, reader: _Reader, absent: frozenset[str]) -> None:
        """Ask the history for the last word on what is absent; one that it does not know stays absent."""
        try:
            reader.history(fetch_json(self._http, self._name, "/history"), absent)
        except SourceError as error:
            reader.unknown |= absent
            reader.warnings.append(f"/history could not be read: {error.reason}")


def read_file(config: Config, name: str, body: bytes) -> Snapshot:
    """Read one answer of `/current` (version 2 or 1) or `/history`. Raises SourceError."""
    payload, reader = read_json(name, body), _Reader(name, api_address(config.url))
    if isinstance(payload, list):
        reader.history(payload, None)
        return reader.snapshot(complete=False)
    complete = reader.current(payload)
    return checked(reader.snapshot(complete=complete), reader.summary, frozenset())


def api_address(url: str) -> str:
    """Return the address of the API that a page's or an endpoint's address stands for."""
    parts = urlsplit(url)
    found = _ENDPOINT.search(parts.path)
    path, api = (parts.path[: found.start()], found["api"] or API) if found else (parts.path, API)
    return urlunsplit((parts.scheme, parts.netloc, path.rstrip("/") + api, "", ""))


class _Reader:
    """The events of one check, what cannot be told, and what people should know."""

    def __init__(self, source: str, api: str) -> None:
        self.unknown: frozenset[str] = frozenset()
        self.warnings: list[str] = []
        self.summary = Summary(url=PAGE_URL)
        self._version1 = "/api/v2" not in api
        self._source = source
        self._events: dict[str, Event] = {}

    @property
    def seen(self) -> frozenset[str]:
        return self.unknown | self._events.keys()

    def current(self, payload: Any) -> bool:
        """Take in what is open; return whether that is all there is. Raises SourceError."""
        if not isinstance(payload, dict):
            raise SourceError(self._source, Reason.GARBAGE, "not a JSON object")
        if "active_incidents" not in payload:
            return self._current_v1(payload)
        incidents, state = payload["active_incidents"], one_line(payload.get("status"), 40)
        if not isinstance(incidents, list):
            raise SourceError(self._source, Reason.GARBAGE, '"active_incidents" is not a list')
        level = None if incidents else page("Slack", state, LEVELS)
        self.summary = Summary(url=PAGE_URL, page=level)
        read = [self._take(incident, listed_open=True) for incident in incidents]
        if read and not any(read):
            raise SourceError(self._source, Reason.GARBAGE, "no incident of the list can be read")
        return all(read) and bool(read or state == "ok")

    def history(self, payload: Any, wanted: frozenset[str] | None) -> None:
        """Take in those of the past that are wanted (None: all). Raises SourceError."""
        if not isinstance(payload, list):
            raise SourceError(self._source, Reason.GARBAGE, "the history is not a list")
        incidents = [entry for entry in objects(payload) if wanted is None or identity(entry.get("id")) in wanted]
        if payload and not objects(payload):
            raise SourceError(self._source, Reason.GARBAGE, "no incident of the history can be read")
        read = [self._take(incident, listed_open=False) for incident in incidents]
        if wanted is None and read and not any(read):
            raise SourceError(self._source, Reason.GARBAGE, "no incident of the history can be read")

    def snapshot(self, *, complete: bool) -> Snapshot:
        return Snapshot(
            source=self._source,
            events=tuple(self._events.values()),
            complete=complete,
            unknown=self.unknown - self._events.keys(),
            warnings=tuple(dict.fromkeys(self.warnings)),
        )

    def _current_v1(self, payload: Mapping[str, Any]) -> bool:
        """Read version 1: one incident without a list around it, or nothing but the word that all is well."""
        if self._version1 and payload.get("status") == "ok" and "id" not in payload:
            return True
        if not self._take(payload, listed_open=True):
            raise SourceError(self._source, Reason.GARBAGE, 'the list "active_incidents" is missing')
        self.warnings.append(f"version 1 of the API shows one incident only: configure {API}/current")
        return False

    def _take(self, incident: Any, *, listed_open: bool) -> bool:
        """Keep the event of an incident; return whether it could be read."""
        fingerprint = identity(incident.get("id")) if isinstance(incident, dict) else ""
        state = one_line(incident.get("status"), 40).casefold() if fingerprint else ""
        if not fingerprint or not state or "title" not in incident:
            self.warnings.append("an incident without id, title or status is left out")
            self.unknown |= frozenset(filter(None, [fingerprint]))
            return False
        if state not in _DONE | _PLANNED | {"active"}:
            self.warnings.append(f'incident {fingerprint} has an unknown status "{state}"')
            if not listed_open:
                self.unknown |= {fingerprint}
                return True
        self._events[fingerprint] = self._event(incident, fingerprint, state)
        return True

    def _event(self, incident: Mapping[str, Any], fingerprint: str, state: str) -> Event:
        notes = _notes(incident)
        changed = [moment(incident.get("date_updated")), *(moment(note.get("date_created")) for note in notes)]
        starts_at = moment(incident.get("date_created"))
        labels = {"service": lines(names(incident.get("services"))), "state": state}
        return Event(
            source=self._source,
            fingerprint=fingerprint,
            kind=Kind.MAINTENANCE if state in _PLANNED else Kind.OUTAGE,
            status=EventStatus.RESOLVED if state in _DONE else EventStatus.FIRING,
            title=one_line(plain(incident.get("title"))) or f"Incident {fingerprint}",
            severity=self._severity(fingerprint, incident.get("type")),
            description=plain(notes[-1].get("body")) if notes else "",
            at=newest(*changed) or (None if state in _DONE else starts_at),
            starts_at=starts_at,
            url=link(incident.get("url")) or PAGE_URL,
            labels={name: value for name, value in labels.items() if value},
        )

    def _severity(self, fingerprint: str, type_: Any) -> Severity:
        if type_ is None:
            return Severity.WARNING
        level = SEVERITIES.get(one_line(type_, 40).casefold())
        if level is None:
            self.warnings.append(f'incident {fingerprint} has an unknown type "{one_line(type_, 40)}"')
        return level or Severity.WARNING


def _notes(incident: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the notes, oldest first; the vendor's order stands where a time is missing."""
    notes = objects(incident.get("notes"))
    if all(moment(note.get("date_created")) for note in notes):
        notes.sort(key=lambda note: moment(note.get("date_created")) or _LONG_AGO)
    return notes
