"""What vendors write, made fit to show and compare: plain text of HTML, clean names, times as aware UTC."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from typing import Any

TITLE_MAX = 300
TEXT_MAX = 10_000
_RAW_MAX = 20_000  # characters looked at: patterns below must stay cheap on hostile text
_BREAKS = re.compile(r"<(?:br|/?(?:p|li|ul|ol|div|h\d|tr))\b[^<>]*>", re.IGNORECASE)
_UNSEEN = re.compile(r"<(script|style)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAGS = re.compile(r"</?[A-Za-z!][^<>]*>")
# C0 and C1 controls, lone surrogates, and marks that turn the direction of what follows
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def text(value: Any) -> str:
    """Return `value` if it is text, without what no table and no terminal should get; else ""."""
    return _UNFIT.sub("", value) if isinstance(value, str) else ""


def one_line(value: Any, limit: int = TITLE_MAX) -> str:
    """Return text as a single line of at most `limit` characters."""
    return " ".join(text(value)[: limit * 4].split())[:limit]


def plain(value: Any) -> str:
    """Return the text that a piece of HTML shows, a line per paragraph, list entry or break."""
    marked = text(value)[:_RAW_MAX]
    stripped = _TAGS.sub("", _BREAKS.sub("\n", _UNSEEN.sub(" ", marked)))
    lines = (" ".join(line.split()) for line in text(html.unescape(stripped)).split("\n"))
    return "\n".join(line for line in lines if line)[:TEXT_MAX]


def lines(names: list[str]) -> str:
    """Return the value of a label with several values: one per line, each once, in order."""
    return "\n".join(dict.fromkeys(name for name in names if name))


def moment(value: Any) -> datetime | None:
    """Return an ISO 8601 time as aware UTC; a time without zone is taken as UTC. None for what is not a time."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value.strip())
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return at if at.year > 1970 else None  # 0001-01-01 means "none" to some vendors


def newest(*times: datetime | None) -> datetime | None:
    """Return the latest of the times that are known; None if none is."""
    return max((at for at in times if at), default=None)
