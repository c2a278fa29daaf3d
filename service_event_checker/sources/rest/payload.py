"""The body of POST /api/v1/alerts, checked, and the event that it stands for. Pure.

A source that sends here is called `rest:<source>`, so that it cannot take the name of a checker.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from service_event_checker.config.fields import Moment
from service_event_checker.core.clean import SOURCE_MAX, clean
from service_event_checker.core.model import FINGERPRINT_MAX, Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.render.text import without_passwords
from service_event_checker.sources.severities import severity_of

PREFIX = "rest:"
INTAKE = "/api/v1/alerts"
TAG = "tag"  # the label that holds the tags, one per line
SEVERITY = "severity"  # the label that holds the sender's own word
_STATUSES = {"firing": EventStatus.FIRING, "active": EventStatus.FIRING, "resolved": EventStatus.RESOLVED}


def _one_line(text: str) -> str:
    return " ".join(text.replace("\0", "").split())


def _named(text: str) -> str:
    if not (line := _one_line(text)):
        raise ValueError("is empty")
    return line


def _identifying(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds a character that cannot be printed")
    return text.strip()


def _source(text: str) -> str:
    if not (name := _identifying(text)):
        raise ValueError("is empty. Send the name of the system that reports")
    return name


Line = Annotated[str, AfterValidator(_one_line)]


class NewAlert(BaseModel):
    """One alert of a system that speaks JSON: who says so, how bad it is, and what it is.

    `null` counts as left out. `fingerprint`: what the alert is known by; left out, it is computed from source, title
    and sorted tags. `starts_at`: when this occurrence began; left out, when it was received.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    source: Annotated[str, Field(max_length=SOURCE_MAX - len(PREFIX)), AfterValidator(_source)]
    title: Annotated[str, AfterValidator(_named)]
    severity: Line = ""
    description: str = ""
    tags: list[Line] = []
    metadata: dict[str, JsonValue] = {}
    fingerprint: Annotated[str, Field(max_length=FINGERPRINT_MAX), AfterValidator(_identifying)] = ""
    status: Literal["firing", "active", "resolved"] = "firing"
    starts_at: Moment | None = None
    url: str = ""

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, body: object) -> object:
        if isinstance(body, dict):
            return {name: value for name, value in body.items() if value is not None}
        return body


def event_of(alert: NewAlert, received_at: datetime) -> Event:
    """Return the storable event of a checked body."""
    tags = sorted({tag for tag in alert.tags if tag})
    status = _STATUSES[alert.status]
    over = status is EventStatus.RESOLVED
    labels, annotations = _split(alert.metadata)
    if tags:
        labels[TAG] = "\n".join(dict.fromkeys([*tags, *filter(None, labels.get(TAG, "").split("\n"))]))
    if alert.severity:
        labels[SEVERITY] = alert.severity
    return clean(
        Event(
            source=PREFIX + alert.source,
            fingerprint=alert.fingerprint or fingerprint(alert.source, alert.title, tags),
            kind=Kind.ALERT,
            status=status,
            title=without_passwords(alert.title),
            severity=severity_of(alert.severity) or Severity.WARNING,
            description=without_passwords(alert.description),
            at=received_at if over else None,
            starts_at=alert.starts_at or (None if over else received_at),
            url=without_passwords(alert.url),
            labels=labels,
            annotations=annotations,
            intake=INTAKE,
        )
    )


def fingerprint(source: str, title: str, tags: list[str]) -> str:
    """Return what an alert without a fingerprint is known by: 32 hex digits; `tags` are sorted."""
    identity = json.dumps([source, title, tags]).encode()
    return hashlib.sha256(identity).hexdigest()[:32]


def _split(metadata: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the scalars as labels; what is nested is kept as JSON, which no matcher asks for."""
    named = {name: value for name, value in metadata.items() if name and value is not None}
    nested = {name: value for name, value in named.items() if isinstance(value, dict | list)}
    scalars = {name: _text(value) for name, value in named.items() if name not in nested}
    return scalars, {name: without_passwords(json.dumps(value, ensure_ascii=False)) for name, value in nested.items()}


def _text(value: Any) -> str:
    return without_passwords(value) if isinstance(value, str) else json.dumps(value)
