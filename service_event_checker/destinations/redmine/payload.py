"""What Redmine shows of an issue, as models: the same for its REST API, its own webhooks and the plugin's.

REST and the webhooks of Redmine 7 differ in the names of a journal's details only. The plugin redmine_webhook calls
custom fields `custom_field_values` and people `author`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field

from service_event_checker.remote.payload import Moment, Payload, Text, read

NAME_MAX = 200
_HINT = "Send what Redmine 7 or the plugin redmine_webhook sends"

Id = Annotated[int, Field(ge=1, lt=10**15)]
_MAY_BE_NULL = BeforeValidator(lambda value: [] if value is None else value)


class Named(Payload):
    id: Id
    name: Text = ""


class IssueStatus(Named):
    """`closed` is None where nobody says whether the status is a closing one."""

    closed: bool | None = Field(default=None, alias="is_closed")


class _Person(Payload):
    id: Id | None = None
    name: Text = ""
    first_name: Text = Field(default="", alias="firstname")
    last_name: Text = Field(default="", alias="lastname")
    login: Text = ""

    @property
    def called(self) -> str:
        """The person's name: REST gives it whole, the plugin in two parts."""
        return (self.name or f"{self.first_name} {self.last_name}".strip() or self.login)[:NAME_MAX]


class _Detail(Payload):
    kind: Text = Field(default="", alias="property")
    name: Text = Field(default="", validation_alias=AliasChoices("prop_key", "name"))
    value: Any = Field(default=None, validation_alias=AliasChoices("value", "new_value"))

    @property
    def status_id(self) -> int | None:
        """The status that it tells of, None if it tells of something else."""
        found = re.fullmatch(r"[0-9]{1,15}", str(self.value)[:16], re.ASCII)
        return int(found[0]) if found and (self.kind, self.name) == ("attr", "status_id") else None


class Journal(Payload):
    """One change of an issue."""

    id: Id
    user: _Person | None = Field(default=None, validation_alias=AliasChoices("user", "author"))
    notes: Text = ""
    private: bool = Field(default=False, alias="private_notes")
    at: Moment = Field(default=None, alias="created_on")
    details: Annotated[list[_Detail], _MAY_BE_NULL] = []

    @property
    def actor(self) -> str:
        return self.user.called if self.user else ""

    @property
    def status_id(self) -> int | None:
        """The status that it brought, None where it brought none."""
        return next((found for each in self.details if (found := each.status_id) is not None), None)


class _CustomField(Payload):
    id: Id = Field(validation_alias=AliasChoices("id", "custom_field_id"))
    name: Text = Field(default="", validation_alias=AliasChoices("name", "custom_field_name"))
    value: Text = ""


def _in_order(journals: list[Journal]) -> list[Journal]:
    """Return journals in the order of their ids; a person's own setting may turn it around."""
    return sorted(journals, key=lambda each: each.id)


class Issue(Payload):
    """`updated_on`: as Redmine writes it, to the second. `allowed`: the statuses that our user may set, None where they
    were not asked for.
    """

    id: Id
    subject: Text = ""
    description: Text = ""
    status: IssueStatus
    tracker: Named | None = None
    author: _Person | None = None
    custom_fields: Annotated[list[_CustomField], _MAY_BE_NULL] = Field(
        default=[], validation_alias=AliasChoices("custom_fields", "custom_field_values")
    )
    created_at: Moment = Field(default=None, alias="created_on")
    updated_on: Text = ""
    closed_at: Moment = Field(default=None, alias="closed_on")
    journals: Annotated[list[Journal], _MAY_BE_NULL, AfterValidator(_in_order)] = []
    allowed: list[IssueStatus] | None = Field(default=None, alias="allowed_statuses")

    @property
    def tracker_id(self) -> int | None:
        return self.tracker.id if self.tracker else None

    @property
    def creator(self) -> frozenset[str]:
        """The id of who made it, as a set; empty where that is not told."""
        return frozenset({str(self.author.id)}) if self.author and self.author.id else frozenset()


class _Event(Payload):
    type: str


class _PluginAction(Payload):
    action: Text = ""


class _PluginEvent(Payload):
    payload: _PluginAction


class _Change(Payload):
    issue: Issue
    journal: Journal | None = None


class _Updated(Payload):
    data: _Change


class _PluginUpdated(Payload):
    payload: _Change


def hook(payload: Any) -> tuple[Issue, Journal] | None:
    """Return the issue as a webhook tells of it, and the journal that was just added. Raises InvalidInput.

    None for any other event.
    """
    if isinstance(payload, dict) and "payload" in payload:
        if read(_PluginEvent, payload, _HINT).payload.action != "updated":
            return None
        change = read(_PluginUpdated, payload, _HINT).payload
    elif read(_Event, payload, _HINT).type == "issue.updated":
        change = read(_Updated, payload, _HINT).data
    else:
        return None
    return (change.issue, change.journal) if change.journal else None
