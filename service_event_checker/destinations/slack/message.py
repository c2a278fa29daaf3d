"""The Slack message of an alert as Block Kit, for a person who reads it on a phone at 3 a.m.; pure.

First what happened, then the facts and the buttons; the vendor's text comes last, beside a bar in the colour of
the severity. Every external text is escaped and cut to Slack's limits (docs.slack.dev/reference/block-kit/blocks).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from service_event_checker.core.actions import waiting_runs
from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.silences import like
from service_event_checker.core.vocabulary import Kind, Severity, Status, Verb
from service_event_checker.destinations.slack.mrkdwn import escape_mrkdwn
from service_event_checker.render.notice import Notice, field_name, notice, with_own
from service_event_checker.render.own import Form
from service_event_checker.render.plan import ending
from service_event_checker.render.text import duration, moment
from service_event_checker.render.texts import say

TEXT, MRKDWN = "txt", "mrkdwn"  # the parts that templates of users may write: the notification, the sections
SECTIONS_MAX = 4
FORMS: Mapping[str, Form] = {
    TEXT: Form(escape=escape_mrkdwn, line=True, limit=500),
    MRKDWN: Form(escape=escape_mrkdwn, limit=10_000),
}
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
AGREE, DISAGREE = "agree", "disagree"  # with the outages that explain an alert
SILENCE = "silence"  # action_id of the menu; what is chosen there is one of SILENCES
SILENCES = {
    "silence_30m": ("Silence 30 min", timedelta(minutes=30)),
    "silence_2h": ("Silence 2 h", timedelta(hours=2)),
    "silence_1d": ("Silence 1 day", timedelta(days=1)),
}
APPROVE, REFUSE = "ok", "no"  # what a button for a run says before its id
ANSWERS = {APPROVE: "approve_run", REFUSE: "refuse_run"}  # the action_ids of these buttons
CONFIRM_MAX = 300
_BUTTON_VALUE = re.compile(r"([0-9a-f]{20}):([1-9][0-9]{0,8}):([a-z0-9_]{1,20}):([0-9a-f]{32})", re.ASCII)
_QUIET = frozenset({Verb.OPEN, Verb.UPDATE})  # what they change is to be seen in the message itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """What a button asks for: `action` is one of the action_ids or of SILENCES, on one episode of an alert."""

    key: str
    episode: int
    action: str


def content(
    alert: Alert, delivery: Delivery, *, button_key: bytes, ticket_receivers: frozenset[str], previous: str = ""
) -> dict[str, Any]:
    """Return `text`, `blocks` and `attachments` of the whole message as the alert is now.

    The change of `delivery` is shown as a separate line. `button_key` signs the buttons' values; b"" for
    a message without buttons. `ticket_receivers`: a link there leaves out the button for a ticket. `previous`:
    address of an earlier message.
    """
    verb = delivery.verb
    if verb in _QUIET and not alert.open:
        verb = Verb.CLOSE  # the first or a repeated message, when the alert is over
    plain = notice(alert, verb, datetime.now(UTC), actor=delivery.actor, note=delivery.note)
    told = with_own(plain, replace(delivery, verb=verb), alert)
    loud = verb not in _QUIET or bool(delivery.note)
    if own := told.own.get(MRKDWN):
        blocks = list(_sections(alert, own))
    else:
        blocks = [_header(alert, told), *_facts(alert, told), *_latest(alert, told if loud else None, verb)]
    if button_key and alert.open:
        ticketed = any(name in ticket_receivers for name, url in alert.links.items() if url)
        blocks.append(_buttons(alert, button_key, ticketed=ticketed))
        if waiting := waiting_runs(alert):
            blocks.append(_answers(alert, waiting[-1], button_key))
    colour = COLOURS[alert.severity] if alert.open else GREEN
    background = {"color": colour, "fallback": told.state, "blocks": list(_background(alert, told, previous))}
    return {
        "text": told.own.get(TEXT) or _fallback(alert, told),
        "blocks": blocks,
        "attachments": [] if own else [background],
    }


def shown(made: Mapping[str, Any]) -> str:
    """Return the texts of a message's blocks, without its buttons, for a preview."""
    blocks = [*made["blocks"], *(block for each in made["attachments"] for block in each["blocks"])]
    texts = []
    for block in blocks:
        parts = [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]
        texts += [part["text"] for part in parts if part and isinstance(part.get("text"), str)]
    return "\n".join(texts)


def read_button(value: str, button_key: bytes) -> Pressed | None:
    """Return the action of a button's value; None if it is not signed with this key."""
    parts = _BUTTON_VALUE.fullmatch(value)
    if parts is None or not button_key:
        return None
    key, episode, action, mac = parts.groups()
    pressed = Pressed(key=key, episode=int(episode), action=action)
    return pressed if hmac.compare_digest(mac, _mac(pressed, button_key)) else None


def action_id(action: str) -> str:
    """Return the action_id of the button or menu that asks for an action."""
    return SILENCE if action in SILENCES else ANSWERS.get(action.partition("_")[0] if "_" in action else "", action)


def end_text(alert: Alert, delivery: Delivery) -> str:
    """Return the reply that announces the end, in mrkdwn."""
    told = notice(alert, Verb.CLOSE, datetime.now(UTC), actor=delivery.actor, note=delivery.note)
    return escape_mrkdwn(f"✅ {told.headline}\n{told.change}", SECTION_MAX)


def note_text(delivery: Delivery) -> str:
    """Return the reply of a note that people are to notice, in mrkdwn."""
    return escape_mrkdwn(f"🔔 {delivery.note}", SECTION_MAX)


def _fallback(alert: Alert, told: Notice) -> str:
    """The line of a notification on a phone's lock screen."""
    return escape_mrkdwn(f"{told.mark} {told.headline} ({alert.internal_id})", 500)


def _header(alert: Alert, told: Notice) -> dict[str, Any]:
    """The block's id says which revision of the alert the message shows."""
    title = escape_mrkdwn(f"{told.mark} {told.headline}", HEADER_MAX)
    text = {"type": "plain_text", "text": title, "emoji": False}
    return {"type": "header", "block_id": _block_id(alert), "text": text}


def _sections(alert: Alert, own: str) -> Iterator[dict[str, Any]]:
    """Return what a user's template wrote as sections, one for each part between lines of `---`; it is escaped."""
    parts = [part.strip() for part in re.split(r"^---$", own, flags=re.MULTILINE)]
    for number, part in enumerate([part for part in parts if part][:SECTIONS_MAX]):
        section = {"type": "section", "text": {"type": "mrkdwn", "text": part[:SECTION_MAX], "verbatim": True}}
        yield section if number else {**section, "block_id": _block_id(alert)}


def _block_id(alert: Alert) -> str:
    return f"{alert.key}:{alert.episode}:{alert.revision}"


def _facts(alert: Alert, told: Notice) -> Iterator[dict[str, Any]]:
    facts = [
        (name, escape_mrkdwn(value, FIELD_MAX)) for name, value in told.fields if name != field_name("Fingerprint")
    ]
    start = _local(alert.started_at)
    planned = say("span", start=start, end=_local(alert.ends_at)) if alert.ends_at else start
    times = {field_name("Since"): start, field_name("Planned"): planned}
    if alert.ended_at:
        times[field_name("Until")] = f"{_local(alert.ended_at)} ({duration(alert.ended_at - alert.started_at)})"
        times[field_name("Ended")] = f"{_local(alert.ended_at)} ({ending(alert, alert.ended_at)})"
    facts += [(what, _link(url, f"{name} {_last_part(url)}")) for what, name, url in told.tickets]
    shown = [{"type": "mrkdwn", "text": f"*{name}:* {times.get(name, text)}"} for name, text in facts]
    if shown:  # Slack refuses a section without fields
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
    links += [_link(url, name) for name, url in told.links]
    if previous.startswith("http"):
        links.append(_link(previous, say("link.previous message")))
    shown = ""
    for link in links:  # one that would make the block too long for Slack is left out
        longer = f"{shown} · {link}" if shown else link
        shown = longer if len(longer) <= SECTION_MAX else shown
    if shown:
        yield {"type": "section", "text": {"type": "mrkdwn", "text": shown}}
    yield _context(escape_mrkdwn(told.footer, 500))


def _buttons(alert: Alert, button_key: bytes, *, ticketed: bool) -> dict[str, Any]:
    shown = [] if ticketed else [_button(alert, CREATE_TICKET, say("button.ticket"), button_key)]
    if alert.status is Status.FIRING:
        shown.append(_button(alert, ACKNOWLEDGE, say("button.acknowledge"), button_key))
    shown.append(_button(alert, RESOLVE, say("button.resolve"), button_key) | {"confirm": _confirm(alert)})
    if alert.explained_by:
        shown.append(_button(alert, AGREE, say("button.agree"), button_key))
        shown.append(_button(alert, DISAGREE, say("button.disagree"), button_key))
    shown.append(_silence_menu(alert, button_key))
    return {"type": "actions", "elements": shown}


def _answers(alert: Alert, run: str, button_key: bytes) -> dict[str, Any]:
    """Offer to answer for a run that waits for its approval; the message's text says which one."""
    labels = {APPROVE: say("button.approve"), REFUSE: say("button.refuse")}
    shown = [
        _button(alert, f"{word}_{run}", label, button_key) | {"action_id": ANSWERS[word]}
        for word, label in labels.items()
    ]
    return {"type": "actions", "elements": shown}


def _button(alert: Alert, action: str, label: str, button_key: bytes) -> dict[str, Any]:
    value = _signed(alert, action, button_key)
    return {"type": "button", "action_id": action, "value": value, "text": {"type": "plain_text", "text": label}}


def _silence_menu(alert: Alert, button_key: bytes) -> dict[str, Any]:
    """Offer to silence what is like the alert. https://docs.slack.dev/reference/block-kit/block-elements/select-menu-element"""
    match = ", ".join(map(str, like(alert)))
    words = {
        "title": "Silence alerts like this?",
        "text": escape_mrkdwn(f"New alerts that match are not announced: {match}", CONFIRM_MAX),
        "confirm": "Silence",
        "deny": "Cancel",
    }
    return {
        "type": "static_select",
        "action_id": SILENCE,
        "placeholder": {"type": "plain_text", "text": "Silence"},
        "options": [
            {"text": {"type": "plain_text", "text": label}, "value": _signed(alert, action, button_key)}
            for action, (label, _) in SILENCES.items()
        ],
        "confirm": {name: {"type": "plain_text", "text": text} for name, text in words.items()},
    }


def _signed(alert: Alert, action: str, button_key: bytes) -> str:
    pressed = Pressed(key=alert.key, episode=alert.episode, action=action)
    return f"{alert.key}:{alert.episode}:{action}:{_mac(pressed, button_key)}"


def _mac(pressed: Pressed, button_key: bytes) -> str:
    said = f"slack button\n{pressed.key}:{pressed.episode}:{pressed.action}"
    return hmac.new(button_key, said.encode(), hashlib.sha256).hexdigest()[:32]


def _confirm(alert: Alert) -> dict[str, Any]:
    """Ask before resolving, because it affects all receivers. https://docs.slack.dev/reference/block-kit/composition-objects"""
    words = {
        "title": say("confirm.title"),
        "text": say("confirm.text", id=alert.internal_id),
        "confirm": say("button.resolve"),
        "deny": say("confirm.no"),
    }
    return {name: {"type": "plain_text", "text": text} for name, text in words.items()}


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
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{moment(at)}>"
