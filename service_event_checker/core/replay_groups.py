"""What a configuration tells of the groups that its rules make of the replayed alerts. Pure.

A group is followed as live: its event is made of what its members are at each of their changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from service_event_checker.core import groups, tracker
from service_event_checker.core.model import Alert, Transition
from service_event_checker.core.replay import DECIDED, Life, Membership, after
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.store import Members, Recorded
from service_event_checker.core.vocabulary import ResolvedBy

SECOND_LOOK = timedelta(seconds=10)  # a group that its store lists again is opened at the second look


def replayed_group(
    memberships: Iterable[Membership], recorded: Iterable[Recorded], book: Rulebook, until: datetime
) -> Life | None:
    """Return what is told of one group. `recorded`: its own episodes, for what people did there; None: never opened."""
    life: Life | None = None
    members: dict[str, Membership] = {}
    for at, change in sorted(_changes(memberships, recorded), key=lambda each: each[0]):
        if isinstance(change, Membership):
            members[change.member] = change
            life = _follow(life, change, _counted(members), book, at)
            if life is not None and _is_to_be_seen_again(life.alert, members):
                life = _follow(life, change, _counted(members), book, at + SECOND_LOOK)
        elif life is not None and life.alert.open:
            life.wait(at)
            told = after(life.alert, change, life.alert)
            life.change(told, change, at)
    if life is not None:
        life.wait(until)
    return life


def _changes(
    memberships: Iterable[Membership], recorded: Iterable[Recorded]
) -> Iterator[tuple[datetime, Membership | tuple[Transition, ...]]]:
    for each in memberships:
        yield each.at, each
    for episode in recorded:
        for _, steps in episode.commits:
            acts = tuple(step for step in steps if step.why not in DECIDED and (step.actor or step.via))
            if acts:
                yield acts[0].at, acts


def _follow(
    life: Life | None, change: Membership, members: Members | None, book: Rulebook, at: datetime
) -> Life | None:
    if life is not None:
        life.wait(at)
    known = life.alert if life else None
    if known is None and members is None:
        return None
    tracked = tracker.track(known, groups.event(change.rule, change.labels, members), at)
    if tracked.alert is None or tracked.alert == known:
        return life
    life = life or Life(book, tracked.alert, at)
    life.change(tracked.alert, tracked.transitions, at)
    return life


def _counted(members: dict[str, Membership]) -> Members | None:
    mine = [each for each in members.values() if each.open]
    if not mine:
        return None
    return Members(
        severities=Counter(each.severity for each in mine),
        firing=sum(each.firing for each in mine),
        newest_at=max(each.opened_at for each in mine),
    )


def _is_to_be_seen_again(group: Alert, members: dict[str, Membership]) -> bool:
    return not group.open and group.resolved_by is not ResolvedBy.PERSON and any(each.open for each in members.values())
