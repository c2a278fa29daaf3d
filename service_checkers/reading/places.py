"""A page's own word on its state against its list of incidents. What the list does not explain becomes an outage
of the place: a component, or the page as a whole. No I/O.

A list that leaves such trouble unexplained is not complete. The fingerprint of a place is its own (`place:<id>`), so
that the incident which a vendor posts later can take over the outage that is open already: `Snapshot.explains`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from service_checkers.reading.text import lines, one_line
from service_event_checker.core.model import FINGERPRINT_MAX, PLACE, Event, Snapshot
from service_event_checker.core.page_changes import place_name
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity

PREFIX = PLACE
PAGE = f"{PREFIX}*"
APART_MAX = 20  # components in trouble that are told one by one; more of them are one outage of the page
UNEXPLAINED = " (no incident posted)"
_NAMED_MAX = 5  # in a title


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A component or the whole page, as the page shows it. `severity` None: it works. `state`: the vendor's word.

    `known` False: nobody knows what that word means; it is neither in trouble nor over.
    """

    fingerprint: str
    name: str
    severity: Severity | None
    state: str = ""
    group: str = ""
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a page says of itself besides its incidents. `page` None: nothing of itself as a whole."""

    url: str
    page: Place | None = None
    components: tuple[Place, ...] = ()

    @property
    def red(self) -> tuple[Place, ...]:
        return tuple(place for place in self.components if place.severity)

    @property
    def unclear(self) -> tuple[Place, ...]:
        """What has a state that nobody knows."""
        return tuple(place for place in (self.page, *self.components) if place and not place.known)

    def of(self, fingerprints: frozenset[str]) -> frozenset[str]:
        """Return those of the fingerprints that this summary judges."""
        judged = {PAGE, *(place.fingerprint for place in self.components)}
        return fingerprints & judged - {place.fingerprint for place in self.unclear}


@dataclass(frozen=True, slots=True)
class _Told:
    """What open incidents explain: by incident, the places that it names (none: it may be about any)."""

    by_incident: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def left(self, summary: Summary) -> list[Place]:
        """Return the components in trouble that no incident explains."""
        if any(not places for places in self.by_incident.values()):
            return []
        told = frozenset[str]().union(*self.by_incident.values())
        return [place for place in summary.red if place.fingerprint not in told]


def component(id: str, name: str, state: str, levels: Mapping[str, Severity], group: str = "") -> Place | None:
    """Return a component's place; None where its id cannot be kept whole.

    `levels` has the severity of each state in lower case; info: it works.
    """
    fingerprint = PREFIX + id
    if not id or len(fingerprint) > FINGERPRINT_MAX:
        return None
    return _place(fingerprint, name or id, state, levels, group)


def page(name: str, state: str, levels: Mapping[str, Severity]) -> Place | None:
    """Return the page as a whole; None where it says nothing of itself."""
    return _place(PAGE, name or "The status page", state, levels) if state else None


def named(summary: Summary) -> dict[str, str]:
    """Return the names of the components by fingerprint, as `Snapshot.components` has them."""
    return {place.fingerprint: place_name(place.name, place.group) for place in summary.components}


def _place(fingerprint: str, name: str, state: str, levels: Mapping[str, Severity], group: str = "") -> Place:
    level = levels.get(state.casefold())
    severity = None if level is Severity.INFO else level
    known = level is not None
    return Place(fingerprint=fingerprint, name=name, severity=severity, state=state, group=group, known=known)


def is_place(fingerprint: str) -> bool:
    return fingerprint.startswith(PREFIX)


def checked(
    snapshot: Snapshot,
    summary: Summary | None,
    tracked: frozenset[str],
    named: Mapping[str, frozenset[str]] | None = None,
) -> Snapshot:
    """Hold a snapshot against the page's summary (None: it could not be read).

    `named`: of each incident that some list of this check calls open, the places that it is about; left out, an
    incident is about the components whose names its label has. A tracked place ends here when it works, and only then.
    """
    places = frozenset(filter(is_place, tracked))
    if summary is None:
        return replace(snapshot, unknown=snapshot.unknown | places)
    told = _Told(_by_label(snapshot.events, summary) if named is None else named)
    own = _own(snapshot, summary, told)
    going_on = _going_on(snapshot, summary, places - {event.fingerprint for event in own})
    shown = {event.fingerprint for event in (*own, *going_on)}
    over = sorted(summary.of(places) - shown)
    events = tuple(_with_impaired(event, told, summary) for event in snapshot.events)
    unclear = frozenset(place.fingerprint for place in summary.unclear)
    hidden = PAGE in unclear and not told.by_incident and not own
    return replace(
        snapshot,
        events=(*events, *own, *going_on, *(_end(snapshot.source, fingerprint) for fingerprint in over)),
        complete=snapshot.complete and not own and not hidden,
        unknown=snapshot.unknown | (places & unclear - shown),
        warnings=(*snapshot.warnings, *_warnings(summary, own)),
        explains=_explains(events, told, summary) | {name: (PAGE,) for name in shown - {PAGE}},
        own=frozenset(shown),
    )


def _by_label(events: Iterable[Event], summary: Summary) -> dict[str, frozenset[str]]:
    told = [event for event in events if _is_open_outage(event)]
    return {event.fingerprint: _of_names(event.labels.get("component", ""), summary) for event in told}


def _of_names(label: str, summary: Summary) -> frozenset[str]:
    """Return the places of these names; names that the page does not list stand for themselves."""
    names = {name.casefold() for name in label.split("\n") if name}
    found = {place.fingerprint for place in summary.components if place.name.casefold() in names}
    return frozenset(found or names)


def _own(snapshot: Snapshot, summary: Summary, told: _Told) -> list[Event]:
    """Return the outages that the page shows and no incident explains."""
    left = told.left(summary)
    if len(left) > APART_MAX:
        return [_of_many(snapshot.source, summary, left)]
    if left:
        return [_outage(snapshot.source, summary.url, place, [place]) for place in left]
    if summary.page and summary.page.severity and not told.by_incident and not summary.red:
        return [_outage(snapshot.source, summary.url, summary.page, [])]
    return []


def _going_on(snapshot: Snapshot, summary: Summary, places: frozenset[str]) -> list[Event]:
    """Return the outages of tracked places that are explained by now, and still in trouble."""
    red = (place for place in (summary.page, *summary.components) if place and place.severity)
    return [
        _outage(snapshot.source, summary.url, place, [] if place is summary.page else [place], explained=True)
        for place in red
        if place.fingerprint in places
    ]


def _of_many(source: str, summary: Summary, left: list[Place]) -> Event:
    worst = min((place.severity for place in left if place.severity), key=lambda severity: severity.rank)
    state = summary.page.state if summary.page else ""
    page = Place(fingerprint=PAGE, name=f"{len(left)} components", severity=worst, state=state or "in trouble")
    return _outage(source, summary.url, page, left)


def _outage(source: str, url: str, place: Place, components: list[Place], *, explained: bool = False) -> Event:
    state = place.state.replace("_", " ")
    lists = "also lists an incident for it" if explained else "lists no incident that explains it"
    labels = {
        "component": lines([component.name for component in components]),
        "group": lines([component.group for component in components]),
        "state": place.state,
    }
    return Event(
        source=source,
        fingerprint=place.fingerprint,
        kind=Kind.OUTAGE,
        status=EventStatus.FIRING,
        title=one_line(f"{place.name}: {state}" + ("" if explained else UNEXPLAINED)),
        severity=place.severity or Severity.WARNING,
        description=f'The status page says "{state}" and {lists}.',
        url=url,
        labels={name: value for name, value in labels.items() if value},
    )


def _end(source: str, fingerprint: str) -> Event:
    text = "The status page no longer shows this trouble."
    return Event(
        source=source, fingerprint=fingerprint, kind=Kind.OUTAGE, status=EventStatus.RESOLVED, description=text
    )


def _explains(events: Iterable[Event], told: _Told, summary: Summary) -> dict[str, tuple[str, ...]]:
    """Return by open incident the places that it explains, components first."""
    everywhere = frozenset(place.fingerprint for place in summary.components)
    open_now = [event.fingerprint for event in events if _is_open_outage(event)]
    found = {name: told.by_incident.get(name, frozenset()) or everywhere for name in open_now}
    return {name: (*sorted(places), PAGE) for name, places in found.items()}


def _with_impaired(event: Event, told: _Told, summary: Summary) -> Event:
    """Name, on an open incident that names no component, those in trouble: it is probably about them."""
    if not _is_open_outage(event) or event.labels.get("component") or not summary.red:
        return event
    return replace(event, labels={**event.labels, "impaired": lines([place.name for place in summary.red])})


def _warnings(summary: Summary, own: list[Event]) -> list[str]:
    texts = [f'{place.name} has an unknown state "{place.state}"' for place in summary.unclear[:_NAMED_MAX]]
    names = [event.title.removesuffix(UNEXPLAINED) for event in own]
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    if own:
        texts.append(f"the page lists no incident that explains: {', '.join(names[:_NAMED_MAX])}{more}")
    return texts


def _is_open_outage(event: Event) -> bool:
    return event.kind is Kind.OUTAGE and event.status is EventStatus.FIRING
