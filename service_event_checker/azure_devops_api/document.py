"""What our work items are made of: fields as a JSON patch, tags that carry our keys, comments that we know again."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Mapping
from typing import Any

from service_event_checker.azure_devops_api.work_items import Operation
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Severity, remote_key
from service_event_checker.text import Notice, cut, render

TITLE_MAX = 255
TAG = "platform-outage-checker"  # on all that we make: what is listed, and what a hook's event must carry
KEY_TAG = "poc-"  # + remote key, + the alert's key
EPISODES_MAX = 10_000  # tried when it is asked which of two keys is made of the other
_KEY = re.compile(r"[0-9a-f]{1,64}")
_SIGNATURE = "Platform Outage Checker"
_OURS = re.compile(rf"{_SIGNATURE} [0-9a-f]{{16}}")
_BUG_ONLY = frozenset({"Microsoft.VSTS.TCM.ReproSteps", "Microsoft.VSTS.Common.Severity"})
_NAMED_SEVERITY = {
    Severity.CRITICAL: "1 - Critical",
    Severity.ERROR: "2 - High",
    Severity.WARNING: "3 - Medium",
    Severity.INFO: "4 - Low",
}


def fields(alert: Alert, told: Notice, key: str, previous: str) -> dict[str, Any]:
    """Return what a new work item says, by reference name. `previous`: address or id of the one before, or ""."""
    text = render("ticket.html.j2", told, previous=previous)
    return {
        "System.Title": cut(told.subject, TITLE_MAX),
        "System.Description": text,
        "Microsoft.VSTS.TCM.ReproSteps": text,  # what the form of a Bug shows in place of the description
        "System.Tags": f"{TAG}; {KEY_TAG}{checked(key)}; {KEY_TAG}{checked(alert.key)}",
        "Microsoft.VSTS.Common.Severity": _NAMED_SEVERITY[alert.severity],
    }


def patch(kind: str, values: Mapping[str, Any], addresses: Mapping[str, str]) -> list[Operation]:
    """Return the JSON patch that makes a work item of a type, without what only a Bug has where it is none.

    `addresses`: what to link to, with what it is.
    """
    operations: list[Operation] = [
        {"op": "add", "path": f"/fields/{name}", "value": value}
        for name, value in values.items()
        if kind == "Bug" or name not in _BUG_ONLY
    ]
    for address, meaning in addresses.items():
        if address.startswith(("https://", "http://")):
            place = {"rel": "Hyperlink", "url": address, "attributes": {"comment": meaning}}
            operations.append({"op": "add", "path": "/relations/-", "value": place})
    return operations


def marker(of: str) -> str:
    """Return what tells one comment of ours from all others, made of what it is for (a delivery's id)."""
    return hashlib.sha256(of.encode()).hexdigest()[:16]


def comment(told: Notice, mark: str, *, full: bool = False) -> Operation:
    return _history(render("comment.html.j2", told, marker=f"{_SIGNATURE} {mark}", full=full))


def retirement(duplicate_id: str, kept_id: str, address: str) -> Operation:
    """Return the comment on a work item that was made twice, with a link to the other."""
    other = f'<a href="{html.escape(address)}">work item {html.escape(kept_id)}</a>'
    mark = f"{_SIGNATURE} {marker(f'{duplicate_id}:{kept_id}')}"
    return _history(f"<p>Made twice: {other} is the one that goes on.</p><p><small>{mark}</small></p>")


def is_ours(comment_html: str) -> bool:
    """Whether we wrote a comment."""
    return _OURS.search(comment_html) is not None


def tagged(key: str) -> str:
    """Return the condition (WIQL) of carrying a key."""
    return f"[System.Tags] CONTAINS '{KEY_TAG}{checked(key)}'"


def checked(key: str) -> str:
    """Return a key that may stand in a query: hexadecimal only. Raises DeliveryError."""
    if not _KEY.fullmatch(key):
        raise DeliveryError(Reason.REFUSED, "a remote key is hexadecimal", permanent=True)
    return key


def key_of(tags: str) -> str:
    """Return the remote key among a work item's tags, "" if there is none.

    Of two keys the remote one is made of the other, the alert's own. One alone is that of an older work item,
    which carries no other.
    """
    named = [tag.strip() for tag in tags.split(";")]
    keys = [tag.removeprefix(KEY_TAG) for tag in named if tag.startswith(KEY_TAG)]
    keys = [key for key in keys if _KEY.fullmatch(key)]
    if len(keys) < 2:
        return "".join(keys)
    for episode in range(1, EPISODES_MAX):
        found = {remote_key(key, episode) for key in keys}.intersection(keys)
        if found:
            return found.pop()
    return ""


def _history(text: str) -> Operation:
    return {"op": "add", "path": "/fields/System.History", "value": text}
