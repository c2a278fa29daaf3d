"""Every few minutes, in one process at a time: our open alerts against their sources, our links against their systems.

The report says each repair. Asking changes nothing; a dry run only asks.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from service_event_checker.core.errors import DeliveryError, SourceError, StoreError
from service_event_checker.core.model import Slot
from service_event_checker.core.ports import Destination, Reconcilable, ReconcilableSource
from service_event_checker.core.reconcile import Repair
from service_event_checker.core.roles import Store
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.reconcile import destinations as reconcile_objects
from service_event_checker.engine.reconcile import sources
from service_event_checker.engine.slot_owner import is_gone, new_owner
from service_event_checker.logs import alert_facts
from service_event_checker.metrics import REPAIRS, label

SLOT = "reconcile"
LEASE = timedelta(minutes=10)  # a pass that takes longer may run twice; its repairs are repeatable
CONFLICTS_MAX = 5
REVIVED_EVERY = timedelta(days=1)

log = structlog.get_logger()


@dataclass(slots=True)
class Report:
    """What a pass saw: `lines` for people, one per difference; `failed`: what could not be queried or corrected."""

    lines: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)

    def tell(self) -> None:
        """Log a line per repair and per failure, and one for all that is left of a kind."""
        left = Counter((repair.receiver, repair.fix) for repair in self.repairs if repair.left)
        quiet = {reconcile_objects.line(repair) for repair in self.repairs if repair.left}
        for line in self.lines:
            if line not in quiet:
                log.info("reconciled", found=line)
        for (receiver, fix), number in left.items():
            log.info("reconcile_skipped", receiver=receiver, why=fix.value, number=number)
        for failure in self.failed:
            log.warning("reconcile_failed", failure=failure)


class Reconciler:
    """Safe to call from several threads; passes of one process follow each other, also those of the one `before`."""

    def __init__(
        self,
        pipeline: Pipeline,
        destinations: Mapping[str, Destination],
        sources: Sequence[ReconcilableSource],
        *,
        clock: Callable[[], datetime],
        every: timedelta = timedelta(minutes=5),
        before: Reconciler | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.destinations = {name: each for name, each in destinations.items() if isinstance(each, Reconcilable)}
        self.sources = sources
        self.every = every
        self._clock = clock
        self._alone: threading.Lock = before._alone if before else threading.Lock()
        # Failed deliveries, and when they were queued again.
        self._revived: dict[str, datetime] = before._revived if before else {}

    @property
    def store(self) -> Store:
        return self.pipeline.store

    def run(self, *, dry_run: bool = False, only: Iterable[str] = ()) -> Report:
        """Make one pass over all sources and destinations, or those named; return what was found. Raises StoreError."""
        report, wanted = Report(), frozenset(only)
        with self._alone:
            for source in self.sources:
                if not wanted or wanted.intersection(source.names):
                    self._ask_source(source, report, dry_run=dry_run)
            names = [name for name in self.destinations if not wanted or name in wanted]
            found = {name: self._ask_destination(name, report, dry_run=dry_run) for name in names}
            for name in names if not dry_run else ():  # only now: deliveries of one system to another would still wait
                self._mend(name, found[name], report)
        return report

    def request_run(self) -> None:
        """Make a pass due now: something says that we were not told all. Raises StoreError."""
        for _ in range(CONFLICTS_MAX):
            slot = self.store.slots().get(SLOT)
            due = replace(slot, due_at=self._clock()) if slot else Slot(name=SLOT, due_at=self._clock())
            if self.store.put_slot(due) is not None:
                return

    def take_due(self) -> Slot | None:
        """Take the pass that is due, for this process; None when none is, or another process has it."""
        now = self._clock()
        slot = self.store.slots().get(SLOT) or Slot(name=SLOT, due_at=now)
        if not _is_free(slot, self.every, now):
            return None
        return self.store.put_slot(replace(slot, owner=new_owner(), lease_until=now + LEASE, due_at=now + self.every))

    def run_taken(self, slot: Slot) -> None:
        """Make a pass that was taken, and say when it is over. Raises StoreError: then the lease ends it."""
        failed = ["the pass broke off: the log says why"]
        try:
            report = self.run()
            failed = report.failed
            report.tell()
        finally:
            self._release(slot, tuple(failed[:10]))

    def _release(self, slot: Slot, warnings: tuple[str, ...]) -> None:
        """Say that the pass is over; one that was asked for meanwhile stays due."""
        for _ in range(CONFLICTS_MAX):
            newest = self.store.slots().get(SLOT)
            if newest is None or newest.owner != slot.owner:
                return  # the lease was over, and somebody else has it
            now = self._clock()
            over = replace(newest, lease_until=None, last_run_at=now, last_success_at=now, warnings=warnings)
            if self.store.put_slot(over) is not None:
                return

    def _ask_source(self, source: ReconcilableSource, report: Report, *, dry_run: bool) -> None:
        now, name = self._clock(), source.names[0]
        try:
            found = source.compare(self.store, now)
        except SourceError as error:
            report.failed.append(f"{error}; nothing is closed for that")
            return
        report.lines += sources.lines(name, found)
        if not dry_run:
            sources.apply(name, found, self.pipeline, now)
            REPAIRS.labels(name, "closed").inc(len(found.over))
            REPAIRS.labels(name, "taken_in").inc(len(found.take_in))

    def _ask_destination(self, name: str, report: Report, *, dry_run: bool) -> list[Repair]:
        now = self._clock()
        if not dry_run:
            reconcile_objects.begin(name, self.store, now)
        try:
            found = reconcile_objects.look(name, self.destinations[name], self.store, self.pipeline.book, now)
        except DeliveryError as error:
            report.failed.append(f"{name}: could not be asked: {error}")
            return []
        except StoreError:
            raise
        except Exception:  # noqa: BLE001  # an adapter's bug must not keep the others from being compared
            log.exception("reconcile_crashed", receiver=name)
            report.failed.append(f"{name}: could not be asked: the log says why")
            return []
        if not dry_run:
            self._revive(name, now)
        report.repairs += found
        report.lines += [reconcile_objects.line(repair) for repair in found]
        return found

    def _revive(self, name: str, now: datetime) -> None:
        """Queue again, once a day, what failed only because its receiver did not answer for too long."""
        for letter in reconcile_objects.expired_opens(name, self.store):
            if now - self._revived.get(letter.id, now - REVIVED_EVERY) >= REVIVED_EVERY:
                self._revived[letter.id] = now
                if self.store.requeue(letter.id, now):
                    alert = self.store.get([letter.key]).get(letter.key)
                    facts = alert_facts(alert) if alert else {}
                    log.info("failed_delivery_requeued", **facts, receiver=name, verb=letter.verb.value)

    def _mend(self, name: str, found: list[Repair], report: Report) -> None:
        destination = self.destinations[name]
        report.failed += reconcile_objects.apply(found, destination, self.store, self.pipeline, self._clock())
        for repair in (repair for repair in found if not repair.left):
            REPAIRS.labels(name, label(repair.fix)).inc()


def _is_free(slot: Slot, every: timedelta, now: datetime) -> bool:
    """Whether a pass is due and nobody makes it; what is later than any pass is planned bears a wrong clock's time."""
    if slot.lease_until is not None and now < slot.lease_until <= now + LEASE:
        return is_gone(slot.owner)
    return slot.due_at <= now or slot.due_at > now + every
