"""Writers on PostgreSQL that come between what another one has read and what it writes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Table, select, text

from service_event_checker.core.errors import LeaseLost
from service_event_checker.core.store import Done, Failed, Settled
from service_event_checker.core.vocabulary import Verb
from service_event_checker.stores.sql.address import database_address
from service_event_checker.stores.sql.store import SqlStore
from service_event_checker.stores.sql.tables import alerts, lanes
from tests.factories import NOW
from tests.stores.steps import claim_one, commit, ending, new_alert, opened, opening

pytestmark = pytest.mark.real

WAIT_SECONDS = 3.0
_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[SqlStore]:
    made = SqlStore(database_address(request.getfixturevalue("postgresql").new_database()))
    made.prepare()
    yield made
    made.close()


@contextmanager
def locked(store: SqlStore, table: Table) -> Iterator[None]:
    """Hold all rows of a table, as another process may that writes them."""
    with store.engine.begin() as connection:
        connection.execute(select(table).with_for_update())
        yield


def wait_for_writers(store: SqlStore, number: int) -> bool:
    """Return whether so many writers wait for a lock soon."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        with store.engine.connect() as connection:
            if connection.scalar(_WAITING) == number:
                return True
    return False


def test_an_end_does_not_take_back_an_open_that_is_begun_meanwhile(store: SqlStore) -> None:
    """Otherwise the pager's incident is made, and nothing is left that ends it."""
    alert = commit(store, opening(new_alert(), ("pager",), cancels=True))
    held = claim_one(store, "pager")
    with ThreadPoolExecutor(2) as pool:
        with locked(store, alerts):
            end = pool.submit(store.commit, [ending(alert, ("pager",), cancels=True)], NOW)
            assert wait_for_writers(store, 1)  # it has read what waits
            begin = pool.submit(store.intend, held, NOW)
            wait_for_writers(store, 2)
        assert isinstance(end.result()[0], Done)
        with pytest.raises(LeaseLost):
            begin.result()

    assert store.waiting() == 0


def test_a_failed_delivery_that_two_people_send_again_is_sent_again_once(store: SqlStore) -> None:
    alert = opened(store)
    store.settle(claim_one(store), Failed(reason="refused"), NOW)
    (failed,) = store.failed_deliveries()
    with ThreadPoolExecutor(2) as pool:
        with locked(store, lanes):
            both = [pool.submit(store.requeue, failed.id, NOW) for _ in range(2)]
            assert wait_for_writers(store, 2)
        assert sorted(each.result() for each in both) == [False, True]

    again = claim_one(store)
    assert (again.verb, again.key) == (Verb.OPEN, alert.key)
    store.settle(again, Settled(), NOW)
    assert store.waiting() == 0
