"""What every store promises of the audit: one unbroken chain, whoever appends, and nothing lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service_event_checker.core.audit import WHAT_MAX, Anchor, Flaw, checkpoint, verify
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.roles import Store
from tests.factories import NOW
from tests.stores.steps import at_once

MINUTE = timedelta(minutes=1)


def append(store: Store, number: int) -> int:
    return store.audit.append(f"person {number}", {"step": number}, NOW + number * MINUTE).number


def test_an_audit_without_rows_has_no_head(store: Store) -> None:
    assert store.audit.head() is None
    assert store.audit.list() == []


def test_rows_come_back_as_they_were_appended(store: Store) -> None:
    what = {"output": "\ud800 \0 \U0001f525 東京 %s", "argv": ["systemctl", "restart", "nginx"], "code": 0, "ok": None}
    at = NOW + timedelta(microseconds=1)

    first = store.audit.append("O'Brien \U0001f525\0\ud800", what, at)
    second = store.audit.append("nobody" * 100, {}, NOW - MINUTE)

    assert store.audit.list() == [first, second]
    assert (first.number, first.at, second.previous) == (1, at, first.hash)
    assert store.audit.head() == second.anchor
    assert verify(store.audit.list()).broken == ()


def test_the_largest_row_comes_back_as_it_was(store: Store) -> None:
    noise = "".join(f"{number * number * 7919 % 999_983:06d}" for number in range(50_000))
    output = noise[: WHAT_MAX - len('{"output":""}')]

    row = store.audit.append("ann", {"output": output}, NOW)

    assert store.audit.list() == [row]
    with pytest.raises(InvalidInput, match="shorten the output"):
        store.audit.append("ann", {"output": output + "1"}, NOW)
    assert store.audit.head() == row.anchor


def test_rows_are_listed_by_number_in_pages(store: Store) -> None:
    for number in range(1, 13):
        append(store, number)

    assert [row.number for row in store.audit.list(limit=5)] == [1, 2, 3, 4, 5]
    assert [row.number for row in store.audit.list(after=8, limit=5)] == [9, 10, 11, 12]
    assert store.audit.list(after=12) == []
    assert store.audit.list(limit=0) == []


def test_threads_that_append_at_once_make_one_unbroken_chain(store: Store) -> None:
    numbers = at_once(lambda number: append(store, number), range(24))

    assert sorted(numbers) == list(range(1, 25))
    found = verify(store.audit.list(), [head_of(store)])
    assert (found.rows, found.broken) == (24, ())
    assert sorted(row.actor for row in store.audit.list()) == sorted(f"person {number}" for number in range(24))


def test_rows_up_to_a_number_are_dropped_and_the_chain_goes_on(store: Store) -> None:
    for number in range(1, 6):
        append(store, number)
    third = store.audit.list()[2]

    store.audit.append("retention", checkpoint(third.anchor), NOW)
    store.audit.drop(third.number)
    store.audit.drop(third.number)
    append(store, 7)

    assert [row.number for row in store.audit.list()] == [4, 5, 6, 7]
    assert verify(store.audit.list(), [third.anchor, head_of(store)]).broken == ()


def test_many_rows_are_dropped_from_the_oldest_on(store: Store) -> None:
    for number in range(1, 121):
        append(store, number)

    store.audit.drop(119)

    assert [row.number for row in store.audit.list()] == [120]
    assert [each.flaw for each in verify(store.audit.list()).broken] == [Flaw.BEGINNING]


def head_of(store: Store) -> Anchor:
    head = store.audit.head()
    assert head
    return head
