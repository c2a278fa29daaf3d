"""The mail of an alert: subject, HTML and plain text, and the ids by which mail clients make one thread of an episode.

Pure; the destinations send it. It also reads the addresses that people write in the environment.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Link
from service_event_checker.core.vocabulary import Kind, Severity, Verb
from service_event_checker.render import digest, plan, voice
from service_event_checker.render.notice import Notice, field_name, notice, with_own
from service_event_checker.render.own import Form
from service_event_checker.render.templates import render
from service_event_checker.render.text import clean, cut, line, web_address
from service_event_checker.render.texts import TEST_WORD, say

SUBJECT, TEXT, HTML = "subject.txt", "txt", "html"  # the parts that templates of users may write
SUBJECT_MAX = 150  # characters; RFC 5322 allows 998, a phone shows about 60
LABELS_MAX = 20
HOST_MAX = 36  # characters of a message id; email.policy breaks one that is longer than a line
ADDRESS_MAX = 254  # RFC 5321 4.5.3.1.3, without the angle brackets
MAIL_MAX = 200_000  # characters
SENDER_NAME = "Platform Outage Checker"
# Dark enough for white text (WCAG AA), and recognisable where a client turns colours for its dark mode.
COLOURS = {
    Severity.CRITICAL: "#b42318",
    Severity.ERROR: "#b54708",
    Severity.WARNING: "#8a6100",
    Severity.INFO: "#175cd3",
}
GREEN = "#067647"
FORMS: Mapping[str, Form] = {
    SUBJECT: Form(line=True, limit=SUBJECT_MAX),
    TEXT: Form(limit=MAIL_MAX),
    HTML: Form(escape=html.escape, html=True, limit=MAIL_MAX),
}
_ONCE = frozenset({Verb.OPEN, Verb.CLOSE})
_QUIET = frozenset({Verb.OPEN, Verb.UPDATE})
_IN_THE_BAND = ("Severity", "Status")
_PREVIEWED = ("Platform", "Source", "Affected", "Region", "Since", "Planned", "Until")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}")
_BRACKETED = re.compile(r"(.*)<([^<>]*)>\s*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """`headers` are those that both ways of sending set alike, Message-ID among them; each value is one line."""

    key: str
    subject: str
    text: str
    html: str
    headers: dict[str, str]


def compose(delivery: Delivery, alert: Alert, sender: str, now: datetime) -> Mail:
    """Write the mail of a delivery, with the alert as it is now; `sender` is the address it comes from.

    Sent twice it has the same Message-ID, so that most clients and servers show it once.
    """
    verb = delivery.verb
    if verb in _QUIET and not alert.open:
        verb = Verb.CLOSE  # the first or a repeated mail, when the alert is over
    plain = notice(alert, verb, now, actor=delivery.actor, note=delivery.note)
    told = with_own(plain, replace(delivery, verb=verb), alert)
    subject = told.own.get(SUBJECT) or _subject(told, alert)
    seen: dict[str, Any] = {"said": told.change or clean(alert.note, 2000), "labels": _rows(alert, told)}
    key = remote_key(delivery.key, delivery.episode)
    page = told.own.get(HTML) or render(
        "mail.html.j2",
        told,
        **seen,
        subject=subject,
        language=voice.current().language,
        band=_band(alert, told),
        state="" if digest.is_digest(alert) else told.state.removeprefix(say("head.resolved")).strip(" ，"),
        colour=COLOURS[alert.severity] if alert.open or digest.is_digest(alert) else GREEN,
        preview=_preview(told),
        facts=[fact for fact in told.fields if fact[0] not in {field_name(name) for name in _IN_THE_BAND}],
    )
    return Mail(
        key=key,
        subject=subject,
        text=told.own.get(TEXT) or render("mail.txt.j2", told, **seen),
        html=page,
        headers=_headers(delivery, alert, key, _host(sender)),
    )


def opened(delivery: Delivery, mail: Mail) -> Link:
    """Return the link of the episode that this mail opened; a mail has no address to go to."""
    return Link(
        key=delivery.key,
        episode=delivery.episode,
        receiver=delivery.receiver,
        remote_key=mail.key,
        external_id=mail.headers["Message-ID"],
    )


def verbs(*, updates: bool) -> frozenset[Verb]:
    """Return what is told by mail: the opening and the end, and if wanted all that happens in between."""
    return frozenset(Verb) - {Verb.RUN} if updates else _ONCE


def addresses(value: object) -> object:
    """Split "a@x, b@y; Ops <c@z>" into addresses, each once; what is not text or list of texts is pydantic's to refuse.

    Raises ValueError for what is not an address.
    """
    if isinstance(value, str):
        value = [part for chunk in re.split(r"[,;\n]", value) for part in _apart(chunk)]
    if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
        return value
    found = [mailbox(part)[1] for part in value]
    return tuple({address.lower(): address for address in reversed(found)}.values())[::-1]


def mailbox(text: str) -> tuple[str, str]:
    """Return name and address of "Ops <ops@example.com>" or "ops@example.com". Raises ValueError."""
    bracketed = _BRACKETED.fullmatch(text)
    name, address = bracketed.groups() if bracketed else ("", text)
    local, _, domain = address.strip().rpartition("@")
    try:
        plain = f"{local}@{domain if domain.isascii() else domain.encode('idna').decode()}"
    except UnicodeError:
        plain = ""
    if not _ADDRESS.fullmatch(plain) or len(plain) > ADDRESS_MAX:
        raise ValueError(f'has "{line(text, 60)}", which is not a mail address. Write it like ops@example.com')
    return line(name, 60).strip('" '), plain


def sender(text: str) -> str:
    """Check a sender's text at start: "" stays, an address stays as it is written. Raises ValueError."""
    if text:
        mailbox(text)
    return text


def _apart(chunk: str) -> list[str]:
    return [chunk] if "<" in chunk else chunk.split()


def _subject(told: Notice, alert: Alert) -> str:
    end = f" ({alert.internal_id})"
    return cut(told.headline, SUBJECT_MAX - len(end)) + end


def _band(alert: Alert, told: Notice) -> str:
    test = f"{TEST_WORD} · " if told.test else ""
    if digest.is_digest(alert):
        return say("digest.band").upper()
    if plan.is_planned(alert):
        return test + say("head.maintenance").upper()
    return test + say(f"severity.{alert.severity}" if alert.open else "head.resolved").upper()


def _preview(told: Notice) -> str:
    """What an inbox shows behind the subject."""
    facts = dict(told.fields)
    return line(
        " · ".join([told.change, *(facts[name] for name in map(field_name, _PREVIEWED) if name in facts)]).strip("· "),
        200,
    )


def _rows(alert: Alert, told: Notice) -> list[tuple[str, str, str]]:
    """Return (name, value, address or "") of what an alert of our own carries: a runbook is one click away."""
    if alert.kind is not Kind.ALERT:
        return []
    shown = [*told.annotations[:LABELS_MAX], *told.labels[:LABELS_MAX]]
    return [(name, value, web_address(value)) for name, value in shown if value != told.body]


def _headers(delivery: Delivery, alert: Alert, key: str, host: str) -> dict[str, str]:
    """Each mail refers to the same first id, so that the thread holds even where a relay writes ids of its own."""
    opening = f"<{key}.{delivery.episode}.{Verb.OPEN}@{host}>"
    own = f"<{key}.{delivery.episode}.{'.'.join(_name(delivery))}@{host}>"
    headers = {"Message-ID": own, "References": f"<{key}@{host}>"}
    if own != opening:
        headers |= {"References": f"<{key}@{host}> {opening}", "In-Reply-To": opening}
    headers["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine replies
    headers["X-Auto-Response-Suppress"] = "OOF, AutoReply"  # Exchange's word for it
    if alert.severity is Severity.CRITICAL and alert.open:
        headers["Importance"] = "high"
    return headers


def _name(delivery: Delivery) -> Iterator[str]:
    yield delivery.verb.value
    if delivery.verb not in _ONCE:
        yield str(delivery.revision)


def _host(sender: str) -> str:
    """The sender's domain, shortened at a dot: it must not be found, only be ours."""
    host = mailbox(sender)[1].rpartition("@")[2].lower()
    while len(host) > HOST_MAX and "." in host:
        host = host.partition(".")[2]
    return host[-HOST_MAX:].strip("-")
