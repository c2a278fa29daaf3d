"""One alert for one trouble: an outage of a place, told by the page itself, and the incident that is posted for it
later. Pure; what a page's own word is, the checkers decide (`Snapshot.own`, `Snapshot.explains`).

An incident takes over the alert that is open at its place, and goes on as that alert to its end (`merged`). Where
both speak, the worse is believed: such an alert ends only when neither the place nor the incident is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from service_event_checker.core.model import Alert, Event, Snapshot
from service_event_checker.core.vocabulary import Affects, EventStatus, Kind

MERGED_MAX = 200  # per source; an incident that is older than so many later ones is in no list any more


def join(snapshot: Snapshot, tracked: Iterable[Alert], merged: Mapping[str, str]) -> tuple[Snapshot, dict[str, str]]:
    """Return the snapshot with at most one event for each trouble, and which incidents go on as which alert.

    `tracked`: the source's open alerts. `merged`: as it was returned before.
    """
    open_now = {alert.fingerprint: alert for alert in tracked}
    merged = _with_takeovers(snapshot, open_now, merged)
    shared = {*merged.values(), *snapshot.own}
    events: list[Event] = []
    said: dict[str, list[Event]] = {}
    for event in snapshot.events:
        fingerprint = merged.get(event.fingerprint, event.fingerprint)
        if fingerprint in shared:
            said.setdefault(fingerprint, []).append(event)
        else:
            events.append(event)
    unknown = frozenset(merged.get(name, name) for name in snapshot.unknown)
    for fingerprint, group in said.items():
        chosen = _chosen(fingerprint, group, open_now.get(fingerprint), unsure=fingerprint in unknown)
        events += [chosen] if chosen else []
    unseen = _unseen(open_now, events)
    kept = (event for event in events if not _is_told_already(event, snapshot, open_now, unseen))
    shown = tuple(kept)
    unknown -= {event.fingerprint for event in shown}
    return replace(snapshot, events=shown, unknown=unknown), dict(list(merged.items())[-MERGED_MAX:])


def asked(tracked: Iterable[Alert], merged: Mapping[str, str]) -> frozenset[str]:
    """Return the fingerprints to ask a source for: its open alerts, and the incidents that go on as one of them."""
    open_now = frozenset(alert.fingerprint for alert in tracked)
    return open_now.union(name for name, alert in merged.items() if alert in open_now)


def _with_takeovers(snapshot: Snapshot, open_now: Mapping[str, Alert], merged: Mapping[str, str]) -> dict[str, str]:
    """Let each open incident that nobody tracks yet take over an open alert of one of its places, if one is free."""
    after = dict(merged)
    firing = {event.fingerprint for event in snapshot.events if event.status is EventStatus.FIRING}
    taken = {place for name, place in after.items() if name in firing}
    for event in snapshot.events:
        name = event.fingerprint
        if name not in firing or name in after or name in open_now or event.affects_us is Affects.NO:
            continue
        free = (place for place in snapshot.explains.get(name, ()) if place in open_now and place not in taken)
        if place := next(free, ""):
            after[name] = place
            taken.add(place)
    return after


def _chosen(fingerprint: str, group: list[Event], alert: Alert | None, *, unsure: bool) -> Event | None:
    """Return what is to be believed of one alert: what is open before what is over, an incident before the place."""
    ordered = sorted(group, key=lambda event: event.fingerprint == fingerprint)
    firing = [event for event in ordered if event.status is EventStatus.FIRING]
    over = [event for event in ordered if not _is_of_before(event, alert)]
    chosen = firing or ([] if unsure else over)
    return replace(chosen[0], fingerprint=fingerprint) if chosen else None


def _is_of_before(event: Event, alert: Alert | None) -> bool:
    """Whether an end is that of an earlier incident at the place, which is still listed."""
    return alert is not None and event.at is not None and event.at < alert.opened_at


def _unseen(open_now: Mapping[str, Alert], events: Iterable[Event]) -> list[Alert]:
    shown = {event.fingerprint for event in events}
    return [
        alert for name, alert in open_now.items() if name not in shown and alert.kind is Kind.OUTAGE and not alert.test
    ]


def _is_told_already(event: Event, snapshot: Snapshot, open_now: Mapping[str, Alert], unseen: Iterable[Alert]) -> bool:
    """Whether a place's own word is that of an open alert which the page has stopped listing."""
    if event.fingerprint not in snapshot.own or event.fingerprint in open_now:
        return False
    return any(_may_be_same(event, alert) for alert in unseen)


def _may_be_same(event: Event, alert: Alert) -> bool:
    here, there = _components(event.labels), _components(alert.labels)
    return not here or not there or bool(here & there)


def _components(labels: Mapping[str, str]) -> set[str]:
    return set(filter(None, labels.get("component", "").casefold().split("\n")))
