"""From events to commits on a real SQLite file: what is durable, owed and never owed twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from structlog.testing import capture_logs

from service_event_checker.core import matchers, rules
from service_event_checker.core.errors import InvalidInput, StoreConflict
from service_event_checker.core.ids import internal_code, internal_id
from service_event_checker.core.model import Alert, Event, Snapshot
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.silences import Silence
from service_event_checker.core.store import Conflict, Done, IdTaken, Query, Write
from service_event_checker.core.vocabulary import EventStatus, Family, Kind, ResolvedBy, Severity, Status, Verb, Why
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.metrics import REGISTRY
from service_event_checker.stores.sql.store import SqlStore
from service_event_checker.stores.sql.tables import metadata
from service_event_checker.stores.sql.tables import settings as settings_table
from tests.factories import NOW, event, receiver
from tests.strategies import (
    FINGERPRINTS,
    INTAKES,
    REPEATABLE,
    SOURCE,
    Poll,
    Silenced,
    Step,
    histories,
    moments,
    observations,
    polls,
)

HISTORIES = settings(REPEATABLE, max_examples=100)  # each step is a commit to a file; tests/core has twice as many
LATER = NOW + timedelta(minutes=30)
FIRING, RESOLVED = EventStatus.FIRING, EventStatus.RESOLVED
RECEIVERS = {
    "slack": receiver("slack"),
    "tickets": receiver("tickets", Family.TICKET),
    "pager": receiver("pager", Family.PAGER),
}
QUIET = Silence(matchers.parse('source="github"'), NOW - timedelta(days=1), NOW + timedelta(days=9), "Ada", "upgrade")


def rule(match: str, *send: str, proceed: bool = True) -> Rule:
    return Rule(match or "all", matchers.parse(match), send, proceed)


RULES = (rule("", "slack"), rule('severity="critical"', "pager"), rule('intake="/alert"', "tickets"))


class Ledger:
    """A store that remembers what was committed, in order; `before_commit` happens just before each commit."""

    def __init__(self, store: SqlStore) -> None:
        self.store, self.holding, self.silences = store, store.holding, store.silences
        self.written: list[Write] = []
        self.before_commit: Callable[[], object] = lambda: None

    def get(self, keys: Iterable[str]) -> dict[str, Alert]:
        return self.store.get(keys)

    def withheld_alerts(self) -> list[Alert]:
        return self.store.withheld_alerts()

    def commit(self, writes: Sequence[Write], now: datetime) -> list[Done | Conflict | IdTaken]:
        self.before_commit()
        results = self.store.commit(writes, now)
        self.written += [
            replace(write, alert=result.alert)
            for write, result in zip(writes, results, strict=True)
            if isinstance(result, Done)
        ]
        return results

    def owed(self) -> list[tuple[str, Verb]]:
        return [(one.receiver, one.verb) for write in self.written for one in write.deliveries]

    def whys(self) -> list[Why]:
        return [row.why for write in self.written for row in write.transitions]

    def empty(self) -> None:
        with self.store.engine.begin() as connection:
            for table in metadata.tables.values():
                if table is not settings_table:  # which holds the database's own id
                    connection.execute(delete(table))
        self.written.clear()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{tmp_path_factory.mktemp('pipeline')}/alerts.db")
    store.prepare()
    yield store
    store.close()


@pytest.fixture
def ledger(database: SqlStore) -> Ledger:
    ledger = Ledger(database)
    ledger.empty()
    return ledger


@pytest.fixture
def pipeline(ledger: Ledger) -> Pipeline:
    return Pipeline(ledger, Rulebook(RULES, (), RECEIVERS))  # type: ignore[arg-type]  # what the pipeline uses of it


def the(found: dict[str, Alert]) -> Alert:
    (alert,) = found.values()
    return alert


def test_what_it_returns_is_stored(pipeline: Pipeline, tmp_path: Path, database: SqlStore) -> None:
    alert = the(pipeline.ingest([event()], NOW))

    fresh = SqlStore(str(database.engine.url))
    assert fresh.get([alert.key]) == {alert.key: alert}
    assert [row.why for row in fresh.timeline(alert.key)] == [Why.OPENED]
    assert fresh.waiting("slack") == 1
    fresh.close()


def test_the_same_event_again_writes_nothing(pipeline: Pipeline, ledger: Ledger) -> None:
    once = the(pipeline.ingest([event()], NOW))

    again = the(pipeline.ingest([event()], LATER))

    assert (again, len(ledger.written)) == (once, 1)


def test_all_events_of_a_message_take_effect_in_their_order(pipeline: Pipeline, ledger: Ledger) -> None:
    found = pipeline.ingest([event(), event(fingerprint="b"), event(status=RESOLVED, at=LATER), event()], LATER)

    assert {alert.status for alert in found.values()} == {Status.RESOLVED, Status.FIRING}
    assert found[event().key].repeats == 1
    assert ledger.whys() == [Why.OPENED, Why.OPENED, Why.RESOLVED_BY_SOURCE]


def test_an_event_that_cannot_be_used_stops_its_message_before_anything_is_written(
    pipeline: Pipeline, ledger: Ledger
) -> None:
    with pytest.raises(InvalidInput):
        pipeline.ingest([event(), event(fingerprint="")], NOW)

    assert ledger.written == []


def test_foreign_text_is_cleaned_on_the_way_in(pipeline: Pipeline) -> None:
    assert the(pipeline.ingest([event(title="a\0\ud800  b")], NOW)).title == "a? b"


def test_a_resolved_event_for_an_unknown_alert_owes_nobody_and_leaves_nothing(
    pipeline: Pipeline, ledger: Ledger
) -> None:
    assert pipeline.ingest([event(status=RESOLVED, intake="/alert")], NOW) == {}
    assert ledger.written == []


def test_a_missed_outage_is_stored_and_owed_to_nobody(pipeline: Pipeline, ledger: Ledger) -> None:
    missed = event(status=RESOLVED, starts_at=LATER, at=LATER)

    alert = the(pipeline.ingest([missed], LATER, first_good_at=NOW))

    assert (alert.status, alert.resolved_by, ledger.owed()) == (Status.RESOLVED, ResolvedBy.SOURCE, [])
    assert the(pipeline.ingest([missed], LATER, first_good_at=NOW)) == alert


def test_it_wakes_those_who_are_owed_something_and_no_others(ledger: Ledger) -> None:
    woken: list[str] = []
    pipeline = Pipeline(ledger, Rulebook(RULES, (), RECEIVERS), woken.extend)  # type: ignore[arg-type]

    pipeline.ingest([event()], NOW)
    pipeline.ingest([event(at=LATER)], LATER)

    assert woken == ["slack"]


class TestMaintenance:
    def maintenance(self, **changes: object) -> Event:
        return event(kind=Kind.MAINTENANCE, severity=Severity.INFO, **changes)

    def test_is_not_tracked_unless_a_rule_asks_for_it(self, pipeline: Pipeline, ledger: Ledger) -> None:
        pipeline.book = Rulebook((rule('kind="outage"', "slack"),), (), RECEIVERS)

        assert pipeline.ingest([self.maintenance()], NOW) == {}
        assert ledger.written == []

    def test_is_not_even_recorded_as_missed(self, pipeline: Pipeline, ledger: Ledger) -> None:
        pipeline.book = Rulebook((rule('kind="outage"', "slack"),), (), RECEIVERS)
        over = self.maintenance(status=RESOLVED, starts_at=LATER, at=LATER)

        assert pipeline.ingest([over], LATER, first_good_at=NOW) == {}
        assert ledger.written == []

    def test_is_tracked_to_its_end_once_a_rule_asked(self, pipeline: Pipeline, ledger: Ledger) -> None:
        pipeline.book = Rulebook((rule('kind="maintenance"', "slack"),), (), RECEIVERS)
        pipeline.ingest([self.maintenance()], NOW)
        pipeline.book = Rulebook((), (), RECEIVERS)

        pipeline.ingest([self.maintenance(status=RESOLVED, at=LATER)], LATER)

        assert ledger.owed() == [("slack", Verb.OPEN), ("slack", Verb.CLOSE)]

    def test_a_rule_counts_although_its_receiver_has_to_wait(self, pipeline: Pipeline) -> None:
        pipeline.book = Rulebook((rule("", "slack"),), (QUIET,), RECEIVERS)

        assert list(the(pipeline.ingest([self.maintenance()], NOW)).withheld) == ["slack"]


class TestOthersAtTheSameTime:
    def test_an_alert_that_was_changed_meanwhile_is_decided_anew(self, pipeline: Pipeline, ledger: Ledger) -> None:
        pipeline.ingest([event()], NOW)
        other = Pipeline(ledger.store, pipeline.book)
        taken = event(status=EventStatus.ACKNOWLEDGED, actor="Ada")
        ledger.before_commit = lambda: other.ingest([taken], LATER)

        alert = the(pipeline.ingest([event(severity=Severity.CRITICAL, at=LATER)], LATER))

        assert (alert.severity, alert.status) == (Severity.CRITICAL, Status.FIRING)
        assert [row.why for row in ledger.store.timeline(alert.key)] == [
            Why.OPENED,
            Why.ACKNOWLEDGED,
            Why.SEVERITY_RAISED,
        ]

    def test_two_who_see_it_first_open_it_once(self, pipeline: Pipeline, ledger: Ledger) -> None:
        other = Pipeline(ledger.store, pipeline.book)
        ledger.before_commit = lambda: other.ingest([event()], NOW)

        alert = the(pipeline.ingest([event()], NOW))

        assert (alert.episode, ledger.written) == (1, [])
        assert ledger.store.waiting("slack") == 1

    def test_it_gives_up_after_a_bounded_number_of_rounds(self, pipeline: Pipeline, ledger: Ledger) -> None:
        other = Pipeline(ledger.store, pipeline.book)
        numbers = itertools.count()
        ledger.before_commit = lambda: other.ingest([event(title=f"Number {next(numbers)}")], NOW)

        with pytest.raises(StoreConflict):
            pipeline.ingest([event(severity=Severity.CRITICAL, title="Mine")], NOW)

    def test_an_absence_that_lost_the_race_waits_for_the_next_poll(self, pipeline: Pipeline, ledger: Ledger) -> None:
        before = list(pipeline.ingest([event()], NOW).values())
        pipeline.ingest([event(title="New")], NOW)

        pipeline.absent(before, Snapshot(source=SOURCE, complete=True), 1, LATER)

        assert the(ledger.get([event().key])).open

    def test_a_silence_that_lost_the_race_waits_for_the_next_look(self, pipeline: Pipeline, ledger: Ledger) -> None:
        pipeline.book = Rulebook(RULES, (QUIET,), RECEIVERS)
        pipeline.ingest([event()], NOW)
        pipeline.book = Rulebook(RULES, (), RECEIVERS)
        other = Pipeline(ledger.store, pipeline.book)
        ledger.before_commit = lambda: other.release(LATER)

        pipeline.release(LATER)

        assert ledger.store.waiting("slack") == 1


class TestInternalIds:
    @staticmethod
    def twins() -> tuple[str, str]:
        """Two fingerprints whose first internal ids are the same."""
        seen: dict[str, str] = {}
        for number in itertools.count():
            fingerprint = str(number)
            code = internal_id(SOURCE, event(fingerprint=fingerprint).key, 1)
            if code in seen:
                return seen[code], fingerprint
            seen[code] = fingerprint
        raise AssertionError

    def test_who_comes_second_gets_a_longer_one(self, pipeline: Pipeline, ledger: Ledger) -> None:
        one, two = self.twins()

        first = the(pipeline.ingest([event(fingerprint=one)], NOW))
        second = the(pipeline.ingest([event(fingerprint=two)], NOW))

        assert len(second.internal_id) == len(first.internal_id) + 1
        assert second.internal_id.startswith(first.internal_id)
        for alert in (first, second):
            assert ledger.store.by_internal_id(internal_code(alert.internal_id)) == alert

    def test_also_where_it_was_missed(self, pipeline: Pipeline) -> None:
        one, two = self.twins()
        first = the(pipeline.ingest([event(fingerprint=one)], NOW))
        missed = event(fingerprint=two, status=RESOLVED, starts_at=LATER, at=LATER)

        second = the(pipeline.ingest([missed], LATER, first_good_at=NOW))

        assert second.internal_id != first.internal_id


class TestRelease:
    def test_tells_when_the_silence_is_over(self, pipeline: Pipeline, ledger: Ledger) -> None:
        pipeline.book = Rulebook(RULES, (replace(QUIET, ends_at=LATER),), RECEIVERS)
        pipeline.ingest([event()], NOW)

        assert pipeline.release(LATER - timedelta(seconds=1)) == 0
        assert pipeline.release(LATER) == 1
        assert pipeline.release(LATER) == 0
        assert ledger.owed() == [("slack", Verb.OPEN)]
        assert ledger.whys() == [Why.OPENED, Why.WITHHELD, Why.RELEASED]

    def test_tells_when_the_destination_is_on_again(self, pipeline: Pipeline, ledger: Ledger) -> None:
        off = RECEIVERS | {"slack": receiver("slack", why_off="SLACK_BOT_TOKEN is not set")}
        pipeline.book = Rulebook(RULES, (), off)
        pipeline.ingest([event(severity=Severity.CRITICAL)], NOW)
        assert ledger.owed() == [("pager", Verb.OPEN)]

        pipeline.book = Rulebook(RULES, (), RECEIVERS)
        pipeline.release(LATER)

        assert ledger.owed() == [("pager", Verb.OPEN), ("slack", Verb.OPEN)]

    def test_does_not_tell_what_is_over_by_then(self, pipeline: Pipeline, ledger: Ledger) -> None:
        pipeline.book = Rulebook(RULES, (replace(QUIET, ends_at=LATER),), RECEIVERS)
        pipeline.ingest([event(), event(status=RESOLVED, at=LATER)], NOW)

        assert pipeline.release(LATER) == 0
        assert ledger.owed() == []


def test_test_alerts_count_in_no_metric(pipeline: Pipeline) -> None:
    def counted() -> float:
        samples = (one for metric in REGISTRY.collect() for one in metric.samples)
        return sum(one.value for one in samples if one.name == "poc_transitions_total")

    before = counted()
    pipeline.ingest([event(fingerprint="t", test=True)], NOW)
    assert counted() == before

    pipeline.ingest([event()], NOW)
    assert counted() == before + 1


def act(pipeline: Pipeline, ledger: Ledger, step: Step, now: datetime) -> None:
    """Let one step of a history happen."""
    match step:
        case Event():
            pipeline.ingest([step], now)
        case Poll(listed=listed, complete=complete, unknown=unknown):
            events = tuple(event(fingerprint=name) for name in sorted(listed))
            shown = Snapshot(source=SOURCE, events=events, complete=complete, unknown=unknown)
            pipeline.absent(ledger.store.open_alerts(SOURCE), shown, 2, now)
        case Silenced(on=on):
            pipeline.book = replace(pipeline.book, silences=(QUIET,) if on else ())
        case _:
            pipeline.release(now)


def play(pipeline: Pipeline, ledger: Ledger, history: Iterable[Step]) -> None:
    ledger.empty()
    pipeline.book = Rulebook(RULES, (), RECEIVERS)
    for number, step in enumerate(history):
        act(pipeline, ledger, step, NOW + timedelta(minutes=20 * number))


@HISTORIES
@given(histories())
def test_each_receiver_is_opened_once_per_episode_and_told_nothing_before(
    pipeline: Pipeline, ledger: Ledger, history: list[Step]
) -> None:
    play(pipeline, ledger, history)

    opened: set[tuple[str, int, str]] = set()
    for write in ledger.written:
        born_here = {(link.key, link.episode, link.receiver) for link in write.links}
        assert not born_here & opened
        opened |= born_here
        for one in write.deliveries:
            lane = (one.key, one.episode, one.receiver)
            assert (one.verb is Verb.OPEN) is (lane not in opened), f"{one.verb} to {lane}"
            opened.add(lane)
        told = {name for key, episode, name in opened if (key, episode) == (write.alert.key, write.alert.episode)}
        assert told == set(write.alert.receivers)


@HISTORIES
@given(histories())
def test_episodes_and_revisions_only_rise_and_no_two_episodes_share_an_id(
    pipeline: Pipeline, ledger: Ledger, history: list[Step]
) -> None:
    play(pipeline, ledger, history)

    ids: dict[str, tuple[str, int]] = {}
    before: dict[str, Alert] = {}
    for write in ledger.written:
        now, known = write.alert, before.get(write.alert.key)
        assert now.revision == (known.revision if known else 0) + 1
        assert now.episode - (known.episode if known else 0) in ((0, 1) if known else (1,))
        if known and now.episode > known.episode:
            assert not known.open
        assert ids.setdefault(now.internal_id, (now.key, now.episode)) == (now.key, now.episode)
        before[now.key] = now
    stored = ledger.store.page(Query(limit=500)).alerts
    assert {alert.key: alert for alert in stored} == before


@HISTORIES
@given(histories())
def test_whoever_a_rule_names_at_any_transition_is_told_or_waits(
    pipeline: Pipeline, ledger: Ledger, history: list[Step]
) -> None:
    play(pipeline, ledger, [replace(step, via="") if isinstance(step, Event) else step for step in history])

    named: dict[tuple[str, int], set[str]] = {}
    for write in ledger.written:
        alert = write.alert
        wanted = named.setdefault((alert.key, alert.episode), set())
        if alert.open and write.transitions:
            wanted.update(rules.matched(alert, Rulebook(RULES), NOW))
        assert not alert.open or wanted <= {*alert.receivers, *alert.withheld}
        assert not set(alert.receivers) & set(alert.withheld)


@HISTORIES
@given(histories())
def test_nothing_is_delivered_back_to_where_it_came_from(
    pipeline: Pipeline, ledger: Ledger, history: list[Step]
) -> None:
    play(pipeline, ledger, history)

    for write in ledger.written:
        origins = {row.via for row in write.transitions if row.via}
        assert not origins & {one.receiver for one in write.deliveries}


@HISTORIES
@given(st.lists(observations((FIRING, EventStatus.ACKNOWLEDGED, EventStatus.NOTED)) | polls(), min_size=1, max_size=8))
def test_unknown_is_never_over(pipeline: Pipeline, ledger: Ledger, history: list[Step]) -> None:
    blind = [replace(step, complete=False) if isinstance(step, Poll) and not step.unknown else step for step in history]
    everything = frozenset(FINGERPRINTS)

    play(
        pipeline,
        ledger,
        [replace(step, unknown=everything) if isinstance(step, Poll) and step.complete else step for step in blind],
    )

    assert all(write.alert.open for write in ledger.written)
    assert Verb.CLOSE not in {verb for _, verb in ledger.owed()}


@HISTORIES
@given(st.lists(observations((RESOLVED, EventStatus.ACKNOWLEDGED, EventStatus.NOTED)) | polls(), max_size=8))
def test_what_never_fired_owes_nobody_anything(pipeline: Pipeline, ledger: Ledger, history: list[Step]) -> None:
    play(pipeline, ledger, history)

    assert ledger.written == []


@HISTORIES
@given(st.lists(observations((FIRING, RESOLVED, EventStatus.ACKNOWLEDGED, EventStatus.UNACKNOWLEDGED)), max_size=6))
def test_a_repetition_owes_nothing_and_opens_nothing(pipeline: Pipeline, ledger: Ledger, history: list[Event]) -> None:
    by_source = [replace(seen, via="") for seen in history]
    play(pipeline, ledger, by_source)
    once = (ledger.owed(), ledger.whys())

    play(pipeline, ledger, [twice for seen in by_source for twice in (seen, seen)])

    assert (ledger.owed(), ledger.whys()) == once


@HISTORIES
@given(
    st.lists(st.tuples(st.sampled_from(INTAKES), st.sampled_from(Severity)), min_size=1, max_size=4),
    st.lists(st.booleans(), max_size=3),
    st.randoms(use_true_random=False),
    moments(),
)
def test_the_receivers_are_the_same_in_whatever_order_intakes_severities_and_silences_come(
    pipeline: Pipeline,
    ledger: Ledger,
    seen: list[tuple[str, Severity]],
    silences: list[bool],
    chance: object,
    at: datetime,
) -> None:
    """Each rule asks for one thing here: what two things were at the same moment depends on their order."""
    steps: list[Step] = [event(intake=intake, severity=severity, at=at) for intake, severity in seen]
    steps += [Silenced(on) for on in silences]
    outcomes = []
    for _ in range(2):
        play(pipeline, ledger, steps)
        pipeline.book = replace(pipeline.book, silences=())
        pipeline.release(LATER)
        outcomes.append(set(the(ledger.get([event().key])).receivers))
        chance.shuffle(steps)  # type: ignore[attr-defined]

    assert outcomes[0] == outcomes[1]


class TestAnAlertThatNoRuleMatches:
    RULES = (rule('kind="outage"', "slack"), rule('team="quiet"', proceed=False))

    def seen(self, ledger: Ledger, *events: Event) -> tuple[list[str], float]:
        """Ingest; return which alerts the log calls unrouted, and how many were counted."""
        pipeline = Pipeline(ledger, Rulebook(self.RULES, (), RECEIVERS))  # type: ignore[arg-type]
        before = REGISTRY.get_sample_value("poc_alerts_unrouted_total") or 0.0
        with capture_logs() as lines:
            for each in events:
                pipeline.ingest([each], NOW)
        counted = (REGISTRY.get_sample_value("poc_alerts_unrouted_total") or 0.0) - before
        return [line["key"] for line in lines if line["event"] == "alert_unrouted"], counted

    def test_it_is_logged_and_counted_once(self, ledger: Ledger) -> None:
        lost = event(kind=Kind.ALERT, source="alertmanager")

        assert self.seen(ledger, lost, replace(lost, severity=Severity.CRITICAL), replace(lost, status=RESOLVED)) == (
            [lost.key],
            1.0,
        )

    def test_one_that_a_rule_matches_is_not_also_where_the_rule_sends_to_nobody(self, ledger: Ledger) -> None:
        quiet = event(kind=Kind.ALERT, source="alertmanager", labels={"team": "quiet"})

        assert self.seen(ledger, event(), quiet) == ([], 0.0)

    def test_a_test_alert_is_not(self, ledger: Ledger) -> None:
        assert self.seen(ledger, event(kind=Kind.ALERT, test=True)) == ([], 0.0)
