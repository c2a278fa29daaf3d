"""One neutral rendering of an alert for people (`Notice`); every channel starts from here.

Pure but for the clock in `notice_of`. It cuts and cleans the vendors' texts. Escaping is done
when the text of a channel is built: by Jinja for HTML, by the adapter for its own markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from service_event_checker.core import explaining
from service_event_checker.core.model import STORMS, Alert, Delivery
from service_event_checker.core.vocabulary import DRY_RUN, Affects, Kind, ResolvedBy, Severity, Status, Verb
from service_event_checker.render import digest, own, plan
from service_event_checker.render.labels import alert_title, author_links, summary_links
from service_event_checker.render.names import object_name, platform_name
from service_event_checker.render.text import clean, duration, line, moment, web_address
from service_event_checker.render.texts import MARKS, TEST_WORD, say, say_by

BODY_MAX = 8000
VALUE_MAX = 500
VERDICT_MAX = 700
_PLACES = {
    "component": "Affected",
    "service": "Service",
    "product": "Product",
    "instance": "Instance",
    "region": "Region",
    "geography": "Region",
}
_LINK_TEXTS = {STORMS: "link.all alerts"}
_ENDINGS = frozenset({ResolvedBy.SOURCE, ResolvedBy.ABSENCE, ResolvedBy.RETRACTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The text of an alert for people: plain, cleaned and cut, not escaped for a channel.

    In the language and time zone of the receiver, see `voice`. `subject` is one line that need not change while the
    alert lasts: a vendor's outage is named after its platform, an internal alert by its title alone. `headline` adds
    severity, and the word TEST for a test; `state` is the status, `standing` a sentence of it with the severity,
    `change` the latest change ("" for the opening). `fields`, `labels`
    and `annotations` are (name, value) pairs, `tickets` (what, system, address) of what was opened elsewhere, where
    what is "Ticket" or "Page"; `links` (text, address) are the runbook and the dashboard.
    `own`: what the user's templates say of the delivery, by part, already escaped for the channel.
    """

    test: bool
    severity: Severity
    status: Status
    mark: str
    subject: str
    headline: str
    title: str
    state: str
    standing: str
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
    own: Mapping[str, str] = field(default_factory=dict)


def notice(alert: Alert, verb: Verb, now: datetime, *, actor: str = "", note: str = "", receiver: str = "") -> Notice:
    """Return the notice of `alert`; `actor` and `note` are those of the change. At `receiver` it links elsewhere only.

    For an open alert, the text does not depend on `now` (except for the verb `close`), so that a repetition is
    identical.
    """
    platform = platform_name(alert.source)
    state = _state(alert, now)
    subject = _subject(alert, platform)
    told = Notice(
        test=alert.test,
        severity=alert.severity,
        status=alert.status,
        mark=_mark(alert),
        subject=subject,
        headline=_headline(alert, subject),
        title=alert_title(alert),
        state=state,
        standing=say("comment.state", state=state, severity=say(f"severity.{alert.severity}").lower()),
        change=_change(alert, verb, now, line(actor, 100), clean(note, 2000)),
        fields=tuple(_fields(alert, platform)),
        labels=_pairs(alert.labels),
        annotations=_pairs(alert.annotations) if alert.source != STORMS else (),
        tickets=tuple(_tickets(alert, receiver)),
        links=(*((say(name), url) for name, url in author_links(alert.annotations)), *summary_links(alert)),
        body=clean(alert.description, BODY_MAX),
        link=web_address(alert.url),
        link_text=say(_LINK_TEXTS.get(alert.source, "link.source"))
        if alert.kind is Kind.ALERT
        else say("link.status page", platform=platform),
        footer=say("footer", id=alert.internal_id, platform=platform, at=moment(alert.updated_at)),
    )
    return _bare(told) if digest.is_digest(alert) else told


def _bare(told: Notice) -> Notice:
    """Return the notice of a digest: a list for people, which never fired."""
    plain = replace(told, mark=MARKS[Severity.INFO], headline=told.subject, state=told.subject, standing=told.subject)
    return replace(plain, change="", fields=(), labels=(), annotations=())


def notice_of(delivery: Delivery, alert: Alert) -> Notice:
    """Return the notice of a delivery that is sent now."""
    now = datetime.now(UTC)
    told = notice(alert, delivery.verb, now, actor=delivery.actor, note=delivery.note, receiver=delivery.receiver)
    return with_own(told, delivery, alert)


def with_own(told: Notice, delivery: Delivery, alert: Alert) -> Notice:
    """Return a notice with the texts of the user's templates."""
    return replace(told, own=own.texts(delivery, alert, told))


def _mark(alert: Alert) -> str:
    return "✅" if alert.status is Status.RESOLVED and not alert.is_notice else MARKS[alert.severity]


def _subject(alert: Alert, platform: str) -> str:
    title = alert_title(alert)
    named = alert.kind is Kind.ALERT or title.lower().startswith(platform.lower())
    return title if named else f"{platform}: {title}"


def _headline(alert: Alert, subject: str) -> str:
    severity = say(f"severity.{alert.severity}")
    words = {
        Status.FIRING: severity,
        Status.ACKNOWLEDGED: say("head.acknowledged", severity=severity),
        Status.RESOLVED: severity if alert.is_notice else say("head.resolved"),
    }
    if plan.is_planned(alert):
        words = {
            Status.FIRING: say("head.maintenance"),
            Status.ACKNOWLEDGED: say("head.maintenance acknowledged"),
            Status.RESOLVED: say("head.maintenance over"),
        }
    start = f"[{TEST_WORD}] " if alert.test else ""
    return f"{start}{words[alert.status]} · {subject}"


def _state(alert: Alert, now: datetime) -> str:
    owner = line(alert.owner, 100)
    if plan.is_planned(alert):
        standing = plan.standing(alert)
        acknowledged = alert.status is Status.ACKNOWLEDGED
        return say_by("state.also acknowledged", owner, state=standing) if acknowledged else standing
    if alert.is_notice:
        return say("state.notice")
    if alert.status is Status.RESOLVED:
        return say("state.resolved", span=duration((alert.ended_at or now) - alert.started_at))
    return say_by("state.acknowledged", owner) if alert.status is Status.ACKNOWLEDGED else say("state.firing")


def _change(alert: Alert, verb: Verb, now: datetime, actor: str, note: str) -> str:
    match verb:
        case Verb.OPEN:
            again = say("change.opened again", episode=alert.episode)
            return _with_note(again, note) if alert.episode > 1 else note
        case Verb.ACK:
            change = say_by("change.acknowledged", actor)
        case Verb.UNACK:
            change = say_by("change.unacknowledged", actor)
        case Verb.NOTE:
            change = say_by("change.note", actor)
        case Verb.CLOSE:
            change = _ending(alert, now, actor)
        case _:
            change = say_by("change.updated", actor)
    return _with_note(change, note)


def _with_note(change: str, note: str) -> str:
    return say("change.said", change=change, note=note) if note else change


def _ending(alert: Alert, now: datetime, actor: str) -> str:
    if alert.is_notice:
        return say("state.notice")
    ended_at = alert.ended_at or now
    by = actor if alert.resolved_by is ResolvedBy.PERSON else ""
    key = "change.over" if plan.is_planned(alert) else "change.resolved"
    ended = say_by(key, by, lasted=_lasted(alert, ended_at), at=moment(ended_at))
    return _with_note(ended, say(f"why.{alert.resolved_by}") if alert.resolved_by in _ENDINGS else "")


def _lasted(alert: Alert, ended_at: datetime) -> str:
    if plan.is_planned(alert):
        return plan.ending(alert, ended_at)
    return say("lasted.after", span=duration(ended_at - alert.started_at))


def _fields(alert: Alert, platform: str) -> Iterator[tuple[str, str]]:
    if alert.verdict and alert.verdict.explained_by:
        yield field_name("Verdict"), line(explaining.said(alert.verdict), VERDICT_MAX)
    yield field_name("Source") if alert.kind is Kind.ALERT else field_name("Platform"), platform
    yield from _times(alert)
    if alert.kind is not Kind.ALERT:
        places = ((word, alert.labels.get(name, "")) for name, word in _PLACES.items())
        yield from ((field_name(word), _flat(value)) for word, value in places if value)
    if alert.affects_us is not Affects.YES:
        yield field_name("Affects us"), say(f"affects.{alert.affects_us}")
    if alert.owner and alert.status is Status.ACKNOWLEDGED:
        yield field_name("Acknowledged by"), line(alert.owner, 100)
    yield field_name("Internal ID"), alert.internal_id
    yield field_name("Fingerprint"), line(alert.fingerprint, VALUE_MAX)
    for name, value in sorted(alert.annotations.items()):
        if alert.test and name.startswith(DRY_RUN):
            yield name.capitalize(), line(value, VALUE_MAX)


def field_name(name: str) -> str:
    """Return what a field of a notice is called in the receiver's language."""
    return say(f"field.{name}")


def _times(alert: Alert) -> Iterator[tuple[str, str]]:
    planned = plan.is_planned(alert)
    stage = plan.stage(alert.started_at, alert.updated_at, over=not alert.open)
    yield field_name("Status"), say(f"stage.{stage}" if planned else f"status.{alert.status}")
    yield field_name("Severity"), say(f"severity.{alert.severity}")
    if planned:
        yield field_name("Planned"), plan.span(alert.started_at, alert.ends_at)
    else:
        yield field_name("Since"), moment(alert.started_at)
    if alert.ended_at and planned:
        yield field_name("Ended"), f"{moment(alert.ended_at)} ({plan.ending(alert, alert.ended_at)})"
    elif alert.ended_at:
        yield field_name("Until"), f"{moment(alert.ended_at)} ({duration(alert.ended_at - alert.started_at)})"


def _tickets(alert: Alert, but: str) -> Iterator[tuple[str, str, str]]:
    links = ((name, web_address(url)) for name, url in sorted(alert.links.items()) if name != but)
    return ((object_name(name), platform_name(name), url) for name, url in links if url)


def _pairs(texts: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((line(name, 100), _flat(value)) for name, value in sorted(texts.items()) if value)


def _flat(value: str) -> str:
    """One line of a label that holds one value per line."""
    return line(", ".join(part.strip() for part in value.splitlines() if part.strip()), VALUE_MAX)
