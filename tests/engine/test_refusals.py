"""What is remembered of refusals: for how long, and how much at most."""

from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from service_event_checker.engine.refusals import MINUTE, REMEMBERED_MAX, SHOWN_FOR, TRIES_MAX, Refusal, Refusals
from tests.factories import NOW
from tests.sink import Clock

WRONG = Refusal.WRONG_TOKEN


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_line_a_minute_says_how_many_there_were(clock: Clock) -> None:
    refusals = Refusals(clock.seconds)
    with capture_logs() as lines:
        for _ in range(3):
            refusals.note("api", "", WRONG, "192.0.2.1", NOW)
        clock.advance(MINUTE)
        refusals.note("api", "", WRONG, "192.0.2.1", NOW)

    assert [line["times"] for line in lines] == [1, 3]


def test_a_peer_is_free_again_a_minute_after_its_guesses(clock: Clock) -> None:
    refusals = Refusals(clock.seconds)
    for _ in range(TRIES_MAX):
        refusals.note("api", "", WRONG, "192.0.2.1", NOW)
    assert not refusals.too_many("192.0.2.1")

    refusals.note("api", "", WRONG, "192.0.2.1", NOW)
    assert refusals.too_many("192.0.2.1")
    clock.advance(MINUTE)
    assert not refusals.too_many("192.0.2.1")


def test_what_shows_no_secret_is_not_a_guess(clock: Clock) -> None:
    refusals = Refusals(clock.seconds)
    for _ in range(2 * TRIES_MAX):
        refusals.note("api", "", Refusal.MISSING_TOKEN, "192.0.2.1", NOW)

    assert not refusals.too_many("192.0.2.1")


def test_an_hour_after_the_last_try_it_is_no_longer_shown(clock: Clock) -> None:
    refusals = Refusals(clock.seconds)
    refusals.note("alert", "alertmanager", WRONG, "192.0.2.1", NOW)

    assert [tries.count for tries in refusals.lately(NOW + SHOWN_FOR)] == [1]
    later = NOW + SHOWN_FOR + timedelta(seconds=1)
    assert refusals.lately(later) == []
    refusals.note("alert", "alertmanager", WRONG, "192.0.2.1", later)
    assert [(tries.count, tries.since) for tries in refusals.lately(later)] == [(1, later)]


def test_peers_without_number_fill_no_memory(clock: Clock) -> None:
    refusals = Refusals(clock.seconds)
    for number in range(2 * REMEMBERED_MAX):
        refusals.note("api", "", WRONG, f"peer {number}", NOW)

    assert len(refusals.lately(NOW)) == REMEMBERED_MAX
