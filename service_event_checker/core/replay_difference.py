"""What another configuration would have told more, or less, than was told: the ledger against a replay. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from service_event_checker.core.model import Delivery, Transition
from service_event_checker.core.replay import Life, Sent
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.store import Recorded
from service_event_checker.core.vocabulary import Verb, Why

Place = tuple[str, Verb]  # receiver and verb
_NOT_BY_RULE = frozenset({Why.RECONCILED, Why.FAILED_OVER})
_TOLD = frozenset({Why.DELIVERED, Why.DELIVERED_OTHERWISE, Why.GAVE_UP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was really done: each delivery of an episode, at the time of the commit that owed it.

    A delivery that failed counts, as it was owed. `not_needed`: owed, not sent as the alert was over or had changed.
    `failed`: receivers whose opening failed, so that no more was sent. `beside`: deliveries that no rule asked for:
    notices of failures, fallbacks, repairs. `recorded`: whether there is any record of deliveries.
    """

    sent: tuple[Sent, ...] = ()
    not_needed: frozenset[Place] = frozenset()
    failed: frozenset[str] = frozenset()
    beside: int = 0
    recorded: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Deliveries that are more (`number` above 0) or less than were made, by the rule that asks for them."""

    rule: str
    receiver: str
    verb: Verb
    number: int


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` to before `until`."""

    since: datetime
    until: datetime

    def holds(self, at: datetime) -> bool:
        return self.since <= at < self.until


def told(recorded: Recorded, waiting: Iterable[Delivery], book: Rulebook) -> Told:
    """Return what an episode's ledger says; what still waits counts. Receivers have their names of `book`."""
    steps = {revision: steps for revision, steps in recorded.commits}
    rows = [(revision, step.receiver, step.verb, step) for revision, (step,) in _single(recorded.outcomes)]
    sent: list[Sent] = []
    not_needed: set[Place] = set()
    failed: set[str] = set()
    strangers: set[str] = set()  # whom only a notice has told
    beside = 0
    places: list[tuple[int, str, Verb, datetime]] = []
    for revision, name, verb, step in rows:
        receiver, verb = name_in(name, book), verb or Verb.OPEN
        if step.why is Why.SKIPPED:
            not_needed.add((receiver, verb))
        elif step.why in _TOLD:
            places.append((revision, receiver, verb, step.at))
        if step.why is Why.GAVE_UP and verb is Verb.OPEN:
            failed.add(receiver)
    for one in waiting:
        places.append(
            (one.revision, name_in(one.receiver, book), one.verb, one.created_at or recorded.alert.updated_at)
        )
    trimmed = any(step.why is Why.LEFT_OUT for each in steps.values() for step in each)
    for revision, receiver, verb, at in places:
        cause = steps.get(revision, ())
        if verb is not Verb.UPDATE and not _is_by_rule(cause, trimmed=trimmed):
            beside += 1
            strangers |= {receiver} if verb is Verb.OPEN else set()
        else:
            sent.append(Sent(receiver=receiver, verb=verb, at=cause[0].at if cause else at))
    strangers -= {each.receiver for each in sent if each.verb is Verb.OPEN}
    for each in steps.values():
        for step in each:
            if step.why is Why.OVER_BEFORE_SENT:
                not_needed.update((name_in(step.receiver, book), verb) for verb in Verb)
    return Told(
        sent=tuple(each for each in sent if each.receiver not in strangers),
        not_needed=frozenset(not_needed),
        failed=frozenset(failed),
        beside=beside,
        recorded=bool(places or rows or not_needed),
    )


def differences(old: Told, rules: Mapping[str, str], new: Life, window: Window) -> Iterator[Difference]:
    """Yield how a replay differs from what was done in the window. `rules`: by which rule of then a receiver was told.

    Of updates one counts for each episode and receiver, as the ledger keeps the last only: they differ where one of the
    two tells a receiver and the other does not.
    """
    before, now = Counter(_places(old.sent, window)), Counter(_places(_shown(new), window))
    knew = {each.receiver for each in old.sent}
    knows = {each.receiver for each in new.sent}
    named = {(each.receiver, each.verb): each.rule for each in reversed(new.sent)}
    for place in sorted({*before, *now}):
        receiver, verb = place
        number = _number(now[place], verb) - _number(before[place], verb)
        if place in old.not_needed or (verb is Verb.UPDATE and receiver in knew & knows):
            continue
        if verb is not Verb.OPEN and number > 0 and receiver in old.failed:
            continue
        if number > 0:
            yield Difference(rule=named[place], receiver=receiver, verb=verb, number=number)
        elif number < 0:
            yield Difference(rule=rules.get(receiver, ""), receiver=receiver, verb=verb, number=number)


def _places(sent: Iterable[Sent], window: Window) -> Iterator[Place]:
    return ((each.receiver, each.verb) for each in sent if window.holds(each.at))


def _shown(new: Life) -> Sequence[Sent]:
    """Return what really leaves: to a receiver in shadow nothing is sent."""
    shadows = {name for name, each in new.book.receivers.items() if each.shadow}
    return [each for each in new.sent if each.receiver not in shadows] if shadows else new.sent


def _number(count: int, verb: Verb) -> int:
    return min(count, 1) if verb is Verb.UPDATE else count


def _is_by_rule(cause: Sequence[Transition], *, trimmed: bool) -> bool:
    """Whether rules asked for what a commit owed. Without rows it is a notice, unless they were left out."""
    if not cause:
        return trimmed
    return any(step.why not in _NOT_BY_RULE for step in cause)


def _single(outcomes: Iterable[tuple[int, tuple[Transition, ...]]]) -> Iterator[tuple[int, tuple[Transition]]]:
    return ((revision, (step,)) for revision, steps in outcomes for step in steps)


def name_in(receiver: str, book: Rulebook) -> str:
    """Return what a configuration calls a receiver that had its name in an earlier one."""
    return receiver if receiver in book.receivers else book.moved.get(receiver, receiver)
