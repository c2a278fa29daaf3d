"""What every store promises of things put aside, and of what newer versions write into alerts and links."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from service_event_checker.core.model import HeldItem
from service_event_checker.core.roles import Store
from service_event_checker.core.store import Settled
from service_event_checker.core.vocabulary import EventStatus, Status
from tests.factories import NOW
from tests.stores.steps import at_once, claim_one, commit, link_of, new_alert, opened, opening

MINUTE = timedelta(minutes=1)
LONG_AGO = NOW - timedelta(days=400)
# 100 KB that do not pack into nothing: every line is another.
LONG = "".join(f'{number}: it\'s "down" \U0001f525 東京\n\t\\u0041 %s {{}}' for number in range(3000))


def thing(id: str = "one", minutes: int = 0, **changes: Any) -> HeldItem:
    base = HeldItem(area="quarantine", id=id, source="github", at=NOW + minutes * MINUTE, doc="{}")
    return replace(base, **changes)


def ids(things: list[HeldItem]) -> list[str]:
    return [each.id for each in things]


def test_what_is_put_aside_comes_back_as_it_was(store: Store) -> None:
    doc = json.dumps({"body": LONG}, ensure_ascii=False)
    assert len(doc) > 100_000
    long, odd = thing("long", doc=doc), thing('it\'s "1" / \U0001f525 #?', 1, source="O'Brien & Söhne", doc="")

    store.holding.put([long, odd])

    assert store.holding.list("quarantine") == [odd, long]


def test_text_that_cannot_be_packed_small_comes_back_as_it_was(store: Store) -> None:
    noise = thing(doc="".join(chr(0x4E00 + number * number * 7919 % 20_000) for number in range(100_000)))

    store.holding.put([noise])

    assert store.holding.list("quarantine") == [noise]


def test_nothing_lies_on_an_empty_shelf(store: Store) -> None:
    store.holding.put([])

    assert store.holding.list("quarantine") == []
    assert not store.holding.remove("quarantine", "one")
    assert store.holding.prune("quarantine", before=NOW, per_source=0) == 0


def test_a_repetition_replaces(store: Store) -> None:
    store.holding.put([thing(doc="first", source="other"), thing(doc="second", minutes=2)])
    third = thing(doc="third", minutes=1)

    store.holding.put([third])

    assert store.holding.list("quarantine") == [third]
    assert store.holding.list("quarantine", source="other") == []


def test_what_is_added_is_kept_once_and_tells_who_was_first(store: Store) -> None:
    first = thing(doc="first")

    assert store.holding.add(first)
    assert not store.holding.add(thing(doc="second", minutes=2, source="other"))
    assert store.holding.add(thing("another", doc="second"))
    assert store.holding.add(thing(area="parked", doc="second"))

    assert [each.doc for each in store.holding.list("quarantine") if each.id == "one"] == ["first"]


def test_a_repetition_of_an_add_whose_answer_was_lost_is_still_the_first(store: Store) -> None:
    assert store.holding.add(thing(doc="mine"))
    assert store.holding.add(thing(doc="mine"))


def test_of_many_who_add_the_same_at_once_one_is_first(store: Store) -> None:
    added = at_once(lambda n: store.holding.add(thing(doc=f"of {n}")), range(8))

    assert sorted(added) == [False] * 7 + [True]


def test_shelves_do_not_know_of_each_other(store: Store) -> None:
    here, there = thing(doc="here"), thing(area="parked", doc="there")

    store.holding.put([here, there])

    assert (store.holding.list("quarantine"), store.holding.list("parked")) == ([here], [there])
    assert store.holding.prune("parked", before=NOW + MINUTE, per_source=0) == 1
    assert store.holding.list("quarantine") == [here]


def test_the_newest_come_first_and_the_limit_cuts_the_oldest(store: Store) -> None:
    store.holding.put(thing(f"t{minutes}", minutes) for minutes in (3, 1, 4, 0, 2))
    store.holding.put([thing("same time", 3)])

    assert ids(store.holding.list("quarantine")) == ["t4", "t3", "same time", "t2", "t1", "t0"]
    assert ids(store.holding.list("quarantine", limit=2)) == ["t4", "t3"]
    assert store.holding.list("quarantine", limit=0) == []


def test_only_those_of_a_source_are_given_when_it_is_named(store: Store) -> None:
    store.holding.put(thing(f"g{minutes}", minutes) for minutes in range(3))
    store.holding.put(thing(f"o{minutes}", minutes, source="it's other") for minutes in range(5, 8))

    assert ids(store.holding.list("quarantine", source="github")) == ["g2", "g1", "g0"]
    assert ids(store.holding.list("quarantine", source="it's other", limit=2)) == ["o7", "o6"]
    assert store.holding.list("quarantine", source="nobody") == []


def test_a_thing_is_taken_away_once(store: Store) -> None:
    store.holding.put([thing("one"), thing("two")])

    assert store.holding.remove("quarantine", "one")
    assert not store.holding.remove("quarantine", "one")
    assert not store.holding.remove("parked", "two")

    assert ids(store.holding.list("quarantine")) == ["two"]


def test_what_was_taken_away_may_come_again(store: Store) -> None:
    store.holding.put([thing(doc="before")])
    store.holding.remove("quarantine", "one")

    store.holding.put([thing(doc="after")])

    assert [each.doc for each in store.holding.list("quarantine")] == ["after"]


def test_trimming_deletes_the_old_and_keeps_what_is_just_old_enough(store: Store) -> None:
    store.holding.put(thing(f"t{minutes}", minutes) for minutes in range(5))

    assert store.holding.prune("quarantine", before=NOW + 2 * MINUTE, per_source=10) == 2
    assert store.holding.prune("quarantine", before=NOW + 2 * MINUTE, per_source=10) == 0

    assert ids(store.holding.list("quarantine")) == ["t4", "t3", "t2"]


def test_a_noisy_source_costs_no_other_its_place(store: Store) -> None:
    store.holding.put(thing(f"loud{minutes:03}", minutes) for minutes in range(120))
    store.holding.put(thing(f"quiet{minutes}", -minutes, source="quiet") for minutes in range(3))

    assert store.holding.prune("quarantine", before=LONG_AGO, per_source=3) == 117

    assert ids(store.holding.list("quarantine", source="github")) == ["loud119", "loud118", "loud117"]
    assert ids(store.holding.list("quarantine", source="quiet")) == ["quiet0", "quiet1", "quiet2"]


def test_keeping_at_once_loses_nothing_and_keeps_one_of_the_same(store: Store) -> None:
    batches = [[thing(f"own{number}", number), thing("same", 100, doc=str(number))] for number in range(12)]

    at_once(store.holding.put, batches)

    found = store.holding.list("quarantine")
    assert ids(found) == ["same", *(f"own{number}" for number in reversed(range(12)))]
    assert found[0].doc in {str(number) for number in range(12)}


def test_of_many_who_take_away_at_once_one_is_told_that_he_did(store: Store) -> None:
    store.holding.put([thing()])

    taken = at_once(lambda _: store.holding.remove("quarantine", "one"), range(6))

    assert sorted(taken) == [False] * 5 + [True]


def test_what_an_alert_knows_of_its_copies_comes_back(store: Store) -> None:
    written = new_alert(
        origin="https://am.example:9093",
        status_seen_at={("pager", None): NOW, ("jira", None): NOW + MINUTE, ("jira", EventStatus.RESOLVED): NOW},
        mirrored_at={("jira", "pager"): (NOW, NOW + timedelta(microseconds=1)), ("mail", "sms"): ()},
    )

    stored = commit(store, opening(written))

    assert stored == replace(written, revision=1)
    assert store.get([written.key]) == {written.key: stored}


def test_what_a_link_knows_of_our_own_writes_comes_back(store: Store) -> None:
    alert = opened(store)
    delivery = claim_one(store)
    sent = {Status.ACKNOWLEDGED: NOW, Status.RESOLVED: NOW + MINUTE}
    link = link_of(delivery, sent=sent, updated_at=NOW + 2 * MINUTE, closed=True)

    store.settle(delivery, Settled(link=link), NOW)

    assert store.link_by("slack", "T-1") == link
    assert store.links([alert.key]) == {alert.key: [link]}
