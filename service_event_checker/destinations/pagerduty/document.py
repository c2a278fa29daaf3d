"""What our incidents and notes say, and how they are known as ours again. All of it is plain text to PagerDuty."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from service_event_checker.remote.ticket import Comment
from service_event_checker.render.notice import Notice
from service_event_checker.render.own import TITLE, Form
from service_event_checker.render.templates import render
from service_event_checker.render.text import cut

TITLE_MAX = 255  # characters; PagerDuty takes 1024, a telephone shows fewer
DETAILS_MAX = 16_000
BODY = "txt"  # the part that templates of users may write: details and notes
FORMS: Mapping[str, Form] = {TITLE: Form(line=True, limit=TITLE_MAX), BODY: Form(limit=DETAILS_MAX)}
FOLDER = Path(__file__).parent


def title(told: Notice) -> str:
    return told.own.get(TITLE) or cut(told.subject, TITLE_MAX)


def details(told: Notice, previous: str) -> str:
    return told.own.get(BODY) or cut(render("incident.txt.j2", told, folder=FOLDER, previous=previous), DETAILS_MAX)


def note(said: Comment) -> str:
    """Return what a note says of a change."""
    return said.told.own.get(BODY) or render("note.txt.j2", said.told, folder=FOLDER, full=said.full)
