"""What is not repeated is over, but only if a repetition could have reached us."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.vocabulary import EventStatus, Kind, ResolvedBy, Status, Why
from service_event_checker.engine import expiry
from service_event_checker.engine.expiry import EVERY, GRACE, Expiry
from service_event_checker.engine.pipeline import Pipeline
from tests.engine.polls import World
from tests.factories import NOW, event

SECOND = timedelta(seconds=1)
SOURCE = "alertmanager"
DUE = NOW + timedelta(minutes=4)


def event_until(span: timedelta | None, **changes: object) -> Event:
    """The alert, which fires and is over so long after `NOW` unless it is repeated."""
    posted = event(source=SOURCE, kind=Kind.ALERT, at=None, starts_at=NOW, intake="/api/v2/alerts")
    return replace(posted, expires_at=NOW + span if span else None, **changes)


FIRING = event_until(timedelta(minutes=4))


@pytest.fixture
def pipeline(world: World) -> Pipeline:
    """One alert fires, and is over at `DUE` unless it is repeated."""
    made = Pipeline(world.store, world.book)
    made.ingest([FIRING], NOW)
    expiry.note(world.store, SOURCE)
    return made


def now_is(pipeline: Pipeline) -> Alert:
    return pipeline.store.get([FIRING.key])[FIRING.key]


def look(pipeline: Pipeline, process: Expiry, until: timedelta, since: timedelta = timedelta(0)) -> None:
    """Have a process look as often as it does, from `since` to `until` after `NOW`."""
    while since <= until:
        process.run(pipeline, NOW + since)
        since += EVERY


def test_an_alert_that_is_not_repeated_ends_at_the_time_that_its_source_named(pipeline: Pipeline) -> None:
    look(pipeline, Expiry(), timedelta(minutes=4) - SECOND)
    before = now_is(pipeline)
    process = Expiry()
    look(pipeline, process, timedelta(minutes=8), timedelta(minutes=4))

    after = now_is(pipeline)
    assert before.status is Status.FIRING
    assert (after.status, after.resolved_by, after.ended_at) == (Status.RESOLVED, ResolvedBy.ABSENCE, DUE)
    assert [step.why for step in pipeline.store.timeline(FIRING.key)] == [Why.OPENED, Why.EXPIRED]


def test_a_repetition_moves_the_time(pipeline: Pipeline) -> None:
    pipeline.ingest([event_until(timedelta(minutes=7))], NOW + timedelta(minutes=3))

    look(pipeline, Expiry(), timedelta(minutes=7) - SECOND)

    assert now_is(pipeline).open
    assert [step.why for step in pipeline.store.timeline(FIRING.key)] == [Why.OPENED]


def test_an_overtaken_repetition_does_not_move_it_back(pipeline: Pipeline) -> None:
    pipeline.ingest([event_until(timedelta(minutes=7))], NOW)
    pipeline.ingest([event_until(timedelta(minutes=5))], NOW)

    assert now_is(pipeline).expires_at == NOW + timedelta(minutes=7)


@pytest.mark.parametrize("first", ["webhook", "api"])
def test_what_comes_by_a_way_in_that_tells_ends_does_not_expire(first: str, world: World) -> None:
    by_webhook = event_until(None, intake="/alert")
    pair = [by_webhook, FIRING] if first == "webhook" else [FIRING, by_webhook]
    pipeline = Pipeline(world.store, world.book)
    expiry.note(world.store, SOURCE)
    for each in pair:
        pipeline.ingest([each], NOW)

    look(pipeline, Expiry(), timedelta(minutes=20))

    assert now_is(pipeline).open


def test_nothing_ends_within_the_grace_time_of_a_start(pipeline: Pipeline) -> None:
    hour = timedelta(hours=1)

    look(pipeline, Expiry(), hour + GRACE - SECOND, hour)

    assert now_is(pipeline).open


def test_a_pause_of_the_job_begins_the_grace_time_anew(pipeline: Pipeline) -> None:
    process, hour = Expiry(), timedelta(hours=1)
    look(pipeline, process, timedelta(minutes=3))

    look(pipeline, process, hour + GRACE - EVERY, hour)
    paused = now_is(pipeline)
    look(pipeline, process, hour + GRACE + EVERY, hour + GRACE)

    assert paused.open
    assert not now_is(pipeline).open


def test_a_repetition_that_could_not_be_taken_begins_the_grace_time_anew(pipeline: Pipeline) -> None:
    process = Expiry()
    look(pipeline, process, timedelta(minutes=3, seconds=45))

    process.interrupt()
    look(pipeline, process, timedelta(minutes=6, seconds=30), timedelta(minutes=4))

    assert now_is(pipeline).open


def test_another_process_that_starts_counts_too(pipeline: Pipeline) -> None:
    process = Expiry()
    look(pipeline, process, timedelta(minutes=3, seconds=45))

    Expiry().run(pipeline, NOW + timedelta(minutes=4))
    look(pipeline, process, timedelta(minutes=6), timedelta(minutes=4))

    assert now_is(pipeline).open


def test_a_clock_that_was_set_back_begins_the_grace_time_anew(pipeline: Pipeline) -> None:
    process = Expiry()
    look(pipeline, process, timedelta(hours=2), timedelta(hours=1, minutes=58))

    assert process.run(pipeline, NOW + timedelta(minutes=30)) == 0
    assert now_is(pipeline).open


def test_one_that_was_repeated_while_we_looked_stays(pipeline: Pipeline) -> None:
    seen = now_is(pipeline)
    pipeline.ingest([event_until(timedelta(minutes=9))], DUE)

    assert pipeline.expire([seen], DUE) == 0
    assert now_is(pipeline).open


def test_what_fires_again_after_its_time_is_a_new_episode(pipeline: Pipeline) -> None:
    look(pipeline, Expiry(), timedelta(minutes=5))

    pipeline.ingest([event_until(timedelta(minutes=9))], NOW + timedelta(minutes=5, seconds=1))

    again = now_is(pipeline)
    assert (again.status, again.episode) == (Status.FIRING, 2)


def test_an_end_that_is_told_is_the_end(pipeline: Pipeline) -> None:
    over = event_until(None, status=EventStatus.RESOLVED, at=NOW + timedelta(minutes=1))
    pipeline.ingest([over], NOW + timedelta(minutes=1))

    look(pipeline, Expiry(), timedelta(minutes=5))

    assert now_is(pipeline).resolved_by is ResolvedBy.SOURCE
