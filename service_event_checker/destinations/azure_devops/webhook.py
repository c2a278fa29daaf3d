"""What a service hook of Azure DevOps tells of a work item: JSON in, one value out. Asks nobody.

Its two events have two shapes. In `workitem.updated` the id of the work item is `resource.workItemId` (`resource.id`
counts its updates), `resource.fields` holds {"oldValue", "newValue"} of what changed, and `resource.revision.fields`
all values; in `workitem.commented` they are `resource.id` and plain values in `resource.fields`.
https://learn.microsoft.com/azure/devops/service-hooks/events
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from service_event_checker.remote.marks import TAG, is_signed
from service_event_checker.remote.payload import Payload, Text
from service_event_checker.remote.payload import read as read_payload
from service_event_checker.remote.ticket import RemoteChange
from service_event_checker.remote.values import moment, text

COMMENT_MAX = 40_000  # characters of HTML that are read
REASON_MAX = 200
_HINT = "Let the subscription of the service hook send all details of the resource"
_MAIL = re.compile(r"\s*<[^<>]*>\s*$")
_BREAK = re.compile(r"<br\s*/?>|</(?:p|div|li|tr|h[1-6]|pre|blockquote)>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")

_Id = Annotated[int, Field(ge=1, lt=10**12)]


class _Body(Payload):
    event: str = Field(alias="eventType")
    id: Text = ""
    created_at: Text = Field(default="", alias="createdDate")


class _Values(Payload):
    kind: Text = Field(default="", alias="System.WorkItemType")
    tags: Text = Field(default="", alias="System.Tags")  # a work item without tags has no such field
    reason: Text = Field(default="", alias="System.Reason")
    comment: Text = Field(default="", alias="System.History")
    changed_by: Any = Field(default=None, alias="System.ChangedBy")
    changed_at: Text = Field(default="", alias="System.ChangedDate")


class _Delta(Payload):
    before: Text = Field(default="", alias="oldValue")
    after: Text = Field(default="", alias="newValue")


class _Deltas(Payload):
    state: _Delta | None = Field(default=None, alias="System.State")
    comment: _Delta | None = Field(default=None, alias="System.History")


class _Revision(Payload):
    values: _Values | None = Field(default=None, alias="fields")


class _Update(Payload):
    id: _Id = Field(alias="workItemId")
    rev: _Id | None = None
    deltas: _Deltas | None = Field(default=None, alias="fields")
    revision: _Revision | None = None
    by: Any = Field(default=None, alias="revisedBy")


class _Comment(Payload):
    id: _Id
    rev: _Id | None = None
    values: _Values | None = Field(default=None, alias="fields")


class _Updated(_Body):
    resource: _Update


class _Commented(_Body):
    resource: _Comment


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItemChange:
    """What somebody did to a work item of type `kind`. `before`, `after`: states, both "" where it has not changed.

    `reason`: of the state that it is in. `deleted`: it is in the recycle bin.
    """

    remote: RemoteChange
    kind: str
    before: str
    after: str
    reason: str = ""
    deleted: bool = False


def read(payload: Any) -> WorkItemChange | None:
    """Return the change that a payload tells of. Raises InvalidInput.

    None for any other event, for what is not ours as its tags show, and for our own comments.
    """
    event = read_payload(_Body, payload, _HINT).event
    if event == "workitem.updated":
        return _updated(read_payload(_Updated, payload, _HINT))
    if event == "workitem.commented":
        return _commented(read_payload(_Commented, payload, _HINT))
    if event == "workitem.deleted":
        found = _commented(read_payload(_Commented, payload, _HINT))
        return replace(found, deleted=True, remote=replace(found.remote, notes=[])) if found else None
    return None


def as_text(markup: str) -> str:
    """Return what a person reads of HTML, a line for each of its blocks."""
    lines = _TAG.sub("", _BREAK.sub("\n", markup[:COMMENT_MAX]))
    return html.unescape(lines).replace("\xa0", " ").strip()


def _updated(body: _Updated) -> WorkItemChange | None:
    resource, deltas = body.resource, body.resource.deltas or _Deltas()
    values = resource.revision.values if resource.revision else None
    comment = deltas.comment.after if deltas.comment else ""
    return _change(body, resource, values, comment, deltas.state or _Delta(), resource.by)


def _commented(body: _Commented) -> WorkItemChange | None:
    values = body.resource.values
    return _change(body, body.resource, values, values.comment if values else "", _Delta())


def _change(
    body: _Body, resource: _Update | _Comment, values: _Values | None, comment: str, state: _Delta, by: Any = None
) -> WorkItemChange | None:
    """Return the change; what the payload does not show the tags of may be ours."""
    if is_signed(comment) or (values and TAG not in [tag.strip() for tag in values.tags.split(";")]):
        return None
    shown, said = values or _Values(), as_text(comment)
    note_id = f"{resource.id}:{resource.rev or body.id[:64]}"  # the same in both events that one comment causes
    return WorkItemChange(
        remote=RemoteChange(
            external_id=str(resource.id),
            actor=_person(by) or _person(shown.changed_by),
            at=moment(shown.changed_at) or moment(body.created_at),
            notes=[(note_id, said)] if said else [],
        ),
        kind=shown.kind,
        before=state.before,
        after=state.after,
        reason=shown.reason[:REASON_MAX],
    )


def _person(value: Any) -> str:
    """Return the name of an identity: an object, or `Name <mail>`."""
    if isinstance(value, dict):
        return text(value.get("displayName")) or _person(value.get("name")) or text(value.get("uniqueName"))
    return _MAIL.sub("", text(value)[:200]) or text(value)[:200]
