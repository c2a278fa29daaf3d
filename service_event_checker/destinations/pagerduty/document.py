"""What our incidents and notes say, and how they are known as ours again. All of it is plain text to PagerDuty."""

from __future__ import annotations

from pathlib import Path

from service_event_checker.remote.ticket import Comment
from service_event_checker.render.notice import Notice
from service_event_checker.render.templates import render
from service_event_checker.render.text import cut

TITLE_MAX = 255  # characters; PagerDuty takes 1024, a telephone shows fewer
DETAILS_MAX = 16_000
FOLDER = Path(__file__).parent


def title(told: Notice) -> str:
    return cut(told.subject, TITLE_MAX)


def details(told: Notice, previous: str) -> str:
    return cut(render("incident.txt.j2", told, folder=FOLDER, previous=previous), DETAILS_MAX)


def note(said: Comment) -> str:
    """Return what a note says of a change."""
    return render("note.txt.j2", said.told, folder=FOLDER, full=said.full)
