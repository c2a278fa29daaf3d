"""Outage first or alert first: each explanation is told once, each correction once, whatever is repeated."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from service_event_checker.core import failover
from service_event_checker.core.knowledge import Dependency, Knowledge, Tie
from service_event_checker.core.matchers import parse
from service_event_checker.core.model import Alert, Event, Slot, Snapshot, Transition
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.store import Write
from service_event_checker.core.verdict import Answer
from service_event_checker.core.vocabulary import Affects, EventStatus, Family, Kind, ResolvedBy, Severity, Verb, Why
from service_event_checker.engine.correlation import OVER_FOR, Correlation
from service_event_checker.engine.pipeline import Pipeline
from tests.factories import NOW, event, receiver
from tests.stores.memory import MemoryStore

MINUTE = timedelta(minutes=1)
KNOWN = Knowledge(hosts={"api.stripe.com": Tie("stripe")}, vendors={"stripe": "Stripe"})
EVERYTHING = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.CLOSE, Verb.ACK, Verb.UNACK})


class Process:
    """One process of the product on a store that several share."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        book = Rulebook(
            (Rule("all", (), ("slack", "jira")),),
            (),
            {
                "slack": receiver("slack", Family.CHAT, verbs=EVERYTHING),
                "jira": receiver("jira", Family.TICKET, verbs=EVERYTHING),
            },
        )
        self.correlation = Correlation(store, KNOWN)
        self.pipeline = Pipeline(store, book, correlate=self.correlation.explain)

    def take(self, told: Event, now: datetime) -> Alert:
        (alert,) = self.pipeline.ingest([told], now).values()
        return alert

    def look_back(self, now: datetime) -> int:
        return self.correlation.look_back(self.pipeline, now)

    def told(self, alert: Alert, *whys: Why) -> list[Transition]:
        return [step for step in self.store.timeline(alert.key) if step.why in whys]

    def owed(self, alert: Alert, verb: Verb) -> list[str]:
        waiting = self.store.waiting_deliveries(key=alert.key)
        return sorted(delivery.receiver for delivery in waiting if delivery.verb is verb)


@pytest.fixture
def here() -> Process:
    return Process(MemoryStore())


def ours(**changes: Any) -> Event:
    fields = {
        "source": "alertmanager",
        "fingerprint": "payments",
        "kind": Kind.ALERT,
        "title": "Payments fail",
        "description": "api.stripe.com: HTTP 503",
        "starts_at": NOW,
        "severity": Severity.CRITICAL,
    }
    return event(**{**fields, **changes})


def outage(**changes: Any) -> Event:
    fields = {"source": "stripe", "fingerprint": "i1", "title": "API errors", "starts_at": NOW - 4 * MINUTE}
    return event(**{**fields, **changes})


def test_outage_first_the_alert_opens_with_its_verdict_and_nothing_more_is_told(here: Process) -> None:
    them = here.take(outage(), NOW)

    alert = here.take(ours(), NOW + MINUTE)
    here.look_back(NOW + 2 * MINUTE)

    assert alert.verdict
    assert alert.verdict.answer is Answer.VENDOR
    assert alert.verdict.sentence == f"Likely Stripe: API errors, since 02:56 UTC ({them.internal_id})"
    assert here.told(alert, Why.EXPLAINED) == []
    assert here.owed(alert, Verb.NOTE) == []


@pytest.mark.parametrize("late", [1, 34, 59])
def test_alert_first_a_late_post_is_told_once_on_ticket_and_chat(here: Process, late: int) -> None:
    alert = here.take(ours(), NOW)
    posted = NOW + late * MINUTE
    here.take(outage(starts_at=posted), posted)

    assert here.look_back(posted) == 1
    again = [here.look_back(posted + second * timedelta(seconds=5)) for second in range(5)]
    others = [Process(here.store).look_back(posted + MINUTE) for _ in range(3)]

    assert (again, others) == ([0] * 5, [0] * 3)
    (step,) = here.told(alert, Why.EXPLAINED)
    assert "Likely Stripe: API errors" in step.note
    assert "The alert names api.stripe.com" in step.note
    assert here.owed(alert, Verb.NOTE) == ["jira", "slack"]


def test_what_others_have_explained_stays_explained_when_the_alert_changes(here: Process) -> None:
    alert = here.take(ours(), NOW)
    here.take(ours(fingerprint="refunds", labels={"service": "refunds"}), NOW)
    here.take(outage(starts_at=NOW + 20 * MINUTE), NOW + 30 * MINUTE)
    assert here.look_back(NOW + 30 * MINUTE) == 2

    later = here.take(ours(description="api.stripe.com: HTTP 504", at=NOW + 31 * MINUTE), NOW + 31 * MINUTE)

    assert here.told(alert, Why.EXPLANATION_WITHDRAWN) == []
    assert later.verdict
    assert later.verdict.answer is Answer.VENDOR


def test_rules_are_asked_when_the_answer_changes_although_no_outage_comes_or_goes(here: Process) -> None:
    store, receivers = here.store, here.pipeline.book.receivers
    known = replace(KNOWN, dependencies=(Dependency((), (Tie("github"),)),))
    correlation = Correlation(store, known, ["github"])
    rules = (Rule("ours", parse('verdict="us"'), ("jira",)), Rule("all", (), ("slack",)))
    pipeline = Pipeline(store, Rulebook(rules, (), receivers), correlate=correlation.explain)
    pipeline.ingest([outage()], NOW)
    (alert,) = pipeline.ingest([ours(description="HTTP 500")], NOW).values()
    assert alert.receivers == ("slack",)  # the page of GitHub was never read

    store.put_slot(Slot(name="github", due_at=NOW, last_success_at=NOW + MINUTE))
    correlation.look_back(pipeline, NOW + MINUTE)

    (alert,) = store.get([alert.key]).values()
    assert alert.receivers == ("slack", "jira")


def test_a_digest_of_what_went_to_a_fallback_lists_alerts_and_has_no_cause_of_its_own(here: Process) -> None:
    here.take(outage(), NOW)
    digest = failover.digest(None, "slack", {"A-1": "api.stripe.com: HTTP 503"}, here.pipeline.book, NOW, waits=False)
    assert digest
    here.pipeline.commit(digest, NOW)

    assert here.look_back(NOW + MINUTE) == 0

    assert here.owed(digest.alert, Verb.NOTE) == []


def test_all_that_was_closed_lately_is_explained_after_a_storm_too(here: Process) -> None:
    many = [ours(fingerprint=f"{number}", title=f"{number}") for number in range(501)]
    here.pipeline.ingest(many, NOW)
    here.pipeline.ingest([replace(each, status=EventStatus.RESOLVED, starts_at=None) for each in many], NOW + MINUTE)
    here.take(outage(), NOW + 9 * MINUTE)

    assert here.look_back(NOW + 9 * MINUTE) == 501


def test_an_alert_that_was_closed_lately_is_explained_as_well_and_an_older_one_is_not(here: Process) -> None:
    late = here.take(ours(), NOW)
    here.take(ours(status=EventStatus.RESOLVED, starts_at=None), NOW + MINUTE)
    old = here.take(ours(fingerprint="old", starts_at=NOW - OVER_FOR), NOW - OVER_FOR)
    here.take(ours(fingerprint="old", status=EventStatus.RESOLVED, starts_at=None), NOW - 90 * MINUTE)
    posted = NOW + 31 * MINUTE
    here.take(outage(starts_at=NOW - OVER_FOR - 5 * MINUTE), posted)

    here.look_back(posted)

    assert len(here.told(late, Why.EXPLAINED)) == 1
    assert here.told(old, Why.EXPLAINED) == []


def test_an_outage_that_does_not_affect_us_after_all_is_withdrawn_once(here: Process) -> None:
    alert = here.take(ours(), NOW)
    them = here.take(outage(), NOW)
    here.look_back(NOW)
    gone = replace(them, affects_us=Affects.NO)
    here.pipeline.commit_all([Write(alert=gone)], NOW + MINUTE)

    counts = [here.look_back(NOW + minute * MINUTE) for minute in (1, 2, 3)]

    assert counts == [1, 0, 0]
    (step,) = here.told(alert, Why.EXPLANATION_WITHDRAWN)
    assert step.note.startswith(f"No longer explained by {them.internal_id}")


def test_a_verdict_that_goes_to_and_fro_is_told_once_each_way(here: Process) -> None:
    alert = here.take(ours(), NOW)
    here.take(outage(), NOW)

    for minute in range(8):
        here.look_back(NOW + minute * MINUTE)
        (them,) = here.store.open_alerts("stripe")
        affects = Affects.NO if minute % 2 == 0 else Affects.YES
        here.pipeline.commit_all([Write(alert=replace(them, affects_us=affects))], NOW + minute * MINUTE)

    assert len(here.told(alert, Why.EXPLAINED)) == len(here.told(alert, Why.EXPLANATION_WITHDRAWN)) == 1


def test_what_explained_an_alert_and_is_long_over_explains_it_still(here: Process) -> None:
    here.take(outage(), NOW)
    alert = here.take(ours(), NOW)
    here.take(outage(status=EventStatus.RESOLVED, starts_at=None), NOW + MINUTE)

    for minutes in (2, 60, 121, 200, 300):
        here.look_back(NOW + minutes * MINUTE)

    kept = here.store.get([alert.key])[alert.key]
    assert kept.verdict
    assert kept.verdict.answer is Answer.VENDOR
    assert here.told(alert, Why.EXPLANATION_WITHDRAWN) == []


def test_an_own_fault_during_a_vendors_outage_is_told_at_once_and_judged_ours(here: Process) -> None:
    here.take(outage(), NOW)

    disk = here.take(ours(fingerprint="disk", description="no space left on device"), NOW)
    both = here.take(ours(fingerprint="both", description="api.stripe.com 503; pod OOMKilled"), NOW)

    assert disk.verdict
    assert both.verdict
    assert (disk.verdict.answer, both.verdict.answer) == (Answer.US, Answer.BOTH)
    assert here.owed(disk, Verb.OPEN) == here.owed(both, Verb.OPEN) == ["jira", "slack"]


def test_planned_work_explains_from_its_beginning_only(here: Process) -> None:
    work = outage(kind=Kind.MAINTENANCE, starts_at=NOW + 30 * MINUTE)
    here.take(work, NOW)

    alert = here.take(ours(), NOW)

    assert alert.verdict is None


def test_without_an_outage_nothing_is_judged(here: Process) -> None:
    alert = here.take(ours(), NOW)

    assert alert.verdict is None
    assert here.look_back(NOW) == 0


def test_a_verdict_never_takes_a_delivery_away_or_makes_one_twice(here: Process) -> None:
    """The same story with and without outages: who is told of the opening and the end is the same."""
    plain, judged = Process(MemoryStore()), here
    judged.take(outage(), NOW)
    for process in (plain, judged):
        for minute in range(10):
            process.take(ours(fingerprint=str(minute % 3), starts_at=NOW + minute * MINUTE), NOW + minute * MINUTE)
            process.look_back(NOW + minute * MINUTE)
            if minute % 4 == 3:
                process.take(
                    ours(fingerprint=str(minute % 3), status=EventStatus.RESOLVED, starts_at=None),
                    NOW + minute * MINUTE,
                )

    def opened_and_ended(process: Process) -> list[tuple[str, int, str, str]]:
        rows = process.store.waiting_deliveries(limit=1000)
        return sorted(
            (row.key, row.episode, row.receiver, row.verb.value)
            for row in rows
            if row.verb in (Verb.OPEN, Verb.CLOSE) and row.key != outage().key
        )

    assert opened_and_ended(plain) == opened_and_ended(judged)


def test_an_outage_that_its_vendor_retracts_is_withdrawn_once(here: Process) -> None:
    them = here.take(outage(), NOW)
    alert = here.take(ours(), NOW + MINUTE)
    gone = Snapshot(source="stripe", complete=True, retracted=frozenset({them.fingerprint}))

    for minute in (2, 3, 4, 5):
        here.pipeline.absent(here.store.open_alerts("stripe"), gone, 2, NOW + minute * MINUTE)
        here.look_back(NOW + minute * MINUTE)

    assert here.store.get([them.key])[them.key].resolved_by is ResolvedBy.RETRACTED
    after = here.store.get([alert.key])[alert.key]
    assert after.verdict
    assert after.verdict.explained_by == ()
    assert len(here.told(after, Why.EXPLANATION_WITHDRAWN)) == 1
