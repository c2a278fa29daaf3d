"""The payloads of Atlassian Statuspage (API v2) and of incident.io's imitation of it, read into events; no I/O.

Shapes: https://www.githubstatus.com/api/v2 documents each endpoint. Every field may be missing or of a wrong
type: what cannot be read is left out with a warning, and a payload without its list is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from service_checkers.reading.places import PREFIX
from service_checkers.reading.text import lines, moment, newest, one_line, plain, text
from service_checkers.reading.values import identity, link
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import POSTS_MAX, Event, Post
from service_event_checker.core.page_changes import place_name
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity

LISTS = ("incidents", "scheduled_maintenances")
SEVERITIES = {
    "critical": Severity.CRITICAL,
    "major": Severity.ERROR,
    "minor": Severity.WARNING,
    "none": Severity.INFO,
    "maintenance": Severity.INFO,
}
_UNDER_WAY = frozenset({"investigating", "identified", "monitoring"})
_PLANNED = frozenset({"scheduled", "in_progress", "verifying"})
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")  # https://github.com/ulid/spec
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_DONE = frozenset({"resolved", "postmortem", "completed"})


@dataclass(frozen=True, slots=True)
class Places:
    """The page's components by id: (name, group's name). Incidents name components by id and lack the groups.

    `states` by id; `children`: the ids of a group's components by the group's.
    """

    by_id: Mapping[str, tuple[str, str]]
    states: Mapping[str, str] = field(default_factory=dict)
    children: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @staticmethod
    def of(payload: Mapping[str, Any]) -> Places:
        """Read the component list of a payload; one without the list names no places."""
        components = _objects(payload.get("components"))
        names = {text(entry.get("id")): one_line(entry.get("name")) for entry in components}
        parents: dict[str, str] = {}
        for entry in components:
            group = text(entry.get("id"))
            parents.update((child, group) for child in _texts(entry.get("components")))
        parents.update((text(entry["id"]), text(entry["group_id"])) for entry in components if _has_parent(entry))
        children: dict[str, frozenset[str]] = {}
        for child, group in parents.items():
            children[group] = children.get(group, frozenset()) | {child}
        return Places(
            by_id={code: (name, names.get(parents.get(code, ""), "")) for code, name in names.items()},
            states={text(entry.get("id")): one_line(entry.get("status"), 40) for entry in components},
            children=children,
        )

    @property
    def listed(self) -> dict[str, frozenset[str]]:
        """The names of all components, groups among them, and of all groups, by label."""
        groups = frozenset(group for _, group in self.by_id.values() if group)
        return {"component": frozenset(name for name, _ in self.by_id.values() if name), "group": groups}

    @property
    def names(self) -> dict[str, str]:
        """The names of all components and groups by the fingerprint of their places."""
        return {PREFIX + code: place_name(name, group) for code, (name, group) in self.by_id.items() if code and name}

    def state(self, component: Mapping[str, Any]) -> str:
        """Return the state of a component that an incident lists: the page's word, else the incident's."""
        known = self.states.get(text(component.get("id") or component.get("code")), "")
        return known or one_line(component.get("status"), 40)

    def named(self, component: Mapping[str, Any]) -> tuple[str, str]:
        """Return (name, group) of a component as an incident or one of its updates lists it."""
        known, group = self.by_id.get(text(component.get("id") or component.get("code")), ("", ""))
        if not group:  # groups are listed like components
            group = self.by_id.get(text(component.get("group_id")), ("", ""))[0]
        name = known or one_line(component.get("name"))
        return name, group or (name if component.get("group") is True else "")


@dataclass(frozen=True, slots=True)
class PageReading:
    """What one payload says. `flawed`: it lists something that cannot be read, so absence means nothing.

    `level`: how bad the page as a whole says it is; see `raised`. `named`: the places of each open outage.
    """

    events: tuple[Event, ...] = ()
    level: Severity | None = None
    warnings: tuple[str, ...] = ()
    flawed: bool = False
    named: Mapping[str, frozenset[str]] = field(default_factory=dict)


def is_partial(payload: Mapping[str, Any]) -> bool:
    """Whether a summary may hold only some of the page's components: incident.io's does, whose ids are ULIDs."""
    page = payload.get("page")
    return isinstance(page, dict) and _ULID.fullmatch(text(page.get("id"))) is not None


def parse(
    source: str,
    base: str,
    payload: Any,
    places: Places | None = None,
    *,
    needs: str = "",
    listed_open: bool = False,
) -> PageReading:
    """Read a payload of summary, status, incidents, incidents/<id> or scheduled-maintenances.

    `base`: the page's address, for links. `places`: of the summary, if this is not it. `needs`: the key that
    the endpoint must have. `listed_open`: the list holds only what is open, so an unknown state in it is open.
    Raises SourceError for any other payload.
    """
    if not isinstance(payload, dict):
        raise SourceError(source, Reason.GARBAGE, "not a JSON object")
    if needs and needs not in payload:
        raise SourceError(source, Reason.GARBAGE, f'"{needs}" is missing')
    entries = _entries(source, payload)
    reader = _Reader(source, base, places or Places.of(payload), listed_open)
    read = [reader.event(entry, planned=planned) for entry, planned in entries]
    events = tuple(event for event in read if event)
    if entries and not events and not reader.unknown_states:
        raise SourceError(source, Reason.GARBAGE, "no incident of the list can be read")
    level = _level(_indicator(source, payload))
    told = tuple(dict.fromkeys(reader.warnings))
    return PageReading(events, level, told, flawed=len(events) < len(entries), named=reader.named)


def raised(events: tuple[Event, ...], level: Severity | None) -> tuple[Event, ...]:
    """Raise the worst open outages to the page's own level where that is higher.

    The level is of the page as a whole, so with several outages only the worst of them can be meant. It may
    also be lower, even "none" with an incident open: then the incident's own counts.
    """
    outages = [event for event in events if _is_open_outage(event)]
    worst = min((event.severity.rank for event in outages), default=0)
    if level is None or worst <= level.rank:
        return events
    lifted = [event for event in outages if event.severity.rank == worst]
    return tuple(replace(event, severity=level) if event in lifted else event for event in events)


def _entries(source: str, payload: Mapping[str, Any]) -> list[tuple[Any, bool]]:
    """Return (incident, whether it is a planned work) of all lists; null is incident.io's empty list."""
    if isinstance(payload.get("incident"), dict) and "meta" not in payload:
        return [(payload["incident"], False)]
    present = [name for name in LISTS if name in payload]
    if not present and _is_status(payload):
        return []
    if "incidents" not in payload and not _is_planned(payload):
        raise SourceError(source, Reason.GARBAGE, 'the list "incidents" is missing')
    for name in present:
        if not isinstance(payload[name], list | None):
            raise SourceError(source, Reason.GARBAGE, f'"{name}" is not a list')
    return [(entry, name == LISTS[1]) for name in present for entry in payload[name] or []]


def _is_status(payload: Mapping[str, Any]) -> bool:
    """Whether it is status.json and not a summary that lacks its list."""
    status = payload.get("status")
    return "components" not in payload and isinstance(status, dict) and isinstance(status.get("indicator"), str)


def _is_planned(payload: Mapping[str, Any]) -> bool:
    """Whether it is one of scheduled-maintenances*.json."""
    return LISTS[1] in payload and isinstance(payload.get("page"), dict) and "status" not in payload


def _indicator(source: str, payload: Mapping[str, Any]) -> Any:
    status = payload.get("status", {})
    if not isinstance(status, dict | None):
        raise SourceError(source, Reason.GARBAGE, '"status" is not an object')
    return status.get("indicator") if status else None


def _level(indicator: Any) -> Severity | None:
    """Return the page's own level, None where that says nothing."""
    level = SEVERITIES.get(indicator) if isinstance(indicator, str) else None
    return None if level is Severity.INFO else level


def _is_open_outage(event: Event) -> bool:
    return event.kind is Kind.OUTAGE and event.status is EventStatus.FIRING


class _Reader:
    """Reads the incidents of one payload and collects what people should know of them."""

    def __init__(self, source: str, base: str, places: Places, listed_open: bool) -> None:
        self.warnings: list[str] = []
        self.named: dict[str, frozenset[str]] = {}
        self.unknown_states = 0
        self._source = source
        self._base = base.rstrip("/")
        self._places = places
        self._listed_open = listed_open

    def event(self, incident: Any, *, planned: bool) -> Event | None:
        """Return the event of one incident; None, with a warning, where it has no id or no state to go by."""
        if not isinstance(incident, dict) or not (fingerprint := identity(incident.get("id"))):
            self.warnings.append("an incident without an id is left out")
            return None
        state = one_line(incident.get("status"), 40)
        status = self._status(fingerprint, state)
        if status is None:
            return None
        updates = _updates(incident)
        planned = planned or bool(incident.get("scheduled_for")) or state in _PLANNED | {"completed"}
        kind = Kind.MAINTENANCE if planned or incident.get("impact") == "maintenance" else Kind.OUTAGE
        if kind is Kind.OUTAGE and status is EventStatus.FIRING:
            self.named[fingerprint] = self._places_of(_components(incident, updates))
        return Event(
            source=self._source,
            fingerprint=fingerprint,
            kind=kind,
            status=status,
            title=one_line(incident.get("name")) or f"Incident {fingerprint}",
            severity=self._severity(fingerprint, incident.get("impact")),
            description=plain(updates[0].get("body")) if updates else "",
            at=_changed_at(incident, updates),
            starts_at=_starts_at(incident, updates),
            ends_at=moment(incident.get("scheduled_until")) if kind is Kind.MAINTENANCE else None,
            url=link(incident.get("shortlink")) or f"{self._base}/incidents/{fingerprint}",
            labels=self._labels(_components(incident, updates), state, status),
            posted_at=_posted_at(incident, updates),
            posts=_posts(updates),
            states=self._states(_components(incident, updates)),
        )

    def _status(self, fingerprint: str, state: str) -> EventStatus | None:
        if state in _DONE:
            return EventStatus.RESOLVED
        if state in _UNDER_WAY | _PLANNED:
            return EventStatus.FIRING
        if not state:
            self.warnings.append(f"incident {fingerprint} has no status and is left out")
            return None
        self.unknown_states += 1
        self.warnings.append(f'incident {fingerprint} has an unknown status "{state}"')
        return EventStatus.FIRING if self._listed_open else None

    def _severity(self, fingerprint: str, impact: Any) -> Severity:
        if impact is None:
            return Severity.WARNING
        level = SEVERITIES.get(impact) if isinstance(impact, str) else None
        if level is None:
            self.warnings.append(f'incident {fingerprint} has an unknown impact "{one_line(impact, 40)}"')
        return level or Severity.WARNING

    def _labels(self, named: list[dict[str, Any]], state: str, status: EventStatus) -> dict[str, str]:
        places = [self._places.named(component) for component in named]
        labels = {
            "component": lines([name for name, _ in places]),
            "group": lines([group for _, group in places]),
            "operational": lines(self._operational(named)) if status is EventStatus.FIRING else "",
            "state": state,
        }
        return {name: value for name, value in labels.items() if value}

    def _states(self, named: list[dict[str, Any]]) -> dict[str, str]:
        """Return by component the page's word for its state."""
        pairs = ((self._places.named(component)[0], self._places.state(component)) for component in named)
        return {name: state for name, state in pairs if name and state}

    def _operational(self, named: list[dict[str, Any]]) -> list[str]:
        """Return which of the components work, where others of the incident do not.

        An incident is often linked to all components. Where the page shows all of them as operational, it says nothing.
        """
        working = [component for component in named if self._places.state(component) == "operational"]
        return [self._places.named(component)[0] for component in working] if len(working) < len(named) else []

    def _places_of(self, named: list[dict[str, Any]]) -> frozenset[str]:
        codes = {text(component.get("id") or component.get("code")) for component in named} - {""}
        children = (self._places.children.get(code, frozenset()) for code in codes)
        return frozenset(PREFIX + code for code in codes.union(*children))


def _components(incident: Mapping[str, Any], updates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the components that an incident lists, else those of its updates."""
    named = _objects(incident.get("components"))
    for update in [] if named else updates:
        named = named + _objects(update.get("affected_components"))
    return named


def _updates(incident: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the updates, newest first by when they were made: `display_at` is set by hand and misleads."""
    updates = _objects(incident.get("incident_updates"))
    if all(moment(update.get("created_at")) for update in updates):
        updates.sort(key=lambda update: moment(update.get("created_at")) or _LONG_AGO, reverse=True)
    return updates


def _changed_at(incident: Mapping[str, Any], updates: list[dict[str, Any]]) -> datetime | None:
    """Return the newest time of the incident and its updates."""
    stamped = [incident, *updates]
    changed = newest(*(moment(entry.get("updated_at")) for entry in stamped))
    posted = newest(*(moment(update.get("created_at")) for update in updates))
    named = ("resolved_at", "created_at", "started_at")
    return newest(changed, posted) or newest(*(moment(incident.get(name)) for name in named))


def _posted_at(incident: Mapping[str, Any], updates: list[dict[str, Any]]) -> datetime | None:
    """Return when the incident could first be read: `started_at` may be dated back, and `created_at` of a late post."""
    oldest = moment(updates[-1].get("created_at")) if updates else None
    return newest(moment(incident.get("created_at")), oldest)


def _posts(updates: list[dict[str, Any]]) -> tuple[Post, ...]:
    """Return what was written, the oldest first."""
    written = ((moment(update.get("created_at")), update) for update in reversed(updates[:POSTS_MAX]))
    return tuple(
        Post(at=at, state=one_line(update.get("status"), 40), text=plain(update.get("body")))
        for at, update in written
        if at
    )


def _starts_at(incident: Mapping[str, Any], updates: list[dict[str, Any]]) -> datetime | None:
    named = (moment(incident.get(name)) for name in ("scheduled_for", "started_at", "created_at"))
    oldest = moment(updates[-1].get("created_at")) if updates else None
    return next((at for at in named if at), oldest)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in _list(value) if isinstance(entry, dict)]


def _has_parent(component: Mapping[str, Any]) -> bool:
    return isinstance(component.get("id"), str) and isinstance(component.get("group_id"), str)


def _texts(value: Any) -> Iterable[str]:
    return (text(entry) for entry in _list(value) if isinstance(entry, str))
