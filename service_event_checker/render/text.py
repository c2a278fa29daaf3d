"""Text for people: cleaned, cut, on one line; durations, moments and addresses.

Pure but for the voice (language, time zone) of the delivery in hand.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from service_event_checker.render import voice
from service_event_checker.render.texts import say

# C0/C1 controls but tab and newline, and the invisible marks that reorder or hide text (Unicode TR36)
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

_PASSWORD = re.compile(r"(?<=://)[^/?#\s\"'<>]*@")  # `user:password@` of an address, wherever in a text


def without_passwords(text: str) -> str:
    """Return a text without the passwords of its addresses: tickets and chats are read by many."""
    return _PASSWORD.sub("", text) if "@" in text else text


def duration(span: timedelta) -> str:
    """Return a duration for people: "45 s", "42 min", "3 h 5 min", "2 d 4 h"."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return say("unit.s", n=seconds)
    if seconds < 3600:
        return say("unit.min", n=seconds // 60)
    if seconds < 86400:
        return _two(seconds // 3600, "unit.h", seconds % 3600 // 60, "unit.min")
    return _two(seconds // 86400, "unit.d", seconds % 86400 // 3600, "unit.h")


def moment(at: datetime) -> str:
    """Return a time to the minute, in the time zone of the receiver; UTC for all else."""
    return f"{local(at):%Y-%m-%d %H:%M} {zone(at)}"


def local(at: datetime) -> datetime:
    """Return a time in the time zone of the receiver."""
    return at.astimezone(voice.current().zone)


def zone(at: datetime) -> str:
    """Return how far the receiver's time is from UTC: "UTC", "UTC+8", "UTC-3:30"."""
    minutes = int((local(at).utcoffset() or timedelta(0)).total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    if not minutes:
        return "UTC"
    return f"UTC{'+' if minutes > 0 else '-'}{hours}" + (f":{rest:02}" if rest else "")


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
    return f"{say(unit, n=many)} {say(small, n=few)}" if few else say(unit, n=many)
