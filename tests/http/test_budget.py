"""The time that the calls of one piece of work may take together."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

from service_event_checker.http import budget


def test_without_a_bound_there_is_no_end():
    assert budget.left() == math.inf


def test_a_bound_within_a_bound_makes_it_no_longer():
    with budget.limit(4):
        with budget.limit(60):
            assert budget.left() <= 4
        with budget.limit(1):
            assert budget.left() <= 1
        assert 1 < budget.left() <= 4

    assert budget.left() == math.inf


def test_a_bound_is_of_its_own_thread():
    with budget.limit(4), ThreadPoolExecutor(1) as pool:
        assert pool.submit(budget.left).result() == math.inf
