"""Escapes text for Slack's mrkdwn. Pure."""

from __future__ import annotations

import re

_MENTION = re.compile(r"@(?=here|channel|everyone|group)", re.IGNORECASE)
_MRKDWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}  # https://docs.slack.dev/messaging/formatting-message-text
_WORD_JOINER = "\u2060"


def escape_mrkdwn(text: str, limit: int | None = None) -> str:
    """Escape for Slack: no mention, no link, no markup of Slack's own can come out of `text`.

    Cut to `limit` characters as Slack counts them, never within an escape.
    """
    escaped = [_MRKDWN.get(char, char) for char in _MENTION.sub("@" + _WORD_JOINER, text)]
    if limit is None or sum(map(len, escaped)) <= limit:
        return "".join(escaped)
    room = limit - 1
    kept = []
    for piece in escaped:
        room -= len(piece)
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + "…"
