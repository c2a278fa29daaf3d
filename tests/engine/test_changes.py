"""Our own changes: kept for a week, evidence for the service that they name, and never told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.knowledge import Change, ChangeKind, Knowledge, Tie
from service_event_checker.core.model import Event
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.verdict import Answer, Clue
from service_event_checker.core.vocabulary import EventStatus, Kind, Why
from service_event_checker.engine import changes
from service_event_checker.engine.correlation import Correlation
from service_event_checker.engine.pipeline import Pipeline
from tests.factories import NOW, alert, event
from tests.stores.memory import MemoryStore

MINUTE = timedelta(minutes=1)
KNOWN = Knowledge(hosts={"api.stripe.com": Tie("stripe")}, vendors={"stripe": "Stripe"})
DEPLOY = Change("shop", NOW - 4 * MINUTE, "v42", who="ada")
PAYMENTS = event(
    source="alertmanager",
    fingerprint="p",
    kind=Kind.ALERT,
    title="Payments fail",
    description="api.stripe.com: HTTP 503",
    starts_at=NOW,
    labels={"service": "shop"},
)
OUTAGE = event(source="stripe", fingerprint="o", title="API errors", starts_at=NOW - 2 * MINUTE)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def correlation(store: MemoryStore) -> Correlation:
    return Correlation(store, KNOWN)


@pytest.fixture
def pipeline(store: MemoryStore, correlation: Correlation) -> Pipeline:
    def hear(events: Iterable[Event], now: datetime) -> Iterable[Event]:
        return changes.take(store.holding, events, now)

    return Pipeline(store, Rulebook((), (), {}), correlate=correlation.explain, hear=hear)


@pytest.mark.parametrize(("service", "answer"), [("shop", Answer.BOTH), ("cart", Answer.VENDOR)])
def test_a_change_speaks_for_us_in_alerts_of_the_service_that_it_names(
    store: MemoryStore, pipeline: Pipeline, service: str, answer: Answer
) -> None:
    changes.note(store.holding, Change(service, NOW - 4 * MINUTE, "v42"), NOW)
    pipeline.ingest([OUTAGE], NOW)

    (told,) = pipeline.ingest([PAYMENTS], NOW).values()

    assert told.verdict
    assert told.verdict.answer is answer
    kinds = {item.kind for item in told.verdict.evidence}
    assert (Clue.OWN_CHANGE in kinds) is (service == "shop")


def test_a_change_that_is_reported_late_is_seen_when_alerts_are_judged_again(
    store: MemoryStore, pipeline: Pipeline, correlation: Correlation
) -> None:
    pipeline.ingest([OUTAGE, PAYMENTS], NOW)
    correlation.look_back(pipeline, NOW)
    changes.note(store.holding, DEPLOY, NOW)

    counts = [correlation.look_back(pipeline, NOW + minute * MINUTE) for minute in (1, 2)]

    assert counts == [1, 0]


def test_an_alert_that_is_a_change_by_its_label_becomes_no_alert(store: MemoryStore, pipeline: Pipeline) -> None:
    labels = {"service": "shop", "change": "flag"}
    told = event(source="alertmanager", kind=Kind.ALERT, title="new checkout", starts_at=NOW, labels=labels)

    found = pipeline.ingest([told, told], NOW) | pipeline.ingest([replace(told, status=EventStatus.RESOLVED)], NOW)

    assert found == {}
    assert store.open_alerts() == []
    assert changes.recent(store.holding, NOW) == [Change("shop", NOW, "new checkout", ChangeKind.FLAG, told.url)]


@pytest.mark.parametrize("labels", [{"change": "-5%"}, {"change": ""}, {}])
def test_another_label_of_this_name_is_no_change(
    store: MemoryStore, pipeline: Pipeline, labels: dict[str, str]
) -> None:
    found = pipeline.ingest([event(source="alertmanager", kind=Kind.ALERT, labels=labels)], NOW)

    assert len(found) == 1
    assert changes.recent(store.holding, NOW) == []


@pytest.mark.parametrize("at", [NOW + 6 * MINUTE, NOW - timedelta(days=8)])
def test_a_change_too_far_away_is_refused(store: MemoryStore, at: datetime) -> None:
    with pytest.raises(InvalidInput, match="7 days ago"):
        changes.note(store.holding, Change("shop", at, "v42"), NOW)


def test_changes_are_bounded_in_time_and_number(store: MemoryStore) -> None:
    for number in range(changes.KEPT_PER_SERVICE + 5):
        changes.note(store.holding, Change("shop", NOW - number * MINUTE, f"v{number}"), NOW)
    changes.prune(store.holding, NOW)

    assert len(changes.recent(store.holding, NOW)) == changes.KEPT_PER_SERVICE
    assert changes.recent(store.holding, NOW + timedelta(days=8)) == []


def test_an_alert_shows_the_changes_around_its_start(store: MemoryStore) -> None:
    for minutes, service in ((70, "shop"), (30, "shop"), (-10, "shop"), (-20, "shop"), (5, "cart")):
        changes.note(store.holding, Change(service, NOW - minutes * MINUTE, str(minutes)), NOW + 30 * MINUTE)
    told = alert(kind=Kind.ALERT, labels={"service": "shop"})

    shown = changes.around(store.holding, told, NOW + 30 * MINUTE)

    assert [change.title for change in shown] == ["-10", "30"]
    assert changes.around(store.holding, alert(labels={"service": "shop"}), NOW) == []


def test_a_change_is_on_no_timeline_of_deliveries(store: MemoryStore, pipeline: Pipeline) -> None:
    changes.note(store.holding, DEPLOY, NOW)
    (told,) = pipeline.ingest([PAYMENTS], NOW).values()

    assert [step.why for step in store.timeline(told.key)] == [Why.OPENED]
