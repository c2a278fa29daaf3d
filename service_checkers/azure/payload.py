"""The events of Azure Service Health (ARM, Microsoft.ResourceHealth/events), read into ours; no I/O.

Shape: https://learn.microsoft.com/rest/api/resourcehealth/events. Every field may be missing or of a wrong type:
what cannot be read is left out with a warning, and a payload without its list is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from service_checkers.reading.text import lines, moment, newest, one_line, plain, text
from service_checkers.reading.values import objects
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import FINGERPRINT_MAX, Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity

SENSITIVE = "The details are shown in the Azure portal, to those who may see them."
_KINDS = {"serviceissue": Kind.OUTAGE, "plannedmaintenance": Kind.MAINTENANCE}
_SECURITY = "securityadvisory"
_NO_OUTAGE = frozenset({"healthadvisory", "rca", "emergingissues", "billing"})
_PLACES = {Kind.OUTAGE: "serviceIssues", Kind.MAINTENANCE: "plannedMaintenance"}
_STATES = {"active": EventStatus.FIRING, "resolved": EventStatus.RESOLVED}
_LEVELS = {"critical": Severity.CRITICAL, "error": Severity.ERROR, "warning": Severity.WARNING}
_FIRST_PRIORITIES = 1  # 0 is the highest of 24
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPlaces:
    """What counts as ours. Names are lower case; an empty set means all. `security`: security advisories too."""

    subscription: str = ""
    regions: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    security: bool = False
    portal: str = "https://portal.azure.com"


@dataclass(slots=True)
class HealthReading:
    """What the entries say, and what people should know of it."""

    events: dict[str, Event] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Impact:
    service: str
    region: str
    over: bool
    at: datetime | None
    words: str


def read(source: str, entries: Iterable[Any], ours: OwnPlaces, tracked: frozenset[str] = frozenset()) -> HealthReading:
    """Read entries; several of one name are one event. What is `tracked` is read whatever it has turned into.

    Raises SourceError where there are entries and none of them is an event.
    """
    reading = HealthReading()
    merged, unreadable = _merged(entries)
    if unreadable:
        reading.warnings.append(f"{unreadable} entries without a name or a type are left out")
        if not merged:
            raise SourceError(source, Reason.GARBAGE, "no event of the list can be read")
    for name, (properties, impacts) in merged.items():
        _take(reading, source, name, properties, impacts, ours, followed=name in tracked)
    return reading


def _merged(entries: Iterable[Any]) -> tuple[dict[str, tuple[Mapping[str, Any], list[Any]]], int]:
    """Return (newest properties, impacts of all) by name, and how many entries are not events."""
    merged: dict[str, tuple[Mapping[str, Any], list[Any]]] = {}
    unreadable = 0
    for entry in entries:
        properties = entry.get("properties") if isinstance(entry, dict) else None
        name = text(entry.get("name")) if isinstance(entry, dict) else ""
        named = len(name) <= FINGERPRINT_MAX and _ID.fullmatch(name)
        if not named or not isinstance(properties, dict) or not text(properties.get("eventType")):
            unreadable += 1
            continue
        impacts = properties.get("impact")
        known, earlier = merged.get(name, (properties, []))
        fresher = properties if _is_newer(properties, known) else known
        merged[name] = (fresher, [*earlier, *(impacts if isinstance(impacts, list) else [])])
    return merged, unreadable


def _is_newer(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    first, second = moment(one.get("lastUpdateTime")), moment(other.get("lastUpdateTime"))
    return bool(first and (second is None or first > second))


def _take(
    reading: HealthReading,
    source: str,
    name: str,
    properties: Mapping[str, Any],
    impacts: list[Any],
    ours: OwnPlaces,
    *,
    followed: bool,
) -> None:
    kind = _kind(reading, name, properties, ours, followed=followed)
    places = _impacts(impacts, ours.subscription)
    if kind is None or (places is None and not followed):
        return
    status = _STATES.get(text(properties.get("status")).lower())
    if status is None:
        reading.warnings.append(f'event {name} has an unknown status "{one_line(properties.get("status"), 40)}"')
        return
    status = _for_us(status, places or [], impacts, ours)
    reading.events[name] = _event(source, name, kind, status, properties, places or [], ours, reading)


def _kind(
    reading: HealthReading, name: str, properties: Mapping[str, Any], ours: OwnPlaces, *, followed: bool
) -> Kind | None:
    """Return the kind; None for anything but an outage or planned work (advice, bills, reviews)."""
    word = text(properties.get("eventType")).lower()
    if word in _KINDS:
        return _KINDS[word]
    if word != _SECURITY and word not in _NO_OUTAGE:
        reading.warnings.append(f'event {name} has an unknown type "{one_line(properties.get("eventType"), 40)}"')
    return Kind.OUTAGE if followed or (word == _SECURITY and ours.security) else None


def _impacts(impacts: list[Any], subscription: str) -> list[_Impact] | None:
    """Return each service and region that touches our subscription; None when all that is listed is others'."""
    listed = _regions(impacts)
    found = [
        _impact(impact, region)
        for impact, region in listed
        if _is_ours(region.get("impactedSubscriptions"), subscription)
    ]
    found.sort(key=lambda place: (place.service, place.region))  # a different order is not a change
    return None if listed and not found else found


def _regions(impacts: list[Any]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return (impact, region) of all that is listed."""
    return [(impact, region) for impact in objects(impacts) for region in objects(impact.get("impactedRegions"))]


def _for_us(status: EventStatus, places: list[_Impact], impacts: list[Any], ours: OwnPlaces) -> EventStatus:
    """Return "resolved" for what goes on, but no longer where we are.

    When an active event is over in every place, it contradicts itself (one that opened again may): it goes on.
    """
    wanted = [place for place in places if _is_wanted(place, ours)]
    if not wanted or not all(place.over for place in wanted):
        return status
    elsewhere = any(not _is_over(region) for _, region in _regions(impacts))
    return EventStatus.RESOLVED if elsewhere else status


def _is_over(region: Mapping[str, Any]) -> bool:
    return text(region.get("status")).lower() == "resolved"


def _is_ours(listed: Any, subscription: str) -> bool:
    """Whether a region's list of subscriptions has ours; where nobody is listed, the answer itself is for us."""
    names = [text(name).strip().lower() for name in listed] if isinstance(listed, list) else []
    return not names or not subscription or subscription in names


def _impact(impact: Mapping[str, Any], region: Mapping[str, Any]) -> _Impact:
    updates = region.get("updates")
    posts = [update for update in updates if isinstance(update, dict)] if isinstance(updates, list) else []
    posts.sort(key=lambda post: moment(post.get("updateDateTime")) or _NEVER, reverse=True)
    return _Impact(
        service=one_line(impact.get("impactedService")),
        region=one_line(region.get("impactedRegion")),
        over=_is_over(region),
        at=newest(moment(region.get("lastUpdateTime")), *(moment(post.get("updateDateTime")) for post in posts)),
        words=text(posts[0].get("summary")) if posts else "",
    )


def _event(
    source: str,
    name: str,
    kind: Kind,
    status: EventStatus,
    properties: Mapping[str, Any],
    places: list[_Impact],
    ours: OwnPlaces,
    reading: HealthReading,
) -> Event:
    wanted = [place for place in places if _is_wanted(place, ours)]
    shown = places if status is EventStatus.RESOLVED else [place for place in places if not place.over] or places
    return Event(
        source=source,
        fingerprint=name,
        kind=kind,
        status=status,
        title=one_line(plain(properties.get("title"))) or f"Azure event {name}",
        severity=Severity.INFO if kind is Kind.MAINTENANCE else _severity(reading, name, properties),
        description=_description(properties, wanted or places),
        at=newest(moment(properties.get("lastUpdateTime")), *(place.at for place in places)),
        starts_at=moment(properties.get("impactStartTime")),
        ends_at=moment(properties.get("impactMitigationTime")) if kind is Kind.MAINTENANCE else None,
        url=f"{ours.portal.rstrip('/')}/#view/Microsoft_Azure_Health/AzureHealthBrowseBlade/~/{_PLACES[kind]}"
        f"/trackingId/{quote(name, safe='')}",
        labels=_labels(shown, properties),
    )


def _is_wanted(place: _Impact, ours: OwnPlaces) -> bool:
    return (not ours.regions or place.region.casefold() in ours.regions) and (
        not ours.services or place.service.casefold() in ours.services
    )


def _severity(reading: HealthReading, name: str, properties: Mapping[str, Any]) -> Severity:
    """Return the most severe of what `level`, `eventLevel`, `isHIR` and `priority` say; at least warning.

    `eventLevel` is Informational on nearly everything, so it can only raise.
    """
    level = text(properties.get("level")).lower()
    if level and level not in _LEVELS and level not in ("informational", "information"):
        reading.warnings.append(f'event {name} has an unknown level "{one_line(properties.get("level"), 40)}"')
    found = [Severity.WARNING]
    found += [_LEVELS[word] for word in (level, text(properties.get("eventLevel")).lower()) if word in _LEVELS]
    priority = properties.get("priority")
    first = isinstance(priority, int) and not isinstance(priority, bool) and 0 <= priority <= _FIRST_PRIORITIES
    if properties.get("isHIR") is True or first:
        found.append(Severity.ERROR)
    return min(found, key=lambda severity: severity.rank)


def _description(properties: Mapping[str, Any], places: list[_Impact]) -> str:
    if properties.get("isEventSensitive") is True:
        return SENSITIVE
    latest = max((place for place in places if place.words), key=lambda place: place.at or _NEVER, default=None)
    words = [latest.words if latest else "", properties.get("summary"), properties.get("description")]
    return next((said for said in map(plain, words) if said), "")


def _labels(places: list[_Impact], properties: Mapping[str, Any]) -> dict[str, str]:
    labels = {
        "region": lines([place.region for place in places]),
        "service": lines([place.service for place in places]),
        "state": one_line(properties.get("status"), 40).lower(),
    }
    return {name: value for name, value in labels.items() if value}
