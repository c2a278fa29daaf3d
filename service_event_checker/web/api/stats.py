"""GET /api/v1/stats: what is open now, and how alerts of the last days were handled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any

from flask import Blueprint, request
from pydantic import AwareDatetime, BaseModel

from service_event_checker.config.models import parse_duration
from service_event_checker.core.model import Alert
from service_event_checker.engine import statistics
from service_event_checker.web.context import services
from service_event_checker.web.errors import invalid

WINDOW_DEFAULT = "7d"
WINDOW_MAX = timedelta(days=90)

blueprint = Blueprint("stats", __name__, url_prefix="/api/v1/stats")


class Window(BaseModel):
    since: AwareDatetime
    until: AwareDatetime


class OpenAlerts(BaseModel):
    """Open alerts, in total and by value; `source` has the 50 largest."""

    total: int
    status: dict[str, int]
    severity: dict[str, int]
    kind: dict[str, int]
    source: dict[str, int]


class OpenedOnDay(BaseModel):
    """`day` in UTC, like 2026-11-20."""

    day: str
    count: int


class NoisyAlert(BaseModel):
    id: str
    title: str
    source: str
    episodes: int
    repeats: int


class StatsShape(BaseModel):
    """Times are means, in seconds, null where there is none. `complete`: false if more alerts exist than were read."""

    window: Window
    open: OpenAlerts
    opened_per_day: list[OpenedOnDay]
    acknowledged: int
    mean_seconds_to_acknowledge: float | None
    resolved: int
    mean_seconds_to_resolve: float | None
    noisiest: list[NoisyAlert]
    complete: bool


@blueprint.get("")
def show() -> dict[str, Any]:
    found = statistics.read(services().store, _window(), datetime.now(UTC))
    return StatsShape(
        window=Window(since=found.since, until=found.until),
        open=OpenAlerts(total=found.open_total, **found.open),
        opened_per_day=[OpenedOnDay(day=str(day), count=number) for day, number in found.opened.items()],
        acknowledged=len(found.to_acknowledge),
        mean_seconds_to_acknowledge=fmean(found.to_acknowledge) if found.to_acknowledge else None,
        resolved=len(found.to_resolve),
        mean_seconds_to_resolve=fmean(found.to_resolve) if found.to_resolve else None,
        noisiest=list(map(_noisy, found.noisiest)),
        complete=found.complete,
    ).model_dump(mode="json")


def _noisy(alert: Alert) -> NoisyAlert:
    return NoisyAlert(
        id=alert.internal_id, title=alert.title, source=alert.source, episodes=alert.episode, repeats=alert.repeats
    )


def _window() -> timedelta:
    for name in request.args:
        if name != "window":
            raise invalid(name, "is not a known parameter. Known is window")
    try:
        window = parse_duration(request.args.get("window", WINDOW_DEFAULT))
    except ValueError:
        window = None
    if not isinstance(window, timedelta) or not timedelta(hours=1) <= window <= WINDOW_MAX:
        raise invalid("window", f"is not a duration from 1h to {WINDOW_MAX.days}d")
    return window
