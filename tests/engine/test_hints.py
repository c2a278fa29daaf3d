"""A hint that a page has changed: the page is polled soon after it, at most once in 30 s, whatever runs meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import Slot
from service_event_checker.engine.hints import hint
from service_event_checker.engine.polling import Poller
from service_event_checker.stores.sql.store import SqlStore
from tests.engine.polls import EVERY, LEASE, World
from tests.factories import NOW


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def polled(world: World) -> World:
    """The page was polled ten seconds ago and is due in fifty."""
    world.clock.now = later(-10)
    world.poll()
    world.clock.now = NOW
    return world


class MeanwhileStore:
    """A store in which something happens just before its n-th call."""

    def __init__(self, store: SqlStore, at_call: int, process: Poller, running: Slot) -> None:
        self._store = store
        self._left = at_call
        self._process = process
        self._running = running
        self.happened = False

    def slots(self) -> dict[str, Slot]:
        self._count()
        return self._store.slots()

    def put_slot(self, slot: Slot) -> Slot | None:
        self._count()
        return self._store.put_slot(slot)

    def setting(self, name: str) -> str | None:
        self._count()
        return self._store.setting(name)

    def set_setting(self, name: str, value: str, *, only_if_new: bool = False) -> str:
        self._count()
        return self._store.set_setting(name, value, only_if_new=only_if_new)

    def _count(self) -> None:
        if self._left == 0:
            self._process.poll(self._running)
            self.happened = True
        self._left -= 1


class TestAPageThatIsNotPolledNow:
    def test_is_due_at_once(self, polled: World) -> None:
        assert hint(polled.store, "github", NOW) == NOW

        assert polled.slot.due_at == NOW

    def test_hints_in_a_row_cost_one_poll_in_thirty_seconds_and_the_last_is_not_lost(self, polled: World) -> None:
        hint(polled.store, "github", NOW)
        polled.poll(after=timedelta(seconds=1))

        assert [hint(polled.store, "github", later(seconds)) for seconds in (5, 10, 29)] == [later(30)] * 3

        assert polled.slot.due_at == later(30)

    def test_a_poll_before_the_hinted_one_does_not_replace_it(self, polled: World) -> None:
        hint(polled.store, "github", NOW)
        polled.poll(after=timedelta(seconds=1))
        hint(polled.store, "github", later(5))
        polled.clock.now = later(10)

        polled.process().check_now("github")

        assert polled.slot.due_at == later(30)

    def test_a_hint_after_thirty_quiet_seconds_is_followed_at_once(self, polled: World) -> None:
        hint(polled.store, "github", NOW)
        polled.poll(after=timedelta(seconds=1))

        assert hint(polled.store, "github", later(31)) == later(31)

    def test_nothing_changes_where_it_is_due_anyway(self, world: World) -> None:
        assert hint(world.store, "github", NOW) == NOW  # never polled before
        world.store.put_slot(Slot(name="github", due_at=later(-1)))

        hint(world.store, "github", NOW)

        assert world.slot.due_at == later(-1)

    def test_many_hints_at_once_are_one_poll(self, polled: World) -> None:
        revision = polled.slot.revision

        with ThreadPoolExecutor(8) as pool:
            when = set(pool.map(lambda _: hint(polled.store, "github", NOW), range(16)))

        assert when == {NOW}
        assert polled.slot.revision == revision + 1


class TestAPageThatIsPolledNow:
    def test_can_be_reported_and_is_due_again_after_that(self, world: World) -> None:
        world.page.meanwhile = lambda: (
            world.clock.advance(timedelta(seconds=2)),
            hint(world.store, "github", later(2)),
        )

        world.poll()

        assert world.slot.last_success_at == later(2)
        assert world.slot.due_at == later(2)

    def test_is_due_again_where_it_cannot_be_read(self, world: World) -> None:
        world.page.error = SourceError("github", Reason.TIMEOUT)
        world.page.meanwhile = lambda: hint(world.store, "github", later(2))

        world.poll()

        assert world.slot.failures == 1
        assert world.slot.due_at == later(2)

    def test_a_second_hint_does_not_delay_the_first(self, world: World) -> None:
        world.page.meanwhile = lambda: [hint(world.store, "github", later(seconds)) for seconds in (2, 3, 35)]

        world.poll()

        assert world.slot.due_at == later(2)

    def test_a_hinted_poll_is_followed_by_the_next_after_thirty_seconds(self, polled: World) -> None:
        hint(polled.store, "github", NOW)
        polled.page.meanwhile = lambda: hint(polled.store, "github", later(5))

        polled.poll()

        assert polled.slot.due_at == later(30)

    def test_a_hint_of_before_its_start_is_not_followed_again(self, polled: World) -> None:
        hint(polled.store, "github", NOW)

        polled.poll(after=timedelta(seconds=1))

        assert polled.slot.due_at == later(1) + EVERY

    def test_a_poll_that_died_does_not_stop_later_hints(self, world: World) -> None:
        assert world.process().take_due()
        hint(world.store, "github", later(1))
        over = NOW + LEASE
        world.store.put_slot(replace(world.slot, due_at=over + EVERY))

        hint(world.store, "github", over)

        assert world.slot.due_at <= over

    def test_no_moment_at_which_it_reports_loses_the_hint(self, world: World) -> None:
        moments = 0
        for moment in range(20):
            world.clock.advance(timedelta(hours=1))
            process = world.process()
            (running,) = process.take_due()
            world.clock.advance(timedelta(seconds=1))
            store = MeanwhileStore(world.store, moment, process, running)

            at = hint(store, "github", world.clock.now)
            if not store.happened:
                process.poll(running)

            assert world.slot.due_at <= at == world.clock.now
            moments += store.happened
        assert moments >= 4
