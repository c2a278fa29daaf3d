"""What the page says of alerts, checkers and dead letters: plain text that the template escapes, and safe addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from service_event_checker import logs
from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.vocabulary import Affects, Kind, Severity, Status, Verb
from service_event_checker.engine.quarantine import Held
from service_event_checker.render.names import platform_name
from service_event_checker.render.text import duration, line, moment, web_address
from service_event_checker.web.status.overview import CheckerState, PollState

TITLE_MAX = 240
TEXT_MAX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """`links` are (receiver, address), `untold` (receiver, reason); `url` is "" or may be followed."""

    id: str
    title: str
    url: str
    severity: Severity
    status: Status
    tags: tuple[str, ...]
    source: str
    since: str
    lasted: str
    owner: str
    links: tuple[tuple[str, str], ...]
    told: tuple[str, ...]
    untold: tuple[tuple[str, str], ...]
    planned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckerRow:
    name: str
    reading: PollState
    state: str
    read: str
    due: str
    tracked: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterRow:
    id: str
    alert: str
    receiver: str
    verb: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """A body in quarantine."""

    id: str
    route: str
    when: str
    error: str


def by_urgency(alerts: Iterable[Alert]) -> list[Alert]:
    """Sort for a person on call: planned and tests last; the worst first, then what nobody took, then the newest."""
    newest_first = sorted(alerts, key=lambda alert: alert.opened_at, reverse=True)
    return sorted(newest_first, key=_urgency)


def alert_row(alert: Alert, now: datetime, given_up: Iterable[Delivery] = ()) -> AlertRow:
    """Say all of one alert; `given_up` are dead letters, its own are picked out."""
    since = alert.starts_at or alert.started_at
    links = ((name, web_address(url)) for name, url in sorted(alert.links.items()))
    made = tuple((name, url) for name, url in links if url)
    untold = _untold(alert, given_up)
    return AlertRow(
        id=alert.internal_id,
        title=line(alert.title, TITLE_MAX) or "(no title)",
        url=web_address(alert.url),
        severity=alert.severity,
        status=alert.status,
        tags=tuple(_tags(alert)),
        source=platform_name(alert.source),
        since=_when(since, now),
        lasted=duration((alert.ended_at or now) - since),
        owner=line(alert.owner, 100),
        links=made,
        told=tuple(name for name in alert.receivers if name not in dict(made) and name not in untold),
        untold=tuple((name, line(logs.masked(why), TEXT_MAX)) for name, why in untold.items()),
        planned=alert.kind is Kind.MAINTENANCE,
    )


def checker_row(checker: CheckerState, now: datetime) -> CheckerRow:
    read = checker.last_success_at
    return CheckerRow(
        name=checker.name,
        reading=checker.reading,
        state=line(_state(checker, now), TEXT_MAX),
        read=f"{duration(now - read)} ago" if read else "",
        due=_due(checker.next_run_at, now),
        tracked=checker.tracked,
        warnings=tuple(line(warning, TEXT_MAX) for warning in checker.warnings),
    )


def letter_row(letter: Delivery, alerts: Mapping[str, Alert]) -> LetterRow:
    alert = alerts.get(letter.key)
    return LetterRow(
        id=letter.id,
        alert=f"{alert.internal_id} {line(alert.title, TITLE_MAX)}" if alert else letter.key,
        receiver=letter.receiver,
        verb=letter.verb.value,
        reason=line(logs.masked(letter.reason), TEXT_MAX),
    )


def refused_row(held: Held, now: datetime) -> RefusedRow:
    refused = held.refusal
    return RefusedRow(id=held.id, route=refused.route, when=_when(held.at, now), error=line(refused.error, TEXT_MAX))


def _urgency(alert: Alert) -> tuple[bool, bool, int, bool]:
    return (alert.test, alert.kind is Kind.MAINTENANCE, alert.severity.rank, alert.status is Status.ACKNOWLEDGED)


def _tags(alert: Alert) -> Iterator[str]:
    if alert.test:
        yield "TEST"
    if alert.kind is Kind.MAINTENANCE:
        yield "maintenance"
    if alert.affects_us is not Affects.YES:
        yield f"affects us: {alert.affects_us}"
    if alert.episode > 1:
        yield f"opened {alert.episode} times"


def _untold(alert: Alert, given_up: Iterable[Delivery]) -> dict[str, str]:
    """Return why receivers have not heard of the alert's episode."""
    lost = (one for one in given_up if one.key == alert.key and one.episode == alert.episode and one.verb is Verb.OPEN)
    return {**alert.withheld, **{one.receiver: f"given up: {one.reason}" for one in lost}}


def _state(checker: CheckerState, now: datetime) -> str:
    why = f": {checker.why}" if checker.why else ""
    if checker.unknown_since is not None:
        return f"unknown for {duration(now - checker.unknown_since)}{why}"
    return f"{checker.reading}{why}"


def _when(at: datetime, now: datetime) -> str:
    return f"{at:%H:%M} UTC" if abs(now - at) < timedelta(hours=12) else moment(at)


def _due(at: datetime | None, now: datetime) -> str:
    if at is None:
        return ""
    return f"in {duration(at - now)}" if at > now else "now"
