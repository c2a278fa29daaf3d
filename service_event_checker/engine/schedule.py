"""The executor of a process: APScheduler says when, a thread runs the job, and workers stay for the deliveries.

With a broker, jobs are sent to Celery workers instead; while the broker is away, they run here.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from service_event_checker.core.errors import StoreConflict, StoreError
from service_event_checker.engine import jobs, summary
from service_event_checker.engine.services import Services

WORKERS_PER_RECEIVER = 2
IDLE_SECONDS = 15.0  # a worker looks by itself this often; it is woken when something is due
STOP_SECONDS = 3.5  # App Service kills five seconds after SIGTERM
START_RETRY_SECONDS = 2.0
SLOW_TICK = timedelta(seconds=5)  # with a broker: beat is quicker, and who writes wakes the workers at once
SUMMARY_AFTER = timedelta(minutes=1)  # by then each page has been asked
CLOCK_LOOK_SECONDS = 1.0
SET_BACK_SECONDS = 2.0  # less than that delays a job no longer

log = structlog.get_logger()


class Engine:
    """Start and stop it once per process; both may be called again. An `Executor`."""

    def __init__(
        self, services: Services, *, broker: jobs.Broker | None = None, wall: Callable[[], float] = time.time
    ) -> None:
        self.services = services
        self.follow: Callable[[], None] | None = None  # takes what another process has reloaded; set before the start
        self._look = threading.Event()  # at the configuration, without waiting
        self._delivers = threading.Event()  # the workers of the receivers run
        self._broker = broker
        self.port = services.settings.port  # what is shown at the start; the server may listen elsewhere
        self.receives = True  # whether requests come to this process
        self._wall = wall
        self._started = threading.Lock()
        self._stopping = threading.Event()
        self._threads: dict[str, threading.Thread] = {}  # by name; as many as there are jobs and ids
        self._spawning = threading.Lock()
        self._busy: Counter[tuple[str, str]] = Counter()  # how often each job runs here, by name and id
        self._counting = threading.Lock()
        self._away = threading.Lock()  # held while the store is away
        self._scheduler = self._schedule()
        self._turning = threading.Lock()  # held while the scheduler is started or stopped

    @property
    def running(self) -> bool:
        return self._started.locked() and not self.draining

    @property
    def draining(self) -> bool:
        """Whether this process is on its way out."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Prepare the store, say what runs here, and begin in the background.

        Where the store is away, this returns after one try, and goes on trying in the background.
        """
        if not self._started.acquire(blocking=False):
            return
        prepared = self._prepare()
        summary.log_start(self.services, self.port)
        self._spawn("engine-start", self._begin, prepared)
        if self.follow:
            self._spawn("configuration", self._watch_configuration, self.follow)

    def stop(self) -> None:
        """Take nothing new, let what runs finish for a few seconds. What is cut off is repeated after its lease."""
        self._stopping.set()
        self.services.wakes.set_all()
        self._look.set()
        with self._turning:
            if self._scheduler.running:
                self._scheduler.shutdown(wait=False)
        until = time.monotonic() + STOP_SECONDS
        for thread in list(self._threads.values()):
            thread.join(timeout=max(0.0, until - time.monotonic()))

    def swap(self, services: Services) -> None:
        """Have all jobs that begin from now on work with these; those that run end with the services they have."""
        self.services = services
        if self._delivers.is_set():
            self._start_workers()
        services.wakes.set_all()

    def look_at_configuration(self) -> None:
        """Have `follow` called now. Safe inside a signal."""
        self._look.set()

    def submit(self, name: str, id: str = "") -> None:
        """Have a worker run a job; without a broker, run it in a thread of its own or wake the receiver's workers."""
        receiving = jobs.job_named(name).receiving
        if self.draining or (receiving and not self.receives):
            return
        if self._broker and not receiving and self._broker.send(name, id):
            return
        if name == jobs.DELIVER and not self._broker:
            self.services.wakes.for_receiver(id).set()
        else:
            self._spawn(f"{name}-{id}" if id else name, self.run, name, id)

    def run(self, name: str, id: str = "") -> None:
        """Run a job in the caller's thread, unless it runs here as often as it may; what goes wrong stops no other.

        Raises InvalidInput for an unknown name.
        """
        jobs.job_named(name)
        with self._place(name, id) as free:
            if free:
                self._run(name, id)

    def _begin(self, prepared: bool) -> None:
        while not prepared and not self._stopping.wait(START_RETRY_SECONDS):
            prepared = self._prepare()
        if not prepared:
            return
        self.services.log_components()
        self._spawn("ask-destinations", self.run, "ask-destinations")  # it logs, so each process does it
        if self._broker:
            self.run(jobs.HEARTBEAT)
            self._spawn("wake-workers", self._wake_workers)
        else:
            self._start_workers()
        with self._turning:
            if not self._stopping.is_set():
                self._scheduler.start()
        self._spawn("clock", self._watch_clock)

    def _start_workers(self) -> None:
        """Start the workers that do not run yet."""
        self._delivers.set()
        for receiver in self.services.outbox.destinations:
            for number in range(WORKERS_PER_RECEIVER):
                name = f"{jobs.DELIVER}-{receiver}-{number}"
                self._spawn(name, self._deliver, receiver, name)

    def _watch_configuration(self, follow: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            try:
                follow()
            except StoreError:
                pass  # told by the jobs; the next look comes soon
            except Exception:  # noqa: BLE001  # the only net: this thread must not die silently
                log.exception("config_reload_failed")
            self._look.wait(self.services.look_every.total_seconds())
            self._look.clear()

    def _wake_workers(self) -> None:
        """Tell the workers of new deliveries; whoever commits many waits for none of this."""
        wake = self.services.wakes.any
        while not self._stopping.is_set():
            wake.wait()
            wake.clear()
            self.submit(jobs.DELIVER_DUE)

    def _watch_clock(self) -> None:
        """Have all jobs run when the clock is set back: the scheduler would wait until it is as late as it was."""
        ahead = self._wall() - time.monotonic()
        while not self._stopping.wait(CLOCK_LOOK_SECONDS):
            before, ahead = ahead, self._wall() - time.monotonic()
            if ahead < before - SET_BACK_SECONDS:
                log.warning("clock_set_back", seconds=round(before - ahead))
                for job in self._scheduler.get_jobs():
                    with suppress(JobLookupError):  # one that runs once has just gone
                        job.modify(next_run_time=datetime.now(UTC))

    @property
    def most_at_once(self) -> int:
        """How many jobs may run here at the same time: with as many threads, none waits for another."""
        receivers, checkers = len(self.services.outbox.destinations), len(self.services.poller.watches)
        return WORKERS_PER_RECEIVER * receivers + checkers + len(jobs.JOBS)

    def _prepare(self) -> bool:
        """Try once to prepare the store; before it is, nothing is read or written here. Log what is wrong, once."""
        try:
            self.services.store.prepare()
        except StoreError as error:
            if self._away.acquire(blocking=False):
                hint = "check the database and its address; until it answers, requests get 503. It is tried every 2 s"
                log.error("store_unavailable", reason=str(error), hint=hint)  # noqa: TRY400  # a state, not a crash
            return False
        return True

    def _schedule(self) -> BackgroundScheduler:
        """One tick per job. A late one is folded into the next: the store still knows what is due."""
        scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        for name, every in jobs.periodic(self.services).items():
            begins = datetime.now(UTC)
            slow = self._broker and name != jobs.DELIVER_DUE  # a rate lets more through every second
            seconds = (max(every, SLOW_TICK) if slow else every).total_seconds()
            scheduler.add_job(self.submit, "interval", [name], seconds=seconds, next_run_time=begins)
        soon = datetime.now(UTC) + SUMMARY_AFTER
        scheduler.add_job(self._spawn, "date", ["log-sources", self.run, "log-sources"], run_date=soon)
        return scheduler

    def _deliver(self, receiver: str, name: str) -> None:
        """One worker's loop: deliver while something is due, then wait for a wake-up or the next look.

        It ends when its receiver is not configured any more.
        """
        wake = self.services.wakes.for_receiver(receiver)
        while not self._stopping.is_set() and not self._is_gone(receiver, name):
            self.run(jobs.DELIVER, receiver)
            wake.wait(IDLE_SECONDS)
            wake.clear()

    def _is_gone(self, receiver: str, name: str) -> bool:
        """Whether a worker is to end; if so, another one may take its name at once."""
        with self._spawning:
            gone = receiver not in self.services.outbox.destinations
            if gone:
                self._threads.pop(name, None)
            return gone

    @contextmanager
    def _place(self, name: str, id: str) -> Iterator[bool]:
        """Count a run of a job while it lasts; False if it runs here as often as it may."""
        with self._counting:
            free = self._busy[name, id] < (WORKERS_PER_RECEIVER if name == jobs.DELIVER else 1)
            self._busy[name, id] += free
        try:
            yield free
        finally:
            with self._counting:
                self._busy[name, id] -= free

    def _run(self, name: str, id: str) -> None:
        try:
            jobs.run(name, id, self.services, self)
        except StoreConflict as error:  # the store is well; the job is still due
            log.info("job_contended", job=name, id=id, reason=str(error))
        except StoreError as error:
            self._tell_away(name, id, error)
        except Exception:  # noqa: BLE001  # the only net: a worker must not die silently
            log.exception("job_failed", job=name, id=id)
        else:
            if name == jobs.HEARTBEAT and self._away.locked():  # a beat is a write: then it really is back
                self._away.release()
                log.info("store_available")

    def _tell_away(self, name: str, id: str, error: StoreError) -> None:
        """Log that the store is away: for a job without an id once, until it is back."""
        if id:
            log.warning("store_unavailable", during=f"{name} {id}", reason=str(error))
        elif self._away.acquire(blocking=False):
            log.error("store_unavailable", reason=str(error))

    def _spawn(self, name: str, run: Callable[..., None], *args: object) -> None:
        with self._spawning:
            running = self._threads.get(name)
            if running is None or not running.is_alive():
                thread = threading.Thread(target=run, args=args, name=name, daemon=True)
                thread.start()
                self._threads[name] = thread
