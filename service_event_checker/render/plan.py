"""What people are told of planned work: when it is to begin and to end, and how far it is. Pure.

It never fires: before its start it is planned, then in progress, and over when its source says so.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Kind
from service_event_checker.render.text import duration, local, moment, zone
from service_event_checker.render.texts import say

PLANNED, IN_PROGRESS, OVER = "planned", "in progress", "over"
_NEAR = timedelta(hours=12)  # so near, a time needs no date


def is_planned(alert: Alert) -> bool:
    return alert.kind is Kind.MAINTENANCE


def stage(starts_at: datetime | None, now: datetime, *, over: bool = False) -> str:
    """Return the word for how far planned work is."""
    if over:
        return OVER
    return PLANNED if starts_at is not None and starts_at > now else IN_PROGRESS


def span(starts_at: datetime, ends_at: datetime | None, now: datetime | None = None) -> str:
    """Return "2026-11-28 22:30 to 00:30 UTC". With `now`, a time that is near has no date."""
    start = _clock(starts_at, now)
    if ends_at is None:
        return f"{start} {zone(starts_at)}"
    near = ends_at - starts_at < timedelta(hours=24)
    end = f"{local(ends_at):%H:%M}" if near else _clock(ends_at, now)
    return say("span", start=start, end=f"{end} {zone(ends_at)}")


def outlook(starts_at: datetime | None, ends_at: datetime | None, now: datetime) -> str:
    """Return what is next, for a text that is soon replaced: "Planned 22:30 to 00:30 UTC, in 9 h 38 min"."""
    if starts_at is not None and starts_at > now:
        return f"Planned {span(starts_at, ends_at, now)}, in {duration(starts_at - now)}"
    if ends_at is None:
        return f"In progress since {_clock(starts_at, now)} UTC" if starts_at else "In progress"
    until = f"{_clock(ends_at, now)} UTC"
    if ends_at > now:
        return f"In progress until {until}"
    return f"In progress, {duration(now - ends_at)} longer than planned (until {until})"


def ending(alert: Alert, ended_at: datetime) -> str:
    """Return "after 2 h"; work that ended before its start was called off."""
    if ended_at <= alert.started_at:
        return say("lasted.before")
    return say("lasted.after", span=duration(ended_at - alert.started_at))


def standing(alert: Alert) -> str:
    """Return where the work stood when the alert last changed, for a text that stays."""
    where = stage(alert.started_at, alert.updated_at, over=not alert.open)
    shown = say(f"stage.{where}")
    if not alert.open:
        return say("standing.over", stage=shown, lasted=ending(alert, alert.ended_at or alert.updated_at))
    if where == PLANNED:
        return say("standing.planned", stage=shown, span=span(alert.started_at, alert.ends_at))
    if alert.ends_at:
        return say("standing.until", stage=shown, at=moment(alert.ends_at))
    return say("standing.since", stage=shown, at=moment(alert.started_at))


def _clock(at: datetime, now: datetime | None) -> str:
    near = now is not None and abs(at - now) < _NEAR
    return f"{local(at):%H:%M}" if near else f"{local(at):%Y-%m-%d %H:%M}"
