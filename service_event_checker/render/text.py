"""Text for people: cleaned, cut, on one line; durations, moments and addresses. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

# C0/C1 controls but tab and newline, and the invisible marks that reorder or hide text (Unicode TR36)
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

_PASSWORD = re.compile(r"(?<=://)[^/?#\s\"'<>]*@")  # `user:password@` of an address, wherever in a text


def without_passwords(text: str) -> str:
    """Return a text without the passwords of its addresses: tickets and chats are read by many."""
    return _PASSWORD.sub("", text)


def duration(span: timedelta) -> str:
    """Return a duration for people: "45 s", "42 min", "3 h 5 min", "2 d 4 h"."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86400:
        return _two(seconds // 3600, "h", seconds % 3600 // 60, "min")
    return _two(seconds // 86400, "d", seconds % 86400 // 3600, "h")


def moment(at: datetime) -> str:
    """Return a time in UTC, to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def clean(text: str, limit: int) -> str:
    """Remove invisible characters, allow at most one empty line in a row, and cut with an ellipsis."""
    seen = _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return cut(re.sub(r"\n{3,}", "\n\n", seen).strip(), limit)


def line(text: str, limit: int) -> str:
    """Like `clean`, on one line."""
    return cut(" ".join(clean(text, limit * 8).split()), limit)


def cut(text: str, limit: int) -> str:
    """Cut to `limit` characters, the last one an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def web_address(url: str) -> str:
    """Return the address if it is one that a browser may be sent to, else ""."""
    address = _UNSEEN.sub("", url).strip()
    plain = address.lower().startswith(("https://", "http://")) and len(address) <= 2000
    return address if plain and not re.search(r"[\s<>|\"'`\\]", address) else ""


def _two(many: int, unit: str, few: int, small: str) -> str:
    return f"{many} {unit} {few} {small}" if few else f"{many} {unit}"
