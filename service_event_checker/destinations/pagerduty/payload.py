"""PagerDuty's incidents, notes and references as values, read from the REST API's JSON or a webhook's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.remote.values import moment, text

TRIGGERED, ACKNOWLEDGED, RESOLVED = "triggered", "acknowledged", "resolved"


@dataclass(frozen=True, slots=True)
class Reference:
    """Who did something: a user, or a service, a bot, an integration (`type` tells)."""

    id: str
    name: str
    type: str

    @property
    def person(self) -> str:
        """The name, "" if it is no user's."""
        return self.name if self.type.removesuffix("_reference") == "user" else ""


@dataclass(frozen=True, slots=True)
class Incident:
    """`key` is the incident_key; `acks` are (who, when), `changed_*` the last change of its status."""

    id: str
    key: str
    status: str
    title: str
    urgency: str
    url: str
    created_at: datetime | None
    changed_at: datetime | None
    changed_by: Reference | None
    acks: tuple[tuple[Reference, datetime | None], ...]


@dataclass(frozen=True, slots=True)
class Note:
    id: str
    text: str
    by: Reference | None
    at: datetime | None


def reference(value: object) -> Reference | None:
    """Return who a reference `{id, type, summary}` names; None for null and for what is no reference."""
    told = as_mapping(value)
    id = told.get("id")
    return Reference(id, text(told.get("summary")), text(told.get("type"))) if isinstance(id, str) else None


def read_incident(value: object) -> Incident:
    """Read an incident of the REST API. Raises DeliveryError(GARBAGE) for what is none."""
    told = as_mapping(value)
    if not isinstance(told.get("id"), str) or not isinstance(told.get("status"), str):
        raise DeliveryError(Reason.GARBAGE, "the answer is no incident")
    listed = told.get("acknowledgements")
    acks = [as_mapping(each) for each in listed] if isinstance(listed, list) else []
    who = [(reference(each.get("acknowledger")), moment(each.get("at"))) for each in acks]
    return Incident(
        id=told["id"],
        key=str(told.get("incident_key") or ""),
        status=told["status"],
        title=str(told.get("title") or ""),
        urgency=str(told.get("urgency") or ""),
        url=str(told.get("html_url") or ""),
        created_at=moment(told.get("created_at")),
        changed_at=moment(told.get("last_status_change_at")),
        changed_by=reference(told.get("last_status_change_by")),
        acks=tuple((by, at) for by, at in who if by is not None),
    )


def read_note(told: Mapping[str, Any]) -> Note:
    by, at = reference(told.get("user")), moment(told.get("created_at"))
    return Note(str(told.get("id") or ""), text(told.get("content")), by, at)
