"""A silence as people write it, in config.json, for the API and on the command line. Checks what needs no clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from service_event_checker.config.models import Model
from service_event_checker.core import matchers, weekly
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.matchers import Matcher
from service_event_checker.core.silences import matches_everything
from service_event_checker.core.weekly import Weekly

MATCHERS_MAX = 20
TEXT_MAX = 500  # characters of a reason; it stands in each alert that is withheld
NAME_MAX = 100
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _clock(text: str) -> str:
    weekly.time_of(text)
    return text


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is not a time that can be used") from None


def _readable(texts: tuple[str, ...]) -> tuple[str, ...]:
    parts = read_matchers(texts)
    if not 1 <= len(parts) <= MATCHERS_MAX:
        raise ValueError(f"has {len(parts)} matchers. Give 1 to {MATCHERS_MAX}")
    costly = [str(part) for part in parts if part.pattern and matchers.is_costly(part.value)]
    if costly:
        raise ValueError(f"{costly[0]} could take very long. Use a pattern that repeats less")
    if matches_everything(parts):
        raise ValueError('would silence everything. Add a matcher, like source="github"')
    return texts


Time = Annotated[AwareDatetime, AfterValidator(_utc)]
Clock = Annotated[str, AfterValidator(_clock)]
Zone = Annotated[str, Field(max_length=NAME_MAX), AfterValidator(weekly.zone_of)]


class Repeat(Model):
    """The windows of a recurring silence: on these days, from one time of day to another, in a time zone.

    A window whose end is not after its start ends on the next day.
    """

    weekly: tuple[Day, ...] = Field(min_length=1, max_length=7)
    from_: Clock = Field(alias="from")
    to: Clock
    tz: Zone = "UTC"

    def read(self) -> Weekly:
        days = weekly.days_of(self.weekly)
        return Weekly(days, weekly.time_of(self.from_), weekly.time_of(self.to), self.tz)


class NewSilence(Model):
    """The body of POST /api/v1/silences. `match`: matchers, all of which an alert has to meet.

    `starts_at`: now, if left out. `ends_at` bounds a recurring silence also. `owner`: who asks, if left out.
    """

    match: Annotated[tuple[Annotated[str, Field(max_length=5000)], ...], AfterValidator(_readable)]
    starts_at: Time | None = None
    ends_at: Time
    owner: str = Field(default="", max_length=NAME_MAX)
    reason: str = Field(min_length=1, max_length=TEXT_MAX)
    repeat: Repeat | None = None

    @property
    def matchers(self) -> tuple[Matcher, ...]:
        return read_matchers(self.match)


def read_matchers(texts: tuple[str, ...]) -> tuple[Matcher, ...]:
    """Read matchers, one or several in each text. Raises ValueError."""
    try:
        return tuple(part for number, text in enumerate(texts) for part in matchers.parse(text, f"match[{number}]"))
    except InvalidInput as error:
        raise ValueError(f"{error.problem}. {error.hint}") from None
