"""Names every periodic and queued piece of work. A name and an id say all of it, so that any executor can run it.

The store says what is due. So each job may run in several processes at once, may be repeated, and may be killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from service_event_checker.core.errors import InvalidInput
from service_event_checker.engine import (
    audit_keeping,
    changes,
    expiry,
    failover,
    heartbeat,
    idempotency,
    muted,
    pending_events,
    ping_out,
    quarantine,
    seen_requests,
    storms,
    summary,
    unowned,
)
from service_event_checker.engine.services import Services

DELIVER, DELIVER_DUE = "deliver", "deliver-due"
HEARTBEAT = "heartbeat"
ACT = "act"
ARCHIVE_SECONDS = 30.0
TRIM_EVERY = timedelta(hours=1)
AREAS = (quarantine.AREA, pending_events.AREA, muted.AREA)
KEPT_FOR = timedelta(days=30)
KEPT_PER_SOURCE = 1000


class Executor(Protocol):
    """Has jobs run, in this process or elsewhere; nothing but a name and an id goes there."""

    @property
    def services(self) -> Services:
        """What jobs that begin now work with: another one after a reload of the configuration."""
        ...

    @property
    def draining(self) -> bool:
        """Whether it takes nothing new: a long job is to end soon."""
        ...

    def submit(self, name: str, id: str = "") -> None:
        """Have a job run soon; one that runs already need not run again. Raises InvalidInput for an unknown name."""
        ...


class Broker(Protocol):
    """Has jobs run by workers of other processes."""

    def send(self, name: str, id: str) -> bool:
        """Have a worker run a job soon; False while the broker is away: then the caller runs it. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One run of a job: `id` is what its job says (the name of a checker, a receiver), or empty."""

    services: Services
    executor: Executor
    id: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """`every`: how often it runs by itself; None: only when it is submitted.

    `receiving`: it runs only where requests come in, and is never sent elsewhere.
    """

    run: Callable[[Work], object]
    every: timedelta | Callable[[Services], timedelta] | None = None
    receiving: bool = False


def run(name: str, id: str, services: Services, executor: Executor) -> None:
    """Run a job in the caller's thread. Raises InvalidInput for an unknown name, and StoreError."""
    job_named(name).run(Work(services=services, executor=executor, id=id, now=datetime.now(UTC)))


def job_named(name: str) -> Job:
    """Return a job. Raises InvalidInput for an unknown name."""
    if name not in JOBS:
        raise InvalidInput("job", f'"{name}" is not known', f"Known are {', '.join(sorted(JOBS))}")
    return JOBS[name]


def periodic(services: Services) -> dict[str, timedelta]:
    """Return what runs by itself, and how often."""
    found = {name: job.every(services) if callable(job.every) else job.every for name, job in JOBS.items()}
    return {name: every for name, every in found.items() if every is not None}


def poll_due(work: Work) -> None:
    for checker in work.services.poller.due():
        work.executor.submit("poll", checker)


def poll(work: Work) -> None:
    """Poll the checker `id` if it is due and no other process has it; one that was removed meanwhile is not."""
    if work.id not in work.services.poller.watches:
        return
    for slot in work.services.poller.take_due([work.id]):
        work.services.poller.poll(slot)


def deliver_due(work: Work) -> None:
    """Have delivered what has become due by itself: one look for all receivers."""
    for receiver in work.services.store.due(work.services.outbox.destinations, work.now):
        work.executor.submit(DELIVER, receiver)


def deliver(work: Work) -> None:
    """Deliver to the receiver `id` while something is due, as long as it is configured as it was at the beginning."""
    outbox = work.services.outbox
    while work.id in outbox.destinations and _goes_on(work) and outbox.drain(work.id):
        continue


def _goes_on(work: Work) -> bool:
    return not work.executor.draining and work.executor.services is work.services


def reconcile(work: Work) -> None:
    """Make the pass of a reconciliation if it is due and no other process has it."""
    slot = work.services.reconciler.take_due()
    if slot:
        work.services.reconciler.run_taken(slot)


def archive(work: Work) -> None:
    """Archive what is over; after a storm as much as a minute allows."""
    until = time.monotonic() + ARCHIVE_SECONDS
    while work.services.store.archive(work.now) and time.monotonic() < until and not work.executor.draining:
        continue


def release(work: Work) -> None:
    work.services.pipeline.release(work.now)


def act_due(work: Work) -> None:
    """Have looked after each run of an action that something is to be done for."""
    if work.services.config.actions:
        for run in work.services.runs.records.open_ids():
            work.executor.submit(ACT, run)


def act(work: Work) -> None:
    """Look after the run `id`: start it if it may, which lasts as long as the action does."""
    if not work.executor.draining:
        work.services.runs.step(work.id)


def mend_groups(work: Work) -> None:
    work.services.pipeline.mend_groups(work.now)


def unpark(work: Work) -> None:
    work.services.pipeline.unpark(work.now)


def expire_test_mode(work: Work) -> None:
    work.services.test_mode.expire(work.now)


def beat(work: Work) -> None:
    heartbeat.beat(work.services.store, work.now)


def look_for_heartbeats(work: Work) -> None:
    """Raise an alert about each sender that is silent."""
    work.services.heartbeats.look(work.services.pipeline, work.now)


def ping(work: Work) -> None:
    """Tell HEARTBEAT_URL that all loops run; while one does not, its silence tells it."""
    ping_out.ping(work.services, work.now)


def look_back(work: Work) -> None:
    """Judge alerts again where an outage has changed since."""
    work.services.correlation.look_back(work.services.pipeline, work.now)


def write_rule_hits(work: Work) -> None:
    work.services.rule_hits.write(work.now)


def settle_unowned(work: Work) -> None:
    """Move what waits for a destination under another name, and fail what has waited too long for none."""
    unowned.move(work.services.outbox, work.services.config.moved, work.now)
    unowned.expire(work.services.outbox, work.now)


def expire(work: Work) -> None:
    work.services.expiry.run(work.services.pipeline, work.now)


def fail_over(work: Work) -> None:
    services = work.services
    kinds = {part.name: part.kind for part in services.parts if part.section == "destination"}
    failover.run(services.outbox, services.pipeline, kinds, work.now)


def summarise(work: Work) -> None:
    """Send the summaries of storms again as they grow, and end the storms that are over."""
    storms.run(work.services.pipeline, work.now)


def sweep(work: Work) -> None:
    work.services.store.sweep(work.now, latest=work.now + work.services.outbox.longest_wait)


def trim(work: Work) -> None:
    work.services.store.trim(work.now - 2 * TRIM_EVERY)


def retain(work: Work) -> None:
    """Forget what is old, as much as a minute allows."""
    until, before = time.monotonic() + ARCHIVE_SECONDS, work.now - work.services.settings.retention
    while work.services.store.retain(before) and time.monotonic() < until and not work.executor.draining:
        continue


def prune(work: Work) -> None:
    """Keep from growing what was refused, what waits for its object, answers that were kept, and ended silences."""
    for area in AREAS:
        work.services.store.holding.prune(area, before=work.now - KEPT_FOR, per_source=KEPT_PER_SOURCE)
    work.services.store.silences.prune(work.now - work.services.settings.retention)
    seen_requests.prune(work.services.store.holding, work.now)
    storms.prune(work.services.store.holding, work.now)
    idempotency.prune(work.services.store.holding, work.now)
    work.services.runs.records.prune(work.now, work.services.settings.retention)
    changes.prune(work.services.store.holding, work.now)


def keep_audit(work: Work) -> None:
    audit_keeping.keep(work.services.store, work.now - work.services.settings.retention, work.now)


def log_sunsets(work: Work) -> None:
    work.services.log_sunsets()


def log_sources(work: Work) -> None:
    summary.log_sources(work.services)


def ask_destinations(work: Work) -> None:
    work.services.ask_destinations()


def _each_look(services: Services) -> timedelta:
    return services.look_every


def _each_other_look(services: Services) -> timedelta:
    return services.look_every * 2


JOBS: Mapping[str, Job] = {
    "poll-due": Job(poll_due, timedelta(seconds=1)),  # the shortest interval that a checker may have
    "poll": Job(poll),
    DELIVER_DUE: Job(deliver_due, _each_look),
    DELIVER: Job(deliver),
    "reconcile": Job(reconcile, timedelta(seconds=5)),
    HEARTBEAT: Job(beat, timedelta(seconds=10)),
    "act-due": Job(act_due, _each_look),
    ACT: Job(act),
    "release": Job(release, timedelta(seconds=10)),
    "groups": Job(mend_groups, _each_other_look),
    "unpark": Job(unpark, _each_other_look),
    "expire-test-mode": Job(expire_test_mode, timedelta(seconds=30)),
    "heartbeats": Job(look_for_heartbeats, timedelta(seconds=10)),
    "look-back": Job(look_back, timedelta(seconds=5)),
    "rule-hits": Job(write_rule_hits, timedelta(minutes=1)),
    "ping": Job(ping, timedelta(minutes=1)),
    "expire": Job(expire, expiry.EVERY, receiving=True),
    "sweep": Job(sweep, timedelta(seconds=15)),
    "fail-over": Job(fail_over, timedelta(seconds=5)),
    "storms": Job(summarise, timedelta(seconds=5)),
    "unowned": Job(settle_unowned, timedelta(minutes=1)),
    "archive": Job(archive, timedelta(minutes=1)),
    "prune": Job(prune, timedelta(hours=1)),
    "trim": Job(trim, TRIM_EVERY),
    "retain": Job(retain, timedelta(hours=6)),
    "keep-audit": Job(keep_audit, timedelta(hours=1)),  # once a day; a restart does not delay it
    "log-sunsets": Job(log_sunsets, timedelta(days=7)),
    "log-sources": Job(log_sources),
    "ask-destinations": Job(ask_destinations),
}
