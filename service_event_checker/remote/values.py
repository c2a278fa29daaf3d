"""Values out of JSON that another system wrote; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from service_event_checker.core.errors import DeliveryError, Reason

NEVER = datetime.min.replace(tzinfo=UTC)  # comes before all times
_MOMENT_MAX = 40  # characters


def text(value: object) -> str:
    """Return it if it is text, else ""."""
    return value if isinstance(value, str) else ""


def objects(answer: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects of a list in an answer. Raises DeliveryError(GARBAGE) if the list is missing."""
    listed = answer.get(name)
    if not isinstance(listed, list):
        raise DeliveryError(Reason.GARBAGE, f"the answer lists no {name}")
    return [each for each in listed if isinstance(each, dict)]


def moment(value: object) -> datetime | None:
    """Return a time in ISO 8601 as aware UTC, None if it is not a time; without an offset it is UTC."""
    try:
        at = datetime.fromisoformat(text(value)[:_MOMENT_MAX])
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
