"""Any page that tells its incidents as JSON, by a mapping of JMESPath expressions or a preset of one.

One address is queried; single incidents cannot be. So if the list is not complete (`complete: false`), a tracked
incident that is no longer in it stays unknown. How a mapping is written: mapping.py; the presets are data.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal, Self
from urllib.parse import urljoin, urlsplit, urlunsplit

from pydantic import model_validator

from service_checkers.json_page.mapping import Mapping, Preset, evaluate, read_preset, word
from service_checkers.json_page.summary import summary_of
from service_checkers.reading.fetch import WebAddress, fetch, host_of, read_json
from service_checkers.reading.places import checked, is_place, named
from service_checkers.reading.text import lines, newest, one_line, plain
from service_checkers.reading.values import any_moment, identity, link, names
from service_event_checker.config.models import CheckerConfig
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.http.address import without_credentials
from service_event_checker.http.client import Http

MAX_BYTES = 8 * 1024 * 1024
ENTRIES_MAX = 1000  # of each list; an expression may look through the whole page for each
_MINUTES = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
_LABELS = {"component": "components", "group": "groups", "region": "regions", "service": "services"}


class Config(CheckerConfig):
    """`url`: the address of the JSON, or the page's host where the preset knows the rest.

    `preset`: a mapping that we have; `mapping`: one of your own, or what differs from the preset, key by key.
    """

    kind: Literal["json_page"]
    url: WebAddress
    preset: Preset = ""
    mapping: Mapping = Mapping()

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or not isinstance(raw.get("preset"), str) or not raw["preset"]:
            return raw
        own = raw.get("mapping", {})
        if isinstance(own, Mapping):
            own = own.model_dump(exclude_unset=True)
        return {**raw, "mapping": {**read_preset(raw["preset"]), **own}} if isinstance(own, dict) else raw

    @model_validator(mode="after")
    def _is_enough(self) -> Self:
        if not self.mapping.incidents or not self.mapping.id:
            raise ValueError('lacks a mapping. Name a "preset", or give "mapping" with "incidents" and "id" at least')
        if bool(self.mapping.places) != bool(self.mapping.place):
            raise ValueError(
                'mapping: "places" and "place" need each other: the list of components, and what is in each'
            )
        if self.mapping.status and not self.mapping.open:
            raise ValueError('mapping: has a "status" but no words for it. Give "open" and "resolved"')
        return self


class Checker:
    """Reads one address."""

    def __init__(self, name: str, config: Config) -> None:
        self._name = name
        self._config = config
        address = address_of(config.url, config.mapping.path)
        self._http = Http(address, timeout=config.timeout.total_seconds(), max_bytes=MAX_BYTES)

    def check(self, tracked: frozenset[str]) -> Snapshot:
        """Return what the page shows. Raises SourceError."""
        answer = fetch(self._http, self._name, "")
        return replace(_read(self._config, self._name, answer.body, tracked), host=host_of(answer.url))


def read_file(config: Config, name: str, body: bytes) -> Snapshot:
    """Read one answer of the page. Raises SourceError."""
    return _read(config, name, body, frozenset())


def address_of(url: str, path: str) -> str:
    """Return the address to ask: a bare host gets the path that the preset knows."""
    if urlsplit(url).path.strip("/") or urlsplit(url).query:
        return url
    return urlunsplit((*urlsplit(url)[:2], "", "", "")) + path


def _read(config: Config, name: str, body: bytes, tracked: frozenset[str]) -> Snapshot:
    payload, mapping = read_json(name, body), config.mapping
    if mapping.requires and evaluate(mapping.requires, payload) in (None, False, ""):
        raise SourceError(name, Reason.GARBAGE, "not the page that the mapping is for")
    incidents = _list(name, "incidents", mapping.incidents, payload)
    planned = _list(name, "maintenances", mapping.maintenances, payload) if mapping.maintenances else []
    reader = _Reader(name, mapping, _page(config), payload)
    read = [reader.take(entry, planned=False) for entry in incidents[:ENTRIES_MAX]]
    read += [reader.take(entry, planned=True) for entry in planned[:ENTRIES_MAX]]
    if read and not any(read):
        raise SourceError(name, Reason.GARBAGE, "no incident of the list can be read")
    whole = max(len(incidents), len(planned)) <= ENTRIES_MAX
    if not whole:
        reader.warnings.append(f"only the first {ENTRIES_MAX} entries were read")
    absent = (fingerprint for fingerprint in tracked - reader.events.keys() if not is_place(fingerprint))
    unseen = frozenset() if mapping.complete else frozenset(absent)
    snapshot = Snapshot(
        source=name,
        events=tuple(reader.events.values()),
        complete=mapping.complete and whole and all(read),
        unknown=frozenset(reader.unknown - reader.events.keys()) | unseen,
        warnings=tuple(dict.fromkeys(reader.warnings)),
    )
    summary = summary_of(mapping, _page(config), payload)
    seen = checked(snapshot, summary, tracked)
    if not mapping.all_places:
        return seen
    names_of = {"component": frozenset(place.name for place in summary.components)}
    return replace(seen, components=named(summary), listed=names_of)


def _list(source: str, key: str, expression: str, payload: Any) -> list[Any]:
    found = evaluate(expression, payload)
    if not isinstance(found, list):
        raise SourceError(source, Reason.GARBAGE, f'"{key}" finds no list')
    return found


def _page(config: Config) -> str:
    """Return the address for people: that of the mapping, else of the page that the JSON belongs to."""
    if config.mapping.page:
        return config.mapping.page
    parts = urlsplit(without_credentials(config.url))
    path = parts.path.removesuffix(config.mapping.path.partition("?")[0])
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


class _Reader:
    """The events of one answer by fingerprint, what cannot be told, and what people should know."""

    def __init__(self, source: str, mapping: Mapping, page: str, payload: Any) -> None:
        self.events: dict[str, Event] = {}
        self.unknown: set[str] = set()
        self.warnings: list[str] = []
        self._source = source
        self._mapping = mapping
        self._page = page
        self._payload = payload

    def take(self, entry: Any, *, planned: bool) -> bool:
        """Keep the event of an entry; return whether it could be read."""
        fields = self._fields(entry) if isinstance(entry, dict) else {}
        fingerprint = identity(fields.get("id"))
        if not fingerprint:
            self.warnings.append("an entry without an id is left out")
            return False
        state = word(fields["status"])
        if self._mapping.status and state not in self._states():
            self.warnings.append(f'{one_line(fingerprint, 80)} has an unknown status "{one_line(state, 40)}"')
            self.unknown.add(fingerprint)
            return True
        event = self._event(fields, fingerprint, state, planned=planned or state in self._mapping.planned)
        known = self.events.get(fingerprint)
        if known is None or (event.at and known.at and event.at > known.at):
            self.events[fingerprint] = event
        return True

    def _states(self) -> set[str]:
        return {*self._mapping.open, *self._mapping.planned, *self._mapping.resolved}

    def _fields(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return what each expression on an entry finds."""
        seen = {**entry, "_page": self._payload}
        named = (
            "id",
            "title",
            "status",
            "severity",
            "url",
            "starts_at",
            "posted_at",
            "ends_at",
            "minutes",
            "updated_at",
            "description",
        )
        return {name: evaluate(getattr(self._mapping, name), seen) for name in (*named, *_LABELS.values())}

    def _event(self, fields: dict[str, Any], fingerprint: str, state: str, *, planned: bool) -> Event:
        over = state in self._mapping.resolved
        starts_at, updated_at = any_moment(fields["starts_at"]), any_moment(fields["updated_at"])
        labels = {label: lines(names(fields[name])) for label, name in _LABELS.items()}
        address = fields["url"]
        return Event(
            source=self._source,
            fingerprint=fingerprint,
            kind=Kind.MAINTENANCE if planned else Kind.OUTAGE,
            status=EventStatus.RESOLVED if over else EventStatus.FIRING,
            title=one_line(plain(fields["title"])) or f"Incident {fingerprint}",
            severity=self._severity(fields["severity"], fingerprint, planned=planned),
            description=plain(fields["description"]),
            at=updated_at or (None if over else newest(starts_at)),
            starts_at=starts_at,
            posted_at=any_moment(fields["posted_at"]),
            ends_at=_planned_end(fields, starts_at) if planned else None,
            url=link(_joined(self._page, address)) or self._page,
            labels={name: value for name, value in {**labels, "state": one_line(state, 80)}.items() if value},
        )

    def _severity(self, found: Any, fingerprint: str, *, planned: bool) -> Severity:
        if found is None or found == "":
            return Severity.INFO if planned else Severity.WARNING
        level = self._mapping.severities.get(word(found))
        if level is None:
            shown = one_line(found if isinstance(found, str) else word(found), 40)
            self.warnings.append(f'{one_line(fingerprint, 80)} has an unknown severity "{shown}"')
        return level or Severity.WARNING


def _planned_end(fields: dict[str, Any], starts_at: datetime | None) -> datetime | None:
    """Return the planned end that an entry names, else its start and the minutes that it is to take."""
    named, minutes = any_moment(fields["ends_at"]), word(fields["minutes"])
    if named or starts_at is None or not _MINUTES.fullmatch(minutes):
        return named
    try:
        return starts_at + timedelta(minutes=int(minutes))
    except OverflowError:
        return None


def _joined(page: str, address: Any) -> str:
    """Return the entry's own address, which may be relative to the page's."""
    try:
        return urljoin(page, address) if isinstance(address, str) and address else ""
    except ValueError:  # like "http://["
        return ""
