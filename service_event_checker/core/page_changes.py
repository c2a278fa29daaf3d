"""Is a source's page still the one that was read before? Signs that it moved, and the same things under new ids. Pure.

A page that moved says nothing about outages: nothing is opened or ended by what it shows. Components and incidents with
new ids are the known ones where their names say so, and where that is unique (`bind`). What cannot be found again is
neither open nor over.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import PLACE, Alert, Event, PageChange, PageFacts, Snapshot

CONFIRMED = 2  # polls in a row that show a sign
SAMPLE_MAX = 200  # ids and names of components that are remembered, as digests
SELECTED_MAX = 50  # components that a filter names
BOUND_MAX = 200  # new ids of open alerts
DNS_FAILED = "DNS lookup failed"
_SIGNS = (Reason.GARBAGE, Reason.NOT_FOUND, Reason.FORBIDDEN_ADDRESS)  # the last: it redirects to where we do not go


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Why a page is probably another one, for people. `renamed`: the old and the new name of selected components.
    `readable`: the page can be read, and may be right as it is.

    `same_names`: it is the same page with new ids.
    """

    what: str
    readable: bool = True
    renamed: Mapping[str, str] = field(default_factory=dict)
    same_names: bool = False


class PageChanged(SourceError):
    """The page could be read, and is probably not the one that was read before."""

    def __init__(self, source: str, sign: Sign) -> None:
        super().__init__(source, Reason.PAGE_CHANGED, sign.what)
        self.sign = sign


@dataclass(frozen=True, slots=True)
class Bound:
    """`aliases`: by the new fingerprint, the one that its alert has. `lost`: open alerts that are not on the page."""

    aliases: Mapping[str, str]
    lost: tuple[str, ...] = ()


def sign_of_error(error: SourceError, *, others_answer: bool) -> Sign | None:
    """Return what a failed poll says of the page's place; None for a failure that says nothing of it.

    `others_answer`: another source could be read meanwhile, so a failed DNS lookup is not ours.
    """
    if isinstance(error, PageChanged):
        return error.sign
    gone = error.reason is Reason.UNREACHABLE and error.detail.endswith(DNS_FAILED) and others_answer
    if not gone and error.reason not in _SIGNS:
        return None
    return Sign(what=f"{error.reason}" + (f", {error.detail}" if error.detail else ""), readable=False)


def sign_of(snapshot: Snapshot, facts: PageFacts, void: Collection[str]) -> Sign | None:
    """Return what a readable page shows that the page of before did not; None where it is the same.

    `void`: the filters, like `only.components`, that match nothing on it.
    """
    if facts.host and snapshot.host and facts.host != snapshot.host:
        return Sign(what=f"it redirects to {snapshot.host}")
    if snapshot.components is not None and facts.ids:
        if not snapshot.components:
            return Sign(what="it lists no components any more")
        if not set(facts.ids) & set(_sample(snapshot.components)):
            kept = len(set(facts.names) & set(_sample(snapshot.components.values())))
            if 2 * kept >= len(facts.names):
                return Sign(what="all its components have new IDs", same_names=True)
            return Sign(what="it lists other components than before")
    if renamed := _renamed(snapshot, facts):
        names = ", ".join(f'"{old}" is now "{new}"' for old, new in renamed.items())
        return Sign(what=f"a component was renamed: {names}", renamed=renamed)
    if new := [name for name in void if name not in facts.void]:
        return Sign(
            what=f"{', '.join(new)} of this checker no longer {'match' if new[1:] else 'matches'} anything on it"
        )
    return None


def facts_of(
    snapshot: Snapshot, before: PageFacts | None, *, entry: str, wanted: Collection[str], void: Collection[str]
) -> PageFacts:
    """Return what to remember of a good poll. `wanted`: component names of the filters, in lower case.

    What this poll did not read stays as it was.
    """
    before = before or PageFacts()
    facts = replace(before, entry=entry, host=snapshot.host or before.host, void=tuple(void))
    if not snapshot.components:
        return facts
    named = {id: _name(place) for id, place in snapshot.components.items() if _name(place).casefold() in wanted}
    return replace(
        facts,
        ids=_sample(snapshot.components),
        names=_sample(snapshot.components.values()),
        selected=dict(sorted(named.items())[:SELECTED_MAX]),
    )


def changed(before: PageChange | None, sign: Sign, now: datetime) -> PageChange:
    """Count one more poll with a sign."""
    before = before or PageChange(since=now)
    return replace(before, what=sign.what, polls=before.polls + 1, renamed=sign.renamed, readable=sign.readable)


def is_confirmed(change: PageChange | None) -> bool:
    return change is not None and change.polls >= CONFIRMED


def outward(fingerprints: Iterable[str], aliases: Mapping[str, str]) -> frozenset[str]:
    """Return the fingerprints as the page has them now."""
    current = {old: new for new, old in aliases.items()}
    return frozenset(current.get(name, name) for name in fingerprints)


def inward(snapshot: Snapshot, bound: Bound) -> Snapshot:
    """Return what the page shows, under the fingerprints that its alerts have; what is lost is unknown."""
    aliases = bound.aliases
    if not aliases and not bound.lost:
        return snapshot

    def known(names: Iterable[str]) -> frozenset[str]:
        return frozenset(aliases.get(name, name) for name in names)

    return replace(
        snapshot,
        events=tuple(
            replace(event, fingerprint=aliases.get(event.fingerprint, event.fingerprint)) for event in snapshot.events
        ),
        unknown=known(snapshot.unknown) | frozenset(bound.lost),
        own=known(snapshot.own),
        retracted=known(snapshot.retracted),
        explains={
            aliases.get(name, name): tuple(aliases.get(place, place) for place in places)
            for name, places in snapshot.explains.items()
        },
    )


def bind(snapshot: Snapshot, alerts: Collection[Alert], before: Bound, *, moved: bool) -> Bound:
    """Find the alerts of a source on its page again, by name, where their ids are not on it.

    `alerts`: the open ones, and those that a person ended while the source lists them. `moved`: the page is another
    one, or all ids are new. Else a name needs the same start, and what is not found is the source's to end.
    """
    known = {alert.fingerprint: alert for alert in alerts}
    shown = {event.fingerprint for event in snapshot.events} | (snapshot.components or {}).keys() | {f"{PLACE}*"}
    aliases = {new: old for new, old in before.aliases.items() if old in known and (new in shown or old not in shown)}
    current = {old: new for new, old in aliases.items()}
    missing = [alert for name, alert in known.items() if current.get(name, name) not in shown]
    taken = {current.get(name, name) for name in known}
    strangers = [event for event in snapshot.events if event.fingerprint not in taken]
    found = {**_places(missing, snapshot, taken), **_incidents(missing, strangers, moved=moved)}
    aliases = {new: old for new, old in aliases.items() if old not in found.values()} | found
    still = {alert.fingerprint for alert in missing} - set(found.values())
    lost = sorted(still if moved else still.intersection(before.lost))
    return Bound(dict(list(aliases.items())[-BOUND_MAX:]), tuple(name for name in lost if known[name].open))


def unsure(snapshot: Snapshot, lost: Iterable[Alert]) -> frozenset[str]:
    """Return the fingerprints of what may be one of the lost alerts, so that it must not open another one."""
    titles = {(alert.kind, _folded(alert.title)) for alert in lost}
    return frozenset(event.fingerprint for event in snapshot.events if (event.kind, _folded(event.title)) in titles)


def _places(missing: Iterable[Alert], snapshot: Snapshot, taken: Collection[str]) -> dict[str, str]:
    components = snapshot.components or {}
    number = Counter(_folded(place) for place in components.values())
    ids = {_folded(place): id for id, place in components.items() if number[_folded(place)] == 1 and id not in taken}
    wanted = [(alert, _folded(_place(alert))) for alert in missing if alert.fingerprint.startswith(PLACE)]
    asked = Counter(place for _, place in wanted)
    return {ids[place]: alert.fingerprint for alert, place in wanted if place in ids and asked[place] == 1}


def _incidents(missing: Iterable[Alert], strangers: Iterable[Event], *, moved: bool) -> dict[str, str]:
    """Return what has the title of a missing incident, and its start; where both are unique."""
    incidents = [alert for alert in missing if not alert.fingerprint.startswith(PLACE)]
    found = _pairs(
        {alert.fingerprint: (_folded(alert.title), alert.starts_at) for alert in incidents},
        {event.fingerprint: (_folded(event.title), event.starts_at) for event in strangers if event.starts_at},
    )
    if not moved:
        return found
    left = {alert.fingerprint: _folded(alert.title) for alert in incidents if alert.fingerprint not in found.values()}
    titles = {event.fingerprint: _folded(event.title) for event in strangers if event.fingerprint not in found}
    return found | _pairs(left, titles)


def _pairs(old: Mapping[str, object], new: Mapping[str, object]) -> dict[str, str]:
    """Return by new name the old one of the same value, where that value is unique on both sides."""
    ours, theirs = Counter(old.values()), Counter(new.values())
    single = {value: name for name, value in old.items() if ours[value] == 1}
    return {name: single[value] for name, value in new.items() if theirs[value] == 1 and value in single}


def _renamed(snapshot: Snapshot, facts: PageFacts) -> dict[str, str]:
    listed = snapshot.components or {}
    names = {_name(place).casefold() for place in listed.values()}
    return {
        old: _name(listed[id])
        for id, old in facts.selected.items()
        if id in listed and _name(listed[id]).casefold() != old.casefold() and old.casefold() not in names
    }


def _sample(texts: Iterable[str]) -> tuple[str, ...]:
    """Return short digests, the lowest: of the same texts the same ones, however many there are."""
    digests = {hashlib.sha256(_folded(each).encode()).hexdigest()[:8] for each in texts}
    return tuple(sorted(digests)[:SAMPLE_MAX])


def _place(alert: Alert) -> str:
    return place_name(alert.labels.get("component", ""), alert.labels.get("group", ""))


def place_name(name: str, group: str) -> str:
    """Return a component's name with its group's, as `Snapshot.components` has it."""
    return f"{group}\n{name}" if group and group != name else name


def _name(place: str) -> str:
    return place.rpartition("\n")[2]


def _folded(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.casefold().split("\n"))
