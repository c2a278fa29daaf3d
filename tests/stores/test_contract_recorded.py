"""What every store promises of the walk through what changed in a window: whole episodes, each key once, in pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from service_event_checker.core.model import Alert
from service_event_checker.core.roles import Store
from service_event_checker.core.store import Recorded, Settled
from service_event_checker.core.vocabulary import Verb, Why
from tests.factories import NOW
from tests.stores.steps import (
    claim_one,
    commit,
    ending,
    next_episode,
    opened,
    opening,
    outcome,
    resolved,
    writing,
)

DAY = timedelta(days=1)
WEEK_AGO = NOW - 7 * DAY


def walked(store: Store, since: datetime = WEEK_AGO, limit: int = 200) -> list[Recorded]:
    found, cursor = list[Recorded](), ""
    while True:
        page = store.recorded(since, limit=limit, cursor=cursor)
        found += page.episodes
        cursor = page.cursor
        if not cursor:
            return found


def places(found: list[Recorded]) -> list[tuple[str, int]]:
    return [(each.alert.key, each.alert.episode) for each in found]


def over(store: Store, name: str, at: datetime) -> Alert:
    return resolved(store, opened(store, name, (), updated_at=at), at)


def test_an_empty_store_has_nothing_recorded(store: Store) -> None:
    page = store.recorded(WEEK_AGO)

    assert (page.episodes, page.cursor) == ((), "")


def test_an_episode_comes_with_its_commits_and_the_outcomes_of_its_deliveries(store: Store) -> None:
    alert = opened(store)
    delivery = claim_one(store)
    told = outcome(delivery, at=NOW + timedelta(seconds=1))
    store.settle(delivery, Settled(), NOW, None, told)
    changed = commit(store, writing(alert, Verb.UPDATE))
    update = claim_one(store)
    edited = outcome(update, at=NOW + timedelta(seconds=2))
    store.settle(update, Settled(), NOW, None, edited)

    (found,) = walked(store)

    assert found.alert == changed
    assert [(revision, [step.why for step in steps]) for revision, steps in found.commits] == [
        (1, [Why.OPENED]),
        (2, [Why.CHANGED]),
    ]
    assert found.outcomes == ((1, (told,)), (0, (edited,)))


def test_what_is_archived_is_recorded_and_what_was_over_before_is_not(store: Store) -> None:
    over(store, "long ago", NOW - 8 * DAY)
    lately = over(store, "lately", NOW - 6 * DAY)
    waits = opened(store, "open for long", (), updated_at=NOW - 30 * DAY)

    before = walked(store)
    assert store.archive(NOW) == 2

    assert places(walked(store)) == places(before) == sorted([(lately.key, 1), (waits.key, 1)])
    assert {each.alert.key: len(each.commits) for each in walked(store)} == {lately.key: 2, waits.key: 1}


def test_of_earlier_episodes_those_count_that_ended_in_the_window(store: Store) -> None:
    alert = over(store, "one", NOW - 9 * DAY)
    for days in (5, 3):
        again = commit(store, opening(next_episode(alert, updated_at=NOW - days * DAY), ()))
        alert = resolved(store, again, NOW - days * DAY)
    store.archive(NOW)
    newest = commit(store, opening(next_episode(alert, updated_at=NOW), ()))

    found = walked(store)

    assert places(found) == [(newest.key, 2), (newest.key, 3), (newest.key, 4)]
    assert [[step.why for _, steps in each.commits for step in steps][0] for each in found] == [Why.OPENED_AGAIN] * 3
    assert [each.alert.open for each in found] == [False, False, True]


def test_pages_hold_each_key_once_although_alerts_change_between_them(store: Store) -> None:
    alerts = [opened(store, f"alert-{number}", ()) for number in range(23)]
    archived = {over(store, f"over-{number}", NOW).key for number in range(9)}
    store.archive(NOW)
    page = store.recorded(WEEK_AGO, limit=10)
    found = list(page.episodes)

    while page.cursor:
        changed = store.get([alerts[len(found) % 23].key]).popitem()[1]
        later = replace(changed, updated_at=NOW + timedelta(hours=len(found)))
        commit(store, ending(later, ()) if changed.open else opening(next_episode(later), ()))
        page = store.recorded(WEEK_AGO, limit=10, cursor=page.cursor)
        found += page.episodes

    assert {each.alert.key for each in found} == {alert.key for alert in alerts} | archived
    assert len({place for place in places(found)}) == len(found)
    assert [each.alert.key for each in found] == sorted(each.alert.key for each in found)


def test_a_full_last_page_has_no_cursor(store: Store) -> None:
    for number in range(4):
        opened(store, f"alert-{number}", ())

    assert store.recorded(WEEK_AGO, limit=4).cursor == ""
    assert len(walked(store, limit=2)) == len(walked(store, limit=1)) == 4


def test_an_open_alert_is_recorded_however_long_it_did_not_change(store: Store) -> None:
    alert = opened(store, receivers=(), updated_at=NOW - 300 * DAY, opened_at=NOW - 300 * DAY)

    assert places(walked(store, NOW)) == [(alert.key, 1)]
