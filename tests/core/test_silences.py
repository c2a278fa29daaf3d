"""Silences: what they hold back and until when, weekly windows across clock changes, and what they are made from."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service_event_checker.core import matchers
from service_event_checker.core.names import names_of
from service_event_checker.core.silences import (
    LIKE_MAX,
    VALUE_MAX,
    Holding,
    Silence,
    State,
    holding,
    like,
    matches_everything,
    silence_of,
)
from service_event_checker.core.vocabulary import Kind
from service_event_checker.core.weekly import DAYS, Span, Weekly
from tests.factories import NIGHTS, NOW, alert, silence

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
YEARS = NOW.replace(year=2020, tzinfo=None), NOW.replace(year=2037, tzinfo=None)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")
#: zone -> local days around a clock change: spring and autumn, half an hour in Lord Howe, a skipped day in Apia
CHANGES = {
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),
    "America/Havana": (date(2026, 3, 8), date(2026, 11, 1)),  # at midnight
    "Pacific/Apia": (date(2011, 12, 30),),
}


def weekly(starts: str, ends: str, zone: str = "UTC", days: tuple[str, ...] = DAYS) -> Weekly:
    return Weekly(days, time.fromisoformat(starts), time.fromisoformat(ends), zone)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestHolding:
    def test_the_silence_that_ends_last_comes_first(self) -> None:
        short, long = silence("S-1", 'source="github"'), silence("S-2", 'kind="outage"', ends_at=NOW + 2 * HOUR)

        found = holding(alert(), [short, long, silence("S-3", 'source="azure"')], NOW)

        assert found == (Holding(long, NOW + 2 * HOUR), Holding(short, NOW + HOUR))
        assert silence_of(alert(), [short, long], NOW) == found[0]

    @pytest.mark.parametrize(
        ("at", "state"),
        [
            (NOW - MINUTE, State.PENDING),
            (NOW, State.ACTIVE),
            (NOW + HOUR - MINUTE, State.ACTIVE),
            (NOW + HOUR, State.ENDED),
        ],
    )
    def test_it_holds_from_its_start_until_before_its_end(self, at: datetime, state: State) -> None:
        made = silence(match='source="github"')

        assert made.state(at) is state
        assert (silence_of(alert(), [made], at) is not None) is (state is State.ACTIVE)

    def test_one_that_was_ended_before_its_start_is_over(self) -> None:
        assert silence(starts_at=NOW + HOUR, ends_at=NOW).state(NOW) is State.ENDED

    def test_its_text_says_whose_until_when_why_and_which(self) -> None:
        made = Holding(silence(), NOW + HOUR)

        assert made.text == "by Ada until 2026-11-20 04:00 UTC: upgrade ☕ (S-1)"

    def test_a_recurring_one_says_the_end_of_its_window(self) -> None:
        made = silence(match='source="github"', ends_at=NOW + 90 * HOUR, repeat=weekly("02:00", "05:00"))

        (found,) = holding(alert(), [made], NOW)

        assert (found.until, silence_of(alert(), [made], NOW + 2 * HOUR)) == (utc("2026-11-20T05:00"), None)

    def test_the_end_of_the_silence_bounds_its_windows(self) -> None:
        made = silence(ends_at=NOW + HOUR, repeat=weekly("02:00", "05:00"))

        assert made.until(NOW) == NOW + HOUR
        assert made.until(NOW + HOUR) is None


class TestWeekly:
    def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(self) -> None:
        sunday_night = utc("2026-11-22T22:30")

        assert NIGHTS.now(sunday_night) is None
        assert NIGHTS.now(sunday_night + 24 * HOUR) == Span(utc("2026-11-23T21:00"), utc("2026-11-24T05:30"))
        assert NIGHTS.now(utc("2026-11-24T05:29")) is not None
        assert NIGHTS.now(utc("2026-11-24T05:30")) is None

    def test_a_window_that_ends_when_it_starts_lasts_a_day(self) -> None:
        assert weekly("06:00", "06:00", days=("fri",)).now(NOW + 24 * HOUR) == Span(
            utc("2026-11-20T06:00"),
            utc("2026-11-21T06:00"),
        )

    @pytest.mark.parametrize(
        ("window", "zone", "at", "begins", "ends"),
        [
            # the clocks go from 02:00 to 03:00, from 03:00 to 02:00
            (("02:30", "04:00"), "Europe/Berlin", "2026-03-29T01:30", "2026-03-29T01:00", "2026-03-29T02:00"),
            (("01:00", "02:30"), "Europe/Berlin", "2026-03-29T00:30", "2026-03-29T00:00", "2026-03-29T01:00"),
            (("02:30", "04:00"), "Europe/Berlin", "2026-10-25T01:00", "2026-10-25T00:30", "2026-10-25T03:00"),
            (("01:00", "02:30"), "Europe/Berlin", "2026-10-25T01:00", "2026-10-24T23:00", "2026-10-25T01:30"),
            (("22:00", "06:00"), "America/New_York", "2026-11-01T08:00", "2026-11-01T02:00", "2026-11-01T11:00"),
            # half an hour: from 02:00 to 02:30, from 02:00 to 01:30
            (("02:15", "03:00"), "Australia/Lord_Howe", "2026-10-03T15:45", "2026-10-03T15:30", "2026-10-03T16:00"),
            (("01:45", "03:00"), "Australia/Lord_Howe", "2026-04-04T15:00", "2026-04-04T14:45", "2026-04-04T16:30"),
            # 30 December 2011 is skipped
            (("22:00", "06:00"), "Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00", "2011-12-30T16:00"),
        ],
    )
    def test_clock_changes(self, window: tuple[str, str], zone: str, at: str, begins: str, ends: str) -> None:
        assert weekly(*window, zone).now(utc(at)) == Span(utc(begins), utc(ends))

    @settings(max_examples=30, deadline=None)
    @given(data=st.data())
    def test_it_holds_from_when_the_clocks_first_show_its_start_to_when_they_last_show_its_end(
        self, data: st.DataObject
    ) -> None:
        zone = data.draw(st.sampled_from(sorted(CHANGES)))
        day = data.draw(st.sampled_from(CHANGES[zone])) + timedelta(days=data.draw(st.integers(-1, 1)))
        starts, ends = data.draw(st.integers(0, 95)), data.draw(st.integers(0, 95))
        repeat = Weekly((DAYS[day.weekday()],), clock(starts), clock(ends), zone)
        around = minutes(day, zone)

        held = [at for at, _ in around if repeat.now(at)]

        last = day if ends > starts else day + timedelta(days=1)
        assert held == [
            at for at, _ in around if shown_first(day, starts, around) <= at < shown_last(last, ends, around)
        ]

    @given(
        at=st.datetimes(*YEARS, timezones=st.just(UTC)),
        zone=st.sampled_from(ZONES),
        days=st.sets(st.sampled_from(DAYS), min_size=1),
        starts=st.times(),
        ends=st.times(),
    )
    def test_a_window_holds_now_and_lasts_at_most_a_day_and_the_hour_of_a_clock_change(
        self, at: datetime, zone: str, days: set[str], starts: time, ends: time
    ) -> None:
        starts, ends = starts.replace(second=0, microsecond=0), ends.replace(second=0, microsecond=0)
        span = Weekly(tuple(days), starts, ends, zone).now(at)

        if span is not None:
            assert span.starts_at <= at < span.ends_at
            assert timedelta(0) < span.ends_at - span.starts_at <= 25 * HOUR
            assert DAYS[span.starts_at.astimezone(ZoneInfo(zone)).weekday()] in days

    def test_it_is_written_with_its_zone(self) -> None:
        assert NIGHTS.text == "mon, sat 22:00-06:30 Europe/Berlin"


def clock(quarters: int) -> time:
    return time(quarters // 4, quarters % 4 * 15)


def minutes(day: date, zone: str) -> list[tuple[datetime, datetime]]:
    """Every quarter of an hour around a day, in UTC and as the clocks of the zone show it."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=2)
    every = (start + number * 15 * MINUTE for number in range(5 * 96))
    return [(at, at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for at in every]


def shown_first(day: date, quarters: int, around: list[tuple[datetime, datetime]]) -> datetime:
    wanted = datetime.combine(day, clock(quarters))
    return next(at for at, shown in around if shown >= wanted)


def shown_last(day: date, quarters: int, around: list[tuple[datetime, datetime]]) -> datetime:
    wanted = datetime.combine(day, clock(quarters))
    same = [at for at, shown in around if shown == wanted]
    return same[-1] if same else shown_first(day, quarters, around)


class TestLike:
    def test_an_alert_of_prometheus_is_known_by_its_labels_but_not_by_its_severity(self) -> None:
        labels = {"alertname": "DiskFull", "severity": "critical", "instance": "web-1", "title": "x", "empty": ""}
        known = alert(kind=Kind.ALERT, source="alertmanager", labels=labels)

        made = like(known)

        assert list(map(str, made)) == [
            'source="alertmanager"',
            'alertname="DiskFull"',
            'instance="web-1"',
            'label.title="x"',
        ]

    def test_others_are_known_by_source_and_title(self) -> None:
        assert list(map(str, like(alert(title='Disk "C:\\" full')))) == [
            'source="github"',
            'title="Disk \\"C:\\\\\\" full"',
        ]

    def test_of_many_labels_the_first_are_taken_and_texts_are_not(self) -> None:
        labels = {f"l{number:02}": "x" for number in range(20)} | {"alertname": "a", "a text": "b", "a": "x\ny"}
        labels |= {"b": "x" * (VALUE_MAX + 1)}

        made = like(alert(kind=Kind.ALERT, labels=labels))

        assert len(made) == LIKE_MAX + 1
        assert [part.name for part in made[:3]] == ["source", "alertname", "l00"]

    @given(labels=st.dictionaries(st.text(max_size=5), st.text(max_size=9)), title=st.text(), named=st.booleans())
    def test_it_matches_the_alert_also_when_it_was_written_and_read(
        self, labels: dict[str, str], title: str, named: bool
    ) -> None:
        labels |= {"alertname": "a"} if named else {}
        known = alert(kind=Kind.ALERT, labels=labels, title=title)

        written = [str(part) for part in like(known)]
        read = [part for text in written for part in matchers.parse(text)]

        assert tuple(read) == like(known)
        assert all(part.matches(names_of(known)) for part in read)
        assert not matches_everything(read)


@pytest.mark.parametrize(
    ("match", "everything"),
    [
        ('team=""', True),
        ('team!="web"', True),
        ('title=~".*"', True),
        ('title=~".+"', True),
        ('severity=~"critical|error|warning|info"', True),
        ('severity=~"critical|error|warning"', False),
        ('kind=~"alert|outage|maintenance"', True),
        ('test="false"', True),
        ('test="true"', False),
        ('affects_us!="no"', True),
        ('alertname=~".+"', False),
        ('title=~".+",source="github"', False),
        ('source!="github"', True),
    ],
)
def test_a_silence_that_excludes_nothing_is_known(match: str, everything: bool) -> None:
    assert matches_everything(matchers.parse(match)) is everything


def test_a_silence_matches_by_all_of_its_matchers() -> None:
    made: Any = Silence(matchers.parse('a="1",b="2"'), NOW, NOW, "", "")

    assert [made.matches({"a": "1", "b": b}) for b in "12"] == [False, True]
