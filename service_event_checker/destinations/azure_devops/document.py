"""What our work items are made of: fields as a JSON patch, tags that carry our keys, comments that we know again."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

from service_event_checker.config.fields import by_severity
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert
from service_event_checker.destinations.azure_devops.client import Operation
from service_event_checker.remote.marks import TAG, signature, tag, tagged_key
from service_event_checker.remote.ticket import Comment
from service_event_checker.render.notice import Notice
from service_event_checker.render.own import TITLE, Form
from service_event_checker.render.templates import render
from service_event_checker.render.text import cut

TITLE_MAX = 255
BODY = "html"  # the part that templates of users may write: descriptions and comments
FORMS: Mapping[str, Form] = {
    TITLE: Form(line=True, limit=TITLE_MAX),
    BODY: Form(escape=html.escape, html=True, limit=100_000),
}
UNTAGGED = (
    "<p>This work item has no tags, because our user may not create any: give it the right Create tag definition. Until"
    " then we do not hear what is changed here, and cannot find this work item again by a search.</p>"
)
_TEXTS = frozenset({"System.Description", "Microsoft.VSTS.TCM.ReproSteps"})
EPISODES_MAX = 10_000  # tried when it is asked which of two keys is made of the other
_BUG_ONLY = frozenset({"Microsoft.VSTS.TCM.ReproSteps", "Microsoft.VSTS.Common.Severity"})
_NAMED_SEVERITY = by_severity("1 - Critical", "2 - High", "3 - Medium", "4 - Low")


def fields(alert: Alert, told: Notice, key: str, previous: str) -> dict[str, Any]:
    """Return what a new work item says, by reference name. `previous`: address or id of the one before, or ""."""
    text = told.own.get(BODY) or render("ticket.html.j2", told, previous=previous)
    return {
        "System.Title": told.own.get(TITLE) or cut(told.subject, TITLE_MAX),
        "System.Description": text,
        "Microsoft.VSTS.TCM.ReproSteps": text,  # what the form of a Bug shows in place of the description
        "System.Tags": f"{TAG}; {tag(key)}; {tag(alert.key)}",
        "Microsoft.VSTS.Common.Severity": _NAMED_SEVERITY[alert.severity],
    }


def patch(kind: str, values: Mapping[str, Any], addresses: Mapping[str, str]) -> list[Operation]:
    """Return the JSON patch that makes a work item of a type, without the fields of a Bug for other types.

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


def without_tags(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a new work item without tags, with a sentence that says so."""
    told = {name: value + UNTAGGED for name, value in values.items() if name in _TEXTS}
    return {name: value for name, value in {**values, **told}.items() if name != "System.Tags"}


def comment(said: Comment) -> Operation:
    if own := said.told.own.get(BODY):
        return _history(f"{own}<p><small>{signature(said.mark)}</small></p>")
    return _history(render("comment.html.j2", said.told, marker=signature(said.mark), full=said.full))


def duplicate(text: str, mark: str, address: str) -> Operation:
    """Return the comment on a work item that was made twice: `text`, with a link where it names `address`."""
    shown = html.escape(address)
    linked = html.escape(text).replace(shown, f'<a href="{shown}">{shown}</a>')
    return _history(f"<p>{linked}</p><p><small>{signature(mark)}</small></p>")


def values(fields: Mapping[str, Any]) -> list[Operation]:
    """Return what sets fields, by reference name."""
    return [{"op": "add", "path": f"/fields/{name}", "value": value} for name, value in fields.items()]


def move(state: str) -> Operation:
    return {"op": "add", "path": "/fields/System.State", "value": state}


def in_none_of(states: Iterable[str]) -> str:
    """Return the condition (WIQL) of being in none of these states."""
    listed = ", ".join("'" + name.replace("'", "''") + "'" for name in states)
    return f"[System.State] NOT IN ({listed})"


def tagged(key: str) -> str:
    """Return the condition (WIQL) of carrying a key."""
    return f"[System.Tags] CONTAINS '{tag(key)}'"


def key_of(tags: str) -> str:
    """Return the remote key among a work item's tags, "" if it is missing.

    Of two keys the remote one is made of the other, the alert's own. One alone is that of an older work item,
    which carries no other.
    """
    keys = [key for each in tags.split(";") if (key := tagged_key(each.strip()))]
    if len(keys) < 2:
        return "".join(keys)
    for episode in range(1, EPISODES_MAX):
        found = {remote_key(key, episode) for key in keys}.intersection(keys)
        if found:
            return found.pop()
    return ""


def _history(text: str) -> Operation:
    return {"op": "add", "path": "/fields/System.History", "value": text}
