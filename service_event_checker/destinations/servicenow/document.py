"""What our incidents say: their texts, cut to what ServiceNow keeps, and the two fields that carry our keys.

`correlation_id` is the remote key. `correlation_display` is `poc-<the alert's key> <mark>`, where the mark is that of
our newest work note: journals are empty when read, and this is written in the same change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from service_event_checker.destinations.servicenow.client import Incident
from service_event_checker.remote.marks import is_key, signed, tag
from service_event_checker.remote.ticket import Comment
from service_event_checker.render.notice import Notice
from service_event_checker.render.own import TITLE, Form
from service_event_checker.render.templates import render
from service_event_checker.render.text import cut

TITLE_MAX = 160  # characters that the field `short_description` keeps
TEXT_MAX = 4000  # of `description` and `close_notes`; what is longer is cut in silence
BODY_MAX = 1500  # of that for what the source wrote
_CODE_TAG = re.compile(r"\[(?=/?code\])", re.IGNORECASE)
_WORD_JOINER = "\u2060"
BODY = "txt"  # the part that templates of users may write: descriptions and work notes
FORMS: Mapping[str, Form] = {TITLE: Form(line=True, limit=TITLE_MAX), BODY: Form(limit=TEXT_MAX)}
FOLDER = Path(__file__).parent


def title(told: Notice) -> str:
    return told.own.get(TITLE) or cut(told.subject, TITLE_MAX)


def description(told: Notice, previous: str) -> str:
    """Return what a new incident says. `previous`: address or id of the one before, or ""."""
    if own := told.own.get(BODY):
        return plain(own)
    short = replace(told, body=cut(told.body, BODY_MAX))
    return cut(plain(render("incident.txt.j2", short, folder=FOLDER, previous=previous)), TEXT_MAX)


def note(said: Comment) -> str:
    if own := said.told.own.get(BODY):
        return signed(plain(own), said.mark, TEXT_MAX)
    short = replace(said.told, body=cut(said.told.body, BODY_MAX))
    return signed(plain(render("note.txt.j2", short, folder=FOLDER, full=said.full)), said.mark, TEXT_MAX)


def plain(text: str) -> str:
    """Return text in which no [code] turns HTML on, as it does in journals."""
    return _CODE_TAG.sub(f"[{_WORD_JOINER}", text)


def display(alert_key: str, mark: str = "") -> str:
    return f"{tag(alert_key)} {mark}".rstrip()


def key_of(incident: Incident) -> str:
    """Return the remote key of an incident, "" where somebody wrote another thing there."""
    found = incident.get("correlation_id")
    return found if is_key(found) else ""
