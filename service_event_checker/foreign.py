"""Values out of JSON that another system wrote, where what is of another shape counts as none; pure."""

from __future__ import annotations

from datetime import UTC, datetime

_MOMENT_MAX = 40  # characters


def text(value: object) -> str:
    """Return it if it is text, else ""."""
    return value if isinstance(value, str) else ""


def moment(value: object) -> datetime | None:
    """Return a time in ISO 8601 as aware UTC, None for what is none; without an offset it is UTC already."""
    try:
        at = datetime.fromisoformat(text(value)[:_MOMENT_MAX])
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
