"""Azure DevOps: the health of each service in each geography. The page has no incidents, only unhealthy places.

So a place is the fingerprint (`Pipelines:US`), and an episode lasts from the first bad poll until the place is
listed as well again for `resolve_after` polls. Format and meaning of the words:
https://learn.microsoft.com/rest/api/azure/devops/status/health/get
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit, urlunsplit

from service_checkers.reading.fetch import WebAddress, fetch_json, read_json
from service_checkers.reading.text import moment, one_line, plain
from service_checkers.reading.values import identity, objects
from service_event_checker.config.models import CheckerConfig
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import FINGERPRINT_MAX, Event, Snapshot
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.http.client import Http

PAGE = "https://status.dev.azure.com/"
PATH = "/_apis/status/health"
VERSION = "7.2-preview.1"
SEVERITIES = {"unhealthy": Severity.CRITICAL, "degraded": Severity.ERROR, "advisory": Severity.INFO}


class Config(CheckerConfig):
    """`url`: the page's address, or that of the health API with its query (`geographies=US`, `services=…`).

    `advisories`: whether a place under an advisory, which is only information, also counts as an event.
    """

    kind: Literal["azure_devops"]
    url: WebAddress
    advisories: bool = False


class Checker:
    """Reads the health of all places that the address asks for."""

    def __init__(self, name: str, config: Config) -> None:
        self._name = name
        self._config = config
        address = health_address(config.url)
        self._asked = _asked(address)
        self._http = Http(address, timeout=config.timeout.total_seconds())

    def check(self, tracked: frozenset[str]) -> Snapshot:
        """Return the places that are unwell; complete, whatever else cannot be read. Raises SourceError.

        A tracked place that the answer does not judge is unknown: only one that is listed as well is over, or
        one that the address no longer asks for.
        """
        reader = _Reader(self._name, advisories=self._config.advisories)
        reader.read(fetch_json(self._http, self._name, ""))
        asked = {fingerprint for fingerprint in tracked if _is_asked(fingerprint, self._asked)}
        return replace(reader.snapshot(frozenset(asked)), complete=True)


def read_file(config: Config, name: str, body: bytes) -> Snapshot:
    """Read one answer of the health API. Raises SourceError."""
    reader = _Reader(name, advisories=config.advisories)
    reader.read(read_json(name, body))
    return reader.snapshot(frozenset())


def health_address(url: str) -> str:
    """Return the address to ask: that of the health API, with its version."""
    parts = urlsplit(url)
    path = parts.path if parts.path.endswith(PATH) else parts.path.rstrip("/") + PATH
    versioned = "api-version" in parse_qs(parts.query)
    query = parts.query if versioned else "&".join(filter(None, (parts.query, f"api-version={VERSION}")))
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


class _Reader:
    """What one answer says: unhealthy places, healthy places, and unknown ones."""

    def __init__(self, source: str, *, advisories: bool) -> None:
        self._source = source
        self._advisories = advisories
        self._events: dict[str, Event] = {}
        self._well: set[str] = set()
        self._unknown: set[str] = set()
        self._warnings: list[str] = []
        self._flawed = False
        self._services: set[str] = set()
        self._regions: set[str] = set()

    def read(self, payload: Any) -> None:
        """Take an answer in. Raises SourceError for one without services."""
        services = payload.get("services") if isinstance(payload, dict) else None
        if not isinstance(services, list):
            raise SourceError(self._source, Reason.GARBAGE, 'the list "services" is missing')
        for service in services:
            self._read_service(payload, service)
        if not (self._events or self._well or self._unknown or self._warnings):
            raise SourceError(self._source, Reason.GARBAGE, "no service can be read")

    def snapshot(self, tracked: frozenset[str]) -> Snapshot:
        unjudged = tracked - self._well - self._events.keys()
        return Snapshot(
            source=self._source,
            events=tuple(self._events.values()),
            complete=not self._flawed,
            unknown=frozenset((self._unknown - self._events.keys()) | unjudged),
            warnings=tuple(dict.fromkeys(self._warnings)),
            listed={"service": frozenset(self._services), "region": frozenset(self._regions)},
        )

    def _read_service(self, payload: Mapping[str, Any], service: Any) -> None:
        name = identity(service.get("id")) if isinstance(service, dict) else ""
        geographies = service.get("geographies") if name else None
        if not name or not isinstance(geographies, list):
            self._flawed = True
            return
        self._services.add(one_line(name))
        if not geographies:
            self._flawed = True
            self._warnings.append(f"{one_line(name, 40)} names no geography")
        for geography in geographies:
            self._read_place(payload, name, geography)

    def _read_place(self, payload: Mapping[str, Any], service: str, geography: Any) -> None:
        region = identity(geography.get("id")) if isinstance(geography, dict) else ""
        fingerprint = f"{service}:{region}"
        if not region or len(fingerprint) > FINGERPRINT_MAX:
            self._flawed = True
            return
        self._regions.add(one_line(region))
        health = one_line(geography.get("health"), 40).casefold()
        if health == "healthy" or (health == "advisory" and not self._advisories):
            self._well.add(fingerprint)
        elif health in SEVERITIES:
            self._take(_event(self._source, payload, service, geography, health))
        else:
            self._unknown.add(fingerprint)
            self._warnings.append(f'the health of {one_line(fingerprint, 80)} is "{health or "missing"}"')

    def _take(self, event: Event) -> None:
        known = self._events.get(event.fingerprint)
        if known is None or event.severity.rank < known.severity.rank:
            self._events[event.fingerprint] = event


def _event(source: str, payload: Mapping[str, Any], service: str, geography: Mapping[str, Any], health: str) -> Event:
    """Return the event of one place; the page's own text is of all places, so it only describes."""
    region = identity(geography.get("id"))
    place = one_line(geography.get("name")) or region
    overall = next(iter(objects([payload.get("status")])), {})
    return Event(
        source=source,
        fingerprint=f"{service}:{region}",
        kind=Kind.OUTAGE,
        status=EventStatus.FIRING,
        title=one_line(f"{service}: {health} in {place}"),
        severity=SEVERITIES[health],
        description=plain(overall.get("message")),
        at=moment(payload.get("lastUpdated")),
        url=PAGE,
        labels={"service": one_line(service), "region": one_line(region), "state": health},
    )


def _asked(address: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the services and geographies that an address asks for; an empty set stands for all."""
    query = parse_qs(urlsplit(address).query)
    services, regions = (",".join(query.get(key, [])).split(",") for key in ("services", "geographies"))
    return _folded(services), _folded(regions)


def _is_asked(fingerprint: str, asked: tuple[frozenset[str], frozenset[str]]) -> bool:
    service, _, region = fingerprint.casefold().rpartition(":")
    services, regions = asked
    return (not services or service in services) and (not regions or region in regions)


def _folded(words: list[str]) -> frozenset[str]:
    return frozenset(word.strip().casefold() for word in words if word.strip())
