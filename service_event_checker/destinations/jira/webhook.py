"""What Jira's webhooks tell of our issues, as events: a person's change of status, and a person's comment.

Pure. Body: https://developer.atlassian.com/cloud/jira/platform/webhooks/#example-webhook-payload; Cloud and Server send
the same shape, with wiki text where REST v3 has documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.destinations.jira.workflow import STATUSES, not_fixed
from service_event_checker.remote.marks import ends_signed
from service_event_checker.remote.payload import OR_NONE, Payload, Text
from service_event_checker.remote.payload import read as read_payload
from service_event_checker.remote.ticket import RemoteChange, moved
from service_event_checker.remote.values import moment
from service_event_checker.render.text import clean, line

INTAKE = "/hooks/jira"
NOTE_MAX = 8000  # characters
_UPDATED, _DELETED = "jira:issue_updated", "jira:issue_deleted"
_COMMENTS = frozenset({"comment_created", "comment_updated"})
_NUMBER = r"^[0-9]{1,20}$"  # Jira writes its ids as text
_LATEST_MS = 253_402_300_800_000  # the year 10000
_HINT = "This address takes the webhooks of Jira, as Jira sends them"


class _Kind(Payload):
    webhookEvent: str


class _Person(Payload):
    accountId: str | None = None
    key: str | None = None
    name: str | None = None
    displayName: str | None = None

    def is_one_of(self, accounts: frozenset[str]) -> bool:
        return bool({self.accountId, self.key, self.name} & accounts)

    def shown(self) -> str:
        return line((self.displayName or self.name or "")[:1000], 200)


class _Category(Payload):
    key: str | None = None


class _Status(Payload):
    statusCategory: _Category | None = None


class _Resolution(Payload):
    name: Text = ""


class _Fields(Payload):
    labels: list[Any] | None = None
    resolution: Annotated[_Resolution | None, OR_NONE] = None
    status: _Status | None = None


class _Issue(Payload):
    id: str = Field(pattern=_NUMBER)
    fields: _Fields | None = None


class _Comment(Payload):
    id: str = Field(pattern=_NUMBER)
    body: Any = None
    author: _Person | None = None
    updateAuthor: _Person | None = None
    visibility: Any = None
    created: Any = None
    updated: Any = None


class _ChangedField(Payload):
    field: Any = None
    after: Text = Field(default="", alias="toString")


class _Changelog(Payload):
    items: list[_ChangedField] | None = None


class _Webhook(Payload):
    webhookEvent: str
    issue: _Issue
    comment: _Comment | None = None
    changelog: _Changelog | None = None
    user: _Person | None = None
    timestamp: Any = None


@dataclass(frozen=True, slots=True)
class OwnIdentity:
    """What is our own in a payload: issues with this label, deeds of this account; comments are signed."""

    receiver: str
    label: str
    account: frozenset[str]


def read(payload: Any, own: OwnIdentity) -> list[Event]:
    """Return the events of one webhook. Raises InvalidInput."""
    kind = read_payload(_Kind, payload, _HINT).webhookEvent
    if kind not in (_UPDATED, _DELETED) and kind not in _COMMENTS:
        return []
    webhook = read_payload(_Webhook, payload, _HINT)
    labels = webhook.issue.fields.labels if webhook.issue.fields else None
    if labels is not None and own.label not in labels:
        return []
    if kind == _DELETED:
        return _deletion(webhook, own)
    return [*_note(webhook, own), *_move(webhook, own), *_change_of_status(webhook, own)]


def _note(webhook: _Webhook, own: OwnIdentity) -> list[Event]:
    """Return the comment; none that only some may read, for we would tell all."""
    comment = webhook.comment
    if comment is None:
        if webhook.webhookEvent in _COMMENTS:
            raise InvalidInput("comment", "is missing", _HINT)
        return []
    author = comment.updateAuthor or comment.author or _Person()
    said = _text(comment.body)
    text = clean(said[: NOTE_MAX * 4], NOTE_MAX)
    if not text or comment.visibility or ends_signed(said) or author.is_one_of(own.account):
        return []
    at = moment(comment.updated) or moment(comment.created) or _stamp(webhook.timestamp)
    change = RemoteChange(external_id=webhook.issue.id, actor=author.shown(), at=at, notes=[(comment.id, text)])
    return change.events(own.receiver, INTAKE)


def _deletion(webhook: _Webhook, own: OwnIdentity) -> list[Event]:
    """Return that an issue is gone; what was not shown as ours may be a stranger's, and nobody misses that."""
    user = webhook.user or _Person()
    if user.is_one_of(own.account):
        return []
    return _ended(webhook, own, user, EventStatus.RESOLVED, "deleted in Jira")


def _move(webhook: _Webhook, own: OwnIdentity) -> list[Event]:
    """Return a note that an issue has a new key, as one that was moved to another project has."""
    changed = webhook.changelog.items if webhook.changelog else None
    key = next((each.after for each in changed or () if each.field == "Key"), "")
    user, at = webhook.user or _Person(), _stamp(webhook.timestamp)
    if not key or user.is_one_of(own.account):
        return []
    note = (f"moved:{key[:100]}", f"moved in Jira, and is {line(key[:300], 100)} now")
    change = RemoteChange(external_id=webhook.issue.id, actor=user.shown(), at=at, notes=[note])
    return change.events(own.receiver, INTAKE)


def _ended(
    webhook: _Webhook, own: OwnIdentity, user: _Person, status: EventStatus | None, not_fixed: str
) -> list[Event]:
    change = RemoteChange(
        external_id=webhook.issue.id,
        actor=user.shown(),
        at=_stamp(webhook.timestamp),
        status=status,
        reason=not_fixed,
        not_fixed=bool(not_fixed),
    )
    return change.events(own.receiver, INTAKE)


def _change_of_status(webhook: _Webhook, own: OwnIdentity) -> list[Event]:
    """Return the change of status, told by the category of the status that the issue is in now."""
    user, changed = webhook.user or _Person(), webhook.changelog.items if webhook.changelog else None
    if not any(each.field == "status" for each in changed or ()) or user.is_one_of(own.account):
        return []
    status = webhook.issue.fields.status if webhook.issue.fields else None
    key = status.statusCategory.key if status and status.statusCategory else None
    if key is None:
        raise InvalidInput("issue.fields.status.statusCategory.key", "is missing", _HINT)
    change_to = moved(None, STATUSES.get(key))
    resolution = webhook.issue.fields.resolution if webhook.issue.fields else None
    ended = change_to is EventStatus.RESOLVED and resolution
    return _ended(webhook, own, user, change_to, not_fixed(resolution.name) if ended and resolution else "")


def _text(body: Any) -> str:
    """Return a comment's text: as it stands, or out of a document (ADF)."""
    if isinstance(body, str):
        return body
    if body is not None and not isinstance(body, dict):
        raise InvalidInput("comment.body", "is neither text nor a document", _HINT)
    return "".join(_pieces(body or {}))


def _pieces(node: Mapping[str, Any]) -> Iterator[str]:
    attrs = as_mapping(node.get("attrs"))
    match node.get("type"):
        case "text":
            yield str(node.get("text", ""))
        case "hardBreak":
            yield "\n"
        case "mention" | "emoji" | "status" | "date":
            yield str(attrs.get("text", ""))
        case "inlineCard" | "blockCard":
            yield str(attrs.get("url", ""))
    content = node.get("content")
    for child in content if isinstance(content, list) else ():
        yield from _pieces(as_mapping(child))
    if node.get("type") in ("paragraph", "heading", "codeBlock", "tableRow"):
        yield "\n"


def _stamp(milliseconds: Any) -> datetime | None:
    if not isinstance(milliseconds, int) or isinstance(milliseconds, bool) or not 0 < milliseconds < _LATEST_MS:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
