"""Writers of one process take turns in the order in which they came."""

from __future__ import annotations

import threading
from pathlib import Path
from time import monotonic

import pytest

from service_event_checker.core.errors import StoreError
from service_event_checker.stores.sql.turns import Turns
from tests.factories import NOW
from tests.stores.conftest import sqlite_store
from tests.stores.steps import at_once, new_alert, opening


def in_line(turns: Turns, name: str, served: list[str]) -> threading.Thread:
    """Start a thread that waits for its turn, and return when it stands in the line."""
    before = len(turns._waiting)

    def wait() -> None:
        with turns.turn(5):
            served.append(name)

    thread = threading.Thread(target=wait)
    thread.start()
    until_in_line(turns, before + 1)
    return thread


def until_in_line(turns: Turns, number: int) -> float:
    """Return when so many wait."""
    until = monotonic() + 5
    while len(turns._waiting) < number and monotonic() < until:
        continue
    return monotonic()


def test_they_are_served_in_the_order_in_which_they_came() -> None:
    turns, served = Turns(), list[str]()
    with turns.turn(5):
        threads = [in_line(turns, name, served) for name in "abcdef"]

    for thread in threads:
        thread.join()
    assert served == list("abcdef")


def test_one_that_lost_patience_leaves_the_line_and_holds_up_nobody() -> None:
    turns, served = Turns(), list[str]()
    with turns.turn(5):
        with pytest.raises(StoreError, match="other writers"), turns.turn(0.01):
            pass
        thread = in_line(turns, "next", served)

    thread.join()
    assert served == ["next"]


def test_the_time_that_it_waited_is_taken_off_what_is_left() -> None:
    turns, left = Turns(), list[float]()

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
    turns = Turns()
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
