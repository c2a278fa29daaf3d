"""What every store promises of groups: it counts and lists their open members as they are committed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from service_event_checker.core.roles import Store
from service_event_checker.core.store import Conflict, Members
from service_event_checker.core.vocabulary import Severity, Status, Verb
from tests.factories import NOW
from tests.stores.steps import commit, ending, new_alert, next_episode, opened, opening, resolved, writing

EU, US = "e" * 20, "0" * 20
SECOND = timedelta(seconds=1)


def test_the_open_members_of_a_group_are_counted(store: Store) -> None:
    opened(store, "a", groups={"rule": EU}, severity=Severity.CRITICAL)
    opened(store, "b", groups={"rule": EU}, opened_at=NOW + SECOND)
    opened(store, "c", groups={"rule": EU, "other": US}, status=Status.ACKNOWLEDGED)
    opened(store, "d")

    found = store.members([EU, "f" * 20])

    both = {Severity.CRITICAL: 1, Severity.ERROR: 2}
    assert found == {EU: Members(severities=both, firing=2, newest_at=NOW + SECOND)}
    assert store.members() == found | {US: Members(severities={Severity.ERROR: 1}, firing=0, newest_at=NOW)}


def test_a_member_that_is_over_counts_no_more_until_it_opens_again(store: Store) -> None:
    alert = opened(store, groups={"rule": EU})
    over = resolved(store, alert)

    counted = [store.members([EU])]
    again = commit(store, opening(next_episode(over, groups={})))
    counted.append(store.members([EU]))
    commit(store, writing(replace(again, groups={"rule": EU}), Verb.UPDATE))
    counted.append(store.members([EU]))

    assert [sum(each.total for each in found.values()) for found in counted] == [0, 0, 1]


def test_a_member_that_is_archived_counts_when_it_opens_again(store: Store) -> None:
    over = resolved(store, opened(store, receivers=(), groups={"rule": EU}))
    assert store.archive(NOW) == 1

    commit(store, opening(next_episode(over, groups={"rule": EU})))

    assert store.member_keys(EU, 10) == [over.key]


def test_a_member_that_has_left_counts_in_its_new_group_only(store: Store) -> None:
    alert = opened(store, groups={"rule": EU, "other": EU})

    moved = commit(store, writing(replace(alert, groups={"rule": US, "other": ""}), Verb.UPDATE))

    assert list(store.members()) == [US]
    commit(store, writing(replace(moved, groups={"rule": "", "other": ""}), Verb.UPDATE))
    assert store.members() == {}


def test_a_write_that_is_refused_changes_no_count(store: Store) -> None:
    alert = opened(store, groups={"rule": EU})
    stale = ending(replace(alert, revision=alert.revision + 5))

    (result,) = store.commit([stale], NOW)

    assert isinstance(result, Conflict)
    assert store.members()[EU].total == 1


def test_the_members_are_listed_the_most_severe_first(store: Store) -> None:
    late = opened(store, "a", groups={"rule": EU}, opened_at=NOW + SECOND)
    early = opened(store, "b", groups={"rule": EU})
    worst = opened(store, "c", groups={"rule": EU}, severity=Severity.CRITICAL, opened_at=NOW + SECOND)
    opened(store, "d", groups={"rule": US})

    assert store.member_keys(EU, 10) == [worst.key, early.key, late.key]
    assert store.member_keys(EU, 2) == [worst.key, early.key]
    assert store.member_keys("f" * 20, 10) == []


def test_the_members_that_fire_and_have_not_changed_since_a_time_are_listed(store: Store) -> None:
    old = opened(store, "a", groups={"rule": EU})
    opened(store, "b", groups={"rule": EU}, updated_at=NOW + 2 * SECOND)
    opened(store, "c", groups={"rule": EU}, status=Status.ACKNOWLEDGED)

    assert store.member_keys(EU, 10, firing_before=NOW + SECOND) == [old.key]


def test_many_members_of_one_write_are_all_counted(store: Store) -> None:
    writes = [opening(new_alert(f"n{number}", groups={"rule": EU})) for number in range(30)]

    store.commit(writes, NOW)

    assert store.members([EU])[EU].total == 30
    assert new_alert("n7").key in store.member_keys(EU, 30)
