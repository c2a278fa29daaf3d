"""What every store promises of silences: to keep them, to say which are not over, to count what they hold back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from service_event_checker.core.roles import Store
from service_event_checker.core.silences import Silence
from tests.factories import NIGHTS, NOW, silence
from tests.stores.steps import at_once, commit, new_alert, opening

HOUR = timedelta(hours=1)


def put(store: Store, wanted: Silence) -> Silence:
    stored = store.silences.put(wanted)
    assert stored
    return stored


def test_a_silence_is_read_back_as_it_was_written(store: Store) -> None:
    stored = put(store, silence(repeat=NIGHTS))

    assert stored == silence(repeat=NIGHTS, revision=1)
    assert store.silences.get("S-1") == stored
    assert list(store.silences.list()) == [stored]
    assert list(store.silences.live(NOW)) == [stored]


def test_an_empty_store_has_no_silences(store: Store) -> None:
    assert (list(store.silences.live(NOW)), list(store.silences.list())) == ([], [])
    assert (store.silences.get("S-1"), store.silences.get("no/'id"), store.silences.prune(NOW)) == (None, None, 0)


def test_what_is_over_is_kept_and_not_live(store: Store) -> None:
    over = put(store, silence("S-over", ends_at=NOW - HOUR))
    future = put(store, silence("S-future", starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR))

    assert list(store.silences.live(NOW)) == [future]
    assert list(store.silences.list()) == [future, over]
    assert list(store.silences.list(limit=1)) == [future]


def test_a_change_is_seen_by_who_has_read_before(store: Store) -> None:
    stored = put(store, silence())
    assert list(store.silences.live(NOW)) == [stored]

    ended = put(store, replace(stored, ends_at=NOW, ended_by="Bob"))

    assert list(store.silences.live(NOW)) == []
    assert store.silences.get("S-1") == ended


def test_a_write_of_what_was_changed_meanwhile_is_refused(store: Store) -> None:
    stored = put(store, silence())
    put(store, replace(stored, reason="longer"))

    assert store.silences.put(replace(stored, reason="late")) is None
    assert store.silences.put(silence(reason="new")) is None
    assert store.silences.put(silence("S-gone", revision=3)) is None
    assert [each.reason for each in store.silences.list()] == ["longer"]


def test_of_eight_that_change_the_same_silence_one_is_done(store: Store) -> None:
    stored = put(store, silence())

    results = at_once(lambda n: store.silences.put(replace(stored, reason=f"by {n}")), range(8))

    (done,) = [result for result in results if result]
    assert store.silences.get("S-1") == done


def test_what_ended_long_ago_is_pruned(store: Store) -> None:
    put(store, silence("S-old", ends_at=NOW - 3 * HOUR))
    kept = put(store, silence("S-new", ends_at=NOW - HOUR))

    assert store.silences.prune(NOW - 2 * HOUR) == 1
    assert store.silences.prune(NOW - 2 * HOUR) == 0
    assert list(store.silences.list()) == [kept]


def test_the_alerts_that_it_withholds_are_counted(store: Store) -> None:
    stored = put(store, silence())
    put(store, silence("S-2"))
    writes = [replace(opening(new_alert(f"alert-{n}")), silenced_by="S-1" if n else "S-9") for n in range(4)]

    store.commit(writes, NOW)
    store.commit(writes, NOW)  # conflicts: they were counted

    assert [store.silences.get(id) for id in ("S-1", "S-2")] == [replace(stored, hits=3), silence("S-2", revision=1)]
    assert list(store.silences.live(NOW))


def test_a_change_keeps_the_hits_that_were_counted_meanwhile(store: Store) -> None:
    stored = put(store, silence())
    commit(store, replace(opening(new_alert()), silenced_by="S-1"))

    put(store, replace(stored, reason="longer"))

    found = store.silences.get("S-1")
    assert found
    assert (found.hits, found.reason) == (1, "longer")


def test_hits_that_are_counted_at_once_are_all_counted(store: Store) -> None:
    put(store, silence())
    writes = [replace(opening(new_alert(f"alert-{n}")), silenced_by="S-1") for n in range(4)]

    at_once(lambda write: store.commit([write], NOW), writes)

    found = store.silences.get("S-1")
    assert found
    assert found.hits == 4


def test_far_times_are_stored(store: Store) -> None:
    far = silence(starts_at=datetime(1970, 1, 2, tzinfo=UTC), ends_at=datetime(9998, 1, 1, tzinfo=UTC))

    assert list(store.silences.live(NOW)) == []
    assert put(store, far) == store.silences.get("S-1")
