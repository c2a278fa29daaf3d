"""What every store promises of the outcomes of deliveries: rows of the timeline that are written with the settle."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from service_event_checker.core.errors import LeaseLost, StoreConflict
from service_event_checker.core.roles import Store
from service_event_checker.core.store import Failed, Settled
from service_event_checker.core.vocabulary import Verb, Why
from tests.factories import NOW
from tests.stores.steps import (
    LEASE,
    claim,
    claim_one,
    commit,
    ending,
    link_of,
    new_alert,
    next_episode,
    opened,
    opening,
    outcome,
    resolved,
    writing,
)

SECOND = timedelta(seconds=1)


def test_an_outcome_is_in_the_timeline_at_its_time_and_raises_no_revision(store: Store) -> None:
    alert = opened(store, receivers=("jira", "slack"))
    jira, slack = claim_one(store, "jira"), claim_one(store)
    told = outcome(jira, at=NOW + SECOND, tries=3, url="https://tickets.example/T-1")
    failed = outcome(slack, Why.GAVE_UP, at=NOW + 3 * SECOND, note="refused")

    store.settle(jira, Settled(link=link_of(jira)), NOW + SECOND, None, told)
    changed = writing(alert, Verb.NOTE)
    at = NOW + 2 * SECOND
    commit(store, replace(changed, transitions=tuple(replace(step, at=at) for step in changed.transitions)))
    store.settle(slack, Failed(reason="refused"), NOW + 3 * SECOND, None, failed)

    assert store.timeline(alert.key)[1:4:2] == [told, failed]
    assert [step.why for step in store.timeline(alert.key)] == [Why.OPENED, Why.DELIVERED, Why.CHANGED, Why.GAVE_UP]
    assert [step.why for step in store.timeline(alert.key, limit=2)] == [Why.CHANGED, Why.GAVE_UP]
    assert store.outcomes(alert.key, 1) == [told, failed]
    assert store.get([alert.key])[alert.key].revision == alert.revision + 1


def test_an_outcome_is_written_with_the_settle_or_not_at_all(store: Store) -> None:
    alert = opened(store)
    delivery = claim_one(store)
    stale = writing(replace(alert, revision=alert.revision + 7), Verb.NOTE)

    with pytest.raises(StoreConflict):
        store.settle(delivery, Settled(), NOW, stale, outcome(delivery))
    with pytest.raises(LeaseLost):
        store.settle(replace(delivery, owner="another"), Settled(), NOW, None, outcome(delivery))
    assert store.outcomes(alert.key, 1) == []

    store.settle(delivery, Settled(), NOW, None, outcome(delivery))
    with pytest.raises(LeaseLost):
        store.settle(delivery, Settled(), NOW, None, outcome(delivery, at=NOW + SECOND))
    assert store.outcomes(alert.key, 1) == [outcome(delivery)]


def test_a_delivery_that_failed_and_was_sent_again_shows_both(store: Store) -> None:
    alert = opened(store)
    first = claim_one(store)
    store.settle(first, Failed(reason="refused"), NOW, None, outcome(first, Why.GAVE_UP))
    store.requeue(first.id, NOW)

    again = claim_one(store)
    store.settle(again, Settled(), NOW + SECOND, None, outcome(again, at=NOW + SECOND))

    assert [step.why for step in store.outcomes(alert.key, 1)] == [Why.GAVE_UP, Why.DELIVERED]


def test_of_updates_the_last_outcome_stays_of_people_s_acts_all(store: Store) -> None:
    alert = opened(store)
    for number in range(1, 8):
        verb = Verb.NOTE if number % 3 == 0 else Verb.UPDATE
        delivery = claim_one(store)
        at = NOW + number * SECOND
        store.settle(delivery, Settled(), at, None, outcome(delivery, at=at))
        alert = commit(store, writing(alert, verb))

    assert [(step.verb, step.at - NOW) for step in store.outcomes(alert.key, 1)] == [
        (Verb.OPEN, SECOND),
        (Verb.NOTE, 4 * SECOND),
        (Verb.UPDATE, 6 * SECOND),
        (Verb.NOTE, 7 * SECOND),
    ]


def test_outcomes_belong_to_an_episode_and_go_with_it(store: Store) -> None:
    alert = opened(store)
    delivery = claim_one(store)
    store.settle(delivery, Settled(), NOW, None, outcome(delivery))
    alert = commit(store, ending(alert, at=NOW + SECOND))
    close = claim_one(store)
    store.settle(close, Settled(), NOW + SECOND, None, outcome(close, at=NOW + SECOND))
    alert = commit(store, opening(next_episode(alert)))
    again = claim_one(store)
    later = NOW + 60 * SECOND
    store.settle(again, Settled(), later, None, outcome(again, at=later))
    resolved(store, alert, at=later)
    store.archive(later + LEASE)

    assert [(step.episode, step.verb) for step in store.timeline(alert.key) if step.verb] == [
        (1, Verb.OPEN),
        (1, Verb.CLOSE),
        (2, Verb.OPEN),
    ]
    assert [step.verb for step in store.outcomes(alert.key, 1)] == [Verb.OPEN, Verb.CLOSE]
    assert store.retain(NOW + 2 * SECOND) == 1
    assert store.outcomes(alert.key, 1) == []
    assert [step.verb for step in store.outcomes(alert.key, 2)] == [Verb.OPEN]
    assert store.retain(later + LEASE) == 1
    assert store.outcomes(alert.key, 2) == []


def test_outcomes_of_alerts_do_not_mix(store: Store) -> None:
    one, other = opened(store, "one"), opened(store, "two")
    for each in claim(store):
        store.settle(each.delivery, Settled(), NOW, None, outcome(each.delivery, note=each.alert.key))

    assert [step.note for step in store.outcomes(one.key, 1)] == [one.key]
    assert [step.note for step in store.timeline(other.key)] == ["", other.key]
    assert store.outcomes(new_alert("three").key, 1) == []
