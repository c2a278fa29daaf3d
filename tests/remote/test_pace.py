"""The pauses that a system asks for, and the time that one thread's calls may take."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.remote.pace import Pace


def test_a_pause_holds_for_all_threads_and_says_how_long():
    pace = Pace("Jira", timeout=5)
    pace.pause(20)
    pace.pause(1)
    pace.pause(None)

    with ThreadPoolExecutor(1) as pool, pytest.raises(DeliveryError) as told:
        pool.submit(pace.wait_if_told).result()

    assert told.value.reason is Reason.RATE_LIMITED
    assert 19 < (told.value.retry_after or 0) <= 20


def test_without_a_pause_nobody_waits():
    Pace("Jira", timeout=5).wait_if_told()


def test_a_call_that_might_end_too_late_is_not_begun():
    pace = Pace("Jira", timeout=5)

    with pace.within(6):
        pace.begin()
    with pace.within(4), pytest.raises(DeliveryError) as told:
        pace.begin()
    pace.begin()

    assert (told.value.reason, told.value.permanent) == (Reason.TIMEOUT, False)


def test_a_bound_within_a_bound_makes_it_no_longer():
    pace = Pace("Jira", timeout=5)

    with pace.within(4):
        with pace.within(60), pytest.raises(DeliveryError):
            pace.begin()
        with pytest.raises(DeliveryError):
            pace.begin()


def test_a_bound_is_of_its_own_thread():
    pace = Pace("Jira", timeout=5)

    with pace.within(4), ThreadPoolExecutor(1) as pool:
        pool.submit(pace.begin).result()
