"""What our incidents and notes say, and how they are known as ours again. All of it is plain text to PagerDuty."""

from __future__ import annotations

import hashlib
import re

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.text import Notice, cut, render

KEY = "poc-"  # + remote key: the incident_key, the dedup_key
TITLE_MAX = 255  # characters; PagerDuty takes 1024, a telephone shows fewer
DETAILS_MAX = 16_000
NOTE_MAX = 5_000
_SIGNED = re.compile(r"\nPlatform Outage Checker [0-9a-f]{16}\s*\Z")
_HEX = re.compile(r"[0-9a-f]{1,64}")


def incident_key(remote_key: str) -> str:
    """Return the incident_key of a remote key, which must be hexadecimal: it stands in queries."""
    if not _HEX.fullmatch(remote_key):
        raise DeliveryError(Reason.REFUSED, "a remote key is hexadecimal", permanent=True)
    return KEY + remote_key


def remote_key_of(incident_key: str) -> str:
    """Return the remote key in an incident_key, "" if it is none of ours."""
    key = incident_key.removeprefix(KEY)
    return key if incident_key.startswith(KEY) and _HEX.fullmatch(key) else ""


def title(told: Notice) -> str:
    return cut(told.subject, TITLE_MAX)


def details(told: Notice, previous: str) -> str:
    return cut(render("pagerduty.txt.j2", told, previous=previous), DETAILS_MAX)


def note(told: Notice, *, full: bool) -> str:
    """Return what a note says of a change; `full` tells where the alert stands as well."""
    return render("pagerduty_note.txt.j2", told, full=full)


def marker(cause: str) -> str:
    """Return what tells the note of this cause (a delivery's id) from all others."""
    return hashlib.sha256(cause.encode()).hexdigest()[:16]


def marked(text: str, marker: str) -> str:
    """Return a note's content; it is short, so that a webhook tells it whole, with the marker at its end."""
    return f"{cut(text, NOTE_MAX)}\n\nPlatform Outage Checker {marker}"


def is_marked(content: str) -> bool:
    """Whether a note is one of ours; one that a person wrote below a quotation of it is not."""
    return bool(_SIGNED.search(content))
