"""What Jira's webhooks tell of our issues, as events: a person's change of status, and a person's comment.

Pure. Body: https://developer.atlassian.com/cloud/jira/platform/webhooks/#example-webhook-payload; Cloud and Server send
the same shape, with wiki text where REST v3 has documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.remote import links
from service_event_checker.remote.marks import ends_signed
from service_event_checker.remote.signature import header, is_proof
from service_event_checker.remote.values import moment
from service_event_checker.render.text import clean, line

INTAKE = "/hooks/jira"
NOTE_MAX = 8000  # characters
_STATUSES = {
    "new": EventStatus.UNACKNOWLEDGED,
    "indeterminate": EventStatus.ACKNOWLEDGED,
    "done": EventStatus.RESOLVED,
}
_COMMENTS = frozenset({"comment_created", "comment_updated"})
_WHO = ("accountId", "key", "name")
_LATEST_MS = 253_402_300_800_000  # the year 10000
_ALIEN = "This address takes the webhooks of Jira, as Jira sends them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What is ours in a payload: issues with this label, deeds of this account; comments are signed."""

    receiver: str
    label: str
    account: frozenset[str]


def verify_signature(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether `X-Hub-Signature` is the body's HMAC under `secret`.

    SHA-256 is all that Atlassian names: https://developer.atlassian.com/cloud/jira/platform/webhooks/
    """
    return is_proof([header(headers, "X-Hub-Signature")], body, secret)


def read(payload: Any, ours: Ours) -> list[Event]:
    """Return the events of one webhook. Raises InvalidInput."""
    whole = _object(payload, "body")
    named = whole.get("webhookEvent")
    if not isinstance(named, str):
        raise InvalidInput("webhookEvent", "is missing or no text", _ALIEN)
    if named != "jira:issue_updated" and named not in _COMMENTS:
        return []
    issue = _object(whole.get("issue"), "issue")
    fields = _optional(issue, "fields", "issue.")
    labels = fields.get("labels")
    if isinstance(labels, list) and ours.label not in labels:
        return []
    return [*_notes(whole, _id(issue, "issue"), ours), *_changes(whole, fields, _id(issue, "issue"), ours)]


def _notes(whole: Mapping[str, Any], id: str, ours: Ours) -> Iterator[Event]:
    """Yield the comment; none that only some may read, for we would tell all."""
    if whole.get("comment") is None and whole["webhookEvent"] not in _COMMENTS:
        return
    comment = _object(whole.get("comment"), "comment")
    note_id = _id(comment, "comment")
    author = _optional(comment, "updateAuthor", "comment.") or _optional(comment, "author", "comment.")
    said = _text(comment.get("body"))
    text = clean(said[: NOTE_MAX * 4], NOTE_MAX)
    if not text or comment.get("visibility") or ends_signed(said) or _us(author, ours):
        return
    at = moment(comment.get("updated")) or moment(comment.get("created")) or _stamp(whole.get("timestamp"))
    yield _event(EventStatus.NOTED, id, author, at, ours, note=text, note_id=note_id)


def _changes(whole: Mapping[str, Any], fields: Mapping[str, Any], id: str, ours: Ours) -> Iterator[Event]:
    """Yield the change of status, told by the category of the status that the issue is in now."""
    items = _optional(whole, "changelog").get("items")
    if items is None:
        return
    if not isinstance(items, list):
        raise InvalidInput("changelog.items", "is no list", _ALIEN)
    changed = [_object(each, f"changelog.items[{number}]").get("field") for number, each in enumerate(items)]
    user = _optional(whole, "user")
    if "status" not in changed or _us(user, ours):
        return
    category = _optional(_optional(fields, "status", "issue.fields."), "statusCategory", "issue.fields.status.")
    key = category.get("key")
    if not isinstance(key, str):
        raise InvalidInput("issue.fields.status.statusCategory.key", "is missing or no text", _ALIEN)
    if key in _STATUSES:
        yield _event(_STATUSES[key], id, user, _stamp(whole.get("timestamp")), ours)


def _event(
    status: EventStatus,
    id: str,
    who: Mapping[str, Any],
    at: datetime | None,
    ours: Ours,
    *,
    note: str = "",
    note_id: str = "",
) -> Event:
    return links.change(ours.receiver, id, status, intake=INTAKE, actor=_name(who), at=at, note=note, note_id=note_id)


def _us(who: Mapping[str, Any], ours: Ours) -> bool:
    return any(isinstance(who.get(name), str) and who[name] in ours.account for name in _WHO)


def _name(who: Mapping[str, Any]) -> str:
    names = (who.get(each) for each in ("displayName", "name"))
    return next((line(each[:1000], 200) for each in names if isinstance(each, str) and each), "")


def _text(body: Any) -> str:
    """Return a comment's text: as it stands, or out of a document (ADF)."""
    if isinstance(body, str):
        return body
    if body is not None and not isinstance(body, dict):
        raise InvalidInput("comment.body", "is neither text nor a document", _ALIEN)
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


def _id(value: Mapping[str, Any], where: str) -> str:
    id = value.get("id")
    if not isinstance(id, str) or not re.fullmatch(r"[0-9]{1,20}", id, re.ASCII):
        raise InvalidInput(f"{where}.id", "is no number as text", _ALIEN)
    return id


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(where, "is missing or no object", _ALIEN)
    return value


def _optional(value: Mapping[str, Any], name: str, within: str = "") -> dict[str, Any]:
    return _object(value[name], within + name) if value.get(name) is not None else {}


def _stamp(milliseconds: Any) -> datetime | None:
    if not isinstance(milliseconds, int) or isinstance(milliseconds, bool) or not 0 < milliseconds < _LATEST_MS:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
