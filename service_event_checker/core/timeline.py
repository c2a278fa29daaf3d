"""What a timeline holds: outcomes of deliveries among the commits, and no endless content changes. Pure.

Content changes are capped: the first and the last ones stay, the rest is counted. What people did, outcomes of
deliveries, openings and ends always stay.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from service_event_checker.core.model import Transition
from service_event_checker.core.vocabulary import Verb, Why

FIRST, LAST = 50, 200  # content changes of an episode that stay
SPARE = 50  # more than these are trimmed at once, so that a busy alert is not written again at each change
KEPT = FIRST + LAST + SPARE
_CAPPED = frozenset({Why.CHANGED, Why.SEVERITY_RAISED, Why.SEVERITY_LOWERED, Why.REPEATED, Why.FIRED_AGAIN})

Row = tuple[int, tuple[Transition, ...]]  # the revision of a commit, and what it brought


def merged(steps: Iterable[Transition], outcomes: Iterable[Transition], limit: int) -> list[Transition]:
    """Return the newest of both by their times, oldest first; what a commit brought keeps its order."""
    by_time = sorted(outcomes, key=lambda step: step.at)
    return list(heapq.merge(steps, by_time, key=lambda step: step.at))[-limit:]


def outcome_place(step: Transition, revision: int) -> tuple[int, str]:
    """Return under which revision and name an outcome is kept, within its episode: the same replaces the earlier one.

    `revision` is the delivery's. A receiver's updates share one place: each says the state of its time, and there is no
    end to them. All else is bounded by what people did.
    """
    name = f"{step.receiver}:{step.verb}:{step.why.name}"
    return (0, name) if step.verb is Verb.UPDATE else (revision, name)


def trimmed(rows: Sequence[Row]) -> Mapping[int, tuple[Transition, ...]]:
    """Return what to write instead, by revision, for the rows of one episode, the oldest first; () means: delete.

    Empty where nothing is to be left out.
    """
    capped = [(revision, step) for revision, steps in rows for step in steps if _is_capped(step)]
    if len(capped) <= KEPT:
        return {}
    gone = capped[FIRST:-LAST]
    places = {id(step) for _, step in gone}
    before = [(revision, step) for revision, steps in rows for step in steps if step.why is Why.LEFT_OUT]
    number = len(gone) + sum(step.left_out for _, step in before)
    place, first = (before or gone)[0]
    summary = replace(
        first, why=Why.LEFT_OUT, verbs=(), left_out=number, note=f"{number} changes of its content are left out here"
    )
    return dict(_changed(rows, places, place, summary))


def _changed(rows: Sequence[Row], gone: set[int], place: int, summary: Transition) -> Iterator[Row]:
    for revision, steps in rows:
        kept = tuple(step for step in steps if id(step) not in gone and step.why is not Why.LEFT_OUT)
        if revision == place:
            kept = (summary, *kept)
        if kept != steps:
            yield revision, kept


def _is_capped(step: Transition) -> bool:
    return step.why in _CAPPED and not step.actor
