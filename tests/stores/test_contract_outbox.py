"""What every store promises of deliveries: lanes in order, leases, dead letters, claims by many. Runs on each."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from service_event_checker.core.errors import LeaseLost, StoreConflict
from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.roles import Store
from service_event_checker.core.store import Again, Claimed, Conflict, Done, Failed, Settled, Waiting, Write
from service_event_checker.core.vocabulary import Severity, Status, Verb, Why
from tests.factories import NOW
from tests.stores.steps import (
    LEASE,
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
    transition,
    verbs_of,
    writing,
)

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
GONE = Failed(reason="refused (404)")


def test_a_claimed_delivery_comes_with_its_alert_and_its_receivers_links(store: Store) -> None:
    alert = opened(store, receivers=("jira", "slack"))
    jira = claim_one(store, "jira")
    store.settle(jira, Settled(link=link_of(jira)), NOW)
    alert = commit(store, writing(replace(alert, title="worse"), Verb.UPDATE, receiver="jira", note="look"))

    (claimed,) = claim(store, "jira", owner="w2")

    assert claimed.alert == alert
    assert claimed.links == (link_of(jira),)
    assert (claimed.delivery.verb, claimed.delivery.note, claimed.delivery.owner) == (Verb.UPDATE, "look", "w2")
    assert claimed.delivery.lease_until == NOW + LEASE
    assert [each.links for each in claim(store, "slack")] == [()]


def test_a_lane_is_paid_in_order_and_one_at_a_time(store: Store) -> None:
    alert = opened(store)
    alert = commit(store, writing(alert, Verb.ACK, Why.ACKNOWLEDGED))
    commit(store, ending(alert))

    assert verbs_of(claim(store)) == [Verb.OPEN]
    assert claim(store) == []
    assert store.waiting() == store.waiting("slack") == 3
    assert store.waiting("pager") == 0
    assert store.oldest_waiting() == NOW
    assert pay(store, Settled(), now=NOW + LEASE) == [Verb.OPEN, Verb.ACK, Verb.CLOSE]
    assert (store.waiting(), store.oldest_waiting()) == (0, None)


def test_a_delivery_is_not_claimed_before_it_is_due(store: Store) -> None:
    opened(store)
    store.settle(claim_one(store), Again(due_at=NOW + 30 * SECOND, reason="timeout"), NOW)

    assert claim(store, now=NOW + 29 * SECOND) == []
    (again,) = claim(store, now=NOW + 30 * SECOND)
    assert (again.delivery.attempts, again.delivery.reason) == (1, "timeout")


def test_what_is_only_put_back_has_not_been_tried(store: Store) -> None:
    opened(store)
    store.settle(claim_one(store), Again(due_at=NOW + 30 * SECOND, reason="others go first", tried=False), NOW)

    (again,) = claim(store, now=NOW + 30 * SECOND)
    assert (again.delivery.attempts, again.delivery.reason) == (0, "others go first")


def test_a_new_delivery_may_have_a_time_of_its_own(store: Store) -> None:
    write = opening(new_alert("later"))
    commit(store, replace(write, deliveries=tuple(replace(one, due_at=NOW + HOUR) for one in write.deliveries)))

    store.sweep(NOW, latest=NOW + 2 * HOUR)
    assert claim(store, now=NOW + HOUR - SECOND) == []
    assert verbs_of(claim(store, now=NOW + HOUR)) == [Verb.OPEN]


def test_a_receiver_is_due_while_something_of_its_own_is_free_to_claim(store: Store) -> None:
    opened(store, receivers=("slack", "pager", "jira"))
    claim_one(store, "pager")
    store.settle(claim_one(store, "jira"), Again(due_at=NOW + 30 * SECOND, reason="timeout"), NOW)
    names = ("slack", "pager", "jira", "sms")

    assert store.due(names, NOW) == {"slack"}
    assert store.due(names, NOW + 30 * SECOND) == {"slack", "jira"}
    assert store.due(names, NOW + LEASE) == {"slack", "pager", "jira"}
    assert store.due((), NOW + LEASE) == set()


def test_the_most_severe_is_claimed_first(store: Store) -> None:
    for number, severity in enumerate(reversed(Severity)):
        opened(store, f"{severity}-{number}", severity=severity)

    assert [each.delivery.severity for each in claim(store, limit=3)] == [
        Severity.CRITICAL,
        Severity.ERROR,
        Severity.WARNING,
    ]
    assert [each.delivery.severity for each in claim(store)] == [Severity.INFO]


def test_the_critical_one_behind_a_storm_is_claimed_first(store: Store) -> None:
    warned = [opening(new_alert(f"w{n}", severity=Severity.WARNING)) for n in range(100)]
    one_bucket = [replace_key(write, f"0{n:019x}") for n, write in enumerate(warned)]
    critical = replace_key(opening(new_alert("critical", severity=Severity.CRITICAL)), "0" + "f" * 19)
    assert all(isinstance(result, Done) for result in store.commit([*one_bucket, critical], NOW))

    assert [each.delivery.severity for each in claim(store, limit=2)] == [Severity.CRITICAL, Severity.WARNING]


def test_what_a_person_did_is_claimed_before_a_storm_of_routine(store: Store) -> None:
    storm = [opening(new_alert(f"w{n}", severity=Severity.CRITICAL)) for n in range(100)]
    one_bucket = [replace_key(write, f"0{n:019x}") for n, write in enumerate(storm)]
    quiet = replace_key(opening(new_alert("quiet", severity=Severity.INFO)), "0" + "f" * 19)
    alert = commit(store, quiet)
    pay(store, Settled())
    alert = commit(store, writing(alert, Verb.UPDATE))
    store.commit(one_bucket, NOW)
    alert = commit(store, writing(alert, Verb.ACK, Why.ACKNOWLEDGED))

    (first, second) = claim(store, limit=2)

    assert (first.delivery.verb, first.alert) == (Verb.ACK, alert)
    assert (second.delivery.verb, second.delivery.severity) == (Verb.OPEN, Severity.CRITICAL)


def test_eight_workers_claim_each_delivery_once(store: Store) -> None:
    store.commit([opening(new_alert(f"n{number}")) for number in range(32)], NOW)

    def work(owner: str) -> list[Claimed]:
        mine: list[Claimed] = []
        while len(found := claim(store, limit=3, owner=owner)) > 0:
            mine += found
        return mine

    claimed = [each.delivery.id for part in at_once(work, [f"w{n}" for n in range(8)]) for each in part]

    assert len(claimed) == 32
    assert len(set(claimed)) == 32


def test_a_lease_that_ran_out_is_anothers_and_its_old_owner_records_nothing(store: Store) -> None:
    opened(store)
    slow = claim_one(store, owner="slow")
    assert claim(store, now=NOW + LEASE - SECOND) == []
    taken = claim_one(store, now=NOW + LEASE, owner="quick")

    with pytest.raises(LeaseLost):
        store.intend(slow, NOW + LEASE)
    for outcome in (Settled(link=link_of(slow)), Again(due_at=NOW, reason="x"), GONE):
        with pytest.raises(LeaseLost):
            store.settle(slow, outcome, NOW + LEASE)

    assert store.links([slow.key]) == {}
    assert store.failed_deliveries() == []
    assert store.intend(taken, NOW + LEASE).intent_at == NOW + LEASE
    store.settle(taken, Settled(), NOW + LEASE)
    assert store.waiting() == 0


def test_what_is_settled_cannot_be_settled_again(store: Store) -> None:
    opened(store)
    delivery = claim_one(store)
    store.settle(delivery, Settled(), NOW)

    with pytest.raises(LeaseLost):
        store.settle(delivery, GONE, NOW)
    assert store.failed_deliveries() == []


def test_what_nobody_claimed_cannot_be_settled(store: Store) -> None:
    opened(store)
    delivery = replace(claim_one(store), owner="")

    with pytest.raises(LeaseLost):
        store.settle(delivery, Settled(), NOW)


def test_an_intent_is_kept_until_an_outcome_replaces_it(store: Store) -> None:
    opened(store)
    intended = store.intend(claim_one(store), NOW)

    assert intended.intent_at == NOW
    assert claim_one(store, now=NOW + LEASE).intent_at == NOW
    store.settle(
        claim_one(store, now=NOW + 2 * LEASE), Again(due_at=NOW, reason="timeout", intent_at=NOW - SECOND), NOW
    )
    assert claim_one(store).intent_at == NOW - SECOND
    store.settle(claim_one(store, now=NOW + LEASE), Again(due_at=NOW, reason="refused"), NOW)
    assert claim_one(store).intent_at is None


def test_a_settle_takes_its_write_along(store: Store) -> None:
    alert = opened(store, receivers=("jira", "slack"))
    pay(store, Settled())
    jira = claim_one(store, "jira")
    linked = writing(replace(alert, links={"jira": "https://t/1"}), Verb.UPDATE, Why.LINKED, "slack")

    store.settle(jira, Settled(link=link_of(jira)), NOW, linked)

    assert store.get([alert.key])[alert.key] == replace(linked.alert, revision=2)
    assert verbs_of(claim(store, "slack")) == [Verb.UPDATE]
    assert store.waiting("jira") == 0
    assert [row.why for row in store.timeline(alert.key)] == [Why.OPENED, Why.LINKED]
    assert store.link_by("jira", "T-1") == link_of(jira)


def test_a_settle_whose_write_owes_the_same_lane_keeps_its_order(store: Store) -> None:
    alert = opened(store)

    store.settle(claim_one(store), Settled(), NOW, writing(alert, Verb.UPDATE, Why.LINKED))

    assert pay(store, Settled()) == [Verb.UPDATE]


def test_a_settle_whose_write_is_in_conflict_records_nothing(store: Store) -> None:
    alert = opened(store)
    delivery = claim_one(store)
    late = writing(replace(alert, links={"slack": "https://s/1"}), Verb.NOTE, Why.LINKED)
    changed = commit(store, writing(alert, Verb.ACK, Why.ACKNOWLEDGED))

    with pytest.raises(StoreConflict):
        store.settle(delivery, Settled(link=link_of(delivery)), NOW, late)

    assert store.get([alert.key])[alert.key] == changed
    assert store.links([alert.key]) == {}
    assert store.waiting() == 2
    store.settle(delivery, Settled(link=link_of(delivery)), NOW)
    assert verbs_of(claim(store)) == [Verb.ACK]


def test_a_commit_that_races_with_a_settle_leaves_one_due_head(store: Store) -> None:
    for round_ in range(5):
        alert = opened(store, f"race-{round_}")
        delivery = claim_one(store)

        def settle(delivery: Delivery = delivery) -> None:
            store.settle(delivery, Settled(), NOW)

        def change(alert: Alert = alert) -> None:
            commit(store, ending(commit(store, writing(alert, Verb.ACK, Why.ACKNOWLEDGED))))

        at_once(lambda work: work(), [settle, change])

        assert verbs_of(claim(store)) == [Verb.ACK]
        assert store.sweep(NOW) == 0
        assert pay(store, Settled(), now=NOW + LEASE) == [Verb.ACK, Verb.CLOSE]


def test_workers_and_writers_at_once_lose_nothing_and_send_nothing_twice(store: Store) -> None:
    alerts = [opened(store, f"busy-{number}", receivers=("slack", "pager")) for number in range(4)]

    def write(alert: Alert) -> list[tuple[str, Verb]]:
        for _ in range(5):
            alert = commit(store, noting(alert))
        commit(store, ending(alert, ("slack", "pager")))
        return []

    def work(receiver: str) -> list[tuple[str, Verb]]:
        paid, idle = [], 0
        while idle < 3:
            found = claim(store, receiver, owner=f"{receiver}{random.random()}", limit=2)
            idle = 0 if found or len(paid) < 28 else idle + 1
            for each in found:
                store.settle(each.delivery, Settled(), NOW)
                paid.append((each.delivery.id, each.delivery.verb))
            if len(paid) >= 28:
                return paid
        return paid

    jobs: list[Callable[[], list[tuple[str, Verb]]]] = [lambda alert=alert: write(alert) for alert in alerts]  # type: ignore[misc]
    jobs += [lambda: work("slack"), lambda: work("pager")]
    paid = [each for part in at_once(lambda job: job(), jobs) for each in part]

    assert len(paid) == len({id for id, _ in paid}) == 4 * 2 * 7
    for alert in alerts:
        verbs = [verb for id, verb in paid if id.startswith(alert.key) and ":slack:" in id]
        assert verbs == [Verb.OPEN, *[Verb.NOTE] * 5, Verb.CLOSE]
    assert store.waiting() == 0


def test_waiting_updates_collapse_into_the_newest(store: Store) -> None:
    alert = opened(store)
    for number in range(3):
        alert = commit(store, writing(replace(alert, title=f"title {number}"), Verb.UPDATE))

    assert store.waiting() == 2
    assert pay(store, Settled()) == [Verb.OPEN, Verb.UPDATE]


def test_a_close_that_meets_an_open_which_was_not_begun_takes_it_away(store: Store) -> None:
    alert = opened(store, receivers=("pager", "slack"))

    over = commit(store, ending(alert, ("pager", "slack"), cancels=True))

    assert (claim(store, "pager"), store.waiting()) == ([], 0)
    rows = store.timeline(alert.key)
    assert [(row.why, row.receiver) for row in rows[2:]] == [
        (Why.OVER_BEFORE_SENT, "pager"),
        (Why.OVER_BEFORE_SENT, "slack"),
    ]
    commit(store, opening(next_episode(over), ("pager",)))
    assert verbs_of(claim(store, "pager")) == [Verb.OPEN]


def test_a_close_that_meets_a_begun_open_waits_for_it(store: Store) -> None:
    alert = opened(store)
    store.intend(claim_one(store), NOW)

    commit(store, ending(alert, cancels=True))

    assert pay(store, Settled(), now=NOW + LEASE) == [Verb.OPEN, Verb.CLOSE]


def test_a_worker_whose_open_was_taken_away_may_not_begin_it(store: Store) -> None:
    alert = opened(store)
    claimed = claim_one(store)

    commit(store, ending(alert, cancels=True))

    with pytest.raises(LeaseLost):
        store.intend(claimed, NOW)


def test_a_dead_open_takes_its_episodes_deliveries_of_the_lane_along_and_later_ones_too(store: Store) -> None:
    alert = opened(store, receivers=("slack", "pager"))
    alert = commit(store, noting(alert))

    store.settle(claim_one(store), GONE, NOW)
    alert = commit(store, ending(alert, ("slack", "pager")))

    assert pay(store, Settled()) == []
    assert store.waiting() == store.waiting("pager") == 2
    (letter,) = store.failed_deliveries()
    assert (letter.verb, letter.receiver, letter.reason) == (Verb.OPEN, "slack", GONE.reason)
    commit(store, opening(next_episode(alert)))
    assert pay(store, Settled()) == [Verb.OPEN]


def test_a_new_episode_behind_a_dead_one_is_followed_to_its_end(store: Store) -> None:
    alert = opened(store)
    store.settle(claim_one(store), GONE, NOW)
    second = commit(store, opening(next_episode(commit(store, ending(alert)))))

    commit(store, ending(commit(store, noting(second))))

    assert pay(store, Settled()) == [Verb.OPEN, Verb.NOTE, Verb.CLOSE]


def test_another_verb_that_dies_lets_the_lane_go_on(store: Store) -> None:
    alert = opened(store)
    store.settle(claim_one(store), Settled(), NOW)
    commit(store, ending(commit(store, noting(alert))))

    store.settle(claim_one(store), GONE, NOW)

    assert [letter.verb for letter in store.failed_deliveries()] == [Verb.NOTE]
    assert pay(store, Settled()) == [Verb.CLOSE]


def test_an_alert_is_owed_to_a_receiver_until_all_is_settled_or_given_up(store: Store) -> None:
    one, two = opened(store, "one", ("slack", "jira")), opened(store, "two", ("slack",))
    commit(store, noting(one))
    assert (store.keys_with_pending("slack"), store.keys_with_pending("jira"), store.keys_with_pending("sms")) == (
        {one.key, two.key},
        {one.key},
        set(),
    )

    pay(store, Settled())
    pay(store, GONE, "jira")

    assert (store.keys_with_pending("slack"), store.keys_with_pending("jira")) == (set(), set())


def test_a_time_that_only_a_wrong_clock_can_have_set_holds_nothing_back(store: Store) -> None:
    later = NOW + 2 * HOUR
    for name in ("waits", "leased", "soon"):
        opened(store, name)
    for claimed in claim(store):
        due_at = {"waits": later, "soon": NOW + HOUR}.get(claimed.alert.fingerprint)
        if due_at:
            store.settle(claimed.delivery, Again(due_at=due_at, reason="busy"), NOW)
    held = store.claim("slack", limit=1, owner="w2", now=NOW + LEASE, until=later)
    assert [each.alert.fingerprint for each in held] == ["leased"]

    assert store.sweep(NOW) == 0
    assert store.sweep(NOW, latest=NOW + HOUR) == 2
    assert store.sweep(NOW, latest=NOW + HOUR) == 0

    assert [each.alert.fingerprint for each in claim(store)] == ["waits"]
    assert {each.alert.fingerprint for each in claim(store, now=NOW + HOUR, owner="w3")} == {"waits", "leased", "soon"}


def test_what_waits_is_counted_by_receiver_with_the_oldest(store: Store) -> None:
    opened(store, "one", ("slack", "jira"))
    later = new_alert("two")
    commit(store, opening(later, created_at=NOW + SECOND))
    assert store.waiting_by_receiver() == {"slack": Waiting(2, NOW), "jira": Waiting(1, NOW)}

    pay(store, Settled(), "jira")
    store.settle(claim(store, limit=1)[0].delivery, GONE, NOW)

    assert store.waiting_by_receiver().keys() == {"slack"}
    assert store.waiting_by_receiver()["slack"].number == 1


def test_a_claim_may_ask_for_old_deliveries_only(store: Store) -> None:
    opened(store, "old")
    commit(store, opening(new_alert("young"), created_at=NOW + SECOND))

    def claimed(made_before: datetime) -> list[str]:
        found = store.claim("slack", limit=10, owner="w", now=NOW + HOUR, until=NOW + 2 * HOUR, made_before=made_before)
        return [each.alert.fingerprint for each in found]

    assert claimed(NOW - SECOND) == []
    assert claimed(NOW) == ["old"]
    assert claimed(NOW + HOUR) == ["young"]


def test_dead_letters_are_told_newest_first(store: Store) -> None:
    for number in (3, 1, 2):
        alert = new_alert(f"n{number}")
        commit(store, opening(alert, created_at=NOW + number * SECOND))
    for claimed in claim(store):
        store.settle(claimed.delivery, GONE, NOW)

    assert [letter.created_at for letter in store.failed_deliveries(2)] == [NOW + 3 * SECOND, NOW + 2 * SECOND]


def test_waiting_deliveries_are_listed_oldest_first_without_those_that_failed(store: Store) -> None:
    for number in (3, 1, 2):
        commit(store, opening(new_alert(f"n{number}"), created_at=NOW + number * SECOND))
    commit(store, opening(new_alert("failed"), ["jira"], created_at=NOW))
    pay(store, GONE, "jira")

    assert [each.created_at for each in store.waiting_deliveries(2)] == [NOW + SECOND, NOW + 2 * SECOND]
    assert {each.receiver for each in store.waiting_deliveries()} == {"slack"}
    one = new_alert("n2").key
    assert [each.key for each in store.waiting_deliveries(key=one)] == [one]
    assert store.waiting_deliveries(key=new_alert("failed").key) == store.waiting_deliveries(key="no key") == []


def test_dead_letters_can_be_asked_for_by_receiver_and_by_alert(store: Store) -> None:
    one, two = opened(store, "one", ("slack", "jira")), opened(store, "two", ("slack",))
    for receiver in ("slack", "jira"):
        pay(store, Failed(reason="refused"), receiver)

    def found(**of: str) -> set[tuple[str, str]]:
        return {(letter.key, letter.receiver) for letter in store.failed_deliveries(**of)}

    assert found(receiver="slack") == {(one.key, "slack"), (two.key, "slack")}
    assert found(key=one.key) == {(one.key, "slack"), (one.key, "jira")}
    assert found(receiver="slack", key=two.key) == {(two.key, "slack")}
    assert found(receiver="jira", key=two.key) == found(receiver="sms") == found(key="nonsense") == set()
    assert [letter.receiver for letter in store.failed_deliveries(1, receiver="jira")] == ["jira"]


def test_dead_letters_are_counted_by_receiver_and_deleted_one_by_one(store: Store) -> None:
    opened(store, "one", ("slack", "jira"))
    opened(store, "two", ("slack",))
    for receiver in ("slack", "jira"):
        pay(store, Failed(reason="refused"), receiver)
    assert store.failed_counts() == {"slack": 2, "jira": 1}

    unwanted = store.failed_deliveries()[0].id
    assert store.discard(unwanted)
    assert not store.discard(unwanted)
    assert not store.discard("nonsense")

    assert sum(store.failed_counts().values()) == 2
    assert unwanted not in {letter.id for letter in store.failed_deliveries()}


def test_a_requeued_open_is_sent_and_what_follows_is_sent_again(store: Store) -> None:
    alert = opened(store)
    dead = claim_one(store)
    store.settle(dead, GONE, NOW)

    assert store.requeue(dead.id, NOW)
    assert store.failed_deliveries() == []
    commit(store, ending(commit(store, noting(alert))))
    (again,) = claim(store)
    assert (again.delivery.id, again.delivery.attempts, again.delivery.reason) == (dead.id, 0, "")
    assert pay(store, Settled(), now=NOW + LEASE) == [Verb.OPEN, Verb.NOTE, Verb.CLOSE]
    assert not store.requeue(dead.id, NOW)


@pytest.mark.parametrize("archived", [False, True])
def test_a_requeued_open_of_an_alert_that_is_over_is_followed_by_its_close(store: Store, archived: bool) -> None:
    alert = opened(store)
    dead = claim_one(store)
    store.settle(dead, GONE, NOW)
    commit(store, ending(alert))
    assert store.archive(NOW) == 1 or not archived

    assert store.requeue(dead.id, NOW)

    assert pay(store, Settled()) == [Verb.OPEN, Verb.CLOSE]


def test_a_dead_open_that_a_close_would_cancel_is_not_sent_when_all_is_over(store: Store) -> None:
    alert = commit(store, opening(new_alert(), cancels=True))
    dead = claim_one(store)
    store.settle(dead, GONE, NOW)
    commit(store, ending(alert, cancels=True))

    assert not store.requeue(dead.id, NOW)
    assert [letter.id for letter in store.failed_deliveries()] == [dead.id]


def test_a_dead_letter_of_a_past_episode_is_not_sent_again(store: Store) -> None:
    alert = opened(store)
    dead = claim_one(store)
    store.settle(dead, GONE, NOW)
    commit(store, opening(next_episode(commit(store, ending(alert)))))

    assert not store.requeue(dead.id, NOW)


@pytest.mark.parametrize("name", ["", "nonsense", "a:b:c", f"{'0' * 20}:1:1:slack:open"])
def test_an_unknown_dead_letter_is_not_sent_again(store: Store, name: str) -> None:
    assert not store.requeue(name, NOW)


def test_a_requeue_that_races_with_the_end_leaves_nothing_open(store: Store) -> None:
    for round_ in range(3):
        alert = opened(store, f"requeued-{round_}")
        dead = claim_one(store)
        store.settle(dead, GONE, NOW)

        at_once(
            lambda work: work(), [lambda d=dead: store.requeue(d.id, NOW), lambda a=alert: commit(store, ending(a))]
        )  # type: ignore[misc]

        assert pay(store, Settled()) == [Verb.OPEN, Verb.CLOSE]


def test_a_delivery_is_claimed_with_the_alert_of_its_own_episode(store: Store) -> None:
    first = commit(store, ending(opened(store, title="first")))
    commit(store, opening(next_episode(first, title="second")))
    told = []

    while claimed := claim(store):
        told += [(each.delivery.verb, each.alert.title, each.alert.status) for each in claimed]
        store.settle(claimed[0].delivery, Settled(), NOW)

    assert told == [
        (Verb.OPEN, "first", Status.RESOLVED),
        (Verb.CLOSE, "first", Status.RESOLVED),
        (Verb.OPEN, "second", Status.FIRING),
    ]


def test_more_receivers_than_config_allows_still_fit_one_write(store: Store) -> None:
    receivers = tuple(f"receiver number {number}" for number in range(24))
    alert = opened(store, receivers=receivers, description="\U0001f525" * 30_000)
    both = tuple(
        delivery
        for receiver in receivers
        for verb in (Verb.UPDATE, Verb.UNACK, Verb.NOTE)
        for delivery in writing(alert, verb, receiver=receiver, note="東" * 20_000).deliveries
    )
    deliveries = tuple(replace(delivery, seq=seq) for seq, delivery in enumerate(both))

    commit(store, Write(alert=alert, transitions=(transition(alert, Why.SEVERITY_RAISED),), deliveries=deliveries))

    assert store.waiting() == 24 * 4


def test_a_conflict_owes_nobody_anything(store: Store) -> None:
    alert = opened(store)
    commit(store, noting(alert))

    assert store.commit([ending(alert)], NOW) == [Conflict(alert.key)]
    assert pay(store, Settled()) == [Verb.OPEN, Verb.NOTE]


def noting(alert: Alert) -> Write:
    return writing(alert, Verb.NOTE, Why.NOTED, "slack") if alert.fingerprint[:4] != "busy" else _both(alert)


def _both(alert: Alert) -> Write:
    deliveries = [writing(alert, Verb.NOTE, Why.NOTED, receiver).deliveries[0] for receiver in ("slack", "pager")]
    return replace(writing(alert, Verb.NOTE, Why.NOTED), deliveries=tuple(deliveries))


def replace_key(write: Write, key: str) -> Write:
    return replace(
        write,
        alert=replace(write.alert, key=key, internal_id=f"GITHUB-{key[-7:].upper().replace('L', 'M')}"),
        transitions=tuple(replace(each, key=key) for each in write.transitions),
        deliveries=tuple(replace(each, key=key) for each in write.deliveries),
    )
