"""The bodies that the REST API takes; most that it answers stands in `render.shapes`. docs/api.md shows them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from service_event_checker.core.knowledge import ChangeKind
from service_event_checker.core.model import FINGERPRINT_MAX
from service_event_checker.core.vocabulary import Status
from service_event_checker.engine.bulk import LIMIT_DEFAULT, LIMIT_MAX, Act, Result
from service_event_checker.engine.search import FILTERS_MAX
from service_event_checker.engine.verdicts import Vote

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


class NewVerdict(_Body):
    """The body of POST /api/v1/alerts/{id}/verdict."""

    answer: Vote
    note: str = Field(default="", max_length=NOTE_MAX)


class NewChange(_Body):
    """The body of POST /api/v1/changes: a change of our own. `at`: when, now if it is left out."""

    service: str = Field(min_length=1, max_length=200)
    kind: ChangeKind = ChangeKind.DEPLOY
    at: AwareDatetime | None = None
    title: str = Field(min_length=1, max_length=200)
    url: str = Field(default="", max_length=2000, pattern="^(https?://.*)?$")
    who: str = Field(default="", max_length=200)


class BulkAct(_Body):
    """The body of POST /api/v1/alerts/acts: `ids` (IDs, keys or fingerprints) or `filter` (matchers), not both.

    `note` belongs to every act but `ticket`, `receiver` (a ticket system's name) to `ticket` alone.
    """

    act: Act
    ids: list[Annotated[str, Field(min_length=1, max_length=FINGERPRINT_MAX)]] = Field(default=[], max_length=LIMIT_MAX)
    filter: list[Annotated[str, Field(max_length=1000)]] = Field(default=[], max_length=FILTERS_MAX)
    note: str = Field(default="", max_length=NOTE_MAX)
    receiver: str = Field(default="", max_length=60)
    preview: bool = False
    limit: int = Field(default=LIMIT_DEFAULT, ge=1, le=LIMIT_MAX)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if bool(self.ids) == any(text.strip() for text in self.filter):
            raise ValueError('name the alerts by "ids" or by a "filter" with a matcher, by one of the two')
        if self.act is Act.NOTE and not self.note.strip():
            raise ValueError('"note" is empty. Write the note')
        if self.note and self.act is Act.TICKET:
            raise ValueError('"note" is not for tickets. Leave it out')
        if self.receiver and self.act is not Act.TICKET:
            raise ValueError('"receiver" is for tickets only. Leave it out')
        return self


class DestinationTest(_Body):
    """The body of POST /api/v1/destinations/{name}/test, which may be left out. `send`: send one TEST message."""

    send: bool = False


class ActionRequest(_Body):
    """The body of POST /api/v1/actions/execute."""

    alert_id: str = Field(max_length=FINGERPRINT_MAX)
    action_type: str = Field(min_length=1, max_length=60)
    parameters: dict[str, JsonValue] = {}


class ApprovalAnswer(_Body):
    """The body of POST /api/v1/approvals/{id}."""

    answer: Literal["approve", "refuse"]


class BulkResult(BaseModel):
    """What came of one alert; `id` is the name that was sent where no single alert has it (`status` null)."""

    id: str
    title: str
    status: Status | None
    result: Result
    why: str


class BulkAnswer(BaseModel):
    """`count`: how many alerts were changed; of a preview, how many would be, also those that are not listed."""

    act: Act
    preview: bool
    count: int
    limit: int
    results: list[BulkResult]
