"""Each source is asked once per interval, however many processes there are; unknown is not over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest
from structlog.testing import capture_logs

from service_event_checker.config.models import Selection
from service_event_checker.core.errors import Reason, SourceError, StoreConflict, StoreError
from service_event_checker.core.model import Alert, Event, PlannedWork, Slot, Snapshot
from service_event_checker.core.roles import Silences
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.store import Conflict, Done, IdTaken, Write
from service_event_checker.core.vocabulary import Affects, EventStatus, Kind, ResolvedBy, Severity, Status, Why
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.polling import BACK_OFF_MAX, DISMISSED_MAX, JITTER, Poller
from service_event_checker.engine.selection import not_listed
from service_event_checker.metrics import REGISTRY
from service_event_checker.stores import codec
from service_event_checker.stores.sql.store import SqlStore
from tests.engine.polls import BOOK, EVERY, LEASE, World
from tests.factories import NOW, event


def of_a_dead_process(owner: str) -> str:
    """The same process number, which another process had before."""
    return f"{owner.rpartition(' ')[0]} 1"


class TestSlots:
    def test_a_checker_is_due_at_once_and_then_after_its_interval(self, world: World) -> None:
        world.poll()

        assert world.process().take_due() == []
        world.clock.advance(EVERY - timedelta(seconds=1))
        assert world.process().take_due() == []
        world.clock.advance(timedelta(seconds=1))
        assert len(world.process().take_due()) == 1

    def test_two_processes_poll_each_slot_once(self, world: World) -> None:
        one, two = world.process(), world.process()

        for _ in range(3):
            for slot in [*one.take_due(), *two.take_due()]:
                one.poll(slot)
            world.clock.advance(EVERY)

        assert len(world.page.asked) == 3

    def test_a_process_that_reads_the_slot_too_late_does_not_take_it(self, world: World) -> None:
        """The other one is faster between the look and the write."""
        store, faster = world.store, world.process()

        class Late:
            def slots(self) -> dict[str, Slot]:
                seen = store.slots()
                faster.take_due()
                return seen

            def put_slot(self, slot: Slot) -> Slot | None:
                return store.put_slot(slot)

        late = world.process()
        late.store = Late()  # type: ignore[assignment]  # what taking a slot uses of it

        assert late.take_due() == []
        world.clock.advance(LEASE)
        assert late.take_due() == []

    def test_intervals_are_spread_so_that_checkers_do_not_call_in_step(self, world: World) -> None:
        process = Poller(
            world.store, Pipeline(world.store, BOOK), world.process().watches, clock=world.clock, jitter=lambda: 1.0
        )

        (slot,) = process.take_due()

        assert slot.due_at == NOW + EVERY * (1 + JITTER)

    def test_a_poll_that_died_frees_its_slot_when_its_lease_is_over(self, world: World) -> None:
        world.process().take_due()

        world.clock.advance(LEASE - timedelta(seconds=1))
        assert world.process().take_due() == []
        world.clock.advance(timedelta(seconds=1))
        assert len(world.process().take_due()) == 1

    def test_a_poll_whose_process_was_killed_frees_its_slot_at_once(self, world: World) -> None:
        world.process().take_due()
        assert world.process().take_due() == []

        world.store.put_slot(replace(world.slot, owner=of_a_dead_process(world.slot.owner)))

        assert world.process().due() == ["github"]
        assert len(world.process().take_due()) == 1
        assert world.process().take_due() == []

    def test_the_owner_of_an_older_version_keeps_the_slot_until_its_lease_is_over(self, world: World) -> None:
        world.process().take_due()
        world.store.put_slot(replace(world.slot, owner="0123456789abcdef0123456789abcdef"))

        assert world.process().take_due() == []
        world.clock.advance(LEASE)
        assert len(world.process().take_due()) == 1

    def test_a_poll_that_hung_does_not_overwrite_what_another_has_reported(self, world: World) -> None:
        def hang() -> None:
            world.page.meanwhile = lambda: None
            world.clock.advance(LEASE)
            world.poll()
            world.page.error = SourceError("github", Reason.TIMEOUT)

        world.page.meanwhile = hang
        world.poll()

        assert len(world.page.asked) == 2
        assert (world.slot.failures, world.slot.unknown_since) == (0, None)

    def test_missed_runs_are_caught_up_once(self, world: World) -> None:
        world.poll()

        world.poll(after=EVERY * 50)

        assert world.process().take_due() == []
        assert world.slot.due_at == world.clock.now + EVERY

    def test_a_run_is_recorded(self, world: World) -> None:
        world.poll()

        assert (world.slot.last_run_at, world.slot.last_success_at) == (NOW, NOW)
        assert (world.slot.owner, world.slot.lease_until) == ("", None)


class TestAReadablePage:
    def test_what_it_shows_is_tracked_and_asked_for(self, world: World) -> None:
        world.page.shows(event())
        world.poll()
        world.poll(after=EVERY)

        assert world.alert.status is Status.FIRING
        assert world.page.asked == [frozenset(), frozenset({event().fingerprint})]
        assert world.store.waiting("slack") == 1

    def test_what_is_gone_from_two_complete_polls_is_over(self, world: World) -> None:
        world.page.shows(event())
        world.poll()
        world.page.shows()

        world.poll(after=EVERY)
        assert world.alert.open
        world.poll(after=EVERY)

        assert world.alert.resolved_by is ResolvedBy.ABSENCE
        assert world.whys() == [Why.OPENED, Why.RESOLVED_BY_ABSENCE]

    def test_polls_between_that_cannot_be_read_do_not_count_as_absence(self, world: World) -> None:
        world.page.shows(event())
        world.poll()
        world.page.shows()
        world.poll(after=EVERY)
        world.page.error = SourceError("github", Reason.TIMEOUT)

        world.poll(after=EVERY)
        world.poll(after=BACK_OFF_MAX)

        assert world.alert.open

    def test_a_windowed_list_ends_nothing_by_what_it_leaves_out(self, world: World) -> None:
        world.page.shows(event())
        world.poll()
        world.page.shows(complete=False)

        for _ in range(5):
            world.poll(after=EVERY)

        assert world.alert.open

    def test_what_was_asked_for_and_could_not_be_read_is_not_over(self, world: World) -> None:
        world.page.shows(event())
        world.poll()
        world.page.shows(unknown=frozenset({event().fingerprint}))

        for _ in range(5):
            world.poll(after=EVERY)

        assert world.alert.open

    def test_the_filter_decides_opening_only(self, world: World) -> None:
        world.page.shows(event())
        world.affects = lambda _event: Affects.NO
        world.poll()
        assert world.store.open_alerts() == []

        world.affects = lambda _event: Affects.YES
        world.poll(after=EVERY)
        world.affects = lambda _event: Affects.NO
        world.page.shows(event(title="New", at=NOW + EVERY))
        world.poll(after=EVERY)

        assert (world.alert.title, world.alert.affects_us) == ("New", Affects.YES)

    def test_test_alerts_are_neither_asked_for_nor_missed(self, world: World) -> None:
        world.process().pipeline.ingest([event(test=True)], NOW)

        for _ in range(3):
            world.poll(after=EVERY)

        assert world.alert.open
        assert set(world.page.asked) == {frozenset()}

    def test_alerts_that_a_destination_of_the_same_name_has_sent_are_not_missed(self, world: World) -> None:
        world.process().pipeline.ingest([event(kind=Kind.ALERT)], NOW)

        for _ in range(3):
            world.poll(after=EVERY)

        assert (world.alert.open, world.alert.missing_polls) == (True, 0)

    def test_history_is_not_stored_but_what_was_missed_is(self, world: World) -> None:
        old = event(fingerprint="old", status=EventStatus.RESOLVED, starts_at=NOW, at=NOW)
        world.page.shows(old)
        world.poll()
        first_good_at = world.slot.first_good_at

        between = NOW + EVERY / 2
        world.page.shows(old, event(status=EventStatus.RESOLVED, starts_at=between, at=between))
        world.poll(after=EVERY)

        assert world.whys() == [Why.MISSED]
        assert world.store.get([old.key]) == {}
        assert world.slot.first_good_at == first_good_at == NOW
        assert world.store.waiting() == 0

    def test_the_first_good_poll_is_the_first_that_could_be_read(self, world: World) -> None:
        world.page.error = SourceError("github", Reason.TIMEOUT)
        world.poll()
        assert world.slot.first_good_at is None

        world.page.shows()
        world.poll(after=BACK_OFF_MAX)
        first = world.clock.now
        world.poll(after=EVERY)

        assert world.slot.first_good_at == first

    def test_warnings_are_kept_and_each_is_counted_once(self, world: World) -> None:
        def counted() -> float:
            return REGISTRY.get_sample_value("poc_unknown_values_total", {"checker": "github"}) or 0.0

        before = counted()
        world.page.shows(warnings=("unknown state: sparkling",))
        world.poll()
        world.poll(after=EVERY)
        world.page.shows(warnings=("unknown state: sparkling", "unknown impact: huge"))
        world.poll(after=EVERY)

        assert counted() - before == 2
        assert world.slot.warnings == ("unknown state: sparkling", "unknown impact: huge")
        world.page.shows()
        world.poll(after=EVERY)
        assert world.slot.warnings == ()


class TestAnItemThatCannotBeUsed:
    def test_does_not_hide_the_others_and_is_a_warning(self, world: World) -> None:
        world.page.shows(event(fingerprint=""), event())

        snapshot = world.poll()

        assert isinstance(snapshot, Snapshot)
        assert world.alert.open
        assert (world.slot.unknown_since, len(world.slot.warnings)) == (None, 1)
        assert "fingerprint" in world.slot.warnings[0]

    def test_and_its_text_is_not_repeated_for_each_of_them(self, world: World) -> None:
        world.page.shows(event(fingerprint=""), event(fingerprint="x" * 300), event(source=""))

        world.poll()

        assert len(world.slot.warnings) == 2

    def test_makes_the_list_incomplete_for_it_may_be_one_that_is_tracked(self, world: World) -> None:
        world.page.shows(event())
        world.poll()
        world.page.shows(event(fingerprint="x" * 300))

        for _ in range(3):
            world.poll(after=EVERY)

        assert world.alert.open


class TestAnUnreadablePage:
    def test_changes_no_alert_and_shows_as_unknown_since_the_first_failure(self, world: World) -> None:
        world.page.shows(event())
        world.poll()
        before = world.alert
        world.page.error = SourceError("github", Reason.SERVER_ERROR, "HTTP 502")

        failed = world.poll(after=EVERY)
        first = world.clock.now
        world.poll(after=BACK_OFF_MAX)

        assert failed is world.page.error
        assert world.alert == before
        assert (world.slot.unknown_since, world.slot.unknown_reason) == (first, "server error: HTTP 502")
        assert (world.slot.failures, world.slot.last_success_at) == (2, NOW)

    def test_is_known_again_as_soon_as_it_is_read(self, world: World) -> None:
        world.page.error = SourceError("github", Reason.TIMEOUT)
        world.poll()

        world.page.shows()
        world.poll(after=EVERY)

        assert (world.slot.unknown_since, world.slot.unknown_reason, world.slot.failures) == (None, "", 0)

    def test_is_asked_less_often_the_longer_it_fails_within_a_limit(self, world: World) -> None:
        world.page.error = SourceError("github", Reason.TIMEOUT)
        pauses = []
        for _ in range(15):
            world.poll()
            pauses.append(world.slot.due_at - world.clock.now)
            world.clock.now = world.slot.due_at

        assert pauses[:3] == [EVERY, EVERY * 2, EVERY * 4]
        assert set(pauses[3:]) == {BACK_OFF_MAX}
        world.page.shows()
        world.poll()
        assert world.slot.due_at - world.clock.now == EVERY

    @pytest.mark.parametrize(("asked", "expected"), [(600, 600), (5, 60)], ids=["longer", "shorter than the interval"])
    def test_its_wish_for_a_pause_is_heard(self, world: World, asked: float, expected: int) -> None:
        world.page.error = SourceError("github", Reason.RATE_LIMITED, retry_after=asked)

        world.poll()

        assert world.slot.due_at - world.clock.now == timedelta(seconds=expected)

    def test_a_checker_that_crashes_is_unknown_and_the_crash_is_not_hidden(self, world: World) -> None:
        world.page.error = ZeroDivisionError("oh")

        with pytest.raises(ZeroDivisionError):
            world.poll()

        assert (world.slot.unknown_since, world.slot.unknown_reason) == (NOW, "internal error")
        assert (world.slot.lease_until, world.slot.failures) == (None, 1)

    def test_after_long_it_is_still_unknown_since_the_beginning(self, world: World) -> None:
        world.page.error = SourceError("github", Reason.TIMEOUT)
        for _ in range(20):
            world.poll(after=BACK_OFF_MAX)

        assert world.slot.unknown_since == NOW + BACK_OFF_MAX


class TestAStoreThatIsAway:
    class Away:
        """A store whose commits fail; all else works."""

        def __init__(self, store: SqlStore, error: StoreError) -> None:
            self.store, self.error = store, error

        @property
        def silences(self) -> Silences:
            return self.store.silences

        def get(self, keys: Iterable[str]) -> dict[str, Alert]:
            return self.store.get(keys)

        def commit(self, writes: Sequence[Write], now: datetime) -> list[Done | Conflict | IdTaken]:
            raise self.error

    @pytest.mark.parametrize("error", [StoreError("locked"), StoreConflict("contended")], ids=str)
    def test_says_nothing_of_the_source_and_the_slot_is_free_after_its_lease(
        self, world: World, error: StoreError
    ) -> None:
        world.page.shows(event())
        process = world.process()
        process.pipeline = Pipeline(self.Away(world.store, error), BOOK)  # type: ignore[arg-type]  # what ingest uses
        (slot,) = process.take_due()

        with pytest.raises(type(error)):
            process.poll(slot)

        assert (world.slot.unknown_since, world.slot.failures) == (None, 0)
        assert world.process().take_due() == []
        world.poll(after=LEASE)
        assert world.alert.open


class TestACheckByHand:
    def test_asks_at_once_and_the_next_poll_is_an_interval_later(self, world: World) -> None:
        world.poll()
        world.page.shows(event())
        world.clock.advance(EVERY / 2)

        checked = world.process().check_now("github")

        assert checked.snapshot is not None
        assert checked.snapshot.events == (event(),)
        assert world.alert.open
        assert world.slot.due_at == world.clock() + EVERY

    def test_says_what_is_unknown(self, world: World) -> None:
        world.page.error = SourceError("github", Reason.TIMEOUT)

        assert world.process().check_now("github").error is world.page.error

    def test_leaves_a_poll_that_runs_alone(self, world: World) -> None:
        world.process().take_due()

        assert world.process().check_now("github").busy


class TestWhatAPersonResolved:
    @pytest.fixture(autouse=True)
    def resolved_by_a_person(self, world: World) -> None:
        world.page.shows(event())
        world.poll()
        by_hand = event(status=EventStatus.RESOLVED, person=True, intake="api", actor="Ada")
        world.process().pipeline.ingest([by_hand], world.clock())

    def test_is_silent_while_the_page_still_lists_it(self, world: World) -> None:
        told = world.whys()
        for _ in range(3):
            world.poll(after=EVERY)

        assert world.whys() == told
        assert world.page.asked[-1] == {event().fingerprint}

    def test_is_told_to_be_over_when_the_page_no_longer_lists_it(self, world: World) -> None:
        world.poll(after=EVERY)
        world.page.shows()
        world.poll(after=EVERY)
        assert Why.SOURCE_ENDED not in world.whys()
        world.poll(after=EVERY)
        world.poll(after=EVERY)

        assert world.whys().count(Why.SOURCE_ENDED) == 1
        assert world.slot.dismissed == {}

    def test_is_told_to_be_over_when_the_page_says_so(self, world: World) -> None:
        world.poll(after=EVERY)
        world.page.shows(event(status=EventStatus.RESOLVED, at=world.clock()), complete=False)
        world.poll(after=EVERY)

        assert world.whys()[-1] is Why.SOURCE_ENDED
        assert world.slot.dismissed == {}

    def test_is_not_over_because_a_page_cannot_be_read_or_shows_a_part(self, world: World) -> None:
        world.poll(after=EVERY)
        world.page.shows(complete=False)
        world.poll(after=EVERY)
        world.page.error = SourceError("github", Reason.TIMEOUT)
        world.poll(after=EVERY)
        world.page.shows(unknown=frozenset({event().fingerprint}))
        world.poll(after=BACK_OFF_MAX)
        world.poll(after=EVERY)

        assert Why.SOURCE_ENDED not in world.whys()

    def test_opens_again_when_it_worsens_and_is_then_followed_as_open(self, world: World) -> None:
        world.poll(after=EVERY)
        world.page.shows(event(severity=Severity.CRITICAL))
        world.poll(after=EVERY)
        assert (world.alert.open, world.alert.episode) == (True, 2)

        world.page.shows()
        world.poll(after=EVERY)
        assert world.alert.open
        world.poll(after=EVERY)

        assert world.alert.resolved_by is ResolvedBy.ABSENCE


class TestAClockThatWasSetBack:
    def test_does_not_stop_the_polls(self, world: World) -> None:
        world.poll()
        world.clock.advance(-timedelta(hours=1))

        assert len(world.process().take_due()) == 1

    def test_a_lease_of_the_future_holds_nobody_back(self, world: World) -> None:
        world.process().take_due()
        world.clock.advance(-timedelta(hours=1))

        assert len(world.process().take_due()) == 1
        assert world.process().take_due() == []


def test_what_a_feed_never_ends_is_not_kept_for_ever(world: World) -> None:
    events = [event(fingerprint=f"{number}") for number in range(DISMISSED_MAX + 20)]
    world.page.shows(*events)
    world.poll()
    ends = [replace(one, status=EventStatus.RESOLVED, person=True, intake="api") for one in events]
    world.process().pipeline.ingest(ends, world.clock())

    world.page.shows(*events, complete=False)
    world.poll(after=EVERY)

    assert len(world.slot.dismissed) == DISMISSED_MAX


def test_a_time_of_the_future_does_not_make_later_news_stale(world: World) -> None:
    world.page.shows(event(at=NOW + timedelta(days=30)))
    world.poll()
    world.page.shows(event(severity=Severity.CRITICAL, at=NOW + EVERY))

    world.poll(after=EVERY)

    assert world.alert.severity is Severity.CRITICAL


def test_a_filter_is_asked_before_long_labels_are_cut(world: World) -> None:
    many = "\n".join(f"Component {number}" for number in range(500))
    world.affects = lambda seen: Affects.YES if seen.labels["component"].endswith("Ours") else Affects.NO
    world.page.shows(event(labels={"component": f"{many}\nOurs"}), event(fingerprint=""))

    world.poll()

    assert world.alert.open


class TestTimesThatAreStillToCome:
    LATER = NOW + timedelta(hours=5)

    def test_a_page_whose_clock_is_ahead_puts_no_start_into_the_future(self, world: World) -> None:
        world.page.shows(event(starts_at=self.LATER, at=self.LATER))
        world.poll()
        opened = world.alert
        world.poll(after=EVERY)
        world.poll(after=timedelta(hours=6))

        assert (opened.started_at, opened.starts_at) == (NOW, None)
        assert (world.alert.started_at, world.alert.starts_at) == (NOW, None)
        assert len(world.whys()) == 1

    def test_planned_work_begins_when_it_is_planned(self, world: World) -> None:
        world.page.shows(event(kind=Kind.MAINTENANCE, starts_at=self.LATER))
        world.poll()

        assert world.alert.started_at == self.LATER


class TestPlannedWorkForThePage:
    HOUR = timedelta(hours=1)

    def plan(self, id: str = "m", start: timedelta = HOUR, **changes: object) -> Event:
        begins = NOW + start
        plan = {"kind": Kind.MAINTENANCE, "title": "Upgrade", "starts_at": begins, "ends_at": begins + self.HOUR}
        return event(fingerprint=id, **plan | changes)

    def listed(self, world: World) -> list[str]:
        return [work.fingerprint for work in world.store.slots()["github"].planned]

    def test_what_the_page_plans_is_remembered_though_no_rule_asks_for_it(self, world: World) -> None:
        world.book = Rulebook()
        world.page.shows(self.plan(), event())
        world.poll()

        (work,) = world.store.slots()["github"].planned
        assert work == PlannedWork(
            fingerprint="m", title="Upgrade", starts_at=NOW + self.HOUR, ends_at=NOW + 2 * self.HOUR, url=event().url
        )
        assert world.store.get([self.plan().key]) == {}

    def test_what_is_over_far_ahead_or_not_for_us_is_left_out(self, world: World) -> None:
        world.affects = lambda seen: Affects.NO if seen.fingerprint == "theirs" else Affects.YES
        world.page.shows(
            self.plan("b", 2 * self.HOUR),
            self.plan("a"),
            self.plan("over", status=EventStatus.RESOLVED),
            self.plan("theirs"),
            self.plan("far", timedelta(days=15)),
        )
        world.poll()

        assert self.listed(world) == ["a", "b"]

    def test_a_slot_stays_short(self, world: World) -> None:
        long = {"title": "x" * 500, "url": "https://x.example/" + "y" * 1500}
        world.page.shows(*(self.plan(f"m{number}", number * self.HOUR, **long) for number in range(1, 40)))
        world.poll()

        assert len(self.listed(world)) == 10
        assert len(codec.dump_slot(world.store.slots()["github"])) < 6000

    def test_an_unread_page_keeps_its_plans(self, world: World) -> None:
        world.page.shows(self.plan())
        world.poll()
        world.page.error = SourceError("github", Reason.TIMEOUT)
        world.poll(after=EVERY)

        assert self.listed(world) == ["m"]


class TestWhatIsTooOldToBeBelieved:
    MAX_AGE = timedelta(days=14)

    def test_an_alert_that_vanished_from_a_window_ends_when_it_had_no_news_for_that_long(self, world: World) -> None:
        world.page.shows(event())
        world.poll()
        world.page.shows(complete=False, unknown=frozenset({event().fingerprint}), max_age=self.MAX_AGE)
        world.poll(after=self.MAX_AGE - EVERY)
        before = world.alert.status
        world.poll(after=timedelta(hours=1))

        assert (before, world.alert.status) == (Status.FIRING, Status.RESOLVED)
        assert "14 d" in world.store.timeline(event().key)[-1].note + world.store.timeline(event().key)[0].note

    def test_one_that_is_still_shown_stays_open(self, world: World) -> None:
        world.page.shows(event(), max_age=self.MAX_AGE)
        world.poll()
        world.poll(after=self.MAX_AGE * 2)

        assert world.alert.status is Status.FIRING


class TestPlacesThatThePageDoesNotList:
    ACTIONS = Selection(components=("Actions",))

    def watch(self, world: World, *components: str) -> None:
        world.not_listed = partial(not_listed, self.ACTIONS, Selection())
        world.page.shows(listed={"component": frozenset(components)})

    def test_one_is_a_warning_of_the_checker_from_the_first_good_poll(self, world: World) -> None:
        self.watch(world, "Action")

        with capture_logs() as lines:
            world.poll()
            world.poll(after=EVERY)

        (warning,) = world.slot.warnings
        assert warning == 'only.components: the page lists no component "Actions". Did you mean "Action"?'
        assert [line["warning"] for line in lines if line["event"] == "not_on_the_page"] == [warning]

    def test_also_when_it_disappears_later_and_until_it_is_back(self, world: World) -> None:
        said = []
        for components in (("Actions",), ("Pages",), (), ("Actions", "Pages")):
            self.watch(world, *components)
            world.poll(after=EVERY)
            said.append(len(world.slot.warnings))

        assert said == [0, 1, 0, 0]
