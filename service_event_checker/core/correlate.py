"""Is it us, or is it them? Weighs what speaks for and against an outage as the cause of an alert. Pure.

The sum of log-odds of sentences, each of which can be checked. Times are the sources' own, never those of arrival.
No tie, no score: overlap in time alone says next to nothing. Strengths are judgement, measured on scenarios.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service_event_checker.core.clues import Reading, read
from service_event_checker.core.knowledge import Knowledge, Tie
from service_event_checker.core.model import Alert
from service_event_checker.core.verdict import LIKELY, Answer, Clue, Evidence, Verdict

PRIOR = -2.0  # third parties are one cause in five, and one of many vendors always has something open
CAP = 4.0  # of a sum
TIE_MAX = 3.4  # declared and named come from one fact
DECLARED, DECLARED_PLACE, OTHER_PLACE = 2.2, 3.0, -4.0
NAMED = 2.2
COMPONENT, OTHER_COMPONENT = 0.7, -1.8
REGION, OTHER_REGION, CONTROL_PLANE = 0.7, -3.5, -2.0
IN_TIME, LATE_IN_IT, UNDATED, AFTER, OUT_OF_TIME = 1.6, 0.4, 0.6, -0.7, -4.0
SIBLING, SIBLINGS_MAX = 0.4, 2
SIBLINGS_LOOKED_AT = 50
CHANGE = -1.5
LEARNED_MAX = 0.7

BEFORE = timedelta(minutes=15)  # that an alert may begin before its vendor's start: clocks, and pages that round
LATE_POST = timedelta(minutes=60)  # that an undated post may come late
BACKLOG = timedelta(minutes=10)  # after an end
LONG = timedelta(hours=6)  # an outage that lasts longer explains what begins in it less and less
DATED = timedelta(minutes=2)  # a start further before its post was dated back
TOGETHER = timedelta(minutes=20)
CHANGED_BEFORE = timedelta(minutes=15)
_OWN = frozenset({Clue.OWN_CAUSE, Clue.OWN_ACCOUNT, Clue.OWN_CHANGE})
_PLACES = ("component", "group", "service")


@dataclass(frozen=True, slots=True)
class Pair:
    """An alert and an outage: what speaks for it, and the probability. `own`: the same without our own causes."""

    outage: Alert
    evidence: tuple[Evidence, ...]
    score: float
    without_own: float


def judge(
    alert: Alert,
    reading: Reading,
    outages: Iterable[Alert],
    known: Knowledge,
    now: datetime,
    siblings: Mapping[str, Sequence[str]] = {},
    kept: Iterable[Evidence] = (),
) -> Verdict:
    """Return what explains the alert. `outages`: open or just over. `siblings`: by vendor, the subjects of other
    alerts that name it and began within 20 minutes. `kept`: evidence of before; where the caller does not know the
    other alerts, what it says of them goes on to hold."""
    others = [item for item in kept if item.kind is Clue.SIBLINGS]
    own = [*reading.own, *_changes(alert, reading, known)]
    tied = [outage for outage in outages if outage.source in reading.named or outage.source in reading.declared]
    judged = (outage for outage in tied if (alert.key, outage.key) not in known.rejected)
    pairs = sorted(
        (_pair(alert, reading, outage, own, known, siblings, others) for outage in judged),
        key=lambda pair: (-pair.without_own, pair.outage.key),
    )
    refused = [_refused(alert, outage, known) for outage in outages if (alert.key, outage.key) in known.rejected]
    best = pairs[0] if pairs else None
    answer, score = _answer(best, reading, own, known)
    explaining = [pair for pair in pairs if pair.without_own >= LIKELY] if answer in _THEIRS else []
    evidence = [item for pair in (explaining or pairs[:1]) for item in pair.evidence]
    if not pairs or answer is Answer.US:
        evidence += [item for item in own if item not in evidence]
    if not pairs:
        evidence += _pages(reading, known)
    return Verdict(
        answer=answer,
        score=round(score, 3),
        at=now,
        explained_by=tuple(pair.outage.internal_id for pair in explaining),
        outages=tuple(_outage(pair.outage, known) for pair in explaining),
        evidence=(*evidence, *refused),
    )


class Siblings:
    """Alerts by the vendors that their words name: who else named it at the same time?"""

    def __init__(self, alerts: Iterable[tuple[Alert, Reading]]) -> None:
        self._by_vendor: dict[str, list[tuple[datetime, str]]] = {}
        for alert, reading in alerts:
            for vendor in reading.named:
                self._by_vendor.setdefault(vendor, []).append((alert.started_at, reading.subject))
        for named in self._by_vendor.values():
            named.sort()

    def of(self, alert: Alert, reading: Reading) -> dict[str, list[str]]:
        """Return by vendor the subjects of others that named it within 20 minutes, a few of them."""
        found = {}
        for vendor in reading.named:
            named = self._by_vendor.get(vendor, [])
            first = bisect_left(named, (alert.started_at - TOGETHER, ""))
            subjects: dict[str, None] = {}
            for at, subject in named[first : first + SIBLINGS_LOOKED_AT]:
                if at - alert.started_at <= TOGETHER and subject != reading.subject:
                    subjects[subject] = None
            if subjects:
                found[vendor] = list(subjects)
        return found


def probability(evidence: Iterable[Evidence]) -> float:
    """Return the probability that a sum of log-odds stands for; it is never nearer to certainty than 0.98."""
    total = max(-CAP, min(CAP, sum(item.weight for item in evidence)))
    return 1.0 / (1.0 + math.exp(-total))


_THEIRS = (Answer.VENDOR, Answer.BOTH)


def _answer(best: Pair | None, reading: Reading, own: Sequence[Evidence], known: Knowledge) -> tuple[Answer, float]:
    ours = any(item.kind in _OWN for item in own)
    if best and best.without_own >= LIKELY:
        theirs = best.outage.source in reading.named or not ours  # a limit is what the vendor answered
        return (Answer.VENDOR if not own else Answer.BOTH if theirs else Answer.US), best.score
    score = best.score if best else 0.0
    if ours:
        return Answer.US, score
    if best or reading.named:  # a page that is well may be late: what the words name is not cleared by it
        return Answer.UNKNOWN, score
    if reading.declared and not known.unreadable.intersection(reading.declared):
        return Answer.US, probability([Evidence("", PRIOR, Clue.PRIOR)])
    return Answer.UNKNOWN, score


def _pair(
    alert: Alert,
    reading: Reading,
    outage: Alert,
    own: Sequence[Evidence],
    known: Knowledge,
    siblings: Mapping[str, Sequence[str]],
    others: Sequence[Evidence],
) -> Pair:
    """Weigh one outage of a vendor that the alert is tied to."""
    ties = _ties(reading, outage, known)
    vendor = outage.source
    items = [
        *ties,
        *_component(reading, outage, known),
        *_region(reading, outage, known),
        _time(alert, reading, outage, known),
        *(_siblings(siblings.get(vendor, ()), outage, known) or (item for item in others if item.about == outage.key)),
        *_people(alert, reading, outage, known),
    ]
    prior = Evidence("", PRIOR, Clue.PRIOR)
    without_own = probability([prior, *items])
    told = tuple(item for item in (*items, *own) if item.text)
    return Pair(outage, told, probability([prior, *items, *own]), without_own)


def _ties(reading: Reading, outage: Alert, known: Knowledge) -> list[Evidence]:
    vendor = outage.source
    declared = max(
        (_declaration(tie, outage, known) for tie in reading.declared.get(vendor, ())),
        key=lambda item: item.weight,
        default=None,
    )
    named = reading.named.get(vendor, ())
    found = [declared] if declared else []
    if named:
        words = ", ".join(how for _, how in named[:3])
        room = TIE_MAX - max(0.0, declared.weight) if declared else TIE_MAX
        text = f"The alert names {words}, which belongs to {known.call(vendor)}"
        found.append(Evidence(text, min(NAMED, room), Clue.NAMED, outage.key))
    return found


def _declaration(tie: Tie, outage: Alert, known: Knowledge) -> Evidence:
    name = known.call(tie.vendor)
    place = tie.component or tie.region
    if not place:
        return Evidence(f"It depends on {name}, as the configuration says", DECLARED, Clue.DECLARED, outage.key)
    fits = _fits_component(tie, outage) if tie.component else _fits_region(tie, outage, known)
    if fits is None:
        text = f"It depends on {name} {place}; the outage names no place"
        return Evidence(text, DECLARED, Clue.DECLARED, outage.key)
    if fits:
        return Evidence(
            f"It depends on {name} {place}, as the configuration says", DECLARED_PLACE, Clue.DECLARED, outage.key
        )
    text = f"It depends on {name} {place}; the outage is of {_shown_places(outage)}"
    return Evidence(text, OTHER_PLACE, Clue.DECLARED, outage.key)


def _component(reading: Reading, outage: Alert, known: Knowledge) -> list[Evidence]:
    """Say whether the component that the words speak of is among the outage's."""
    places = _places(outage)
    spoken = [tie for tie, _ in reading.named.get(outage.source, ()) if tie.component]
    if not places or not (reading.named.get(outage.source) or reading.declared.get(outage.source)):
        return []
    if any(_fits_component(tie, outage) for tie in spoken):
        return [
            Evidence(f"Its words mean {spoken[0].component}, which is affected", COMPONENT, Clue.COMPONENT, outage.key)
        ]
    if spoken:
        text = f"Its words mean {spoken[0].component}; the outage is of {_shown_places(outage)}"
        return [Evidence(text, OTHER_COMPONENT, Clue.COMPONENT, outage.key)]
    mentioned = next((place for place in places if len(place) > 3 and place in reading.text), "")
    if mentioned:
        return [Evidence(f'Its words mention "{mentioned}", which is affected', COMPONENT, Clue.COMPONENT, outage.key)]
    return []


def _region(reading: Reading, outage: Alert, known: Knowledge) -> list[Evidence]:
    theirs = _regions(outage, known)
    if not theirs or not reading.regions:
        return []
    same = theirs & reading.regions
    if same:
        return [Evidence(f"Both are in {sorted(same)[0]}", REGION, Clue.REGION, outage.key)]
    text = f"It is in {_listed(reading.regions)}, the outage in {_listed(theirs)}"
    weight = CONTROL_PLANE if theirs & known.regions.control_planes else OTHER_REGION
    return [Evidence(text, weight, Clue.REGION, outage.key)]


def _time(alert: Alert, reading: Reading, outage: Alert, known: Knowledge) -> Evidence:
    begun, start, end = alert.started_at, outage.started_at, outage.ended_at if not outage.open else None
    after = begun - start
    name = known.call(outage.source)

    def told(text: str, weight: float) -> Evidence:
        return Evidence(text, weight, Clue.TIME, outage.key)

    if end is not None and begun > end + BACKLOG:
        return told(f"It began {_span(begun - end)} after {name}'s outage was over ({_clock(end)})", OUT_OF_TIME)
    if end is not None and begun > end:
        return told(f"It began just after {name}'s outage was over ({_clock(end)})", AFTER)
    if after > LONG:
        return told(f"{name}'s outage had lasted {_span(after)} when it began", LATE_IN_IT)
    if after >= timedelta(0):
        return told(f"It began {_span(after)} after {name}'s outage ({_clock(start)})", IN_TIME)
    if after >= -BEFORE:
        return told(f"It began {_span(-after)} before the start that {name} gives ({_clock(start)})", IN_TIME)
    if after < -LATE_POST:
        return told(f"It began {_span(-after)} before {name}'s outage ({_clock(start)})", OUT_OF_TIME)
    undated = posted_at(outage) - start <= DATED
    weight = UNDATED if undated and outage.source in reading.named else 0.0
    return told(
        f"It began {_span(-after)} before {name} posted, which gives no earlier start ({_clock(start)})", weight
    )


def _outage(outage: Alert, known: Knowledge) -> str:
    name, title = known.call(outage.source), outage.title
    named = title if title.casefold().startswith(name.casefold()) else f"{name}: {title}"
    return f"{named}, since {_clock(outage.started_at)} ({outage.internal_id})"


def posted_at(outage: Alert) -> datetime:
    """Return when the vendor posted; where it does not tell, when we opened it, or its own start if that is later."""
    return outage.posted_at or max(outage.started_at, outage.opened_at)


def _siblings(subjects: Sequence[str], outage: Alert, known: Knowledge) -> list[Evidence]:
    if not subjects:
        return []
    number = min(len(subjects), SIBLINGS_MAX)
    text = f"{_listed(subjects)} named {known.call(outage.source)} at the same time"
    return [Evidence(text, SIBLING * number, Clue.SIBLINGS, outage.key)]


def _changes(alert: Alert, reading: Reading, known: Knowledge) -> list[Evidence]:
    """Return our own change of the same service shortly before; the last one counts."""
    if not reading.service:
        return []
    before = [
        change
        for change in known.changes
        if change.service == reading.service and timedelta(0) <= alert.started_at - change.at <= CHANGED_BEFORE
    ]
    if not before:
        return []
    last = max(before, key=lambda change: change.at)
    text = f'We changed {last.service} {_span(alert.started_at - last.at)} before it began: "{last.title}"'
    return [Evidence(text, CHANGE, Clue.OWN_CHANGE)]


def _people(alert: Alert, reading: Reading, outage: Alert, known: Knowledge) -> list[Evidence]:
    found = []
    if by := known.confirmed.get((alert.key, outage.key)):
        found.append(Evidence(f"{by} agreed", 2 * CAP, Clue.PERSON, outage.key))
    learned = known.learned.get((outage.source, reading.service), 0.0)
    if learned:
        word = "agreed" if learned > 0 else "said no"
        weight = max(-LEARNED_MAX, min(LEARNED_MAX, learned))
        text = f"People {word} before for {reading.service or 'such alerts'} and {known.call(outage.source)}"
        found.append(Evidence(text, weight, Clue.PERSON, outage.key))
    return found


def _refused(alert: Alert, outage: Alert, known: Knowledge) -> Evidence:
    by = known.rejected[alert.key, outage.key]
    return Evidence(
        f"{by} said that it is not {known.call(outage.source)} ({outage.internal_id})", -CAP, Clue.PERSON, outage.key
    )


def _pages(reading: Reading, known: Knowledge) -> list[Evidence]:
    """Say how the pages of the vendors are that the alert hangs on."""
    away = sorted(known.call(vendor) for vendor in reading.declared if vendor in known.unreadable)
    well = sorted(known.call(vendor) for vendor in reading.declared if vendor not in known.unreadable)
    found = []
    if well:
        found.append(Evidence(f"{_listed(well)} report{'s' if len(well) == 1 else ''} no outage", 0.0, Clue.PAGES))
    if away:
        found.append(Evidence(f"The page of {_listed(away)} cannot be read", 0.0, Clue.PAGES))
    return found


def _fits_component(tie: Tie, outage: Alert) -> bool | None:
    """Whether a tie's component is among the outage's; None where one of both names none."""
    places, wanted = _places(outage), _folded(tie.component)
    if not places or not wanted:
        return None
    return any(wanted in place or place in wanted for place in places)


def _fits_region(tie: Tie, outage: Alert, known: Knowledge) -> bool | None:
    theirs, ours = _regions(outage, known), known.regions.known(tie.region)
    if not theirs or not ours:
        return None
    return ours in theirs


def _regions(outage: Alert, known: Knowledge) -> frozenset[str]:
    """Return the regions that an outage names: by its label, else by its places and its title."""
    labelled = known.regions.named(outage.labels.get("region", "").split("\n"))
    return labelled or known.regions.named([outage.title, *_listed_places(outage)])


def _places(outage: Alert) -> tuple[str, ...]:
    return tuple(dict.fromkeys(folded for place in _listed_places(outage) if (folded := _folded(place))))


def _listed_places(outage: Alert) -> list[str]:
    return [place for label in _PLACES for place in outage.labels.get(label, "").split("\n") if place.strip()]


def _shown_places(outage: Alert) -> str:
    return _listed([*dict.fromkeys(_listed_places(outage))] or [outage.labels.get("region", "another place")])


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _listed(names: Iterable[str], most: int = 3) -> str:
    found = sorted(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def _span(length: timedelta) -> str:
    minutes = round(length.total_seconds() / 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M} UTC"


__all__ = ["Pair", "Reading", "Siblings", "judge", "posted_at", "probability", "read"]
