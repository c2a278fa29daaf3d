"""What our incidents and notes say, and how they are known as ours again. All of it is plain text to PagerDuty."""

from __future__ import annotations

from pathlib import Path

from service_event_checker.remote.marks import KEY_TAG, checked, is_key, signature
from service_event_checker.render.notice import Notice
from service_event_checker.render.templates import render
from service_event_checker.render.text import cut

TITLE_MAX = 255  # characters; PagerDuty takes 1024, a telephone shows fewer
DETAILS_MAX = 16_000
NOTE_MAX = 5_000
FOLDER = Path(__file__).parent


def incident_key(remote_key: str) -> str:
    """Return the incident_key, or the dedup_key, of a remote key. Raises DeliveryError if it is not a valid key."""
    return KEY_TAG + checked(remote_key)


def remote_key_of(incident_key: str) -> str:
    """Return the remote key in an incident_key, "" if it is not one of our keys."""
    key = incident_key.removeprefix(KEY_TAG)
    return key if incident_key.startswith(KEY_TAG) and is_key(key) else ""


def title(told: Notice) -> str:
    return cut(told.subject, TITLE_MAX)


def details(told: Notice, previous: str) -> str:
    return cut(render("incident.txt.j2", told, folder=FOLDER, previous=previous), DETAILS_MAX)


def note(told: Notice, *, full: bool) -> str:
    """Return what a note says of a change; `full` tells where the alert stands as well."""
    return render("note.txt.j2", told, folder=FOLDER, full=full)


def marked(text: str, marker: str) -> str:
    """Return a note's content; it is short, so that a webhook tells it whole, with the marker at its end."""
    return f"{cut(text, NOTE_MAX)}\n\n{signature(marker)}"
