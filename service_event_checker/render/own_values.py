"""What templates of users see of an alert, and the filters that they may use. All values are cleaned and plain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from service_event_checker.core.model import Alert, Delivery
from service_event_checker.render import sandbox, voice
from service_event_checker.render.names import platform_name
from service_event_checker.render.text import cut, duration, line, moment, web_address
from service_event_checker.render.texts import MARKS, TABLES, say

if TYPE_CHECKING:
    from service_event_checker.render.notice import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The alert as a template sees it: cleaned, plain values. A label that is missing is ""."""

    id: str
    title: str
    source: str
    platform: str
    kind: str
    status: str
    severity: str
    description: str
    link: str
    fingerprint: str
    owner: str
    episode: int
    test: bool
    affects_us: str
    explained_by: str
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


class Pairs(dict[str, str]):
    """Labels or annotations by name, "" for one that an alert does not have."""

    def __missing__(self, name: str) -> str:
        return ""


def values_of(delivery: Delivery, alert: Alert, told: Notice) -> dict[str, object]:
    shown = Shown(
        id=alert.internal_id,
        title=told.title,
        source=line(alert.source, 100),
        platform=platform_name(alert.source),
        kind=alert.kind.value,
        status=alert.status.value,
        severity=alert.severity.value,
        description=told.body,
        link=told.link,
        fingerprint=line(alert.fingerprint, 300),
        owner=line(alert.owner, 100),
        episode=alert.episode,
        test=alert.test,
        affects_us=alert.affects_us.value,
        explained_by=line(alert.explained_by, 100),
        started_at=alert.started_at,
        updated_at=alert.updated_at,
        ended_at=alert.ended_at,
        labels=Pairs(told.labels),
        annotations=Pairs(told.annotations),
    )
    return {
        "alert": shown,
        "notice": told,
        "verb": delivery.verb.value,
        "actor": line(delivery.actor, 100),
        "note": line(delivery.note, 2000),
        "destination": delivery.receiver,
        "language": voice.current().language,
    }


def _emoji(severity: object) -> str:
    return next((mark for each, mark in MARKS.items() if each == severity), "")


def _word(value: object) -> str:
    """Return the word of a severity or a status in the receiver's language."""
    keys = (f"severity.{value}", f"status.{value}")
    return next((say(key) for key in keys if key in TABLES["en"]), str(value))


def _cut(value: object, limit: int) -> str:
    return cut(str(value), max(1, min(int(limit), sandbox.TEXT_MAX)))


def _local(value: Any, form: str = "") -> str:
    """Return a time in the receiver's time zone; `form` as strftime has it."""
    if not isinstance(value, datetime):
        return ""
    return value.astimezone(voice.current().zone).strftime(form[:100]) if form else moment(value)


def _duration(value: Any, until: Any = None) -> str:
    """Return how long: of a timedelta, of seconds, or from one time to another."""
    if isinstance(value, datetime):
        return duration((until or datetime.now(UTC)) - value)
    return duration(value) if hasattr(value, "total_seconds") else f"{value} s"


def filters(address: Callable[[str], str] | None) -> Mapping[str, Callable[..., Any]]:
    """Return the filters of a text; `address` writes a web address for its channel, where the escaped text does not."""
    if address is None:
        return FILTERS
    return {**FILTERS, "link": lambda value: sandbox.Finished(address(web_address(str(value))))}


FILTERS: Mapping[str, Callable[..., Any]] = {
    "emoji": _emoji,
    "word": _word,
    "cut": _cut,
    "oneline": lambda value: line(str(value), 2000),
    "local": _local,
    "duration": _duration,
    "link": lambda value: web_address(str(value)),
}
