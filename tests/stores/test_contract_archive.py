"""What every store promises of what is over: archived when nothing is owed, found again, forgotten when old."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from service_event_checker.core.ids import internal_code
from service_event_checker.core.model import Alert, Recent
from service_event_checker.core.roles import Store
from service_event_checker.core.store import Conflict, Done, Failed, Query, Settled, Write
from service_event_checker.core.timeline import FIRST, KEPT, LAST
from service_event_checker.core.vocabulary import Verb, Why
from tests.factories import NOW
from tests.stores.steps import (
    at_once,
    claim,
    claim_one,
    commit,
    ending,
    link_of,
    new_alert,
    next_episode,
    opened,
    opening,
    pay,
    resolved,
    transition,
    verbs_of,
    writing,
)

DAY = timedelta(days=1)


def told_and_over(store: Store, name: str = "one") -> Alert:
    """An alert that was told to jira and is over; all is paid."""
    alert = opened(store, name, receivers=("jira",))
    delivery = claim_one(store, "jira")
    store.settle(delivery, Settled(link=link_of(delivery, f"T-{name}")), NOW)
    alert = commit(store, ending(alert, ("jira",)))
    pay(store, Settled(), "jira")
    return alert


def test_an_alert_that_flaps_is_not_archived_until_it_is_calm(store: Store) -> None:
    alert = told_and_over(store)
    flaps = commit(store, Write(alert=replace(alert, recent=Recent(flapping_since=NOW, held=("jira",)))))

    assert store.archive(NOW) == 0
    commit(store, Write(alert=replace(flaps, recent=Recent())))
    assert store.archive(NOW) == 1


def test_an_archived_alert_is_found_in_every_way_as_before(store: Store) -> None:
    alert = told_and_over(store)
    links, timeline = store.links([alert.key]), store.timeline(alert.key)

    assert store.archive(NOW) == 1
    assert store.archive(NOW) == 0

    assert store.get([alert.key]) == {alert.key: alert}
    assert store.by_internal_id(internal_code(alert.internal_id)) == alert
    assert store.by_fingerprint(alert.fingerprint) == [alert]
    assert store.page(Query()).alerts == store.page(Query(open=False)).alerts == (alert,)
    assert store.links([alert.key]) == links != {}
    assert store.link_by("jira", "T-one") == links[alert.key][0]
    assert store.timeline(alert.key) == timeline != []


def test_what_is_owed_hinders_the_archive_and_what_is_dead_does_not(store: Store) -> None:
    waiting, dead = opened(store, "waiting"), opened(store, "dead", receivers=("pager",))
    commit(store, ending(waiting))
    store.settle(claim_one(store, "pager"), Failed(reason="refused"), NOW)
    commit(store, ending(dead, ("pager",)))
    opened(store, "still open", receivers=())

    assert store.archive(NOW) == 1
    assert [letter.receiver for letter in store.failed_deliveries()] == ["pager"]
    assert pay(store, Settled()) == [Verb.OPEN, Verb.CLOSE]
    assert store.archive(NOW) == 1


def test_an_archived_alert_that_fires_again_goes_on_counting(store: Store) -> None:
    first = told_and_over(store)
    store.archive(NOW)
    read = store.get([first.key])[first.key]

    second = commit(store, opening(next_episode(read), ("jira",)))

    assert (second.episode, second.revision) == (2, first.revision + 1)
    assert store.get([first.key]) == {first.key: second}
    assert store.page(Query()).alerts == (second,)
    assert store.page(Query(open=False)).alerts == ()
    (claimed,) = claim(store, "jira")
    assert (claimed.alert, [link.episode for link in claimed.links]) == (second, [1])
    assert store.by_internal_id(internal_code(first.internal_id)) == first
    assert [row.episode for row in store.timeline(first.key)] == [1, 1, 2]


def test_a_stale_write_of_an_archived_alert_is_a_conflict(store: Store) -> None:
    over = told_and_over(store)
    store.archive(NOW)
    stale = replace(over, revision=over.revision - 1)

    results = store.commit([opening(next_episode(stale)), opening(new_alert("two"), ())], NOW)

    assert results[0] == Conflict(over.key)
    assert isinstance(results[1], Done)
    assert store.commit([opening(new_alert())], NOW) == [Conflict(over.key)]
    assert store.get([over.key]) == {over.key: over}


def test_of_eight_that_open_an_archived_alert_again_one_is_done(store: Store) -> None:
    over = told_and_over(store)
    store.archive(NOW)

    results = at_once(lambda n: store.commit([opening(next_episode(over, title=f"{n}"))], NOW)[0], range(8))

    assert [type(result) for result in results].count(Done) == 1
    assert pay(store, Settled()) == [Verb.OPEN]


def test_an_archived_alert_that_changes_is_archived_anew(store: Store) -> None:
    over = told_and_over(store)
    store.archive(NOW)
    later = replace(over, repeats=1, updated_at=NOW + DAY)

    changed = commit(store, Write(alert=later, transitions=(transition(later, Why.REPEATED),)))
    assert store.page(Query()).alerts == (changed,)
    assert store.archive(NOW) == 1

    assert store.get([over.key]) == {over.key: changed}
    assert store.page(Query()).alerts == (changed,)
    assert store.by_internal_id(internal_code(over.internal_id)) == changed


def test_a_dead_lane_stays_dead_over_the_archive(store: Store) -> None:
    alert = opened(store)
    store.settle(claim_one(store), Failed(reason="refused"), NOW)
    over = commit(store, ending(alert))
    store.archive(NOW)

    commit(store, writing(over, Verb.NOTE, Why.SOURCE_ENDED))

    assert store.waiting() == 0


def test_what_is_owed_after_the_archive_is_paid(store: Store) -> None:
    over = told_and_over(store)
    store.archive(NOW)

    commit(store, writing(replace(over, source_ended=True), Verb.NOTE, Why.SOURCE_ENDED, "jira"))

    (claimed,) = claim(store, "jira")
    assert (claimed.delivery.verb, claimed.alert.source_ended, len(claimed.links)) == (Verb.NOTE, True, 1)


def test_an_episode_whose_last_deliveries_waited_is_found_after_the_archive(store: Store) -> None:
    first = commit(store, ending(opened(store)))
    second = commit(store, opening(next_episode(first)))
    store.archive(NOW)
    assert [each.alert for each in claim(store)] == [first]
    pay(store, Settled(), now=NOW + DAY)

    store.archive(NOW)
    resolved(store, second)
    store.archive(NOW)

    assert store.by_internal_id(internal_code(first.internal_id)) == first


def test_old_episodes_are_forgotten_and_a_later_one_of_the_key_stays(store: Store) -> None:
    first = told_and_over(store)
    store.archive(NOW)
    second = commit(store, opening(next_episode(first), ("jira",)))
    delivery = claim_one(store, "jira")
    store.settle(delivery, Settled(link=link_of(delivery, "T-2")), NOW)
    second = commit(store, ending(second, (), NOW + 9 * DAY))
    store.archive(NOW)

    assert store.retain(NOW) == 0
    assert store.retain(NOW + 9 * DAY) == 1

    assert store.by_internal_id(internal_code(first.internal_id)) is None
    assert store.get([first.key]) == {first.key: second}
    assert [link.external_id for link in store.links([first.key])[first.key]] == ["T-2"]
    assert store.link_by("jira", "T-one") is None
    assert store.link_by("jira", "T-2") is not None
    assert {row.episode for row in store.timeline(first.key)} == {2}
    assert store.retain(NOW + 9 * DAY) == 0


def test_with_its_last_episode_all_that_is_known_of_a_key_is_forgotten(store: Store) -> None:
    first = told_and_over(store)
    store.archive(NOW)
    second = commit(store, opening(next_episode(first), ("jira",)))
    pay(store, Failed(reason="refused"), "jira")
    second = resolved(store, second)
    store.archive(NOW)

    assert store.retain(NOW + DAY) == 2

    assert store.get([first.key]) == {}
    assert store.page(Query()).alerts == ()
    assert (store.links([first.key]), store.timeline(first.key), store.failed_deliveries()) == ({}, [], [])
    assert store.by_internal_id(internal_code(second.internal_id)) is None
    assert store.link_by("jira", "T-one") is None
    assert store.retain(NOW + DAY) == 0
    again = opened(store)
    assert (again.episode, again.revision) == (1, 1)
    assert verbs_of(claim(store)) == [Verb.OPEN]


def test_what_is_open_or_not_archived_is_not_forgotten(store: Store) -> None:
    over = told_and_over(store)
    still_open = opened(store, "open")

    assert store.retain(NOW + 9 * DAY) == 0
    assert store.get([over.key, still_open.key]) == {over.key: over, still_open.key: still_open}

    store.archive(NOW)
    noted = commit(store, writing(over, Verb.NOTE, Why.NOTED, "jira", note="look"))
    assert store.retain(NOW + 9 * DAY) == 0
    assert store.get([over.key]) == {over.key: noted}


def test_an_episode_that_still_owes_something_is_not_forgotten(store: Store) -> None:
    first = commit(store, ending(opened(store, receivers=("jira",)), ("jira",)))
    commit(store, ending(commit(store, opening(next_episode(first), ("slack",))), ("slack",)))
    pay(store, Settled())
    store.archive(NOW)

    assert store.retain(NOW + 9 * DAY) == 0
    assert [claimed.alert.episode for claimed in claim(store, "jira")] == [1]


def test_the_dead_letters_of_a_forgotten_episode_are_forgotten_with_it(store: Store) -> None:
    first = opened(store, receivers=("jira",))
    pay(store, Failed(reason="refused"), "jira")
    first = resolved(store, first)
    commit(store, ending(commit(store, opening(next_episode(first), ("slack",))), ("slack",)))
    pay(store, Settled())
    store.archive(NOW)
    store.archive(NOW)

    assert store.retain(NOW + 9 * DAY) == 2
    assert store.failed_deliveries() == []


def test_an_object_that_a_later_episode_took_over_is_found_after_the_first_is_forgotten(store: Store) -> None:
    first = told_and_over(store)
    second = commit(store, opening(next_episode(first), ("jira",)))
    delivery = claim_one(store, "jira")
    store.settle(delivery, Settled(link=link_of(delivery, "T-one")), NOW)
    resolved(store, second, NOW + 2 * DAY)
    store.archive(NOW)

    assert store.retain(NOW + DAY) == 1

    found = store.link_by("jira", "T-one")
    assert found is not None
    assert found.episode == 2


def test_archiving_while_alerts_change_loses_nothing(store: Store) -> None:
    over = [told_and_over(store, f"n{number}") for number in range(4)]

    def reopen(alert: Alert) -> bool:
        return isinstance(store.commit([opening(next_episode(alert), ("slack",))], NOW)[0], Done)

    results = at_once(lambda work: work(), [lambda: store.archive(NOW), *(lambda a=alert: reopen(a) for alert in over)])

    assert all(results[1:])
    assert len(store.open_alerts()) == 4
    assert len(pay(store, Settled())) == 4
    assert [store.get([alert.key])[alert.key].episode for alert in over] == [2] * 4


def test_of_very_many_content_changes_the_first_and_last_are_kept_and_the_rest_is_counted(store: Store) -> None:
    alert = commit(store, Write(alert=new_alert(), transitions=(transition(new_alert(), Why.OPENED),)))
    quiet = opened(store, "quiet")
    for start in range(0, KEPT + 60, 30):
        for number in range(start, start + 30):
            changed = (transition(alert, Why.CHANGED, note=str(number)),)
            alert = commit(store, Write(alert=alert, transitions=changed))
        alert = commit(store, Write(alert=alert, transitions=(transition(alert, Why.NOTED, note=f"note {start}"),)))
    before = store.timeline(quiet.key)

    assert store.trim(NOW) == 1
    assert store.trim(NOW) == 0

    rows = store.timeline(alert.key, limit=1000)
    changes = [row.note for row in rows if row.why is Why.CHANGED]
    assert changes == [str(number) for number in (*range(FIRST), *range(KEPT + 60 - LAST, KEPT + 60))]
    assert [row.left_out for row in rows if row.why is Why.LEFT_OUT] == [110]
    assert [row.note for row in rows if row.why is Why.NOTED] == [f"note {start}" for start in range(0, KEPT + 60, 30)]
    assert rows[0].why is Why.OPENED
    assert store.timeline(quiet.key) == before
    assert store.get([alert.key]) == {alert.key: alert}
