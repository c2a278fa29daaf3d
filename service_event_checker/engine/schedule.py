"""The schedule: APScheduler's ticks and the outbox's threads, in this process. The store says what is due.

Everything here may run in several processes at once and may be killed at any moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from service_event_checker.config.sunset import Sunset
from service_event_checker.core.errors import StoreError
from service_event_checker.core.model import Slot
from service_event_checker.core.roles import HoldingArea
from service_event_checker.engine import pending_events, quarantine
from service_event_checker.engine.services import Services

POLL_TICK = timedelta(seconds=1)  # the shortest interval that a checker may have
HEARTBEAT = timedelta(seconds=10)
HEARTBEAT_MAX_AGE = timedelta(seconds=30)  # then no process is running the engine
HEARTBEAT_SETTING = "heartbeat"
WORKERS_PER_RECEIVER = 2
IDLE_SECONDS = 15.0  # a worker looks by itself this often; the tick wakes it when something is due
STOP_SECONDS = 3.5  # App Service kills five seconds after SIGTERM
ARCHIVE_SECONDS = 30.0
START_RETRY_SECONDS = 2.0
RECONCILE_TICK = timedelta(seconds=5)
AREAS = (quarantine.AREA, pending_events.AREA)
KEPT_FOR = timedelta(days=30)
KEPT_PER_SOURCE = 1000

log = structlog.get_logger()


class Engine:
    """Start and stop it once per process; both may be called again."""

    def __init__(self, services: Services, sunsets: Iterable[Sunset] = ()) -> None:
        self.services = services
        self._sunsets = tuple(sunsets)  # of what is in use beside config.json
        self._started = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._scheduler = _scheduler(self._ticks())
        self._away = False
        self._turning = threading.Lock()  # held while the scheduler is started or stopped

    @property
    def running(self) -> bool:
        return self._started.locked() and not self.draining

    @property
    def draining(self) -> bool:
        """Whether this process is on its way out."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Begin in the background; a store that is away is waited for. Returns at once."""
        if self._started.acquire(blocking=False):
            self._spawn("engine-start", self._begin)

    def stop(self) -> None:
        """Take nothing new, let what runs finish for a few seconds. What is cut off is repeated after its lease."""
        self._stopping.set()
        self.services.wakes.set_all()
        with self._turning:
            if self._scheduler.running:
                self._scheduler.shutdown(wait=False)
        until = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))

    def _begin(self) -> None:
        while not self._stopping.is_set():
            try:
                self.services.store.prepare()
            except StoreError as error:
                log.error("store_away", reason=str(error))  # noqa: TRY400  # a state, not a crash
                self._stopping.wait(START_RETRY_SECONDS)
                continue
            break
        else:
            return
        self.services.tell_what_is_on()
        self._spawn("ask-destinations", self.services.ask_destinations)
        for receiver in self.services.outbox.destinations:
            for number in range(WORKERS_PER_RECEIVER):
                self._spawn(f"outbox-{receiver}-{number}", self._deliver, receiver)
        with self._turning:
            if not self._stopping.is_set():
                self._scheduler.start()

    def _ticks(self) -> Mapping[Callable[[], object], timedelta]:
        services = self.services
        ticks: dict[Callable[[], object], timedelta] = {
            self._poll_due: POLL_TICK,
            self._wake_due: services.look_every,
            self._reconcile_due: RECONCILE_TICK,
            self._beat: HEARTBEAT,
            lambda: services.pipeline.release(_now()): timedelta(seconds=10),
            lambda: services.pipeline.unpark(_now()): services.look_every * 2,
            lambda: services.test_mode.expire(_now()): timedelta(seconds=30),
            lambda: services.store.sweep(_now()): timedelta(seconds=15),
            self._archive: timedelta(seconds=60),
            lambda: services.log_sunsets(self._sunsets): timedelta(days=7),
            lambda: services.store.retain(_now() - services.settings.retention): timedelta(hours=6),
            lambda: _prune(services.store.holding, _now()): timedelta(hours=1),
        }
        return {partial(self._unless_away, run): every for run, every in ticks.items()}

    def _unless_away(self, run: Callable[[], object]) -> None:
        """Run a tick; a store that is away is said once, and once when it is back."""
        try:
            run()
        except StoreError as error:
            if not self._away:
                log.error("store_away", reason=str(error))  # noqa: TRY400  # a state, not a crash
            self._away = True
            return
        if self._away and run == self._beat:  # a beat is a write: then it really is back
            self._away = False
            log.info("store_back")

    def _poll_due(self) -> None:
        if self._stopping.is_set():
            return
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for slot in self.services.poller.take_due():
            self._spawn(f"poll-{slot.name}", self._poll, slot)

    def _reconcile_due(self) -> None:
        slot = None if self._stopping.is_set() else self.services.reconciler.take_due()
        if slot:
            self._spawn("reconcile", self._reconcile, slot)

    def _reconcile(self, slot: Slot) -> None:
        try:
            self.services.reconciler.run_taken(slot)
        except StoreError as error:
            log.warning("store_away", during="reconciliation", reason=str(error))
        except Exception:  # noqa: BLE001  # the loop's one net; the next pass begins anew
            log.exception("reconcile_failed")

    def _wake_due(self) -> None:
        """Wake the workers of what has become due by itself: one look for all of them."""
        for receiver in self.services.store.due(self.services.outbox.destinations, _now()):
            self.services.wakes.for_receiver(receiver).set()

    def _poll(self, slot: Slot) -> None:
        try:
            self.services.poller.poll(slot)
        except StoreError as error:
            log.warning("store_away", during=f"poll of {slot.name}", reason=str(error))
        except Exception:  # noqa: BLE001  # the loop's one net; the poller has reported the source as unknown
            log.exception("poll_failed", checker=slot.name)

    def _deliver(self, receiver: str) -> None:
        """One worker's loop: deliver while something is due, then wait for a wake-up or the next look."""
        wake = self.services.wakes.for_receiver(receiver)
        while not self._stopping.is_set():
            try:
                if self.services.outbox.drain(receiver):
                    continue
            except StoreError as error:
                log.warning("store_away", during=f"deliveries to {receiver}", reason=str(error))
            except Exception:  # noqa: BLE001  # the loop's one net: a worker must not die silently
                log.exception("worker_failed", receiver=receiver)
            wake.wait(IDLE_SECONDS)
            wake.clear()

    def _archive(self) -> None:
        """Archive what is over; after a storm as much as a minute allows."""
        until = time.monotonic() + ARCHIVE_SECONDS
        while self.services.store.archive(_now()) and time.monotonic() < until and not self.draining:
            continue

    def _beat(self) -> None:
        self.services.store.set_setting(HEARTBEAT_SETTING, _now().isoformat())

    def _spawn(self, name: str, run: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=run, args=args, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()


def _prune(holding: HoldingArea, now: datetime) -> None:
    """Keep the holding areas from growing: what was refused, and what waits for its object."""
    for area in AREAS:
        holding.prune(area, before=now - KEPT_FOR, per_source=KEPT_PER_SOURCE)


def last_heartbeat(services: Services) -> datetime | None:
    """Return when any process last ran the engine. Raises StoreError."""
    text = services.store.setting(HEARTBEAT_SETTING)
    return datetime.fromisoformat(text) if text else None


def _scheduler(ticks: Mapping[Callable[[], object], timedelta]) -> BackgroundScheduler:
    """One job per tick. A late or overlapping run is folded into the next: the store still knows what is due."""
    scheduler = BackgroundScheduler(
        timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    )
    for run, every in ticks.items():
        scheduler.add_job(run, "interval", seconds=every.total_seconds(), next_run_time=_now())
    scheduler.add_listener(_on_job_trouble, EVENT_JOB_ERROR | EVENT_JOB_MISSED)
    return scheduler


def _on_job_trouble(event: JobExecutionEvent) -> None:
    error = getattr(event, "exception", None)
    log.warning("tick_failed", reason=f"{type(error).__name__}: {error}" if error else "missed")


def _now() -> datetime:
    return datetime.now(UTC)
