"""Weekly time windows in a time zone, like Monday to Friday, 08:00 to 18:00 in Berlin. Pure.

A window begins when a clock on the wall there first shows `begins`, and ends when it last shows `ends`. So a time that
a change of the clocks skips counts as the moment of the change, and an hour that comes twice belongs to it twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 24 * 60  # minutes
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_AHEAD = 15  # days: a change of the clocks can skip a short window once, so the next one is within two weeks
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Span:
    """One occurrence of a window: from `starts_at` to before `ends_at`, both aware UTC."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Weekly:
    """`days` on which it begins, 0 is Monday. `begins`, `ends`: minutes of the day, on the clock in `zone`.

    An end that is not after the beginning is on the next day; `ends` may be DAY, the end of the day.
    """

    days: frozenset[int]
    begins: int
    ends: int
    zone: ZoneInfo

    @property
    def text(self) -> str:
        """Say when it is, like "mon-fri 08:00-18:00 Europe/Berlin"."""
        return f"{days_text(self.days)} {_clock(self.begins)}-{_clock(self.ends)} {self.zone.key}"

    def now(self, now: datetime) -> Span | None:
        """Return the occurrence that is under way; None outside."""
        today = now.astimezone(self.zone).date()
        spans = (self._on(today + timedelta(days=number)) for number in (-1, 0))
        return next((span for span in spans if span and span.starts_at <= now < span.ends_at), None)

    def after(self, now: datetime) -> Span | None:
        """Return the next occurrence that begins after `now`; None if a change of the clocks skips each of them."""
        today = now.astimezone(self.zone).date()
        spans = (self._on(today + timedelta(days=number)) for number in range(_AHEAD))
        return next((span for span in spans if span and span.starts_at > now), None)

    def _on(self, day: date) -> Span | None:
        """Return the occurrence that begins on a day; None if there is none, or the change of the clocks skips it."""
        if day.weekday() not in self.days:
            return None
        over_midnight = DAY if self.ends <= self.begins else 0
        starts_at, ends_at = min(self._moments(day, self.begins)), max(self._moments(day, self.ends + over_midnight))
        return Span(starts_at, ends_at) if starts_at < ends_at else None

    def _moments(self, day: date, minute: int) -> tuple[datetime, datetime]:
        """Return the first and the last moment at which the clock turns to a minute of a day, or jumps over it."""
        days, minute = divmod(minute, DAY)
        local = datetime.combine(day + timedelta(days=days), time(minute // 60, minute % 60), self.zone)
        early, late = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
        if late >= early:
            return early, late
        change = self._change(late, early)  # the clock skips it: PEP 495, "problematic local times"
        return change, change

    def _change(self, before: datetime, after: datetime) -> datetime:
        """Return the moment at which the clocks change between two moments, by halves."""
        old = before.astimezone(self.zone).utcoffset()
        while after - before > _MINUTE:
            middle = before + (after - before) // 2
            if middle.astimezone(self.zone).utcoffset() == old:
                before = middle
            else:
                after = middle
        return after.replace(second=0, microsecond=0)


def current(windows: Iterable[Weekly], now: datetime) -> Span | None:
    """Return the occurrence of any window that is under way and ends last; None outside of all."""
    spans = [span for window in windows if (span := window.now(now))]
    return max(spans, key=lambda span: span.ends_at, default=None)


def following(windows: Iterable[Weekly], now: datetime) -> Span | None:
    """Return the occurrence of any window that begins first after `now`; None if there is none."""
    spans = [span for window in windows if (span := window.after(now))]
    return min(spans, key=lambda span: span.starts_at, default=None)


def days_of(texts: Iterable[str]) -> frozenset[int]:
    """Read days like "mon" and "mon-fri", also over the end of the week ("sat-mon"). Raises ValueError."""
    return frozenset(day for text in texts for day in _days(text))


def minute_of(text: str) -> int:
    """Read a time of the day like "08:00", or "24:00" for the end of the day. Raises ValueError."""
    if not _TIME.fullmatch(text):
        raise ValueError(f'"{text}" is not a time. Write hours and minutes, like 08:00')
    return int(text[:2]) * 60 + int(text[3:])


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of a name like "Europe/Berlin" in the IANA database. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # a folder, a path out of the database, a name that is not in it
        raise ValueError(f'"{name}" is not a known time zone. Write a name like Europe/Berlin, or UTC') from None


def days_text(days: frozenset[int]) -> str:
    """Say the days of a week, runs of them short: "mon-fri, sun"."""
    runs: list[list[int]] = []
    for day in sorted(days):
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


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
