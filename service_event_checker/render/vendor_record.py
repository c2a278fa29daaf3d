"""A vendor's record as JSON, as CSV and as lines for people."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime, BaseModel

from service_event_checker.core.vendor_record import Posted, Record

COLUMNS = (
    "id", "title", "severity", "started_at", "posted_at", "ended_at", "lag_seconds",
    "first_symptom_at", "symptom_lag_seconds", "explained",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a table program would run


class PostedOutage(BaseModel):
    """One outage. `lag_seconds`: from its own start to its post; `symptom_lag_seconds`: from our first alert that it
    explains (negative: it posted before). `explained`: how many alerts it explains.
    """

    id: str
    title: str
    severity: str
    started_at: AwareDatetime
    posted_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    lag_seconds: float | None
    first_symptom_at: AwareDatetime | None
    symptom_lag_seconds: float | None
    explained: int

    @classmethod
    def of(cls, outage: Posted) -> Self:
        return cls(
            id=outage.id,
            title=outage.title,
            severity=outage.severity,
            started_at=outage.started_at,
            posted_at=outage.posted_at,
            ended_at=outage.ended_at,
            lag_seconds=_seconds(outage.lag),
            first_symptom_at=outage.first_symptom_at,
            symptom_lag_seconds=_seconds(outage.symptom_lag),
            explained=outage.explained,
        )


class VendorSummary(BaseModel):
    """A vendor in a window. `minutes_lost`: with an outage, each minute once; `days`: in UTC that had one.

    `without_impact`: posted outages that explain no alert. Lags are in seconds. `complete`: false if more alerts exist
    than were read.
    """

    name: str
    since: AwareDatetime
    until: AwareDatetime
    outages: int
    days: int
    minutes_lost: float
    retracted: int
    without_impact: int
    explained: int
    median_lag_seconds: float | None
    max_lag_seconds: float | None
    median_symptom_lag_seconds: float | None
    max_symptom_lag_seconds: float | None
    complete: bool

    @classmethod
    def of(cls, found: Record) -> Self:
        return cls.model_validate(summary(found))


class VendorRecordShape(VendorSummary):
    """The same with its outages, the oldest first."""

    posted: list[PostedOutage]

    @classmethod
    def of(cls, found: Record) -> Self:
        return cls.model_validate(summary(found) | {"posted": [PostedOutage.of(each) for each in found.outages]})


def summary(found: Record) -> dict[str, object]:
    (lag, most), (symptom_lag, most_symptom) = found.lags, found.symptom_lags
    return {
        "name": found.name,
        "since": found.since,
        "until": found.until,
        "outages": len(found.outages),
        "days": found.days,
        "minutes_lost": round(found.lost.total_seconds() / 60, 1),
        "retracted": found.retracted,
        "without_impact": found.without_impact,
        "explained": found.explained,
        "median_lag_seconds": _seconds(lag),
        "max_lag_seconds": _seconds(most),
        "median_symptom_lag_seconds": _seconds(symptom_lag),
        "max_symptom_lag_seconds": _seconds(most_symptom),
        "complete": found.complete,
    }


def as_csv(found: Record) -> str:
    """Return the outages as CSV (RFC 4180) with a head; text that a table program would run begins with a quote."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for outage in map(PostedOutage.of, found.outages):
        row = outage.model_dump()
        writer.writerow([_cell(row[name]) for name in COLUMNS])
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return "" if value is None else value


def _seconds(lag: timedelta | None) -> float | None:
    return lag.total_seconds() if lag is not None else None
