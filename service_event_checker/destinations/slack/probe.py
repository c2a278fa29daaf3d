"""Whether the bot may post in its channel: what auth.test and conversations.info tell. Posts nothing.

https://docs.slack.dev/reference/methods/conversations.info
"""

from __future__ import annotations

from collections.abc import Callable

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ports import ProbeResult
from service_event_checker.destinations.slack.client import SlackCalls, SlackRefusal

ANYWHERE = "chat:write.public"  # the scope to post in a public channel without being a member


def of_channel(
    calls: SlackCalls,
    channel: str,
    find: Callable[[SlackCalls], str],
    scopes: frozenset[str] | None,
    lacks: tuple[str, ...],
) -> ProbeResult:
    """Look at `channel`, a name or an id; `find` returns its id, "" if it is not listed.

    `scopes`: the token's, None if unknown. `lacks`: what is worse for missing scopes. Raises DeliveryError.
    """
    if scopes is not None and "chat:write" not in scopes:
        detail = "the token lacks the scope chat:write: add it to the app and install the app again"
        raise DeliveryError(Reason.FORBIDDEN, detail)
    signed_in = "the token is valid"
    try:
        id = find(calls)
        found = as_mapping(calls.send("conversations.info", channel=id).get("channel")) if id else {}
    except SlackRefusal as refusal:
        if refusal.code not in ("missing_scope", "unknown_method"):
            raise
        unseen = f"whether the bot may post in {channel}: the token lacks channels:read (private channels: groups:read)"
        return ProbeResult(proven=(signed_in,), wrong=lacks, unproven=(unseen,))
    if not found:
        detail = f"the bot sees no channel {channel}: check the name; to a private channel, invite the bot: /invite @…"
        raise DeliveryError(Reason.NOT_FOUND, detail)
    if found.get("is_archived"):
        raise DeliveryError(Reason.REFUSED, f"{channel} is archived: unarchive it or name another channel")
    member = found.get("is_member")
    if member is False and scopes is not None and (found.get("is_private") or ANYWHERE not in scopes):
        raise DeliveryError(Reason.FORBIDDEN, f"the bot is not in {channel}: invite it there with /invite @…")
    may = f"the bot is a member of {channel}" if member else f"{channel} is there, and the bot may post in it"
    return ProbeResult(proven=(signed_in, may), wrong=lacks)
