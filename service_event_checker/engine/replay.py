"""Tries a configuration against what is stored of a window: what would be told more, and what less. Only reads.

It reads page by page and keeps counts and a few examples. What was done comes from the ledger of deliveries, what would
be done from the deciders of live routing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, zip_longest

from service_event_checker.core import failover
from service_event_checker.core.model import GROUPS, Alert, Delivery
from service_event_checker.core.replacing import replace
from service_event_checker.core.replay import Life, Membership, Sent, replayed
from service_event_checker.core.replay_difference import Difference, Told, Window, differences, name_in, told
from service_event_checker.core.replay_groups import replayed_group
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.store import Recorded
from service_event_checker.core.vocabulary import Family, Verb, Why

PAGE = 200  # alerts that are read at once
EXAMPLES_MAX = 5  # of each row
WAITING_MAX = 5000  # deliveries that wait and count as done
SEVERITIES = frozenset({Why.SEVERITY_RAISED, Why.SEVERITY_LOWERED})

Place = tuple[str, str, Verb]  # rule, receiver, verb


@dataclass(slots=True)
class Counted:
    """How many deliveries of one rule, receiver and verb are more and less; some of the alerts, by their ids."""

    added: int = 0
    spared: int = 0
    examples: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Gaps:
    """How many alerts are known only in part, or deliveries are explained by no rule."""

    texts: int = 0
    severities: int = 0
    trimmed: int = 0
    unrecorded: int = 0
    beside: int = 0
    unexplained: int = 0
    looks: int = 0
    tests: int = 0
    waiting: bool = False


@dataclass(slots=True)
class Report:
    """`alerts` counts episodes, `transitions` rows of their timelines. `families`: of all receivers that are named."""

    window: Window
    alerts: int = 0
    transitions: int = 0
    counted: dict[Place, Counted] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)
    gaps: Gaps = field(default_factory=Gaps)

    def add(self, found: Iterable[Difference], alert: Alert, book: Rulebook, present: Rulebook) -> None:
        for each in found:
            row = self.counted.setdefault((each.rule, each.receiver, each.verb), Counted())
            row.added += max(0, each.number)
            row.spared += max(0, -each.number)
            if len(row.examples) < EXAMPLES_MAX:
                row.examples[alert.internal_id] = alert.title
            family = book.family(each.receiver) or present.family(each.receiver)
            if family:
                self.families[each.receiver] = family


def compare(store: Store, present: Rulebook, proposed: Rulebook, since: datetime, until: datetime) -> Report:
    """Return what `proposed` would have told differently of what happened in the window. Raises StoreError.

    `present`: the rules of now. They only name the rule of what was told, and show how well the replay fits. The stored
    silences hold for both.
    """
    silences = store.silences.list()
    present, proposed = present.with_silences(silences), proposed.with_silences(silences)
    report = Report(Window(since, until))
    of_group = _Groups()
    waiting = _waiting(store, report)
    for _, episodes in groupby(_walk(store, since), key=lambda each: each.alert.key):
        before: tuple[Life | None, Life | None] = (None, None)
        for recorded, ends_at in _with_ends(list(episodes), until):
            done = _done(report, recorded, waiting, proposed)
            if done is None:
                continue
            if recorded.alert.source == GROUPS:
                of_group.recorded[recorded.alert.key].append((recorded, done))
                continue
            was = replayed(recorded, present, ends_at, before[0].alert if before[0] else None)
            new = replayed(recorded, proposed, ends_at, before[1].alert if before[1] else None)
            before = was, new
            _compare_episode(report, recorded, done, _renamed(was, proposed), new)
            for each in new.memberships:
                of_group.members[each.group].append(each)
    _compare_groups(report, of_group, present, proposed)
    return report


def _done(
    report: Report, recorded: Recorded, waiting: Mapping[tuple[str, int], list[Delivery]], proposed: Rulebook
) -> Told | None:
    """Count an episode, and return what its ledger says; None where it is not compared."""
    report.alerts += 1
    report.transitions += sum(len(steps) for _, steps in (*recorded.commits, *recorded.outcomes))
    alert, gaps = recorded.alert, report.gaps
    if alert.test:
        gaps.tests += 1
        return None
    if alert.source == failover.SOURCE:
        gaps.beside += len(recorded.outcomes)  # a digest of what a receiver missed
        return None
    done = told(recorded, waiting.get((alert.key, alert.episode), ()), proposed)
    gaps.beside += done.beside
    _note_gaps(gaps, recorded)
    return done


def _compare_episode(report: Report, recorded: Recorded, done: Told, was: Life, new: Life) -> None:
    report.gaps.looks += not new.looks_left
    done = _or_decided(done, was, report.gaps)
    report.gaps.unexplained += sum(abs(each.number) for each in differences(done, {}, was, report.window))
    report.add(differences(done, was.rules, new, report.window), recorded.alert, new.book, was.book)


def _with_ends(episodes: Sequence[Recorded], until: datetime) -> Iterator[tuple[Recorded, datetime]]:
    """Yield the episodes of one alert, each with the opening of the next one."""
    for each, following in zip_longest(episodes, episodes[1:]):
        yield each, following.alert.opened_at if following else until


@dataclass(slots=True)
class _Groups:
    members: dict[str, list[Membership]] = field(default_factory=lambda: defaultdict(list))
    recorded: dict[str, list[tuple[Recorded, Told]]] = field(default_factory=lambda: defaultdict(list))


def _compare_groups(report: Report, found: _Groups, present: Rulebook, proposed: Rulebook) -> None:
    """Compare each group over all of its episodes: another configuration may open it at other times."""
    for key in sorted({*found.members, *found.recorded}):
        mine = found.recorded.get(key, [])
        life = replayed_group(
            found.members.get(key, ()), (recorded for recorded, _ in mine), proposed, report.window.until
        )
        alert = mine[-1][0].alert if mine else life.alert if life else None
        if alert is None:
            continue
        name = alert.fingerprint.partition(":")[2]
        done = [told for _, told in mine]
        old = Told(
            sent=tuple(sent for each in done for sent in each.sent),
            not_needed=frozenset(place for each in done for place in each.not_needed),
            failed=frozenset(receiver for each in done for receiver in each.failed),
        )
        rules = {sent.receiver: name for sent in old.sent}
        new = life or Life(proposed, alert, report.window.until)
        new.sent = [replace(sent, rule=name) for sent in new.sent]
        report.add(differences(old, rules, new, report.window), alert, proposed, present)


def _walk(store: Store, since: datetime) -> Iterator[Recorded]:
    cursor = ""
    while True:
        page = store.recorded(since, limit=PAGE, cursor=cursor)
        yield from page.episodes
        cursor = page.cursor
        if not cursor:
            return


def _waiting(store: Store, report: Report) -> Mapping[tuple[str, int], list[Delivery]]:
    """Return what waits now, by alert and episode: it was decided already."""
    found: dict[tuple[str, int], list[Delivery]] = defaultdict(list)
    deliveries = store.waiting_deliveries(WAITING_MAX)
    for each in deliveries:
        found[each.key, each.episode].append(each)
    report.gaps.waiting = len(deliveries) == WAITING_MAX
    return found


def _renamed(life: Life, book: Rulebook) -> Life:
    """Return a replay with the receivers' names of another configuration."""
    life.rules = {name_in(receiver, book): rule for receiver, rule in life.rules.items()}
    life.sent = [replace(each, receiver=name_in(each.receiver, book)) for each in life.sent]
    return life


def _or_decided(done: Told, was: Life, gaps: Gaps) -> Told:
    """Return the ledger; where an older version has kept none, what the present rules say was told."""
    if done.recorded or not was.sent:
        return done
    gaps.unrecorded += 1
    return Told(sent=tuple(Sent(receiver=each.receiver, verb=each.verb, at=each.at) for each in was.sent))


def _note_gaps(gaps: Gaps, recorded: Recorded) -> None:
    steps = [step for _, each in recorded.commits for step in each]
    gaps.texts += any(step.why is Why.CHANGED for step in steps)
    gaps.severities += any(step.why in SEVERITIES and step.severity is None for step in steps)
    gaps.trimmed += any(step.why is Why.LEFT_OUT for step in steps)
