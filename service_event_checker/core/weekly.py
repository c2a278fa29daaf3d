"""Weekly time windows in a time zone, like Monday to Friday, 08:00 to 18:00 in Berlin. Pure.

A window begins when a clock on the wall there first shows `starts`, and ends when it last shows `ends`. So a time that
a change of the clocks skips counts as the moment of the change, and an hour that comes twice belongs to it twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00", re.ASCII)
_AHEAD = 15  # days: a change of the clocks can skip a short window once, so the next one is within two weeks
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Span:
    """One occurrence of a window: from `starts_at` to before `ends_at`, both aware UTC."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Weekly:
    """`days` (of DAYS) on which it begins. `starts`, `ends`: on the clock in `zone`, a name of the IANA database.

    An end that is not after the beginning is on the next day: 00:00 is the end of the day.
    """

    days: tuple[str, ...]
    starts: time
    ends: time
    zone: str

    @property
    def text(self) -> str:
        """Say when it is, like "mon-fri 08:00-18:00 Europe/Berlin"."""
        ends = f"{self.ends:%H:%M}" if self.ends != time() else "24:00"
        return f"{days_text(self.days)} {self.starts:%H:%M}-{ends} {self.zone}"

    def now(self, now: datetime) -> Span | None:
        """Return the occurrence that is under way, of two the one that ends last; None outside."""
        spans = (span for span in self._near(now, range(-1, 2)) if span.starts_at <= now < span.ends_at)
        return max(spans, key=lambda span: span.ends_at, default=None)

    def after(self, now: datetime) -> Span | None:
        """Return the next occurrence that begins after `now`; None if a change of the clocks skips each of them."""
        return next((span for span in self._near(now, range(_AHEAD)) if span.starts_at > now), None)

    def _near(self, now: datetime, days: Iterable[int]) -> Iterator[Span]:
        """Yield the occurrences that begin so many days after today; without those that the clocks skip."""
        zone = ZoneInfo(self.zone)
        today = now.astimezone(zone).date()
        for day in (today + number * _DAY for number in days):
            last = day if self.ends > self.starts else day + _DAY
            starts_at, ends_at = _moment(day, self.starts, zone, fold=0), _moment(last, self.ends, zone, fold=1)
            if DAYS[day.weekday()] in self.days and starts_at < ends_at:
                yield Span(starts_at, ends_at)


def current(windows: Iterable[Weekly], now: datetime) -> Span | None:
    """Return the occurrence of any window that is under way and ends last; None outside of all."""
    spans = [span for window in windows if (span := window.now(now))]
    return max(spans, key=lambda span: span.ends_at, default=None)


def following(windows: Iterable[Weekly], now: datetime) -> Span | None:
    """Return the occurrence of any window that begins first after `now`; None if there is none."""
    spans = [span for window in windows if (span := window.after(now))]
    return min(spans, key=lambda span: span.starts_at, default=None)


def days_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Read days like "mon" and "mon-fri", also over the end of the week ("sat-mon"). Raises ValueError."""
    found = {day for text in texts for day in _days(text)}
    return tuple(day for number, day in enumerate(DAYS) if number in found)


def time_of(text: str) -> time:
    """Read a time of the day like "08:00"; "24:00", the end of the day, is 00:00. Raises ValueError."""
    if not _TIME.fullmatch(text):
        raise ValueError(f'"{text}" is not a time of day. Write hours and minutes, like 08:00')
    return time(int(text[:2]) % 24, int(text[3:]))


def zone_of(name: str) -> str:
    """Return the name of a time zone that the IANA database has, like "Europe/Berlin". Raises ValueError."""
    try:
        return ZoneInfo(name).key
    except (OSError, ValueError, KeyError):  # a folder, a path out of the database, a name that is not in it
        hint = "Write a name like Europe/Berlin, or UTC"
        if not available_timezones():
            hint = "This system has no time zone database: install the package tzdata"
        raise ValueError(f'"{name}" is not a known time zone. {hint}') from None


def days_text(days: Iterable[str]) -> str:
    """Say the days of a week, runs of them short: "mon-fri, sun"."""
    runs: list[list[int]] = []
    for day in sorted(map(DAYS.index, days)):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(f"{DAYS[run[0]]}-{DAYS[run[-1]]}" if len(run) > 2 else _listed(run) for run in runs)


def _listed(run: Iterable[int]) -> str:
    return ", ".join(DAYS[day] for day in run)


def _days(text: str) -> Iterator[int]:
    first, dash, last = text.strip().lower().partition("-")
    if first not in DAYS or (dash and last not in DAYS):
        raise ValueError(f'"{text}" is not a day. Write {", ".join(DAYS)}, or a range like mon-fri')
    begin = DAYS.index(first)
    length = (DAYS.index(last) - begin) % 7 if dash else 0
    return ((begin + number) % 7 for number in range(length + 1))


def _moment(day: date, clock: time, zone: ZoneInfo, *, fold: int) -> datetime:
    """Return when the clocks of a zone show this time: the first (fold 0) or the last time; of a skipped one, the skip.

    PEP 495: of a time that is skipped, fold 1 is read with the offset after the change and so comes first.
    """
    first, last = (datetime.combine(day, clock, zone).replace(fold=each).astimezone(UTC) for each in (0, 1))
    if first <= last:
        return last if fold else first
    before, after = last, first
    while after - before > _SECOND:
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == before.astimezone(zone).utcoffset():
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
