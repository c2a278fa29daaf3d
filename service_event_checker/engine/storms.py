"""Has the summary of a storm cover deliveries, sends it again as it grows, and ends it. `core.storms` decides.

What is covered is counted in the summary first and settled then, so that a process may be killed between. An alert's
own message takes a place in the holding area before it is sent: any process counts the places.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from service_event_checker.core import storms as decide
from service_event_checker.core.errors import StoreConflict
from service_event_checker.core.model import STORMS, Alert, Budget, HeldItem
from service_event_checker.core.ports import Destination, Selective
from service_event_checker.core.roles import HoldingArea, Store
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.store import Claimed, Done, IdTaken, Write
from service_event_checker.core.storms import Covered
from service_event_checker.core.tracker import longer_id
from service_event_checker.core.vocabulary import Severity, Verb
from service_event_checker.engine.outcomes import Summarised
from service_event_checker.engine.pipeline import Pipeline, tell

AREA = "storm"  # of the holding area: the messages that alerts had of their own
KEPT_FOR = timedelta(days=2)
WITHIN_MAX = timedelta(days=1)
AT_ONCE = 50  # deliveries that one claim covers
LEASE = timedelta(seconds=10)  # of such a claim, which asks no destination: what a killed process held is free soon
AT_THE_SAME_TIME = 50  # messages that other processes send just now
CONFLICTS_MAX = 50

log = structlog.get_logger()


class Storms:
    """Decides for the outbox what is covered. `page`: the address of our page, "" if it is not known."""

    def __init__(self, store: Store, destinations: Mapping[str, Destination], book: Rulebook, page: str = "") -> None:
        self._store = store
        self._destinations = destinations
        self._book = book
        self._page = page
        self._settled: defaultdict[str, set[str]] = defaultdict(set)

    def is_on(self, receiver: str) -> bool:
        """Whether a receiver has a storm now. Raises StoreError."""
        return self._budget(receiver) is not None and _open_summary(self._store, receiver) is not None

    def chosen(self, receiver: str, claimed: Iterable[Claimed], now: datetime) -> list[tuple[Claimed, Covered]]:
        """Return which of the claimed deliveries the summary is to cover; the others are sent. Raises StoreError."""
        budget = self._budget(receiver)
        if budget is None:
            return []
        full: set[tuple[str, Severity]] = set()
        storm: bool | None = None
        chosen = []
        for one in claimed:
            if self._is_free(one):
                continue
            storm = self.is_on(receiver) if storm is None else storm
            covered = self._covered(one, budget, full, now, storm=storm)
            if covered:
                chosen.append((one, covered))
        return chosen

    def cover(self, receiver: str, covered: Sequence[Covered], now: datetime) -> list[Summarised]:
        """Count what is covered and return the outcome of each. Raises StoreError, StoreConflict."""
        budget = self._budget(receiver)
        summary = self._count(receiver, covered, budget, now) if budget and covered else None
        named = summary.internal_id if summary else ""
        return [Summarised(note=decide.note(one.summary or named)) for one in covered]

    def settled(self, receiver: str, one: Covered) -> None:
        """Note that a counted delivery is settled: it need not be known again."""
        self._settled[receiver].add(decide.mark(one.delivery))

    def _budget(self, receiver: str) -> Budget | None:
        known = self._book.receivers.get(receiver)
        return known.storm if known and not known.shadow else None

    def _is_free(self, claimed: Claimed) -> bool:
        """Whether a delivery is sent in any case: of an alert that has its own message, or whose message is on its way.

        So is what the destination does not want.
        """
        delivery, alert = claimed.delivery, claimed.alert
        destination = self._destinations[delivery.receiver]
        if decide.is_exempt(alert) or delivery.intent_at is not None:
            return True
        if any(link.episode == delivery.episode for link in claimed.links):
            return True
        return isinstance(destination, Selective) and bool(destination.declines(delivery, alert, None))

    def _covered(
        self, claimed: Claimed, budget: Budget, full: set[tuple[str, Severity]], now: datetime, *, storm: bool
    ) -> Covered | None:
        """Return how a delivery of an alert without a message is covered; None if it is sent."""
        delivery, alert = claimed.delivery, claimed.alert
        summary = "" if delivery.verb is Verb.OPEN else self._summary_of(claimed)
        opens = delivery.verb is Verb.OPEN or (delivery.verb is Verb.UPDATE and not summary)
        critical = alert.severity is Severity.CRITICAL
        if opens:
            sent = (critical or not storm) and self._takes_place(claimed, alert.severity, budget, full, now)
            return None if sent else Covered(delivery=delivery, alert=alert, opens=True)
        if not summary:
            return None
        if delivery.by_person:
            sent = self._takes_place(claimed, Severity.INFO, budget, full, now, acts=True)
        else:
            sent = (
                delivery.verb is Verb.UPDATE
                and critical
                and self._takes_place(claimed, Severity.CRITICAL, budget, full, now)
            )
        return None if sent else Covered(delivery=delivery, alert=alert, summary=summary)

    def _summary_of(self, claimed: Claimed) -> str:
        """Return the internal id of the summary that covers the alert, "" if none does."""
        delivery = claimed.delivery
        steps = self._store.outcomes(delivery.key, delivery.episode)
        found = (decide.summary_in(step.note) for step in steps if decide.covers(step, delivery.receiver))
        return next(found, "")

    def _takes_place(
        self,
        claimed: Claimed,
        severity: Severity,
        budget: Budget,
        full: set[tuple[str, Severity]],
        now: datetime,
        *,
        acts: bool = False,
    ) -> bool:
        """Take one of the places within the budget; False if there is none, or was none a moment ago (`full`).

        Two processes that look at the same moment may take the last one both.
        """
        delivery = claimed.delivery
        source = f"{delivery.receiver}:acts" if acts else delivery.receiver
        if (source, severity) in full:
            return False
        holding, most = self._store.holding, decide.allowed(budget, severity)
        id = f"{delivery.key}:{delivery.episode}:{source}"
        taken = _places(holding, source, budget, now)
        if any(each.id == id for each in taken):
            return True
        if len(taken) >= most:
            full.add((source, severity))
            return False
        holding.add(HeldItem(area=AREA, id=id, source=source, at=now, doc="{}"))
        return True

    def _count(self, receiver: str, covered: Sequence[Covered], budget: Budget, now: datetime) -> Alert | None:
        """Count in the summary, which others may change at the same time."""
        key, settled = decide.key_of(receiver), frozenset(self._settled[receiver])
        own = len(_places(self._store.holding, receiver, budget, now))
        code_taken = 0
        for _ in range(CONFLICTS_MAX):
            known = self._store.get([key]).get(key)
            write = decide.counted(
                known, receiver, covered, self._book, now, budget=budget, own=own, settled=settled, page=self._page
            )
            if write is None:
                return known
            for _ in range(code_taken):
                write = _with_longer_id(write)
            (result,) = self._store.commit([write], now)
            if isinstance(result, Done):
                self._settled[receiver] -= settled
                tell(write)
                return result.alert
            code_taken += isinstance(result, IdTaken) and bool(write.deliveries)
        raise StoreConflict(f"the summary of {receiver} was changed by others {CONFLICTS_MAX} times in a row")


def run(pipeline: Pipeline, now: datetime) -> int:
    """Send the summaries again whose numbers have changed, end the storms that are over. Raises StoreError.

    Return how many summaries changed.
    """
    changed = 0
    for summary in pipeline.store.open_alerts(STORMS):
        write = decide.ended(summary, pipeline.book, now)
        if write is None:
            waits = bool(pipeline.store.waiting_deliveries(key=summary.key))
            write = decide.refreshed(summary, pipeline.book, now, waits=waits)
        changed += write is not None and pipeline.commit(write, now)  # counted meanwhile: the next look does it
    return changed


def prune(holding: HoldingArea, now: datetime) -> None:
    """Forget the places that count no more."""
    holding.prune(AREA, before=now - KEPT_FOR, per_source=10_000)


def _open_summary(store: Store, receiver: str) -> Alert | None:
    key = decide.key_of(receiver)
    summary = store.get([key]).get(key)
    return summary if summary and summary.open else None


def _places(holding: HoldingArea, source: str, budget: Budget, now: datetime) -> list[HeldItem]:
    """Return the places that are taken within the budget's time."""
    limit = decide.allowed(budget, Severity.CRITICAL) + AT_THE_SAME_TIME
    return [each for each in holding.list(AREA, source=source, limit=limit) if each.at > now - budget.within]


def _with_longer_id(write: Write) -> Write:
    alert = longer_id(write.alert)
    return Write(alert=alert, transitions=write.transitions, deliveries=write.deliveries)
