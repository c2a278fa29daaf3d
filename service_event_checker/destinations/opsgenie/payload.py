"""What Opsgenie's answers hold: alerts, notes, pages, and what became of a request. Raises DeliveryError for none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason

_OVER = frozenset({"closed", "resolved"})


@dataclass(frozen=True, slots=True)
class OpsAlert:
    """An alert as it is listed or read."""

    id: str
    raw: Mapping[str, Any]

    @property
    def alias(self) -> str:
        return str(self.raw.get("alias") or "")

    @property
    def priority(self) -> str:
        return str(self.raw.get("priority") or "")

    @property
    def tags(self) -> list[str]:
        tags = self.raw.get("tags")
        return [str(tag) for tag in tags] if isinstance(tags, list) else []

    @property
    def open(self) -> bool:
        return self.raw.get("status") not in _OVER

    @property
    def acknowledged(self) -> bool:
        return self.raw.get("acknowledged") is True or self.raw.get("status") == "acked"


@dataclass(frozen=True, slots=True)
class OpsNote:
    text: str
    owner: str
    created_at: object  # as it is written there


class Undone(DeliveryError):
    """A request was taken and could not be carried out."""


def outcome(done: Mapping[str, Any]) -> str:
    """Return the id of the alert that a request was about. Raises Undone where it failed."""
    said, id = str(done.get("status") or "no reason given")[:300], done.get("alertId")
    if done["isSuccess"] is not True:
        reason = Reason.NOT_FOUND if "not exist" in said.lower() else Reason.REFUSED
        raise Undone(reason, said, permanent=True)
    if not isinstance(id, str) or not id:
        raise DeliveryError(Reason.GARBAGE, "the outcome names no alert")
    return id


def ops_alert(value: Mapping[str, Any]) -> OpsAlert:
    id = value.get("id")
    if not isinstance(id, str) or not id:
        raise DeliveryError(Reason.GARBAGE, "the answer is no alert")
    return OpsAlert(id, value)


def ops_note(value: Mapping[str, Any]) -> OpsNote:
    return OpsNote(str(value.get("note") or ""), str(value.get("owner") or ""), value.get("createdAt"))


def next_page(answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters that ask for the next page; only these are taken of the address that is offered."""
    address = as_mapping(answer.get("paging") or answer.get("links")).get("next")
    try:
        return dict(parse_qsl(urlsplit(address).query)) if isinstance(address, str) else {}
    except ValueError:
        return {}
