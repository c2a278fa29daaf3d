"""The steps of the pipeline work on all events of a message: one read, one correlation, one commit a round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from service_event_checker.core.model import Alert, Link, Snapshot
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.store import Conflict, Done, IdTaken, Write
from service_event_checker.core.tracker import Tracked
from service_event_checker.core.verdict import Answer, Verdict
from service_event_checker.core.vocabulary import EventStatus, Family, Severity
from service_event_checker.engine.pipeline import Context, Pipeline
from service_event_checker.stores.sql.store import SqlStore
from tests.factories import NOW, event, receiver

LATER = NOW + timedelta(minutes=30)
RECEIVERS = {"slack": receiver("slack"), "pager": receiver("pager", Family.PAGER)}
BOOK = Rulebook((Rule("all", (), ("slack",), True),), (), RECEIVERS)
VENDOR, OURS = event(fingerprint="vendor"), event(source="prometheus", fingerprint="ours")

EXPLAINED = Verdict(answer=Answer.VENDOR, score=0.9, at=NOW, explained_by=("GITHUB-1",))


class CountingStore(SqlStore):
    """Remembers the keys of each read and commit; `before_commit` happens just before a commit."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.reads: list[set[str]] = []
        self.commits: list[set[str]] = []
        self.before_commit: Callable[[], object] = lambda: None

    def get(self, keys: Iterable[str]) -> dict[str, Alert]:
        self.reads.append(set(keys))
        return super().get(self.reads[-1])

    def commit(self, writes: Sequence[Write], now: datetime) -> list[Done | Conflict | IdTaken]:
        self.before_commit()
        self.commits.append({write.alert.key for write in writes})
        return super().commit(writes, now)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CountingStore]:
    made = CountingStore(f"sqlite:///{tmp_path}/store.db")
    made.prepare()
    yield made
    made.close()


class Explains:
    """Says in our alert which outage explains it whenever the outage changes, as the verdict will."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.asked: list[tuple[int, set[str]]] = []  # how many changes, and the keys of the context

    def __call__(self, changes: Sequence[Tracked], context: Context, now: datetime) -> Sequence[Tracked]:
        self.asked.append((len(changes), set(context.alerts)))
        ours = self.store.get([OURS.key]).get(OURS.key)
        if ours is None or all(change.alert is None or change.alert.key != VENDOR.key for change in changes):
            return changes
        return [*changes, Tracked(replace(ours, verdict=EXPLAINED))]


def test_a_message_is_read_and_committed_at_once(store: CountingStore) -> None:
    events = [event(fingerprint=str(number)) for number in range(50)]

    Pipeline(store, BOOK).ingest(events, NOW)

    keys = {one.key for one in events}
    assert (store.reads, store.commits) == ([keys], [keys])


def test_the_objects_of_a_message_are_looked_up_with_one_read(store: CountingStore) -> None:
    pipeline = Pipeline(store, BOOK)
    alerts = pipeline.ingest([event(fingerprint=str(number)) for number in range(5)], NOW).values()
    linked = [
        Link(key=each.key, episode=1, receiver="pager", remote_key=each.key, external_id=each.fingerprint)
        for each in alerts
    ]
    store.commit([Write(alert=each, links=(link,)) for each, link in zip(alerts, linked, strict=True)], NOW)
    store.reads.clear()
    acked = event(status=EventStatus.ACKNOWLEDGED, actor="Ada", via="pager", source="", fingerprint="", at=LATER)

    pipeline.ingest([replace(acked, ref=("pager", str(number))) for number in range(5)], LATER)

    keys = {each.key for each in alerts}
    assert store.reads == [keys, keys]  # whose they are, and what is known of them
    assert {each.owner for each in store.get(keys).values()} == {"Ada"}


def test_a_change_that_the_correlation_adds_is_committed_with_what_caused_it(store: CountingStore) -> None:
    explains = Explains(store)
    pipeline = Pipeline(store, BOOK, correlate=explains)
    pipeline.ingest([OURS], NOW)

    found = pipeline.ingest([VENDOR, event(fingerprint="other")], LATER)

    assert store.commits[-1] == {VENDOR.key, OURS.key, event(fingerprint="other").key}
    assert store.get([OURS.key])[OURS.key].explained_by == "GITHUB-1"
    assert explains.asked[-1] == (2, set())
    assert OURS.key not in found  # who ingests is told of what it sent


def test_the_correlation_is_asked_anew_when_somebody_was_faster(store: CountingStore) -> None:
    explains = Explains(store)
    pipeline = Pipeline(store, BOOK, correlate=explains)
    pipeline.ingest([OURS], NOW)
    other = Pipeline(SqlStore(str(store.engine.url)), BOOK)
    store.before_commit = lambda: other.ingest([VENDOR, replace(OURS, title="Worse")], LATER)

    pipeline.ingest([replace(VENDOR, severity=Severity.CRITICAL)], LATER)

    assert explains.asked[-2:] == [(1, set()), (1, {VENDOR.key})]
    known = store.get([OURS.key, VENDOR.key])
    assert (known[VENDOR.key].severity, known[OURS.key].title) == (Severity.CRITICAL, "Worse")
    assert known[OURS.key].explained_by == "GITHUB-1"


def test_what_ends_by_absence_is_correlated_too(store: CountingStore) -> None:
    explains = Explains(store)
    pipeline = Pipeline(store, BOOK, correlate=explains)
    pipeline.ingest([OURS], NOW)
    (outage,) = pipeline.ingest([VENDOR], NOW).values()

    pipeline.absent([outage], Snapshot(source=VENDOR.source, complete=True), 1, LATER)

    assert explains.asked[-1] == (1, {VENDOR.key})
    assert store.commits[-1] == {VENDOR.key, OURS.key}
