"""What Redmine shows of an issue, as values: the same for its REST API, its own webhooks and the plugin's.

REST and the webhooks of Redmine 7 differ in the names of a journal's details only. The plugin redmine_webhook calls
custom fields `custom_field_values` and people `author`. What has the wrong shape raises InvalidInput with its path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service_event_checker.core.errors import InvalidInput
from service_event_checker.remote.values import moment, text

ID_MAX = 10**15
_HINT = "Send what Redmine 7 or the plugin redmine_webhook sends"


@dataclass(frozen=True, slots=True)
class IssueStatus:
    """`closed` is None where nobody says whether the status is a closing one."""

    id: int
    name: str = ""
    closed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """One change of an issue. `status_id`: the status that it brought, None where it brought none."""

    id: int
    user_id: int | None
    user: str
    notes: str
    private: bool
    at: datetime | None
    status_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """`custom_fields`: id -> (name, value). `updated_on`: as Redmine writes it, to the second.

    `journals` are in the order of their ids. `allowed` holds the statuses that our user may set, None if not asked for.
    """

    id: int
    subject: str
    description: str
    status: IssueStatus
    tracker_id: int | None
    author_id: int | None
    custom_fields: Mapping[int, tuple[str, str]]
    created_at: datetime | None
    updated_on: str
    closed_at: datetime | None
    journals: tuple[Journal, ...]
    allowed: tuple[IssueStatus, ...] | None


@dataclass(frozen=True, slots=True)
class Change:
    """What a webhook tells: the issue as it is now, and the journal that was just added to it."""

    issue: Issue
    journal: Journal


def issue(value: Any, where: str = "issue") -> Issue:
    """Read an issue. Raises InvalidInput."""
    fields = _object(value, where)
    journals = [journal(each, f"{where}.journals[{n}]") for n, each in _listed(fields, "journals", where)]
    allowed = [status(each, f"{where}.allowed_statuses[{n}]") for n, each in _listed(fields, "allowed_statuses", where)]
    return Issue(
        id=_id(fields.get("id"), f"{where}.id"),
        subject=text(fields.get("subject")),
        description=text(fields.get("description")),
        status=status(fields.get("status"), f"{where}.status"),
        tracker_id=_id_of(fields.get("tracker")),
        author_id=_id_of(fields.get("author")),
        custom_fields=_custom_fields(fields, where),
        created_at=moment(fields.get("created_on")),
        updated_on=text(fields.get("updated_on")),
        closed_at=moment(fields.get("closed_on")),
        # a person's own setting may turn their order around
        journals=tuple(sorted(journals, key=lambda each: each.id)),
        allowed=tuple(allowed) if isinstance(fields.get("allowed_statuses"), list) else None,
    )


def status(value: Any, where: str) -> IssueStatus:
    """Read a status. Raises InvalidInput."""
    fields = _object(value, where)
    closed = fields.get("is_closed")
    id = _id(fields.get("id"), f"{where}.id")
    return IssueStatus(id, text(fields.get("name")), closed if isinstance(closed, bool) else None)


def journal(value: Any, where: str) -> Journal:
    """Read a journal. Raises InvalidInput."""
    fields = _object(value, where)
    user = fields.get("user", fields.get("author"))
    details = [_object(each, f"{where}.details[{n}]") for n, each in _listed(fields, "details", where)]
    return Journal(
        id=_id(fields.get("id"), f"{where}.id"),
        user_id=_id_of(user),
        user=_person(user),
        notes=text(fields.get("notes")),
        private=fields.get("private_notes") is True,
        at=moment(fields.get("created_on")),
        status_id=next((found for each in details if (found := _new_status(each)) is not None), None),
    )


def hook(payload: Any) -> Change | None:
    """Return the change that a webhook tells of, None for any other event. Raises InvalidInput."""
    body = _object(payload, "body")
    if "payload" in body:  # the plugin's
        where, inner = "payload", _object(body["payload"], "payload")
        if inner.get("action") != "updated":
            return None
    else:
        if not isinstance(body.get("type"), str):
            raise InvalidInput("type", "must be a text", _HINT)
        if body["type"] != "issue.updated":
            return None
        where, inner = "data", _object(body.get("data"), "data")
    if inner.get("journal") is None:
        return None
    return Change(issue(inner.get("issue"), f"{where}.issue"), journal(inner["journal"], f"{where}.journal"))


def _custom_fields(fields: Mapping[str, Any], where: str) -> dict[int, tuple[str, str]]:
    found: dict[int, tuple[str, str]] = {}
    for name, prefix in (("custom_fields", ""), ("custom_field_values", "custom_field_")):
        for n, each in _listed(fields, name, where):
            place = f"{where}.{name}[{n}]"
            one = _object(each, place)
            id = _id(one.get(f"{prefix}id"), f"{place}.{prefix}id")
            found[id] = (text(one.get(f"{prefix}name")), text(one.get("value")))
    return found


def _new_status(detail: Mapping[str, Any]) -> int | None:
    """Return the status that a detail of a journal tells of, None if it tells of something else."""
    if detail.get("property") != "attr" or detail.get("prop_key", detail.get("name")) != "status_id":
        return None
    value = str(detail.get("value", detail.get("new_value")))[:16]
    return int(value) if re.fullmatch(r"[0-9]{1,15}", value, re.ASCII) else None


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(where, "must be an object", _HINT)
    return value


def _listed(fields: Mapping[str, Any], name: str, where: str) -> list[tuple[int, Any]]:
    """Return the numbered entries of a list that may be missing."""
    value = fields.get(name)
    if value is not None and not isinstance(value, list):
        raise InvalidInput(f"{where}.{name}", "must be a list", _HINT)
    return list(enumerate(value or ()))


def _id(value: Any, where: str) -> int:
    if not _is_id(value):
        raise InvalidInput(where, "must be a number above 0", _HINT)
    return int(value)


def _id_of(value: Any) -> int | None:
    return int(value["id"]) if isinstance(value, dict) and _is_id(value.get("id")) else None


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < ID_MAX


def _person(value: Any) -> str:
    """Return a person's name: REST gives it whole, the plugin in two parts."""
    if not isinstance(value, dict):
        return ""
    whole = " ".join(part for part in (text(value.get("firstname")), text(value.get("lastname"))) if part)
    return (text(value.get("name")) or whole or text(value.get("login")))[:200]
