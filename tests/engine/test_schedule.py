"""The executor of this process: jobs in threads, none of which takes another down."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from service_event_checker.core.errors import InvalidInput, StoreConflict, StoreError
from service_event_checker.engine import jobs
from service_event_checker.engine.expiry import RECEIVING
from service_event_checker.engine.outbox import Outbox
from service_event_checker.engine.schedule import Engine
from service_event_checker.engine.services import Services
from tests.engine.small import Chat, Page
from tests.factories import NOW, event
from tests.waiting import wait_for


class Sick:
    """A store that can be away, crash or hang in its periodic work; all else is the real one's."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.error: Exception | None = None
        self.sweeps = 0
        self.swept = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def __getattr__(self, name: str) -> Any:
        if self.error:
            raise self.error
        return getattr(self._store, name)

    def sweep(self, now: datetime, *, latest: datetime) -> int:
        self.sweeps += 1
        self.swept.set()
        self.go_on.wait(10)
        if self.error:
            raise self.error
        return int(self._store.sweep(now, latest=latest))


@pytest.fixture
def store(services: Services) -> Sick:
    return Sick(services.store)


@pytest.fixture
def engine(services: Services, store: Sick) -> Iterator[Engine]:
    made = Engine(replace(services, store=store))  # type: ignore[arg-type]  # what the jobs use of it
    yield made
    store.go_on.set()
    made.stop()


def done(engine: Engine, *names: str) -> None:
    for name in names:
        engine.submit(name)
    joined(*names)


def joined(*names: str) -> None:
    for thread in threading.enumerate():
        if thread.name in names:
            thread.join(10)


def test_a_store_that_is_away_is_logged_once_and_once_when_it_is_back(engine: Engine, store: Sick) -> None:
    store.error = StoreError("locked")
    with capture_logs() as logs:
        done(engine, "sweep", "prune", "heartbeat")
        done(engine, "sweep")
        store.error = None
        done(engine, "sweep")
        assert [line["event"] for line in logs] == ["store_unavailable"]
        done(engine, "heartbeat")
        done(engine, "heartbeat")

    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("store_unavailable", "error"),
        ("store_available", "info"),
    ]
    assert store.sweeps == 3


def test_a_conflict_with_others_is_no_outage(engine: Engine, store: Sick) -> None:
    store.error = StoreConflict("another transaction was faster")
    with capture_logs() as logs:
        done(engine, "sweep")
        store.error = None
        done(engine, "heartbeat")

    assert [line["event"] for line in logs] == ["job_contended"]


def test_a_crash_in_a_job_is_logged_and_the_next_run_goes_on(engine: Engine, store: Sick) -> None:
    store.error = RuntimeError("a defect")
    with capture_logs() as logs:
        done(engine, "sweep")
        store.error = None
        done(engine, "sweep")

    assert [(line["event"], line.get("job")) for line in logs] == [("job_failed", "sweep")]
    assert store.sweeps == 2


def test_what_runs_already_is_not_started_twice_and_holds_up_no_other(engine: Engine, store: Sick) -> None:
    store.go_on.clear()
    engine.submit("sweep")
    engine.submit("sweep")
    done(engine, "heartbeat")
    assert store.setting("heartbeat")

    store.go_on.set()
    joined("sweep")
    assert store.sweeps == 1


def test_an_unknown_job_is_refused_to_whoever_asks_for_it(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="Known are"):
        engine.submit("sweeep")


def test_an_engine_that_stops_takes_nothing_new(engine: Engine, store: Sick) -> None:
    engine.stop()

    done(engine, "sweep")

    assert (engine.draining, store.sweeps) == (True, 0)


def test_a_clock_that_is_set_back_stops_no_job(services: Services, store: Sick) -> None:
    ahead = [3600.0]
    engine = Engine(replace(services, store=store), wall=lambda: time.monotonic() + ahead[0])  # type: ignore[arg-type]
    engine.start()
    assert store.swept.wait(10)
    for job in engine._scheduler.get_jobs():  # as the scheduler has planned them before the clock is set back
        job.modify(next_run_time=datetime.now(UTC) + timedelta(hours=1))
    joined("sweep")
    store.swept.clear()

    ahead[0] = 0.0

    assert store.swept.wait(10)
    engine.stop()


def test_it_polls_and_delivers_by_itself(services: Services, page: Page, chat: Chat) -> None:
    engine = Engine(services)
    engine.start()
    engine.start()

    assert page.was_asked.wait(10)
    assert chat.was_told.wait(10)
    engine.stop()
    assert not engine.running
    assert services.store.waiting() == 0


def workers(engine: Engine) -> set[str]:
    return {name for name, thread in engine._threads.items() if name.startswith("deliver-") and thread.is_alive()}


def test_after_a_swap_new_receivers_have_workers_and_those_that_are_gone_have_none(services: Services) -> None:
    engine = Engine(services)
    engine.start()
    wait_for(lambda: workers(engine) == {"deliver-chat-0", "deliver-chat-1"})
    nobody = Outbox(services.store, {}, services.book, throttles={}, clock=lambda: NOW)

    for _ in range(20):  # a worker that is about to end, and its successor
        engine.swap(replace(services, outbox=nobody))
        engine.swap(services)
    wait_for(lambda: workers(engine) == {"deliver-chat-0", "deliver-chat-1"})
    engine.swap(replace(services, outbox=nobody))
    wait_for(lambda: not workers(engine))
    engine.stop()


def test_after_a_swap_a_worker_leaves_the_former_destination_when_its_delivery_is_done(
    services: Services, chat: Chat
) -> None:
    services.pipeline.ingest([event(fingerprint="one"), event(fingerprint="two")], NOW)
    engine = Engine(services)
    work = jobs.Work(services=services, executor=engine, id="chat", now=NOW)

    engine.swap(replace(services))
    jobs.deliver(work)
    assert not chat.was_told.is_set()

    engine.swap(services)
    jobs.deliver(work)
    assert chat.was_told.is_set()


def test_a_job_for_what_was_removed_does_nothing(services: Services) -> None:
    engine = Engine(services)

    with capture_logs() as lines:
        engine.run("deliver", "gone")
        engine.run("poll", "gone")

    assert lines == []


def test_the_configuration_is_looked_at_again_and_again_whatever_goes_wrong(services: Services) -> None:
    looks: list[int] = []

    def follow() -> None:
        looks.append(1)
        raise (StoreError("away"), ValueError("a bug"))[len(looks) % 2]

    engine = Engine(services)
    engine.follow = follow
    engine.start()

    for number in (2, 3, 4):
        engine.look_at_configuration()
        wait_for(lambda number=number: len(looks) >= number)  # type: ignore[misc]
    engine.stop()


class Elsewhere:
    """A broker whose workers do nothing; `sent` is what it was given. While `away`, it takes nothing."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.away = False
        self.woken = threading.Event()

    def send(self, name: str, id: str) -> bool:
        if self.away:
            return False
        self.sent.append((name, id))
        if name == "deliver-due":
            self.woken.set()
        return True


@pytest.fixture
def broker() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
def with_broker(services: Services, store: Sick, broker: Elsewhere) -> Iterator[Engine]:
    made = Engine(replace(services, store=store), broker=broker)  # type: ignore[arg-type]
    yield made
    store.go_on.set()
    made.stop()


def test_with_a_broker_a_job_is_sent_and_not_run_here(with_broker: Engine, broker: Elsewhere, store: Sick) -> None:
    done(with_broker, "sweep")
    with_broker.submit("poll", "page")

    assert broker.sent == [("sweep", ""), ("poll", "page")]
    assert store.sweeps == 0
    with pytest.raises(InvalidInput):
        with_broker.submit("sweeep")


def test_what_must_know_that_requests_come_runs_where_they_do(
    with_broker: Engine, broker: Elsewhere, services: Services
) -> None:
    with_broker.receives = False
    done(with_broker, "expire")
    elsewhere = services.store.setting(RECEIVING)

    with_broker.receives = True
    done(with_broker, "expire")

    assert (elsewhere, broker.sent) == (None, [])
    assert services.store.setting(RECEIVING)


def test_while_the_broker_is_away_the_jobs_run_here(with_broker: Engine, broker: Elsewhere, store: Sick) -> None:
    broker.away = True

    done(with_broker, "sweep")

    assert (store.sweeps, broker.sent) == (1, [])


def test_a_commit_wakes_the_workers_and_waits_for_none(
    services: Services, broker: Elsewhere, page: Page, chat: Chat
) -> None:
    engine = Engine(services, broker=broker)
    engine.start()
    try:
        assert wait(lambda: ("poll-due", "") in broker.sent)
        broker.woken.clear()
        services.wakes.set_all()
        assert broker.woken.wait(10)
    finally:
        engine.stop()
    assert (page.asked, chat.was_told.is_set()) == (0, False)
    assert services.store.setting("heartbeat")


def test_a_worker_that_has_a_job_twice_runs_it_once(with_broker: Engine, store: Sick) -> None:
    store.go_on.clear()
    first = threading.Thread(target=with_broker.run, args=("sweep",))
    first.start()
    store.swept.wait(10)

    with_broker.run("sweep")
    store.go_on.set()
    first.join(10)
    with_broker.run("sweep")

    assert store.sweeps == 2


def test_an_engine_with_a_broker_ticks_slowly_but_for_what_a_rate_held_back(
    services: Services, broker: Elsewhere
) -> None:
    quick = {job.args[0]: job.trigger.interval for job in Engine(services)._scheduler.get_jobs()[:-1]}
    slow = {job.args[0]: job.trigger.interval for job in Engine(services, broker=broker)._scheduler.get_jobs()[:-1]}

    assert (quick["poll-due"], slow["poll-due"]) == (timedelta(seconds=1), timedelta(seconds=5))
    assert slow["deliver-due"] == quick["deliver-due"] == timedelta(seconds=1)
    assert (quick["archive"], slow["archive"]) == (timedelta(minutes=1), timedelta(minutes=1))


def wait(done: Any) -> bool:
    until = time.monotonic() + 10
    while not done() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(done())
