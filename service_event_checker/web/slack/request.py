"""What Slack sends: the form of a slash command, the JSON of a pressed button; texts cleaned, nothing believed yet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from service_event_checker.render.text import line
from service_event_checker.web.errors import Refused

FIELDS_MAX = 60
TEXT_MAX = 400  # of what stands behind a command: longer than every name there is
NAME_MAX = 80
_IGNORED = re.compile(r"[\s/_-]")  # in the name of a command


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackUser:
    """Who asks, from where, and where a later answer goes. Ids are Slack's (T…, C…, U…); `name` is for people.

    `home` is the person's own workspace: another one than `team` in a channel that is shared with a company.
    """

    team: str
    channel: str
    channel_name: str
    user: str
    name: str
    response_url: str = field(repr=False)
    home: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command; `name` in small letters without `/`, `_` and `-`, `text` on one line."""

    user: SlackUser
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Press:
    """A pressed button or a menu's choice: its action_id and value, and its message ("channel:ts", "" if on none)."""

    user: SlackUser
    action: str
    value: str
    message: str = ""


def read_form(body: bytes) -> dict[str, str]:
    """Return the fields of a form. Raises Refused (400)."""
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:  # no UTF-8, or too many fields
        raise Refused(400, "The body is not a form as Slack sends it.") from None
    return dict(pairs)


def read_payload(form: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the JSON object in the field `payload` of an interaction. Raises Refused (400)."""
    try:
        payload = json.loads(form.get("payload", ""))
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise Refused(400, "The field payload is not a JSON object.")
    return payload


def read_command(form: Mapping[str, str]) -> Command:
    """Return the command of a form (docs.slack.dev/interactivity/implementing-slash-commands). Raises Refused (400)."""
    name = form.get("command", "")
    if not name.strip():
        raise Refused(400, "The field command is missing.")
    user = SlackUser(
        team=_word(form.get("team_id")),
        channel=_word(form.get("channel_id")),
        channel_name=_word(form.get("channel_name")),
        user=_word(form.get("user_id")),
        name=_word(form.get("user_name")) or _word(form.get("user_id")),
        response_url=form.get("response_url", ""),
    )
    return Command(user, _IGNORED.sub("", line(name, NAME_MAX)).lower(), line(form.get("text", ""), TEXT_MAX))


def read_press(payload: Mapping[str, Any]) -> Press | None:
    """Return the press of a `block_actions` payload; None for anything that has no value."""
    actions = payload.get("actions")
    first = actions[0] if isinstance(actions, list) and actions else None
    if payload.get("type") != "block_actions" or not isinstance(first, dict):
        return None
    action, value = first.get("action_id"), first.get("value") or _part(first, "selected_option").get("value")
    if not isinstance(action, str) or not isinstance(value, str) or not value:
        return None  # a button that is a link has no value
    person, channel = _part(payload, "user"), _part(payload, "channel")
    url = payload.get("response_url")
    user = SlackUser(
        team=_word(_part(payload, "team").get("id")) or _word(person.get("team_id")),
        channel=_word(channel.get("id")) or _word(_part(payload, "container").get("channel_id")),
        channel_name=_word(channel.get("name")),
        user=_word(person.get("id")),
        name=_word(person.get("username")) or _word(person.get("name")) or _word(person.get("id")),
        response_url=url if isinstance(url, str) else "",
        home=_word(person.get("team_id")),
    )
    ts = _word(_part(payload, "container").get("message_ts"))
    return Press(user, action, value, f"{user.channel}:{ts}" if user.channel and ts else "")


def _part(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = payload.get(name)
    return found if isinstance(found, dict) else {}


def _word(value: object) -> str:
    return line(value, NAME_MAX) if isinstance(value, str) else ""
