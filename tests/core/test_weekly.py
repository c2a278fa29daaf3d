"""Weekly windows on the clocks of five zones, with their changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core import weekly
from service_event_checker.core.weekly import DAYS, Span, Weekly
from tests.strategies import REPEATABLE

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",  # no change of the clocks, and half an hour
    "Australia/Lord_Howe",  # a change of half an hour, in the south
    "Africa/Casablanca",  # the clocks go back for Ramadan
)
OFFICE = Weekly(DAYS[:5], time(8), time(18), "Europe/Berlin")

windows = st.builds(
    Weekly,
    days=st.sets(st.sampled_from(DAYS), min_size=1).map(lambda days: tuple(sorted(days, key=DAYS.index))),
    starts=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    ends=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    zone=st.sampled_from(ZONES),
)
moments = st.datetimes(
    datetime(2025, 1, 1),  # noqa: DTZ001  # hypothesis takes naive bounds
    datetime(2027, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


def shown_inside(window: Weekly, now: datetime) -> bool:
    """What a person says who looks at a clock on the wall and a calendar."""
    shown = now.astimezone(ZoneInfo(window.zone))
    clock, today, yesterday = shown.time(), DAYS[shown.weekday()], DAYS[shown.weekday() - 1]
    if window.starts < window.ends:
        return today in window.days and window.starts <= clock < window.ends
    return (today in window.days and clock >= window.starts) or (yesterday in window.days and clock < window.ends)


def clocks_change_near(zone: str, now: datetime) -> bool:
    near = [now + timedelta(hours=hours) for hours in range(-3, 4)]
    return len({each.astimezone(ZoneInfo(zone)).utcoffset() for each in near}) > 1


@REPEATABLE
@given(windows, moments)
def test_it_is_inside_while_the_clock_on_the_wall_says_so(window: Weekly, now: datetime) -> None:
    inside = window.now(now) is not None

    if clocks_change_near(window.zone, now):
        assert inside or not shown_inside(window, now)  # an hour that comes twice belongs to it twice
    else:
        assert inside == shown_inside(window, now)


@REPEATABLE
@given(windows, moments)
def test_the_next_one_begins_first_of_all_that_come(window: Weekly, now: datetime) -> None:
    found = window.after(now)

    assert found is not None
    assert now < found.starts_at <= now + timedelta(days=14, hours=3)
    assert window.now(found.starts_at) == found
    assert window.now(found.ends_at) != found
    span = window.now(found.starts_at - timedelta(minutes=1))
    assert span is None or span.ends_at <= found.starts_at or span.starts_at <= now


@REPEATABLE
@given(windows, moments)
def test_one_that_is_under_way_holds_the_moment(window: Weekly, now: datetime) -> None:
    span = window.now(now)

    assert span is None or span.starts_at <= now < span.ends_at
    assert span is None or span.ends_at - span.starts_at <= timedelta(hours=26)


@pytest.mark.parametrize(
    ("begins", "ends", "span"),
    [
        ("02:15", "02:45", None),  # from 02:00 the clock shows 03:00
        ("02:30", "04:00", ("03:00", "04:00")),
        ("01:00", "02:30", ("01:00", "03:00")),
        ("22:00", "06:00", ("22:00", "2026-03-30T06:00")),
    ],
)
def test_a_time_that_the_change_skips_is_the_moment_of_the_change(
    begins: str, ends: str, span: tuple[str, str] | None
) -> None:
    window = Weekly(weekly.days_of(["sun"]), weekly.time_of(begins), weekly.time_of(ends), "Europe/Berlin")

    found = window.after(at("2026-03-29T00:30"))

    wanted = [at(text if "T" in text else f"2026-03-29T{text}") for text in span or ()]
    assert (found == Span(*wanted)) if span else (found is not None and found.starts_at == at("2026-04-05T02:15"))


def test_an_hour_that_comes_twice_belongs_to_it_twice() -> None:
    window = Weekly(weekly.days_of(["sun"]), time(2), time(2, 30), "Europe/Berlin")

    found = window.after(at("2026-10-25T01:00"))

    assert found == Span(at("2026-10-25T02:00"), at("2026-10-25T02:30", fold=1))
    assert found.ends_at - found.starts_at == timedelta(minutes=90)


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    nights = Weekly(weekly.days_of(["fri"]), time(22), time(6), "Europe/Berlin")

    assert nights.now(at("2026-11-28T05:59")) is not None
    assert nights.now(at("2026-11-28T06:00")) is None
    assert nights.now(at("2026-11-27T05:00")) is None


def test_of_several_windows_the_one_that_ends_last_and_the_one_that_begins_first_count() -> None:
    nights = Weekly(("sun",), time(0), time(0), "Europe/Berlin")
    late = Weekly(("mon",), time(12), time(20), "Europe/Berlin")

    assert weekly.current((OFFICE, late), at("2026-11-30T13:00")) == late.now(at("2026-11-30T13:00"))
    assert weekly.current((OFFICE, late), at("2026-11-29T13:00")) is None
    assert weekly.following((late, OFFICE, nights), at("2026-11-29T13:00")) == OFFICE.after(at("2026-11-29T13:00"))
    assert weekly.following((), at("2026-11-29T13:00")) is None


def test_it_is_said_as_people_write_it() -> None:
    days = weekly.days_of([" Mon-Wed", "sat", "sun"])

    assert OFFICE.text == "mon-fri 08:00-18:00 Europe/Berlin"
    assert weekly.days_text(days) == "mon-wed, sat, sun"
    assert weekly.days_of(["sat-mon"]) == ("mon", "sat", "sun")
    assert weekly.time_of("24:00") == time(0)
    assert Weekly(("mon",), time(20), time(0), "UTC").text == "mon 20:00-24:00 UTC"
    assert weekly.zone_of("Europe/Berlin") == "Europe/Berlin"


@pytest.mark.parametrize("text", ["monday", "mon-", "mon-fry", "", "mon-tue-wed"])
def test_what_is_not_a_day_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a day. Write mon, tue,.* or a range like mon-fri"):
        weekly.days_of([text])


@pytest.mark.parametrize("text", ["8:00", "25:00", "24:01", "08:60", "0800", ""])
def test_what_is_not_a_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time of day. Write hours and minutes, like 08:00"):
        weekly.time_of(text)


@pytest.mark.parametrize("name", ["Berlin", "", "/etc/passwd", "../zone", "Europe"])
def test_what_is_not_a_time_zone_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ValueError, match="is not a known time zone. Write a name like Europe/Berlin, or UTC"):
        weekly.zone_of(name)


def test_without_a_time_zone_database_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weekly, "available_timezones", set)

    with pytest.raises(ValueError, match="install the package tzdata"):
        weekly.zone_of("Mars/Crater")
