"""What we write about an alert: its fields, within Opsgenie's limits, and the notes that are known as ours. Pure.

Limits: https://support.atlassian.com/opsgenie/docs/alerts-and-alert-fields
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service_event_checker.core.model import Alert
from service_event_checker.remote.marks import TAG, signed, tag
from service_event_checker.remote.ticket import Comment
from service_event_checker.render.names import platform_name
from service_event_checker.render.notice import Notice
from service_event_checker.render.own import TITLE, Form
from service_event_checker.render.templates import render
from service_event_checker.render.text import clean, cut

MESSAGE_MAX = 130
DESCRIPTION_MAX = 15_000
NOTE_MAX = 25_000
DETAILS_MAX = 8_000  # characters of all names and values
UPDATE_MAX = 2_000  # characters of the description that a note of an update repeats
BODY = "txt"  # the part that templates of users may write: descriptions and notes
FORMS: Mapping[str, Form] = {TITLE: Form(line=True, limit=MESSAGE_MAX), BODY: Form(limit=DESCRIPTION_MAX)}
_TAG_START = re.compile(r"<(?=[A-Za-z!/?@#])")  # the message and the description may be HTML


def document(alert: Alert, told: Notice, key: str, previous: str) -> dict[str, Any]:
    """Return the fields of a new alert, of the episode with the remote key `key`; `previous` names an earlier one."""
    shown = replace(told, mark="")  # a character above U+FFFF, and the priority says the same
    text = told.own.get(BODY) or render("alert.txt.j2", shown).lstrip()
    body = text + (f"\n\nEarlier alert: {previous}" if previous else "")
    return {
        "message": cut(_plain(told.own.get(TITLE) or told.subject), MESSAGE_MAX),
        "alias": tag(key),
        "description": cut(_plain(body), DESCRIPTION_MAX),
        "tags": [TAG, tag(key), tag(alert.key)],
    }


def details(alert: Alert, told: Notice) -> dict[str, str]:
    """Return the alert's own properties: the labels and our own id, as many as there is room for."""
    found = {"internal_id": alert.internal_id, "source": platform_name(alert.source)}
    room = DETAILS_MAX - sum(map(len, (*found, *found.values())))
    for name, value in told.labels:
        room -= len(name) + len(value)
        if room < 0:
            break
        found.setdefault(_plain(name), _plain(value))
    return found


def note(said: Comment) -> str:
    """Return the note that tells a change."""
    told = said.told
    if own := told.own.get(BODY):
        return marked(own, said.mark)
    state = f"\n{told.headline}\n{cut(told.body, UPDATE_MAX)}" if said.full else ""
    return marked(f"{told.change}{state}", said.mark)


def marked(text: str, mark: str) -> str:
    """Return a note that is known as ours, and as this very one, wherever it turns up."""
    return signed(_plain(clean(text, NOTE_MAX)), mark, NOTE_MAX, "\n({})")


def _plain(text: str) -> str:
    """Return text in which no HTML begins."""
    return _TAG_START.sub("‹", text)
