"""The Slack message of an alert as Block Kit, for a person who reads it on a phone at 3 a.m.; pure.

First what happened, then the facts and the buttons; what the vendor wrote comes last, beside a bar in the colour of
the severity. Every foreign text is escaped and cut to Slack's limits (docs.slack.dev/reference/block-kit/blocks).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from service_event_checker.core.model import Alert, Delivery, Kind, Severity, Status, Verb
from service_event_checker.text import Notice, duration, escape_mrkdwn, notice

HEADER_MAX = 150
SECTION_MAX = 3000
FIELD_MAX = 200  # Slack allows 2000; a fact that is longer is not read
FIELDS_MAX = 10
BODY_MAX = 2500  # all blocks together may hold 13,200 characters
LABELS_MAX = 10
COLOURS = {
    Severity.CRITICAL: "#d92d20",
    Severity.ERROR: "#f79009",
    Severity.WARNING: "#fdb022",
    Severity.INFO: "#2e90fa",
}
GREEN = "#12b76a"
CREATE_TICKET, ACKNOWLEDGE, RESOLVE = "create_ticket", "acknowledge", "resolve"  # action_ids of the buttons
_PAGERS = ("pagerduty", "opsgenie", "jsm")  # an incident there leaves the button for a ticket in place
_QUIET = frozenset({Verb.OPEN, Verb.UPDATE})  # what they change is to be seen in the message itself


def content(alert: Alert, delivery: Delivery, *, buttons: bool, previous: str = "") -> dict[str, Any]:
    """Return `text`, `blocks` and `attachments` of the whole message as the alert is now.

    The change that `delivery` tells is shown as a line of its own. `previous`: address of an earlier message.
    """
    verb = delivery.verb
    if verb in _QUIET and not alert.open:
        verb = Verb.CLOSE  # first told, or told anew, when it is over
    told = notice(alert, verb, datetime.now(UTC), actor=delivery.actor, note=delivery.note)
    loud = verb not in _QUIET or bool(delivery.note)
    blocks = [_header(told), *_facts(alert, told), *_latest(alert, told if loud else None, verb)]
    if buttons and alert.open:
        blocks.append(_buttons(alert, told))
    colour = COLOURS[alert.severity] if alert.open else GREEN
    return {
        "text": _fallback(alert, told),
        "blocks": blocks,
        "attachments": [{"color": colour, "fallback": told.state, "blocks": list(_background(alert, told, previous))}],
    }


def end_text(alert: Alert, delivery: Delivery) -> str:
    """Return the reply that says that it is over, in mrkdwn."""
    told = notice(alert, Verb.CLOSE, datetime.now(UTC), actor=delivery.actor, note=delivery.note)
    return escape_mrkdwn(f"✅ {told.headline}\n{told.change}", SECTION_MAX)


def _fallback(alert: Alert, told: Notice) -> str:
    """The line of a notification on a phone's lock screen."""
    return escape_mrkdwn(f"{told.mark} {told.headline} ({alert.internal_id})", 500)


def _header(told: Notice) -> dict[str, Any]:
    title = escape_mrkdwn(f"{told.mark} {told.headline}", HEADER_MAX)
    return {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}}


def _facts(alert: Alert, told: Notice) -> Iterator[dict[str, Any]]:
    facts = [(name, escape_mrkdwn(value, FIELD_MAX)) for name, value in told.fields]
    times = {"Since": _local(alert.started_at)}
    if alert.ended_at:
        times["Until"] = f"{_local(alert.ended_at)} ({duration(alert.ended_at - alert.started_at)})"
    facts += [("Ticket", _link(url, f"{name} {_last_part(url)}")) for name, url in told.tickets]
    shown = [{"type": "mrkdwn", "text": f"*{name}:* {times.get(name, text)}"} for name, text in facts]
    yield {"type": "section", "fields": shown[:FIELDS_MAX]}


def _latest(alert: Alert, told: Notice | None, verb: Verb) -> Iterator[dict[str, Any]]:
    """What was done last: the change that is told now, else the alert's own newest note."""
    if told and told.change:
        yield _section(f"{_SIGNS.get(verb, '')}{told.change}")
    elif alert.note:
        yield _section(f"💬 {alert.note}")


_SIGNS = {Verb.ACK: "👀 ", Verb.UNACK: "↩️ ", Verb.NOTE: "💬 ", Verb.CLOSE: "✅ "}


def _background(alert: Alert, told: Notice, previous: str) -> Iterator[dict[str, Any]]:
    if told.body:
        yield _section(told.body, BODY_MAX)
    if alert.kind is Kind.ALERT and told.labels:
        labels = " · ".join(f"{name}: {value}" for name, value in told.labels[:LABELS_MAX])
        yield _context(escape_mrkdwn(labels, 1500))
    links = [_link(told.link, told.link_text)] if told.link else []
    if previous.startswith("http"):
        links.append(_link(previous, "the last time"))
    if links:
        yield {"type": "section", "text": {"type": "mrkdwn", "text": " · ".join(links)}}
    yield _context(escape_mrkdwn(told.footer, 500))


def _buttons(alert: Alert, told: Notice) -> dict[str, Any]:
    ticketed = any(not name.startswith(_PAGERS) for name, _ in told.tickets)
    shown = [] if ticketed else [_button(CREATE_TICKET, "Create ticket", alert.internal_id)]
    if alert.status is Status.FIRING:
        shown.append(_button(ACKNOWLEDGE, "Acknowledge", alert.internal_id))
    shown.append(_button(RESOLVE, "Resolve", alert.internal_id))
    return {"type": "actions", "elements": shown}


def _button(action: str, label: str, value: str) -> dict[str, Any]:
    return {"type": "button", "action_id": action, "value": value, "text": {"type": "plain_text", "text": label}}


def _section(text: str, limit: int = SECTION_MAX) -> dict[str, Any]:
    # `verbatim`: Slack makes no mention or channel link of what it finds in the text
    words = {"type": "mrkdwn", "text": escape_mrkdwn(text, limit), "verbatim": True}
    return {"type": "section", "text": words}


def _context(escaped: str) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": escaped, "verbatim": True}]}


def _link(url: str, label: str) -> str:
    return f"<{escape_mrkdwn(url)}|{escape_mrkdwn(label.replace('|', ' '), 75)}>"


def _last_part(url: str) -> str:
    """The number that people call a ticket by, as it stands at the end of its address."""
    return url.rstrip("/").rpartition("/")[2] or url


def _local(at: datetime) -> str:
    """A time that Slack shows in each reader's own zone."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{at:%Y-%m-%d %H:%M} UTC>"
