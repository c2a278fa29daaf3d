"""Random histories on both sides of the pager mirror, a thousand in all, as config.json mirrors them.

People open, acknowledge, take back, note and end, on both sides at once; an acknowledgement times out; webhooks come
late, twice and in another order, and some never. What must hold at the end is in `Mirrored.check`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from service_event_checker.stores.sql.tables import metadata
from tests.engine.mirrors.mirrored import ACTS, LOST, Mirrored, Step, Weather
from tests.process import Death
from tests.strategies import REPEATABLE

pytestmark = pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)
HISTORIES = 500  # of each kind
STRIDE = 5  # one crash point in five; each is a history of its own
DAY = [
    Step("ops note", 0, 1, 1),
    Step("ops ack", 0, 20, 1),
    Step("pager time-out", 0, 20, 0),
    Step("ops ack", 0, 1, 1),
    Step("pager note", 0, 20, 1),
    Step("create", 0, 1, 0),
    Step("ops ack", 1, 1, 1),
    Step("pager unack", 0, 20, 1),
    Step("pager ack", 0, 1, 0),
    Step("ops unack", 0, 1, 1),
    Step("pager resolve", 0, 20, 0),
    Step("pager reopen taken", 0, 90, 1),
    Step("ops close", 1, 1, 1),
]


def histories() -> st.SearchStrategy[list[Step]]:
    steps = st.builds(
        Step,
        act=st.sampled_from(ACTS),
        thing=st.integers(0, 1),
        wait=st.sampled_from((0, 1, 20, 90)),
        work=st.sampled_from((0, 1, 3)),
    )
    return st.lists(steps, min_size=2, max_size=12)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
def empty_store(fresh_store: Callable[[], Any]) -> Callable[[], Any]:
    """A function that empties one store: making a new one costs as much as a history."""
    store = fresh_store()

    def emptied() -> Any:
        with store.engine.begin() as connection:
            for table in metadata.sorted_tables:
                connection.execute(table.delete())
        return store

    return emptied


@settings(REPEATABLE, max_examples=HISTORIES)
@given(steps=histories(), seed=st.integers(0, 10**6), nobody=st.booleans())
def test_histories_come_to_rest_and_agree_as_the_mirrors_allow(empty_store, steps, seed, nobody):
    mirrored = Mirrored(empty_store(), Weather(seed, nobody=nobody))
    mirrored.live(steps)
    mirrored.check()


@settings(REPEATABLE, max_examples=HISTORIES)
@given(steps=histories(), seed=st.integers(0, 10**6), nobody=st.booleans())
def test_one_reconciliation_mends_what_lost_webhooks_have_left(empty_store, steps, seed, nobody):
    mirrored = Mirrored(empty_store(), Weather(seed, LOST, nobody))
    mirrored.live(steps)

    assert mirrored.reconcile() == []
    mirrored.check()


def test_a_process_that_dies_anywhere_loses_and_doubles_nothing(empty_store):
    def day(death: Death) -> None:
        mirrored = Mirrored(empty_store(), Weather(3, LOST), death)
        mirrored.live(DAY)
        assert mirrored.reconcile() == []
        mirrored.check()

    whole = Death()
    day(whole)
    for point in range(1, len(whole.calls) + 1, STRIDE):
        day(Death(at=point, after=point % 2 == 0))
