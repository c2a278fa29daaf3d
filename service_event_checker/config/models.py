"""config.json as checked values: what is wrong is refused at start, with its path in the file and a hint.

Secrets stand in the file only as `"env:NAME"`. A key that is left out takes the environment variable that its
model names in `ENV`. What lacks a value it `NEEDS` is off and says why; the rest works.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from service_event_checker.config.sunset import Sunset
from service_event_checker.core.model import Budget, OnResolve
from service_event_checker.core.vocabulary import Severity

CHAT_BUDGET = Budget(20, timedelta(minutes=5))
MAIL_BUDGET = Budget(10, timedelta(minutes=10))
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: object) -> object:
    """Turn "60s", "5m", "1h30m" or a number of seconds into a timedelta; anything else is pydantic's to refuse."""
    if not isinstance(text, str | int | float):
        return text
    try:
        duration = _duration(text) if isinstance(text, str) else timedelta(seconds=text)
    except (OverflowError, ValueError):
        duration = timedelta(-1)
    if isinstance(text, bool) or duration < timedelta(0):
        raise ValueError('is not a duration. Write it like "60s", "5m" or "1h30m"')
    return duration


def _duration(text: str) -> timedelta:
    seconds, rest = 0.0, text.strip()
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        unit = rest[digits:].lstrip()[:2]
        unit = unit if unit == "ms" else unit[:1]
        seconds += float(rest[:digits]) * _UNITS.get(unit, float("nan"))
        rest = rest[digits:].lstrip()[len(unit) :].lstrip()
    return timedelta(seconds=seconds)


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


class Model(BaseModel):
    """The base of all that is read from config.json: unknown keys are mistakes, input is not echoed in errors."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        frozen=True,
        populate_by_name=True,
        use_attribute_docstrings=True,  # what a key means is said below it: docs, .env.example and editors show that
    )

    #: how people call what this kind reads or writes to, "" where its entry's name says it best
    DISPLAY_NAME: ClassVar[str] = ""
    #: field -> environment variables that fill it when the file leaves it out; the first that is set wins
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {}
    #: fields without which the entry is off
    NEEDS: ClassVar[tuple[str, ...]] = ()
    #: needed field -> the fields of which each, where it is set, makes up for it
    INSTEAD: ClassVar[dict[str, tuple[str, ...]]] = {}
    #: old name of a field -> its name now; the old one is still read, with a warning at start
    RENAMED: ClassVar[dict[str, str]] = {}

    def lacks(self) -> str:
        """Return what a checked entry still lacks to be on, for needs that no single field shows; "" for nothing."""
        return ""

    def cautions(self) -> tuple[str, ...]:
        """Return what is probably a mistake in a checked entry: lines like `token: what is wrong. How to fix it`."""
        return ()

    def sunsets(self) -> tuple[Sunset, ...]:
        """Return what this entry uses and its vendor will switch off."""
        return ()


def _regexp(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24}", text.strip().lower()):
        raise ValueError('is not a host. Write it like "api.example.com" or "*.example.com"')
    return text.strip().lower()


class Selection(Model):
    """What `only` and `except` select by. Names are compared without regard to case; `title` is a regexp.

    `affected` (of `only`): a component that the page shows as working is not met by an incident that lists it.
    """

    components: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    title: Annotated[str, AfterValidator(_regexp)] = ""
    affected: bool = False


class CheckerConfig(Model):
    """What every checker has. An adapter's Config adds `kind: Literal["<module name>"]` and its own keys.

    `name`: how people call what it watches. `hosts`: by which the words of an alert name it, like "api.example.com" or
    "*.example.com"; left out, those that are known of the vendor.
    """

    kind: str
    url: str
    every: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(seconds=60)
    timeout: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(minutes=2))] = timedelta(seconds=15)
    only: Selection = Selection()
    except_: Selection = Field(default=Selection(), alias="except")
    when_unknown: Literal["open", "ignore"] = "open"
    resolve_after: Annotated[int, Field(ge=1, le=100)] = 2
    name: str = ""
    hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = ()

    @model_validator(mode="after")
    def _affected_has_a_place(self) -> Self:
        if self.except_.affected:
            raise ValueError('except: "affected" belongs into "only"')
        if self.only.affected and not self.only.components:
            raise ValueError('only: "affected" is about "components". Name them')
        return self


class SourceConfig(Model):
    """What every source has that sends to us and can be asked as well. `every`: how often it is asked."""

    INTAKES: ClassVar[frozenset[str]] = frozenset()  # the ways in by which it sends

    kind: str
    every: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(minutes=5)


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # KeyError: ZoneInfoNotFoundError
        problem = f'"{name[:60]}" is not a time zone of this machine. Write it like UTC or Asia/Shanghai'
        raise ValueError(problem) from None
    return name


class StormConfig(Model):
    """How many alerts are told one by one within a time; what comes beyond is covered by one summary."""

    messages: Annotated[int, Field(ge=1, le=1000)]
    within: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(days=1))]


class DestinationConfig(Model):
    """What every destination has. An adapter's Config adds `kind: Literal["<module name>"]` and its own keys.

    None means the adapter's own default (the class attributes below).
    """

    SETTLE: ClassVar[timedelta] = timedelta(seconds=30)
    REOPEN_WITHIN: ClassVar[timedelta] = timedelta(0)
    STORM: ClassVar[Budget | None] = None  # None: each alert is told one by one
    RATE: ClassVar[tuple[float, int]] = (2.0, 5)  # deliveries per second, burst
    UPDATE_EVERY: ClassVar[timedelta] = timedelta(0)  # the shortest time between two updates of one object
    INTAKE: ClassVar[str] = ""  # the way in of its webhooks, where that is not /hooks/<kind>
    OPENS_ALERTS: ClassVar[bool] = False  # whether alerts that were born there come to us
    ANY_PLACE: ClassVar[bool] = False  # whether people put it in the place of any other kind, to try a configuration
    STAND_IN: ClassVar[str] = ""  # the kind that takes over while this one lacks what it needs

    kind: str
    settle: Duration | None = None
    """after a timeout, how long to wait before searching whether the ticket was created; default: per kind"""
    reopen_within: Duration | None = None
    """if an alert fires again within this time, its previous ticket is reopened; `0s`: always create a new one;
    default: per kind"""
    timeout: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(minutes=2))] = timedelta(seconds=15)
    """maximum time for one call, at most 2 min"""
    rate: Annotated[float, Field(gt=0)] | None = None
    """deliveries per second; default: per kind"""
    burst: Annotated[int, Field(ge=1)] | None = None
    """how many deliveries at once; default: per kind"""
    on_resolve: OnResolve = "close"
    """when the alert is over: `close` the ticket, `comment` only, or `none`"""
    on_ambiguous: Literal["repeat", "drop"] | None = None
    """when delivery cannot be verified: resend (`repeat`) or `drop`; default: critical and error are resent"""
    update_every: Duration | None = None
    """minimum time between two updates of one ticket, or two messages about updates of one alert; notes and the end
    are sent at once; default: per kind"""
    shadow: bool = False
    """record what would be sent, and send nothing: [moving pagers](moving-from-opsgenie.md)"""
    language: Literal["en", "zh"] = "en"
    """language of messages, tickets and pages: `en` or `zh`; what a vendor or a person wrote is not translated"""
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    """time zone of times in texts, like `Asia/Shanghai`; Slack shows each reader the own zone anyway"""
    fallback: str = ""
    """another destination that is told while this one is down; see below"""
    storm: StormConfig | None = None
    """`{"messages": 20, "within": "5m"}`: so many alerts (`messages`) are told one by one in a time (`within`); beyond,
    [one summary](storms.md). Default: 20 in `5m` for chat, 10 in `10m` for mail and SMS. `null`: no limit"""

    @property
    def budget(self) -> Budget | None:
        """How many alerts are told one by one; None for no limit."""
        if self.storm is None:
            return None if "storm" in self.model_fields_set else type(self).STORM
        return Budget(self.storm.messages, self.storm.within)

    @model_validator(mode="after")
    def _storm_fits(self) -> Self:
        if self.storm is not None and type(self).STORM is None:
            raise ValueError("storm: only chat, mail and SMS are summarised in a storm. Remove it; see group_by")
        return self


def secret(value: SecretStr | None) -> str:
    """Return the text of a secret, or ""."""
    return value.get_secret_value() if value else ""


def as_mapping(value: Any) -> dict[str, Any]:
    """Return `value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}
