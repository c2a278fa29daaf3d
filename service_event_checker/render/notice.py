"""One neutral rendering of an alert for people (`Notice`); every channel starts from here.

Pure but for the clock in `notice_of`. It cuts and cleans the vendors' texts. Escaping is done
when the text of a channel is built: by Jinja for HTML, by the adapter for its own markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.vocabulary import DRY_RUN, Affects, Kind, ResolvedBy, Severity, Status, Verb
from service_event_checker.render import plan
from service_event_checker.render.labels import alert_title, author_links
from service_event_checker.render.names import object_name, platform_name
from service_event_checker.render.text import clean, duration, line, moment, web_address

TEST_WORD = "TEST"
BODY_MAX = 8000
VALUE_MAX = 500
FINGERPRINT = "Fingerprint"  # the field by which a ticket is found from its source
MARKS: Mapping[Severity, str] = {
    Severity.CRITICAL: "🔴",
    Severity.ERROR: "🟠",
    Severity.WARNING: "🟡",
    Severity.INFO: "🔵",
}
_PLACES = {
    "component": "Affected",
    "service": "Service",
    "product": "Product",
    "instance": "Instance",
    "region": "Region",
    "geography": "Region",
}
_ENDINGS = {
    ResolvedBy.SOURCE: "reported by the source",
    ResolvedBy.ABSENCE: "no longer listed by the source",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The text of an alert for people: plain, cleaned and cut, not escaped for a channel.

    `subject` is one line that need not change while the alert lasts: a vendor's outage is named after its platform, an
    internal alert by its title alone. `headline` adds severity, and the word TEST for a test;
    `state` is the status, `change` the latest change ("" for the opening). `fields`, `labels`
    and `annotations` are (name, value) pairs, `tickets` (what, system, address) of what was opened elsewhere, where
    what is "Ticket" or "Page"; `links` (text, address) are the runbook and the dashboard.
    """

    test: bool
    severity: Severity
    status: Status
    mark: str
    subject: str
    headline: str
    title: str
    state: str
    change: str
    fields: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, str], ...]
    tickets: tuple[tuple[str, str, str], ...]
    links: tuple[tuple[str, str], ...]
    body: str
    link: str
    link_text: str
    footer: str


def notice(alert: Alert, verb: Verb, now: datetime, *, actor: str = "", note: str = "", receiver: str = "") -> Notice:
    """Return the notice of `alert`; `actor` and `note` are those of the change. At `receiver` it links elsewhere only.

    For an open alert, the text does not depend on `now` (except for the verb `close`), so that a repetition is
    identical.
    """
    platform = platform_name(alert.source)
    subject = _subject(alert, platform)
    return Notice(
        test=alert.test,
        severity=alert.severity,
        status=alert.status,
        mark=_mark(alert),
        subject=subject,
        headline=_headline(alert, subject),
        title=alert_title(alert),
        state=_state(alert, now),
        change=_change(alert, verb, now, line(actor, 100), clean(note, 2000)),
        fields=tuple(_fields(alert, platform)),
        labels=_pairs(alert.labels),
        annotations=_pairs(alert.annotations),
        tickets=tuple(_tickets(alert, receiver)),
        links=tuple(author_links(alert.annotations)),
        body=clean(alert.description, BODY_MAX),
        link=web_address(alert.url),
        link_text=f"Open {platform} status page" if alert.kind is not Kind.ALERT else "Open alert source",
        footer=f"{alert.internal_id} · from {platform} · as of {moment(alert.updated_at)}",
    )


def notice_of(delivery: Delivery, alert: Alert) -> Notice:
    """Return the notice of a delivery that is sent now."""
    now = datetime.now(UTC)
    return notice(alert, delivery.verb, now, actor=delivery.actor, note=delivery.note, receiver=delivery.receiver)


def _mark(alert: Alert) -> str:
    return "✅" if alert.status is Status.RESOLVED else MARKS[alert.severity]


def _subject(alert: Alert, platform: str) -> str:
    title = alert_title(alert)
    named = alert.kind is Kind.ALERT or title.lower().startswith(platform.lower())
    return title if named else f"{platform}: {title}"


def _headline(alert: Alert, subject: str) -> str:
    words = {
        Status.FIRING: alert.severity.capitalize(),
        Status.ACKNOWLEDGED: f"{alert.severity.capitalize()}, acknowledged",
        Status.RESOLVED: "Resolved",
    }
    if plan.is_planned(alert):
        words = {
            Status.FIRING: "Maintenance",
            Status.ACKNOWLEDGED: "Maintenance, acknowledged",
            Status.RESOLVED: "Maintenance over",
        }
    start = f"[{TEST_WORD}] " if alert.test else ""
    return f"{start}{words[alert.status]} · {subject}"


def _state(alert: Alert, now: datetime) -> str:
    owner = f" by {line(alert.owner, 100)}" if alert.owner else ""
    if plan.is_planned(alert):
        return plan.standing(alert) + (f", acknowledged{owner}" if alert.status is Status.ACKNOWLEDGED else "")
    if alert.status is Status.RESOLVED:
        return f"Resolved after {duration((alert.ended_at or now) - alert.started_at)}"
    return f"Acknowledged{owner}" if alert.status is Status.ACKNOWLEDGED else "Firing"


def _change(alert: Alert, verb: Verb, now: datetime, actor: str, note: str) -> str:
    by = f" by {actor}" if actor else ""
    said = f": {note}" if note else ""
    match verb:
        case Verb.OPEN:
            return f"Opened again (episode {alert.episode}){said}" if alert.episode > 1 else note
        case Verb.ACK:
            return f"Acknowledged{by}{said}"
        case Verb.UNACK:
            return f"Acknowledgement taken back{by}{said}"
        case Verb.NOTE:
            return f"Note from {actor}{said}" if actor else f"Note{said}"
        case Verb.CLOSE:
            return _ending(alert, now, by) + said
        case _:
            return f"Updated{by}{said}"


def _ending(alert: Alert, now: datetime, by: str) -> str:
    ended_at = alert.ended_at or now
    how = by if alert.resolved_by is ResolvedBy.PERSON else ""
    why = f": {_ENDINGS[alert.resolved_by]}" if alert.resolved_by in _ENDINGS else ""
    word = plan.OVER.capitalize() if plan.is_planned(alert) else "Resolved"
    return f"{word}{how} {_lasted(alert, ended_at)}, at {moment(ended_at)}{why}"


def _lasted(alert: Alert, ended_at: datetime) -> str:
    return plan.ending(alert, ended_at) if plan.is_planned(alert) else f"after {duration(ended_at - alert.started_at)}"


def _fields(alert: Alert, platform: str) -> Iterator[tuple[str, str]]:
    yield "Source" if alert.kind is Kind.ALERT else "Platform", platform
    yield from _times(alert)
    if alert.kind is not Kind.ALERT:
        yield from ((word, _flat(alert.labels[name])) for name, word in _PLACES.items() if alert.labels.get(name))
    if alert.affects_us is not Affects.YES:
        yield "Affects us", str(alert.affects_us)
    if alert.owner and alert.status is Status.ACKNOWLEDGED:
        yield "Acknowledged by", line(alert.owner, 100)
    if alert.explained_by:
        yield "Explained by", line(alert.explained_by, 100)
    yield "Internal ID", alert.internal_id
    yield FINGERPRINT, line(alert.fingerprint, VALUE_MAX)
    for name, value in sorted(alert.annotations.items()):
        if alert.test and name.startswith(DRY_RUN):
            yield name.capitalize(), line(value, VALUE_MAX)


def _times(alert: Alert) -> Iterator[tuple[str, str]]:
    planned = plan.is_planned(alert)
    stage = plan.stage(alert.started_at, alert.updated_at, over=not alert.open)
    yield "Status", (stage if planned else alert.status).capitalize()
    yield "Severity", alert.severity.capitalize()
    yield ("Planned", plan.span(alert.started_at, alert.ends_at)) if planned else ("Since", moment(alert.started_at))
    if alert.ended_at and planned:
        yield "Ended", f"{moment(alert.ended_at)} ({plan.ending(alert, alert.ended_at)})"
    elif alert.ended_at:
        yield "Until", f"{moment(alert.ended_at)} ({duration(alert.ended_at - alert.started_at)})"


def _tickets(alert: Alert, but: str) -> Iterator[tuple[str, str, str]]:
    links = ((name, web_address(url)) for name, url in sorted(alert.links.items()) if name != but)
    return ((object_name(name), platform_name(name), url) for name, url in links if url)


def _pairs(texts: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((line(name, 100), _flat(value)) for name, value in sorted(texts.items()) if value)


def _flat(value: str) -> str:
    """One line of a label that holds one value per line."""
    return line(", ".join(part.strip() for part in value.splitlines() if part.strip()), VALUE_MAX)
