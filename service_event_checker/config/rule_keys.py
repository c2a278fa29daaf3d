"""The further keys of a rule in config.json, and what they are for the deciders: for, after, windows, escalate."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from service_event_checker.config.models import Duration, Model
from service_event_checker.config.silences import Clock, Zone
from service_event_checker.core import weekly
from service_event_checker.core.conditions import FIRED_MAX, After
from service_event_checker.core.escalation import Escalate
from service_event_checker.core.flapping import CHANGES_MAX, Flapping
from service_event_checker.core.weekly import Weekly

DAY = timedelta(days=1)


def _days(texts: tuple[str, ...]) -> tuple[str, ...]:
    weekly.days_of(texts)
    return texts


Lasting = Annotated[Duration, Field(gt=timedelta(0), le=7 * DAY)]


class WindowEntry(Model):
    """`days`: on which it begins. An end that is not after the beginning is on the next day."""

    days: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_days)] = ("mon-sun",)
    from_: Clock = Field(alias="from")
    to: Clock
    tz: Zone = "UTC"

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.from_ == self.to:
            raise ValueError('is empty: "from" is "to". Write 00:00 and 24:00 for whole days')
        if self.from_ == "24:00":
            raise ValueError('begins at 24:00. Write "from": "00:00" and the next day')
        return self

    def window(self) -> Weekly:
        return Weekly(
            weekly.days_of(self.days),
            weekly.time_of(self.from_),
            weekly.time_of(self.to),
            self.tz,
        )


class AfterEntry(Model):
    count: int = Field(ge=2, le=FIRED_MAX)
    within: Lasting

    def after(self) -> After:
        return After(self.count, self.within)


class EscalateEntry(Model):
    """`send` is told when nobody has acknowledged the alert for the time of `after`, and then each time of `repeat`."""

    after: Lasting
    send: tuple[str, ...] = Field(min_length=1)
    repeat: Annotated[Duration, Field(ge=timedelta(minutes=1), le=7 * DAY)] | None = None

    def escalate(self) -> Escalate:
        return Escalate(self.after, tuple(dict.fromkeys(self.send)), self.repeat)


class FlappingEntry(Model):
    """More than `changes` of an alert's state within a time: it flaps, until it is calm for as long."""

    changes: int = Field(default=Flapping().changes, ge=2, le=CHANGES_MAX)
    within: Annotated[Duration, Field(ge=timedelta(minutes=1), le=DAY)] = Flapping().within

    def flapping(self) -> Flapping:
        return Flapping(self.changes, self.within)
