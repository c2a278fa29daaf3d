"""The pauses that a system asks for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.remote.pauses import Pauses


def test_a_pause_holds_for_all_threads_and_says_how_long():
    pauses = Pauses("Jira")
    pauses.add(20)
    pauses.add(1)
    pauses.add(None)

    with ThreadPoolExecutor(1) as pool, pytest.raises(DeliveryError) as told:
        pool.submit(pauses.raise_if_paused).result()

    assert told.value.reason is Reason.RATE_LIMITED
    assert 19 < (told.value.retry_after or 0) <= 20


def test_without_a_pause_nobody_waits():
    Pauses("Jira").raise_if_paused()
