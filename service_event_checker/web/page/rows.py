"""What the page says of alerts, checkers and failed deliveries: plain text that the template escapes, safe links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service_event_checker import logs
from service_event_checker.core.model import Alert, Delivery, PlannedWork
from service_event_checker.core.silences import Holding, Silence
from service_event_checker.core.verdict import Answer
from service_event_checker.core.vocabulary import Affects, Kind, Severity, Status, Verb
from service_event_checker.engine.quarantine import Held
from service_event_checker.render import plan
from service_event_checker.render.labels import alert_title, author_links, summary_links
from service_event_checker.render.names import platform_name
from service_event_checker.render.text import duration, line, moment, web_address
from service_event_checker.web.status.overview import CheckerState, PollState

TEXT_MAX = 300
_MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """`told` and `waiting` are receivers by their names for people; `told` has (name, address or "").

    `failed` and `withheld` are (name, reason). `url` is "" or may be followed; `links` (text, address) are the runbook
    and the dashboard. `verdict` says whether it is a vendor, "" where nothing is known; `reasons` why.
    `silenced` and `muted` (in its own system) say by whom and until when; `outlook` is that of
    planned work that is not over; `lasted` is "" for planned work that ended before its start.
    """

    id: str
    title: str
    url: str
    links: tuple[tuple[str, str], ...]
    severity: Severity
    status: Status
    tags: tuple[str, ...]
    source: str
    since: str
    lasted: str
    owner: str
    told: tuple[tuple[str, str], ...]
    waiting: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    withheld: tuple[tuple[str, str], ...]
    silenced: str
    muted: str
    verdict: str
    reasons: tuple[str, ...]
    outlook: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRow:
    """Planned work; `id` is "" where it is not tracked."""

    id: str
    title: str
    url: str
    source: str
    outlook: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckerRow:
    name: str
    reading: PollState
    state: str
    last: str
    next: str
    open: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRow:
    id: str
    alert: str
    receiver: str
    verb: str
    age: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """A webhook's body in quarantine."""

    id: str
    route: str
    when: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceRow:
    """A silence that is active now; `until` is the end of it all, `repeat` "" unless it recurs."""

    id: str
    match: str
    owner: str
    until: str
    repeat: str
    reason: str
    hits: int


def by_urgency(alerts: Iterable[Alert]) -> list[Alert]:
    """Sort for a person on call: worst first, then not acknowledged, then newest; planned and tests last."""
    newest_first = sorted(alerts, key=lambda alert: alert.opened_at, reverse=True)
    return sorted(newest_first, key=_urgency)


def alert_row(
    alert: Alert,
    now: datetime,
    failed: Iterable[Delivery] = (),
    pending: frozenset[tuple[str, str]] = frozenset(),
    silence: Holding | None = None,
) -> AlertRow:
    """Describe one alert. `failed` and `pending` (receiver, alert key) may be of any alert: its own are picked out."""
    since = alert.since
    links = {name: web_address(url) for name, url in alert.links.items()}
    lost = _lost(alert, failed)
    waiting = [
        name for name in alert.receivers if not links.get(name) and name not in lost and (name, alert.key) in pending
    ]
    told = [name for name in alert.receivers if name not in waiting and name not in lost]
    return AlertRow(
        id=alert.internal_id,
        title=alert_title(alert),
        links=(*author_links(alert.annotations), *summary_links(alert)),
        url=web_address(alert.url),
        severity=alert.severity,
        status=alert.status,
        tags=tuple(_tags(alert)),
        source=platform_name(alert.source),
        since=_when(since, now),
        lasted=_lasted(alert, since, now),
        owner=line(alert.owner, 100),
        told=tuple((platform_name(name), links.get(name, "")) for name in told),
        waiting=tuple(platform_name(name) for name in waiting),
        failed=_reasons(lost),
        withheld=_reasons(alert.withheld),
        silenced=line(logs.masked(silence.text), TEXT_MAX) if silence else "",
        muted=line(logs.masked(alert.muted), TEXT_MAX) if alert.open else "",
        verdict=_verdict(alert),
        reasons=tuple(line(text, TEXT_MAX) for text in alert.verdict.reasons) if alert.verdict else (),
        outlook=plan.outlook(alert.started_at, alert.ends_at, now) if plan.is_planned(alert) and alert.open else "",
    )


def silence_row(silence: Silence) -> SilenceRow:
    return SilenceRow(
        id=silence.id,
        match=line(", ".join(map(str, silence.matchers)), TEXT_MAX),
        owner=line(silence.owner, 100),
        until=moment(silence.ends_at.astimezone(UTC)),
        repeat=silence.repeat.text if silence.repeat else "",
        reason=line(logs.masked(silence.reason), TEXT_MAX),
        hits=silence.hits,
    )


def planned_rows(alerts: Iterable[Alert], checkers: Iterable[CheckerState], now: datetime) -> list[PlannedRow]:
    """Return the planned work that is tracked, and that which status pages list, the earliest first."""
    tracked = [alert for alert in alerts if plan.is_planned(alert)]
    known = {(alert.source, alert.fingerprint) for alert in tracked}
    found = [(alert.started_at, _tracked_work(alert, now)) for alert in tracked]
    found += [
        (work.starts_at or now, _listed_work(checker.name, work, now))
        for checker in checkers
        for work in checker.planned
        if (checker.name, work.fingerprint) not in known
    ]
    return [row for _, row in sorted(found, key=lambda each: (each[0], each[1].title))]


def checker_row(checker: CheckerState, now: datetime) -> CheckerRow:
    read = checker.last_success_at
    return CheckerRow(
        name=platform_name(checker.name),
        reading=checker.reading,
        state=line(_state(checker, now), TEXT_MAX),
        last=f"{duration(now - read)} ago" if read else "",
        next=_due(checker.next_run_at, now),
        open=checker.tracked,
        warnings=tuple(line(warning, TEXT_MAX) for warning in checker.warnings),
    )


def failed_row(delivery: Delivery, alerts: Mapping[str, Alert], now: datetime) -> FailedRow:
    """Describe a failed delivery; `alerts` by key, where it is still known."""
    alert = alerts.get(delivery.key)
    return FailedRow(
        id=delivery.id,
        alert=f"{alert.internal_id} {alert_title(alert)}" if alert else delivery.key,
        receiver=platform_name(delivery.receiver),
        verb=delivery.verb.value,
        age=f"made {duration(now - delivery.created_at)} ago" if delivery.created_at else "",
        reason=line(logs.masked(delivery.reason), TEXT_MAX),
    )


def rejected_row(held: Held, now: datetime) -> RejectedRow:
    refused = held.refusal
    return RejectedRow(id=held.id, route=refused.route, when=_when(held.at, now), error=line(refused.error, TEXT_MAX))


def _tracked_work(alert: Alert, now: datetime) -> PlannedRow:
    owner = line(alert.owner, 100) or "somebody"
    taken = (f"acknowledged by {owner}",) if alert.status is Status.ACKNOWLEDGED else ()
    return PlannedRow(
        id=alert.internal_id,
        title=alert_title(alert),
        url=web_address(alert.url),
        source=platform_name(alert.source),
        outlook=plan.outlook(alert.started_at, alert.ends_at, now),
        tags=(*(tag for tag in _tags(alert) if tag != _MAINTENANCE), *taken),
    )


def _listed_work(source: str, work: PlannedWork, now: datetime) -> PlannedRow:
    return PlannedRow(
        id="",
        title=line(work.title, TEXT_MAX) or "(no title)",
        url=web_address(work.url),
        source=platform_name(source),
        outlook=plan.outlook(work.starts_at, work.ends_at, now),
        tags=(),
    )


def _lasted(alert: Alert, since: datetime, now: datetime) -> str:
    ended_at = alert.ended_at or now
    return "" if plan.is_planned(alert) and ended_at <= since else duration(ended_at - since)


def _urgency(alert: Alert) -> tuple[bool, bool, int, bool]:
    return (alert.test, alert.kind is Kind.MAINTENANCE, alert.severity.rank, alert.status is Status.ACKNOWLEDGED)


def _tags(alert: Alert) -> Iterator[str]:
    if alert.test:
        yield "TEST"
    if alert.kind is Kind.MAINTENANCE:
        yield _MAINTENANCE
    if alert.affects_us is not Affects.YES:
        yield f"affects us: {alert.affects_us}"
    if alert.flapping:
        yield "flapping"
    if alert.episode > 1:
        yield f"opened {alert.episode} times"


def _lost(alert: Alert, failed: Iterable[Delivery]) -> dict[str, str]:
    """Return by receiver why the alert's present episode could not be opened there."""
    own = (one for one in failed if one.key == alert.key and one.episode == alert.episode and one.verb is Verb.OPEN)
    return {one.receiver: one.reason for one in own}


def _reasons(why: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((platform_name(name), line(logs.masked(text), TEXT_MAX)) for name, text in why.items())


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


def _verdict(alert: Alert) -> str:
    """Return the verdict in a sentence; "" where neither a vendor nor we are known as the cause."""
    verdict = alert.verdict
    return line(verdict.sentence, TEXT_MAX) if verdict and verdict.answer is not Answer.UNKNOWN else ""
