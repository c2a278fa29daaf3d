"""Makes foreign text storable: no NUL, no lone surrogates, no endless fields. Pure; says what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import FINGERPRINT_MAX, Event

TITLE_MAX = 500  # characters; two lines on any screen
TEXT_MAX = 20_000  # characters; half of what Slack's API takes, under one property of Azure Tables
LABELS_MAX = 100
LABEL_MAX = 2_000
NAME_MAX = 200
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)  # vendors write 0001-01-01 for "no time"


def clean(event: Event) -> Event:
    """Return the event with storable text and without sentinel times.

    Raises InvalidInput when it has no identity: no source, or a fingerprint that is empty or too long.
    """
    if not event.source:
        raise InvalidInput("source", "is empty")
    if not 0 < len(event.fingerprint) <= FINGERPRINT_MAX:
        raise InvalidInput("fingerprint", f"must have 1 to {FINGERPRINT_MAX} characters")
    return replace(
        event,
        fingerprint=_text(event.fingerprint, FINGERPRINT_MAX),
        title=_text(" ".join(event.title.split()), TITLE_MAX),
        description=_text(event.description, TEXT_MAX),
        url=_text(event.url, LABEL_MAX) if event.url.startswith(("http://", "https://")) else "",
        labels=_mapping(event.labels),
        annotations=_mapping(event.annotations),
        actor=_text(event.actor, NAME_MAX),
        note=_text(event.note, TEXT_MAX),
        at=_time(event.at),
        starts_at=_time(event.starts_at),
    )


def _text(text: str, limit: int) -> str:
    storable = text.replace("\0", "").encode("utf-8", "replace").decode()
    return storable if len(storable) <= limit else storable[: limit - 1] + "…"


def _mapping(labels: Mapping[str, str]) -> dict[str, str]:
    chosen = sorted(labels.items())[:LABELS_MAX]
    return {_text(name, NAME_MAX): _text(value, LABEL_MAX) for name, value in chosen}


def _time(at: datetime | None) -> datetime | None:
    return at if at is not None and at >= _EARLIEST else None
