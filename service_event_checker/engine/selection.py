"""Does an event touch what we use? `only` and `except` of a checker, applied to one event; no I/O.

Only opening is decided here: what is tracked is followed to its end, whatever a filter says later.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from service_event_checker.config.models import Selection
from service_event_checker.core.knowledge import Regions
from service_event_checker.core.model import Event
from service_event_checker.core.replacing import replace
from service_event_checker.core.vocabulary import Affects

COMPONENT = "component"
NAMED_MAX = 8  # places in a sentence
NO_REGIONS = Regions()
_LABELS = {
    "components": COMPONENT,
    "groups": "group",
    "regions": "region",
    "services": "service",
    "instances": "instance",
}


def affects_us(
    event: Event,
    only: Selection,
    except_: Selection,
    when_unknown: Literal["open", "ignore"],
    regions: Regions = NO_REGIONS,
) -> Affects:
    """Return whether an event passes the filters.

    `only`: each key that is given must be met, by any of its names. `except_`: any key that is met is enough,
    but a key of names only when it covers all that the event names: an outage of two components, one of them
    excepted, still touches the other. If `only` names a place and the event does not, nobody can
    tell: UNKNOWN, or NO with `when_unknown="ignore"`. With `only.affected`, a component that the page shows as
    working (the label `operational`) is not met. Names of one region, and its zones, are the same where `regions` has
    them.
    """
    event, only, except_ = (
        _with_ids(event, regions),
        _with_region_ids(only, regions),
        _with_region_ids(except_, regions),
    )
    if _excepted(event, except_):
        return Affects.NO
    if only.severities and event.severity not in only.severities:
        return Affects.NO
    if only.title and not re.search(only.title, event.title):
        return Affects.NO
    answers = [_touches(event, label, wanted, only) for label, wanted in _named(only)]
    if Affects.NO in answers:
        return Affects.NO
    if Affects.UNKNOWN in answers:
        return Affects.UNKNOWN if when_unknown == "open" else Affects.NO
    return Affects.YES


def _with_ids(event: Event, regions: Regions) -> Event:
    named = event.labels.get("region", "")
    if not named:
        return event
    return replace(event, labels={**event.labels, "region": "\n".join(_region_ids(named.split("\n"), regions))})


def _with_region_ids(selection: Selection, regions: Regions) -> Selection:
    if not selection.regions:
        return selection
    return selection.model_copy(update={"regions": _region_ids(selection.regions, regions)})


def _region_ids(names: Iterable[str], regions: Regions) -> tuple[str, ...]:
    return tuple(regions.known(name) or name for name in names)


def not_listed(only: Selection, except_: Selection, listed: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Return a warning for each place that is selected and that its source does not have.

    `listed`: the names of all places, by label; of a label that is missing or empty nothing is known.
    """
    found = []
    for key, label in _LABELS.items():
        known = {name.strip().casefold(): name for name in listed.get(label, ())}
        for field, selection in (("only", only), ("except", except_)):
            wanted = getattr(selection, key) if known else ()
            gone = (name for name in wanted if name.strip() and name.strip().casefold() not in known)
            found += [f'{field}.{key}: the page lists no {label} "{name}".{_hint(name, known)}' for name in gone]
    return tuple(found)


def void_filters(only: Selection, listed: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Return the keys of `only` none of whose names its source has; of what it does not list nothing is known."""
    keys = {key: _folded(listed.get(label, ())) for key, label in _LABELS.items()}
    wanted = {key: _folded(getattr(only, key)) for key, known in keys.items() if known}
    return tuple(f"only.{key}" for key, names in wanted.items() if names and not names & keys[key])


def _hint(name: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name.strip().casefold(), list(known), n=1)
    if near:
        return f' Did you mean "{known[near[0]]}"?'
    names = sorted(known.values())
    return f" It lists {', '.join(names[:NAMED_MAX])}" + (" and more" if len(names) > NAMED_MAX else "")


def _excepted(event: Event, except_: Selection) -> bool:
    if event.severity in except_.severities:
        return True
    if except_.title and re.search(except_.title, event.title):
        return True
    return any(_covered(event, label, unwanted) for label, unwanted in _named(except_))


def _named(selection: Selection) -> list[tuple[str, frozenset[str]]]:
    """Return (label, names in lower case) of each key of places that is given."""
    pairs = ((label, getattr(selection, key)) for key, label in _LABELS.items())
    return [(label, _folded(names)) for label, names in pairs if names]


def _touches(event: Event, label: str, wanted: frozenset[str], only: Selection) -> Affects:
    values = _values(event, label)
    if not values:  # one that names no component is surely ours where ours is in trouble
        return Affects.YES if label == COMPONENT and _values(event, "impaired") & wanted else Affects.UNKNOWN
    if label == COMPONENT and only.affected:
        values -= _values(event, "operational")
    return Affects.YES if values & wanted else Affects.NO


def _covered(event: Event, label: str, unwanted: frozenset[str]) -> bool:
    values = _values(event, label)
    return bool(values) and values <= unwanted


def _values(event: Event, label: str) -> frozenset[str]:
    return _folded(event.labels.get(label, "").split("\n"))


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.strip().casefold() for name in names if name.strip())
