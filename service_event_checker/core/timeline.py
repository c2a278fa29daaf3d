"""What of an open alert's timeline is kept when its source changes it all the time. Pure.

Content changes are capped: the first and the last ones stay, the rest is counted. What people did, outcomes of
deliveries, openings and ends always stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from service_event_checker.core.model import Transition
from service_event_checker.core.vocabulary import Why

FIRST, LAST = 50, 200  # content changes of an episode that stay
SPARE = 50  # more than these are trimmed at once, so that a busy alert is not written again at each change
KEPT = FIRST + LAST + SPARE
_CAPPED = frozenset({Why.CHANGED, Why.SEVERITY_RAISED, Why.SEVERITY_LOWERED, Why.REPEATED})

Row = tuple[int, tuple[Transition, ...]]  # the revision of a commit, and what it brought


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
