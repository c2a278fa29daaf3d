"""What a service hook of Azure DevOps tells of a work item: JSON in, one value out. Asks nobody.

Its two events have two shapes. In `workitem.updated` the id of the work item is `resource.workItemId` (`resource.id`
counts its updates), `resource.fields` holds {"oldValue", "newValue"} of what changed, and `resource.revision.fields`
all values; in `workitem.commented` they are `resource.id` and plain values in `resource.fields`.
https://learn.microsoft.com/azure/devops/service-hooks/events
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service_event_checker.core.errors import InvalidInput
from service_event_checker.remote.values import moment, text

COMMENT_MAX = 40_000  # characters of HTML that are read
_ID = re.compile(r"[1-9][0-9]{0,11}")
_MAIL = re.compile(r"\s*<[^<>]*>\s*$")
_BREAK = re.compile(r"<br\s*/?>|</(?:p|div|li|tr|h[1-6]|pre|blockquote)>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What somebody did to a work item. `tags` is None where the payload does not show them.

    `before` and `after` are names of states, both "" where the state did not change. `comment` is HTML. `at` is when it
    was saved, aware UTC.
    """

    id: str
    rev: str
    kind: str
    tags: frozenset[str] | None
    before: str
    after: str
    comment: str
    actor: str
    at: datetime | None

    @property
    def said(self) -> str:
        """The comment as plain text."""
        return as_text(self.comment)


def read(payload: Any) -> Change | None:
    """Return the change that a payload tells of, None for any other event. Raises InvalidInput."""
    body = _object(payload, "body")
    event = body.get("eventType")
    if not isinstance(event, str):
        raise InvalidInput("eventType", "must be a text", "Send what a service hook of Azure DevOps sends")
    resource = _object(body.get("resource"), "resource") if event in _READERS else {}
    return _READERS[event](body, resource) if event in _READERS else None


def as_text(markup: str) -> str:
    """Return what a person reads of HTML, a line for each of its blocks."""
    lines = _TAG.sub("", _BREAK.sub("\n", markup[:COMMENT_MAX]))
    return html.unescape(lines).replace("\xa0", " ").strip()


def _updated(body: Mapping[str, Any], resource: Mapping[str, Any]) -> Change:
    deltas = _maybe(resource.get("fields"), "resource.fields")
    revision = _maybe(resource.get("revision"), "resource.revision")
    values = _maybe(revision.get("fields"), "resource.revision.fields")
    state = _maybe(deltas.get("System.State"), "resource.fields['System.State']")
    history = _maybe(deltas.get("System.History"), "resource.fields['System.History']")
    return Change(
        id=_id(resource.get("workItemId"), "resource.workItemId"),
        before=text(state.get("oldValue")),
        after=text(state.get("newValue")),
        comment=text(history.get("newValue")),
        actor=_person(resource.get("revisedBy")) or _person(values.get("System.ChangedBy")),
        **_common(body, resource, values),
    )


def _commented(body: Mapping[str, Any], resource: Mapping[str, Any]) -> Change:
    values = _maybe(resource.get("fields"), "resource.fields")
    return Change(
        id=_id(resource.get("id"), "resource.id"),
        before="",
        after="",
        comment=text(values.get("System.History")),
        actor=_person(values.get("System.ChangedBy")),
        **_common(body, resource, values),
    )


_READERS = {"workitem.updated": _updated, "workitem.commented": _commented}


def _common(body: Mapping[str, Any], resource: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    listed = text(values.get("System.Tags")).split(";")  # a work item without tags has no such field
    rev = resource.get("rev")
    return {
        "rev": str(rev) if isinstance(rev, int) and 0 < rev < 10**12 else text(body.get("id"))[:64],
        "kind": text(values.get("System.WorkItemType")),
        "tags": frozenset(tag.strip() for tag in listed) if values else None,
        "at": moment(values.get("System.ChangedDate")) or moment(body.get("createdDate")),
    }


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(where, "must be an object", "Let the subscription send all details of the resource")
    return value


def _maybe(value: Any, where: str) -> Mapping[str, Any]:
    return {} if value is None else _object(value, where)


def _id(value: Any, where: str) -> str:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) and _short(value) else ""
    if not _ID.fullmatch(text):
        raise InvalidInput(where, "must be the number of a work item")
    return text


def _short(value: int | str) -> bool:
    return abs(value) < 10**12 if isinstance(value, int) else len(value) <= 12


def _person(value: Any) -> str:
    """Return the name of an identity: an object, or `Name <mail>`."""
    if isinstance(value, dict):
        return text(value.get("displayName")) or _person(value.get("name")) or text(value.get("uniqueName"))
    return _MAIL.sub("", text(value)[:200]) or text(value)[:200]
