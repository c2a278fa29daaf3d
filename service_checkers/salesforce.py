"""Salesforce Trust: the incidents that are open now, of which those on our own instances concern us.

Of some 1,500 instances one is always unwell, so the checker is off until `instances` names ours. An incident has
no title: it is made of the kind of impact and the instances. Format: https://api.status.salesforce.com/v1/docs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import BeforeValidator, model_validator

from service_checkers.reading.fetch import WebAddress, fetch_json, read_json, shuffled
from service_checkers.reading.text import lines, moment, newest, one_line, plain
from service_checkers.reading.values import identity, names, objects
from service_event_checker.config.models import CheckerConfig, as_mapping
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.http.client import Http

API = "https://api.status.salesforce.com/v1"
PAGE_HOST = "status.salesforce.com"  # answers 403 "Direct API access not allowed"
PAGE = "https://status.salesforce.com/incidents/"
LIST_EVERY = 12 * 3600  # seconds between two looks at the list of all instances, 1.5 MB
LOOKUPS_MAX = 10  # single incidents asked for in one check; the others stay unknown until the next
SEVERITIES = {"critical": Severity.CRITICAL, "major": Severity.ERROR, "minor": Severity.WARNING}
NAMED_MAX = 3  # instances in a title
_ENDPOINT = re.compile(r"/incidents(?:/active)?/?$")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _listed(value: Any) -> Any:
    """Split a text like "NA137, CS5": an environment variable holds no list."""
    return tuple(re.split(r"[\s,;]+", value.strip(" ,;\t\n"))) if isinstance(value, str) and value.strip() else value


class Config(CheckerConfig):
    """`url`: the API's address, or that of `/incidents/active`. `instances`: your instances, like NA137.

    They stand for `only.instances` too: what is on others is listed, but not opened.
    """

    NEEDS: ClassVar[tuple[str, ...]] = ("instances",)

    kind: Literal["salesforce"]
    url: WebAddress = API
    instances: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()

    @model_validator(mode="before")
    @classmethod
    def _only_ours(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or not isinstance(raw.get("only", {}), dict):
            return raw
        if not raw.get("instances") or not isinstance(raw["instances"], str | list | tuple):
            return raw
        return {**raw, "only": {"instances": _listed(raw["instances"]), **as_mapping(raw.get("only"))}}


class Checker:
    """Reads what is open now, and each tracked incident that is no longer in that list."""

    def __init__(self, name: str, config: Config) -> None:
        self._name = name
        self._instances = config.instances
        address, self._warnings = api_address(config.url)
        self._http = Http(address, timeout=config.timeout.total_seconds())
        self._listed: frozenset[str] = frozenset()
        self._list_again_at = 0.0  # time.monotonic()

    def check(self, tracked: frozenset[str]) -> Snapshot:
        """Return what is open and how the tracked that are not have ended. Raises SourceError."""
        reader = _Reader(self._name, self._instances, self._warnings)
        reader.active(fetch_json(self._http, self._name, "/incidents/active"))
        self._look_up(reader, shuffled(tracked - reader.seen))
        return replace(reader.snapshot(), listed={"instance": self._instances_listed()})

    def _instances_listed(self) -> frozenset[str]:
        """Return the keys of all instances as they were last listed; that list is long and rarely changes."""
        if time.monotonic() < self._list_again_at:
            return self._listed
        self._list_again_at = time.monotonic() + LIST_EVERY
        with suppress(SourceError):  # what is open could be read: that is what counts
            payload = fetch_json(self._http, self._name, "/instances/status")
            entries = objects(payload) if isinstance(payload, list) else []
            self._listed = frozenset(key for entry in entries if (key := identity(entry.get("key")))) or self._listed
        return self._listed

    def _look_up(self, reader: _Reader, absent: list[str]) -> None:
        """Ask for each by its id; one that is not known there (404) counts as absent, an unreadable one is unknown."""
        reader.unknown.update(absent[LOOKUPS_MAX:])
        for place, fingerprint in enumerate(absent[:LOOKUPS_MAX]):
            try:
                payload = fetch_json(self._http, self._name, f"/incidents/{quote(fingerprint, safe='')}")
            except SourceError as error:
                if error.reason is Reason.NOT_FOUND:
                    continue
                reader.unknown.update(absent[place:LOOKUPS_MAX])
                reader.warnings.append(f"incident {one_line(fingerprint, 40)} could not be read: {error.reason}")
                return
            reader.single(payload, fingerprint)


def read_file(config: Config, name: str, body: bytes) -> Snapshot:
    """Read one answer of `/incidents/active`, `/incidents`, `/incidents/<id>` or `/instances/status`.

    A file does not tell which list it is, so it is not complete. Raises SourceError.
    """
    payload, reader = read_json(name, body), _Reader(name, config.instances, ())
    reader.flawed = True
    if isinstance(payload, dict):
        payload = [payload]
    if isinstance(payload, list) and any("Incidents" in entry for entry in objects(payload)):
        payload = [incident for instance in objects(payload) for incident in objects(instance.get("Incidents"))]
    reader.active(payload)
    return reader.snapshot()


def api_address(url: str) -> tuple[str, tuple[str, ...]]:
    """Return the API's address that a configured one stands for, and what people should know of the difference."""
    parts = urlsplit(url)
    if parts.hostname == PAGE_HOST:
        return API, (f"{PAGE_HOST} has no public API: {API} is asked instead",)
    path = _ENDPOINT.sub("", parts.path).rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path or "/v1", "", "")), ()


class _Reader:
    """The events of one check, what cannot be told, and what people should know."""

    def __init__(self, source: str, instances: tuple[str, ...], warnings: tuple[str, ...]) -> None:
        self.unknown: set[str] = set()
        self.warnings = list(warnings)
        self.flawed = False
        self._source = source
        self._ours = {key.casefold() for key in instances}
        self._events: dict[str, Event] = {}

    @property
    def seen(self) -> frozenset[str]:
        return frozenset(self._events)

    def active(self, payload: Any) -> None:
        """Take in a list of incidents. Raises SourceError."""
        if not isinstance(payload, list):
            raise SourceError(self._source, Reason.GARBAGE, "the incidents are not a list")
        read = [self._take(incident) for incident in payload]
        self.flawed |= not all(read)
        if read and not any(read):
            raise SourceError(self._source, Reason.GARBAGE, "no incident of the list can be read")

    def single(self, payload: Any, fingerprint: str) -> None:
        """Take in the answer for one incident; it is unknown if that is not about it."""
        for incident in objects(payload if isinstance(payload, list) else [payload]):
            if identity(incident.get("id")) == fingerprint:
                self._take(incident)
        if fingerprint not in self._events:
            self.unknown.add(fingerprint)

    def snapshot(self) -> Snapshot:
        return Snapshot(
            source=self._source,
            events=tuple(self._events.values()),
            complete=not self.flawed,
            unknown=frozenset(self.unknown - self._events.keys()),
            warnings=tuple(dict.fromkeys(self.warnings)),
        )

    def _take(self, incident: Any) -> bool:
        """Keep the event of an incident; return whether it could be read."""
        fingerprint = identity(incident.get("id")) if isinstance(incident, dict) else ""
        if not fingerprint or not isinstance(incident.get("IncidentImpacts"), list):
            self.warnings.append("an incident without an id or a list of impacts is left out")
            self.unknown.update(filter(None, [fingerprint]))
            return False
        self._events[fingerprint] = self._event(incident, fingerprint)
        return True

    def _event(self, incident: Mapping[str, Any], fingerprint: str) -> Event:
        impacts = objects(incident.get("IncidentImpacts"))
        over = self._is_over(incident, fingerprint, impacts)
        starts = [at for impact in impacts if (at := moment(impact.get("startTime")))]
        starts_at = min(starts, default=None) or moment(incident.get("createdAt"))
        worst = sorted(
            [impact for impact in impacts if _is_open(impact)] or impacts,
            key=lambda impact: (self._severity(fingerprint, impact).rank, one_line(impact.get("type"))),
        )
        keys = self._instances(incident)
        labels = {"instance": lines(keys), "service": lines(sorted(names(incident.get("serviceKeys"))))}
        return Event(
            source=self._source,
            fingerprint=fingerprint,
            kind=Kind.OUTAGE,
            status=EventStatus.RESOLVED if over else EventStatus.FIRING,
            title=_title(incident, worst, keys),
            severity=self._severity(fingerprint, worst[0]) if worst else Severity.WARNING,
            description=_description(incident),
            at=_changed_at(incident, impacts) or (None if over else starts_at),
            starts_at=starts_at,
            url=PAGE + quote(fingerprint, safe=""),
            labels={name: value for name, value in labels.items() if value},
        )

    def _is_over(self, incident: Mapping[str, Any], fingerprint: str, impacts: list[dict[str, Any]]) -> bool:
        """Over is what says so, or what says nothing and has an end for every impact (and an impact at all)."""
        state = one_line(incident.get("status"), 40).casefold()
        if state not in ("", "active", "resolved"):
            self.warnings.append(f'incident {fingerprint} has an unknown status "{state}"')
        return state == "resolved" or (not state and bool(impacts) and not any(map(_is_open, impacts)))

    def _severity(self, fingerprint: str, impact: Mapping[str, Any]) -> Severity:
        word = impact.get("severity")
        level = SEVERITIES.get(one_line(word, 40).casefold())
        if level is None and word is not None:
            self.warnings.append(f'incident {fingerprint} has an unknown severity "{one_line(word, 40)}"')
        return level or Severity.WARNING

    def _instances(self, incident: Mapping[str, Any]) -> list[str]:
        """Return your affected instances, else all that it names: a label must not be cut before yours.

        Sorted: a different order is not a change.
        """
        keys = sorted(names(incident.get("instanceKeys")))
        return [key for key in keys if key.casefold() in self._ours] or keys


def _is_open(impact: Mapping[str, Any]) -> bool:
    return moment(impact.get("endTime")) is None  # null and "" both


def _title(incident: Mapping[str, Any], worst: list[dict[str, Any]], keys: list[str]) -> str:
    kinds = (one_line(source.get("type")) for source in (*worst, incident))
    what = _words(next((kind for kind in kinds if kind), "incident"))
    where = keys or [_words(key) for key in sorted(names(incident.get("serviceKeys")))]
    more = f" and {len(where) - NAMED_MAX} more" if len(where) > NAMED_MAX else ""
    return one_line(f"{what}: {', '.join(where[:NAMED_MAX])}{more}" if where else what)


def _words(key: str) -> str:
    """Return a key like `featurePerfDegradation` as words."""
    spelled = " ".join(word if word.isupper() else word.lower() for word in _WORD.findall(key)) or key
    return spelled[:1].upper() + spelled[1:]


def _description(incident: Mapping[str, Any]) -> str:
    """Return the newest of what was posted, then what the vendor says of way out, plan and cause."""
    posted = objects(incident.get("IncidentEvents"))
    if all(moment(event.get("createdAt")) for event in posted):
        posted.sort(key=lambda event: moment(event.get("createdAt")) or _LONG_AGO)
    said = as_mapping(incident.get("message"))
    parts = [posted[-1].get("message") if posted else incident.get("additionalInformation")]
    parts += [said.get(key) for key in ("pathToResolution", "actionPlan", "rootCause")]
    return "\n".join(filter(None, map(plain, parts)))


def _changed_at(incident: Mapping[str, Any], impacts: Iterable[Mapping[str, Any]]) -> datetime | None:
    stamped = [incident, *impacts, *objects(incident.get("IncidentEvents"))]
    changed = newest(*(moment(entry.get("updatedAt")) for entry in stamped))
    return changed or newest(*(moment(entry.get("createdAt")) for entry in stamped))
