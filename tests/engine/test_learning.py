"""What people say of causes weighs for later alerts of the service: small steps, bounded, halved every 60 days."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service_event_checker.core.correlate import LEARNED_MAX
from service_event_checker.engine.learning import HALF_LIFE, PAIRS_MAX, STEP, learn, learned
from tests.factories import NOW
from tests.stores.memory import MemoryStore

PAIR = ("stripe", "shop")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.mark.parametrize("direction", [1, -1])
def test_each_vote_is_a_small_step_and_many_are_bounded(store: MemoryStore, direction: int) -> None:
    learn(store, [(PAIR, direction)], NOW)
    once = learned(store, NOW)
    for _ in range(20):
        learn(store, [(PAIR, direction)], NOW)

    assert once == {PAIR: STEP * direction}
    assert learned(store, NOW) == {PAIR: LEARNED_MAX * direction}


def test_what_was_learned_is_halved_every_60_days_and_then_forgotten(store: MemoryStore) -> None:
    learn(store, [(PAIR, 1)], NOW)

    assert learned(store, NOW + HALF_LIFE)[PAIR] == pytest.approx(STEP / 2)
    assert learned(store, NOW + 6 * HALF_LIFE) == {}
    assert learned(store, NOW - timedelta(days=1)) == {PAIR: STEP}


def test_steps_of_one_pair_say_nothing_of_others(store: MemoryStore) -> None:
    learn(store, [(PAIR, 1), (("github", "ci"), -1)], NOW)
    learn(store, [(("github", "ci"), 1)], NOW)

    assert learned(store, NOW) == {PAIR: STEP}


def test_the_strongest_pairs_are_kept(store: MemoryStore) -> None:
    learn(store, [(PAIR, 2)], NOW)
    learn(store, [(("v", str(number)), 1) for number in range(PAIRS_MAX + 10)], NOW)

    assert len(learned(store, NOW)) == PAIRS_MAX
    assert learned(store, NOW)[PAIR] == 2 * STEP
