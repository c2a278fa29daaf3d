"""The bodies that the REST API takes; what it answers stands in `render.shapes`. docs/api.md shows them to people."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from service_event_checker.core.model import FINGERPRINT_MAX

NOTE_MAX = 20_000  # characters


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class StatusChange(_Body):
    """The body of PUT /api/v1/alerts/{id}/status."""

    status: Literal["acknowledged", "resolved", "active"]
    resolution_note: str = Field(default="", max_length=NOTE_MAX)

    @field_validator("resolution_note", mode="before")
    @classmethod
    def _null_is_empty(cls, note: object) -> object:
        return "" if note is None else note


class NewNote(_Body):
    """The body of POST /api/v1/alerts/{id}/notes."""

    note: str = Field(max_length=NOTE_MAX)

    @field_validator("note")
    @classmethod
    def _says_something(cls, note: str) -> str:
        if not note.strip():
            raise ValueError("is empty. Write the note")
        return note


class NewTicket(_Body):
    """The body of POST /api/v1/alerts/{id}/tickets; `receiver` is a ticket system's name, "" for the usual one."""

    receiver: str = Field(default="", max_length=60)


class ActionRequest(_Body):
    """The body of POST /api/v1/actions/execute."""

    alert_id: str = Field(max_length=FINGERPRINT_MAX)
    action_type: str = Field(min_length=1, max_length=60)
    parameters: dict[str, JsonValue] = {}
