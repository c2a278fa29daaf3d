"""Pieces of a vendor's JSON, taken by type: what is of another type is as good as missing. No I/O."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from service_checkers.reading.text import moment, one_line, text
from service_event_checker.core.model import FINGERPRINT_MAX

LINK_MAX = 2000  # characters: cut, it would lead elsewhere
_MILLISECONDS_FROM = 1e11  # as seconds that is the year 5138
_JS_DATE = "%a %b %d %Y %H:%M:%S GMT%z"  # what `String(new Date())` gives, up to the bracket


def identity(value: Any) -> str:
    """Return an id, given as text or as a whole number; "" for one that cannot be kept whole."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**30 else ""
    value = text(value)
    return value if len(value) <= FINGERPRINT_MAX and value == value.strip() else ""


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; none where it is not a list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def names(value: Any) -> list[str]:
    """Return the names that a text or a list of texts holds, each on one line."""
    values = value if isinstance(value, list) else [value]
    return [name for name in map(one_line, values) if name]


def link(value: Any) -> str:
    """Return a web address, whole; "" for anything else and for one of more than LINK_MAX characters."""
    address = " ".join(text(value).split())
    if len(address) > LINK_MAX:
        return ""
    return address if address.startswith(("https://", "http://")) and " " not in address else ""


def any_moment(value: Any) -> datetime | None:
    """Return the time that is written in ISO 8601, as a JavaScript date, or in (milli)seconds since 1970."""
    if isinstance(value, str) and value.isdecimal() and 10 <= len(value) <= 15:
        value = int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _since_1970(value)
    return moment(value) or _javascript(value)


def _since_1970(count: float) -> datetime | None:
    try:
        at = datetime.fromtimestamp(count / 1000 if abs(count) >= _MILLISECONDS_FROM else count, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return at if at.year > 1970 else None


def _javascript(value: Any) -> datetime | None:
    try:
        return datetime.strptime(text(value).partition(" (")[0], _JS_DATE).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
