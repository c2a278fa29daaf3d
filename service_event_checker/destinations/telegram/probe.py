"""Whether the bot may write in its chat: what getMe, getChat and getChatMember tell. Sends nothing.

https://core.telegram.org/bots/api#getchatmember
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ports import ProbeResult
from service_event_checker.remote.robots.answers import RobotRefusal
from service_event_checker.remote.values import text

Call = Callable[[Mapping[str, Any], str], Mapping[str, Any]]
_GONE = frozenset({"left", "kicked"})


def of_chat(call: Call, chat_id: str) -> ProbeResult:
    """Look at the bot and its chat; `call` takes a body and a method, and returns the answer. Raises DeliveryError."""
    bot = as_mapping(call({}, "getMe").get("result"))
    chat = as_mapping(call({"chat_id": chat_id}, "getChat").get("result"))
    kind, title = text(chat.get("type")), text(chat.get("title")) or text(chat.get("username")) or chat_id
    proven = (f"the token is valid: @{text(bot.get('username'))}", f"the chat is there: {title} ({kind})")
    if kind == "private":
        return ProbeResult(proven=proven, unproven=("whether this person has blocked the bot: use --send",))
    try:
        member = as_mapping(
            call({"chat_id": chat_id, "user_id": bot.get("id")}, "getChatMember").get("result"),
        )
    except RobotRefusal as refusal:
        if refusal.reason is not Reason.REFUSED:
            raise
        return ProbeResult(proven=proven, unproven=("whether the bot may write there: Telegram does not tell",))
    if why_not := _why_not(member, chat, kind):
        raise DeliveryError(Reason.FORBIDDEN, f"Telegram: {why_not}")
    return ProbeResult(proven=(*proven, "the bot may write there"))


def _why_not(member: Mapping[str, Any], chat: Mapping[str, Any], kind: str) -> str:
    """Return why the bot may not write, "" if it may."""
    status = text(member.get("status"))
    if status in _GONE:
        return "the bot is not in the chat: invite it"
    if kind == "channel" and not (status == "administrator" and member.get("can_post_messages")):
        return "the bot may not post in the channel: make it an administrator that may post messages"
    if status == "restricted" and not member.get("can_send_messages"):
        return "the bot is restricted in the chat: let it send messages"
    if status == "member" and as_mapping(chat.get("permissions")).get("can_send_messages") is False:
        return "only administrators may write in the chat: make the bot one"
    return ""
