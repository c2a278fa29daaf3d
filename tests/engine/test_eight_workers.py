"""Eight workers at a system that fails a quarter of its calls: each alert still gets one object, and its end."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.core.ids import remote_key
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Kind
from service_event_checker.engine.outbox import Outbox
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.throttle import Throttle
from service_event_checker.stores.sql.store import SqlStore
from tests.destinations.cases import Case, all_cases
from tests.factories import event, receiver

WORKERS = 8
ALERTS = 20
FAILING = 0.25
SETTLE = timedelta(seconds=0.3)
FAILING_FOR = 3.0  # seconds; then the system is well again, and what is left is done
PATIENCE = 60.0
TICKETS = [case for case in all_cases() if case.name in ("azure_devops", "jira-cloud", "jira-server", "servicenow")]


@pytest.mark.parametrize("case", TICKETS, ids=lambda case: case.name)
def test_each_alert_has_one_object_and_it_is_ended(case: Case, tmp_path: Path) -> None:
    events = [event(fingerprint=f"{number:04}", kind=Kind.ALERT, source="alertmanager") for number in range(ALERTS)]
    with case.double() as double:
        store, outbox = house(tmp_path, case, double)
        double.chaos(FAILING, seed=5)
        double.retry_after = "1"
        pipeline = Pipeline(store, outbox.book)
        pipeline.ingest(events, now())
        ends = [
            event(fingerprint=each.fingerprint, status=EventStatus.RESOLVED, source="alertmanager") for each in events
        ]
        pipeline.ingest(ends, now())

        work(outbox, store, double)

        assert store.waiting() == 0
        assert store.failed_deliveries() == []
        keys = {remote_key(each.key, 1) for each in events}
        assert {
            link.remote_key for links in store.links(each.key for each in events).values() for link in links
        } == keys
        assert (case.objects(double), case.ended(double), case.end_notes(double)) == (ALERTS, ALERTS, ALERTS)
        assert double.refused == []
        store.close()


def house(path: Path, case: Case, double: Any) -> tuple[SqlStore, Outbox]:
    store = SqlStore(f"sqlite:///{path}/store.db")
    store.prepare()
    adapter = case.adapter(double)
    known = receiver(adapter.name, adapter.family, settle=SETTLE, verbs=adapter.verbs, deadline=timedelta(seconds=2))
    book = Rulebook((Rule("all", (), (adapter.name,)),), (), {adapter.name: known})
    throttles = {adapter.name: Throttle(1e6, 1000)}
    return store, Outbox(store, {adapter.name: adapter}, book, throttles=throttles, clock=now)


def work(outbox: Outbox, store: SqlStore, double: Any) -> None:
    """Let eight workers deliver until nothing waits."""
    (name,) = outbox.destinations
    until = time.monotonic() + PATIENCE

    def worker() -> None:
        while store.waiting() and time.monotonic() < until:
            if not outbox.drain(name):
                time.sleep(0.02)  # as the engine's threads wait for a wake-up

    threads = [threading.Thread(target=worker) for _ in range(WORKERS)]
    heal = threading.Timer(FAILING_FOR, double.chaos, (0.0,))
    heal.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    heal.cancel()


def now() -> datetime:
    return datetime.now(UTC)
