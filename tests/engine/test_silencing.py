"""Silences of the store in the live decision: what they hold back, what goes on, and what is announced at their end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event as sql

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Severity, Verb, Why
from service_event_checker.core.weekly import DAYS, Weekly
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.metrics import REGISTRY
from service_event_checker.stores.sql.store import SqlStore
from tests.factories import NOW, event, receiver, silence

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MATCH = 'source="github"'
RULES = (
    Rule("all", (), ("slack",), proceed=True),
    Rule("critical", silence(match='severity="critical"').matchers, ("pager",)),
)
BOOK = Rulebook(RULES, (), {name: receiver(name) for name in ("slack", "pager")})


class Process:
    """One of several processes on the same database, each with a cache of its own."""

    def __init__(self, path: Path) -> None:
        self.store = SqlStore(f"sqlite:///{path}/store.db")
        self.store.prepare()
        self.pipeline = Pipeline(self.store, BOOK)

    def ingest(self, now: datetime = NOW, **changes: object) -> Alert:
        happened: Event = event(**{"starts_at": now, "at": now, **changes})
        return self.pipeline.ingest([happened], now)[happened.key]

    def owed(self) -> list[tuple[str, Verb]]:
        return sorted((each.receiver, each.verb) for each in self.store.waiting_deliveries())

    def hits(self, id: str = "S-1") -> int:
        found = self.store.silences.get(id)
        return found.hits if found else -1


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def there(tmp_path: Path, here: Process) -> Iterator[Process]:
    made = Process(tmp_path)
    yield made
    made.store.close()


def test_a_silence_of_another_process_holds_at_the_next_message(here: Process, there: Process) -> None:
    assert here.ingest(fingerprint="before").receivers == ("slack",)

    there.store.silences.put(silence(match=MATCH))
    alert = here.ingest(fingerprint="after")

    assert alert.withheld == {"slack": "silenced by Ada until 2026-11-20 04:00 UTC: upgrade ☕ (S-1)"}
    assert here.owed() == [("slack", Verb.OPEN)]
    assert there.hits() == 1


def test_what_still_fires_at_its_end_is_announced_once_and_what_is_over_is_not(here: Process) -> None:
    here.store.silences.put(silence(match=MATCH))
    here.ingest()
    here.ingest(fingerprint="over")
    here.ingest(NOW + MINUTE, fingerprint="over", status=EventStatus.RESOLVED)

    assert here.pipeline.release(NOW + HOUR - MINUTE) == 0
    assert here.pipeline.release(NOW + HOUR) == 1
    assert here.pipeline.release(NOW + HOUR) == 0
    assert here.owed() == [("slack", Verb.OPEN)]
    assert [step.why for step in here.store.timeline(event().key)] == [Why.OPENED, Why.WITHHELD, Why.RELEASED]


def test_one_that_another_process_ends_early_is_announced_at_the_next_look(here: Process, there: Process) -> None:
    made = here.store.silences.put(silence(match=MATCH))
    assert made
    here.ingest()

    there.store.silences.put(replace(made, ends_at=NOW + MINUTE, ended_by="Bob"))

    assert here.pipeline.release(NOW + MINUTE) == 1
    assert here.owed() == [("slack", Verb.OPEN)]


def test_a_window_holds_and_its_end_announces_and_the_next_one_holds_again(here: Process) -> None:
    nightly = Weekly(DAYS, time(4), time(6), "Europe/Berlin")  # from 03:00 to 05:00 UTC
    here.store.silences.put(silence(match=MATCH, ends_at=NOW + 90 * HOUR, repeat=nightly))

    alert = here.ingest()
    between = here.ingest(NOW + 3 * HOUR, fingerprint="at noon")
    released = [here.pipeline.release(NOW + hours * HOUR) for hours in (1, 2)]
    again = here.ingest(NOW + 25 * HOUR, fingerprint="next night")

    assert alert.withheld["slack"].startswith("silenced by Ada until 2026-11-20 05:00 UTC")
    assert (between.withheld, released) == ({}, [0, 1])
    assert again.withheld["slack"].startswith("silenced by Ada until 2026-11-21 05:00 UTC")
    assert here.hits() == 2


def test_updates_and_the_end_of_what_was_announced_go_on_and_a_new_receiver_waits(here: Process) -> None:
    here.ingest()
    here.store.silences.put(silence(match=MATCH))

    worse = here.ingest(NOW + MINUTE, starts_at=NOW, severity=Severity.CRITICAL)
    ended = here.ingest(NOW + 2 * MINUTE, starts_at=NOW, status=EventStatus.RESOLVED)

    assert (worse.receivers, list(worse.withheld)) == (("slack",), ["pager"])
    assert (ended.open, ended.withheld) == (False, {})
    assert {(name, verb) for name, verb in here.owed()} >= {("slack", Verb.OPEN), ("slack", Verb.CLOSE)}
    assert "pager" not in {name for name, _ in here.owed()}


def test_an_alert_that_flaps_is_held_back_each_time_and_counts_each_time(here: Process) -> None:
    here.store.silences.put(silence(match=MATCH))

    counted = REGISTRY.get_sample_value("poc_silence_hits_total", {"kept_in": "store"}) or 0.0

    for number in range(3):
        at = NOW + 10 * number * MINUTE
        here.ingest(at)
        here.ingest(at + MINUTE, starts_at=at, status=EventStatus.RESOLVED)

    assert here.owed() == []
    assert here.hits() == 3
    assert REGISTRY.get_sample_value("poc_silence_hits_total", {"kept_in": "store"}) == counted + 3


def test_a_longer_end_is_written_into_the_reason_and_is_no_further_hit(here: Process) -> None:
    made = here.store.silences.put(silence(match=MATCH))
    assert made
    here.ingest()
    here.store.silences.put(replace(made, ends_at=NOW + 5 * HOUR))

    assert here.pipeline.release(NOW + HOUR) == 1

    (alert,) = here.store.withheld_alerts()
    assert alert.withheld["slack"] == "silenced by Ada until 2026-11-20 08:00 UTC: upgrade ☕ (S-1)"
    assert here.hits() == 1


def test_a_second_silence_takes_over_and_counts_for_itself(here: Process) -> None:
    here.store.silences.put(silence(match=MATCH))
    here.ingest()
    here.store.silences.put(silence("S-2", 'kind="outage"', starts_at=NOW + MINUTE, ends_at=NOW + 2 * HOUR))

    here.pipeline.release(NOW + HOUR)

    assert (here.hits("S-1"), here.hits("S-2"), here.owed()) == (1, 1, [])


def test_a_repetition_reads_no_silences(here: Process) -> None:
    here.ingest()
    asked: list[datetime] = []
    here.store.silences = Counted(asked)  # type: ignore[assignment]

    here.ingest()

    assert asked == []


class Counted:
    """Silences that note when they are asked."""

    def __init__(self, asked: list[datetime]) -> None:
        self.asked = asked

    def live(self, now: datetime) -> tuple[()]:
        self.asked.append(now)
        return ()


def test_without_silences_a_read_is_one_row_however_many_are_over(here: Process) -> None:
    for number in range(20):
        here.store.silences.put(silence(f"S-{number}", ends_at=NOW - HOUR))
    here.store.silences.live(NOW)
    statements: list[str] = []
    sql.listen(here.store.reader, "before_cursor_execute", lambda *given: statements.append(given[2]))
    here.store.silences.live(NOW)

    assert [text.split("FROM ")[1].split()[0] for text in statements] == ["revisions"]
