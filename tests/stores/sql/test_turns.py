"""Writers of one process take turns in the order in which they came."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from service_event_checker.core.errors import StoreError
from service_event_checker.stores.sql.turns import Turns
from tests.factories import NOW
from tests.stores.conftest import sqlite_store
from tests.stores.steps import at_once, new_alert, opening


def in_line(turns: Turns[int, int], name: str, served: list[str]) -> threading.Thread:
    """Start a thread that waits for its turn, and return when it stands in the line."""
    before = len(turns._waiting)

    def wait() -> None:
        with turns.turn(5):
            served.append(name)

    thread = threading.Thread(target=wait)
    thread.start()
    until_in_line(turns, before + 1)
    return thread


def until_in_line(turns: Turns[Any, Any], number: int) -> float:
    """Return when so many wait."""
    until = monotonic() + 5
    while len(turns._waiting) < number and monotonic() < until:
        continue
    return monotonic()


def test_they_are_served_in_the_order_in_which_they_came() -> None:
    turns, served = Turns[int, int](), list[str]()
    with turns.turn(5):
        threads = [in_line(turns, name, served) for name in "abcdef"]

    for thread in threads:
        thread.join()
    assert served == list("abcdef")


def test_one_that_lost_patience_leaves_the_line_and_holds_up_nobody() -> None:
    turns, served = Turns[int, int](), list[str]()
    with turns.turn(5):
        with pytest.raises(StoreError, match="other writers"), turns.turn(0.01):
            pass
        thread = in_line(turns, "next", served)

    thread.join()
    assert served == ["next"]


def test_the_time_that_it_waited_is_taken_off_what_is_left() -> None:
    turns, left = Turns[int, int](), list[float]()

    def wait() -> None:
        with turns.turn(5) as rest:
            left.append(rest)

    with turns.turn(5):
        thread = threading.Thread(target=wait)
        thread.start()
        begun = until_in_line(turns, 1)
        while (waited := monotonic() - begun) < 0.01:
            continue
    thread.join()

    assert 0 < left[0] <= 5 - waited


def test_a_turn_that_fails_is_passed_on() -> None:
    turns = Turns[int, int]()
    with pytest.raises(ValueError, match="x"), turns.turn(5):
        raise ValueError("x")

    with turns.turn(0.01) as left:
        assert left >= 0


def test_eight_clients_with_a_hundred_alerts_each_are_all_served_without_one_of_them_waiting_for_all_rounds(
    tmp_path: Path,
) -> None:
    store = sqlite_store(tmp_path / "checker.db")
    longest: list[float] = []

    def send(client: int) -> None:
        for round in range(3):
            writes = [opening(new_alert(f"{client}-{round}-{number}")) for number in range(100)]
            begun = monotonic()
            store.commit(writes, NOW)
            longest.append(monotonic() - begun)

    begun = monotonic()
    at_once(send, range(8))
    whole = monotonic() - begun

    assert max(longest) < whole * 0.75  # a lottery lets somebody wait for nearly all of it
    store.close()


def test_who_has_the_turn_does_the_work_of_those_behind_in_one_go() -> None:
    turns: Turns[int, int] = Turns()
    calls: list[list[int]] = []

    def doubled(work: Sequence[int], _: float) -> list[int]:
        calls.append(list(work))
        return [2 * number for number in work]

    with ThreadPoolExecutor(8) as threads:
        with turns.turn(5):
            asked = [threads.submit(turns.together, [number, number + 10], 5, doubled) for number in range(4)]
            until_in_line(turns, 4)
        found = [each.result() for each in asked]

    assert found == [[2 * number, 2 * (number + 10)] for number in range(4)]
    assert len(calls) == 1
    assert sorted(calls[0]) == [0, 1, 2, 3, 10, 11, 12, 13]


def test_an_error_of_the_common_work_reaches_all_whose_work_it_was() -> None:
    turns: Turns[int, int] = Turns()

    def fails(work: Sequence[int], _: float) -> list[int]:
        raise StoreError(f"away with {len(work)}")

    with ThreadPoolExecutor(8) as threads:
        with turns.turn(5):
            asked = [threads.submit(turns.together, [number], 5, fails) for number in range(3)]
            until_in_line(turns, 3)
        errors = [each.exception() for each in asked]

    assert [str(error) for error in errors] == ["away with 3"] * 3
    assert turns.together([1], 5, lambda work, _: list(work)) == [1]


def test_work_that_is_under_way_is_waited_for_beyond_its_own_patience() -> None:
    turns: Turns[str, str] = Turns()
    begun, go_on = threading.Event(), threading.Event()

    def slow(work: Sequence[str], _: float) -> list[str]:
        begun.set()
        go_on.wait(5)
        return [name.upper() for name in work]

    with ThreadPoolExecutor(8) as threads:
        with turns.turn(5):
            first = threads.submit(turns.together, ["a"], 5, slow)
            until_in_line(turns, 1)
            second = threads.submit(turns.together, ["b"], 0.05, slow)
            until_in_line(turns, 2)
        begun.wait(5)
        until = monotonic() + 0.1  # longer than the patience of the second
        while monotonic() < until:
            continue
        assert not second.done()
        go_on.set()

        assert [first.result(), second.result()] == [["A"], ["B"]]


def test_a_claim_in_between_keeps_its_place_while_commits_are_taken_along() -> None:
    turns: Turns[int, int] = Turns()
    order: list[str] = []

    def note(work: Sequence[int], _: float) -> list[int]:
        order.append(f"work {sorted(work)}")
        return list(work)

    with ThreadPoolExecutor(8) as threads:
        with turns.turn(5):
            asked = [threads.submit(turns.together, [1], 5, note)]
            until_in_line(turns, 1)
            claim = in_line(turns, "claim", order)
            asked.append(threads.submit(turns.together, [2], 5, note))
            until_in_line(turns, 3)
        assert [each.result() for each in asked] == [[1], [2]]
        claim.join()

    assert order == ["work [1, 2]", "claim"]
