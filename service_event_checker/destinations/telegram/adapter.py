"""Telegram's Bot API: one message per episode, edited in place while it lasts, one reply when it is over.

A bot cannot search its messages: an opening that may have arrived is repeated for critical and error only. An edit is
repeated always. https://core.telegram.org/bots/api
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

import structlog
from pydantic import SecretStr

from service_event_checker.config.fields import Address
from service_event_checker.config.models import as_mapping, secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Delivery, Link
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import Verb
from service_event_checker.destinations.telegram import html, probe
from service_event_checker.remote.robots.answers import RobotRefusal
from service_event_checker.remote.robots.config import MessageConfig
from service_event_checker.remote.robots.dialect import Answers, Dialect, Meaning
from service_event_checker.remote.robots.robot import Robot, new_link
from service_event_checker.render.markup import Markup
from service_event_checker.render.message import Message, compose
from service_event_checker.render.splitting import parsed_html

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}  # https://core.telegram.org/bots/api#html-style
_SUPERGROUP = "-100"  # begins the id of one; its messages have addresses
_NOT_MODIFIED = "message is not modified"
_MESSAGE_GONE = Meaning(reason=Reason.NOT_FOUND, hint="the message was deleted, or can no longer be edited")
_LEFT = "invite the bot to the chat again"

log = structlog.get_logger()


class Config(MessageConfig):
    """`chat_id`: of a group (negative), a person, or @channel; `thread_id`: a topic of the group.

    `announce_end`: `reply` to the message when it is over, or only `edit` it.
    """

    DISPLAY_NAME: ClassVar[str] = "Telegram"
    RATE: ClassVar[tuple[float, int]] = (0.25, 3)  # a group takes 20 messages a minute
    UPDATE_EVERY: ClassVar[timedelta] = timedelta(seconds=30)
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {"token": ("TELEGRAM_BOT_TOKEN",), "chat_id": ("TELEGRAM_CHAT_ID",)}
    NEEDS: ClassVar[tuple[str, ...]] = ("token", "chat_id")

    kind: Literal["telegram"] = "telegram"
    url: Address = "https://api.telegram.org"
    """address of the Bot API"""
    token: SecretStr | None = None
    """the bot's token, `123456:ABC…`, from @BotFather"""
    chat_id: str = ""
    """ID of a group (negative), a person, or `@channel`"""
    thread_id: int | None = None
    """a topic of the group"""
    announce_end: Literal["reply", "edit"] = "reply"
    """`reply` to the message when the alert is over, or only `edit` it"""


class Adapter(Robot):
    """Safe for several threads: they share the chat's id, which changes once if a group becomes a supergroup."""

    dialect = Dialect(
        system="Telegram",
        markup=Markup(
            escapes=_ESCAPES,
            bold="<b>{text}</b>",
            link='<a href="{url}">{text}</a>',
            in_url={**_ESCAPES, '"': "&quot;"},
        ),
        part="html",
        check=html.check,
        limit=html.TEXT_MAX,
        measure=parsed_html,
        parts=1,  # one message is edited, not several
        payload=lambda _told, text, _mentions: _payload_of(text),
        pause=30.0,
        where="TELEGRAM_BOT_TOKEN",
        answers=Answers(
            code=("error_code", "ok"),
            good=frozenset({True}),
            says=("description",),
            retry_after=("parameters", "retry_after"),
            meanings={
                401: Meaning(reason=Reason.UNAUTHORIZED, hint="check TELEGRAM_BOT_TOKEN"),
                403: Meaning(reason=Reason.FORBIDDEN, hint=_LEFT),
                404: Meaning(reason=Reason.NOT_FOUND, hint="check TELEGRAM_BOT_TOKEN"),
                429: Meaning(reason=Reason.RATE_LIMITED),
                "chat not found": Meaning(reason=Reason.NOT_FOUND, hint=f"check TELEGRAM_CHAT_ID, {_LEFT}"),
                "message to edit not found": _MESSAGE_GONE,
                "message can't be edited": _MESSAGE_GONE,
                "message_id_invalid": _MESSAGE_GONE,
                "upgraded to a supergroup": Meaning(reason=Reason.NOT_FOUND, hint="check TELEGRAM_CHAT_ID"),
                "not enough rights": Meaning(reason=Reason.FORBIDDEN, hint="let the bot send messages in the chat"),
            },
        ),
    )
    config: Config
    edits = True

    def __init__(self, name: str, config: Config) -> None:
        super().__init__(name, config, address=f"{config.url}/bot{secret(config.token)}")
        self._secrets.append(secret(config.token))
        self._chat_id = config.chat_id

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Post the episode's message, or edit it; one that is gone is posted anew."""
        (text,) = self.texts(self.composed(delivery, alert))
        chat, _, message_id = (link.external_id if link else "").rpartition(":")
        if not chat:
            return self._post(delivery, text)
        try:
            self._edit(chat, message_id, text)
        except DeliveryError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            return self._post(delivery, text)
        if delivery.verb is Verb.CLOSE and self.config.announce_end == "reply":
            brief = compose(delivery, alert, datetime.now(UTC))
            (text,) = self.texts(replace(brief, own={}))  # the message itself has the user's text already
            reply = {"message_id": int(message_id), "allow_sending_without_reply": True}
            self._send(chat, text, reply_parameters=reply)
        return link

    def probe(self) -> ProbeResult:
        """Look at the bot and its chat."""
        return probe.of_chat(self.send, self._chat_id)

    def composed(self, delivery: Delivery, alert: Alert) -> Message:
        """Return the whole message, whatever has changed: it is edited."""
        return compose(delivery, alert, datetime.now(UTC), full=True)

    def _post(self, delivery: Delivery, text: str) -> Link:
        sent = as_mapping(self._send(self._chat_id, text).get("result"))
        chat, message_id = as_mapping(sent.get("chat")).get("id"), sent.get("message_id")
        if not isinstance(chat, int) or not isinstance(message_id, int):
            raise DeliveryError(Reason.GARBAGE, "Telegram: the answer names no message")
        return new_link(delivery, f"{chat}:{message_id}", _address(chat, message_id))

    def _edit(self, chat: str, message_id: str, text: str) -> None:
        """Write a message's whole text. Twice is as good as once, so that no failure here leaves a doubt."""
        body = {"chat_id": chat, "message_id": int(message_id), **_payload_of(text)}
        try:
            self.send(body, "editMessageText")
        except DeliveryError as error:
            if _NOT_MODIFIED in error.detail:
                return
            if error.reason.ambiguous:
                detail = f"the edit is repeated: {error}"
                raise DeliveryError(Reason.UNREACHABLE, detail, retry_after=error.retry_after) from None
            raise

    def _send(self, chat: str, text: str, **more: Any) -> dict[str, Any]:
        self.demand_room(1)
        topic = {"message_thread_id": self.config.thread_id} if self.config.thread_id else {}
        body = {**_payload_of(text), **topic, **more}
        try:
            return self.send({"chat_id": chat, **body}, "sendMessage")
        except RobotRefusal as refusal:
            moved = _moved_to(refusal.body)
            if not moved:
                raise
            self._chat_id = moved
        log.warning("telegram_chat_moved", receiver=self.name, chat_id=moved, next_step="set TELEGRAM_CHAT_ID to it")
        return self.send({"chat_id": moved, **body}, "sendMessage")


def _payload_of(text: str) -> dict[str, Any]:
    return {"text": text, "parse_mode": "HTML", "link_preview_options": {"is_disabled": True}}


def _moved_to(body: Mapping[str, Any]) -> str:
    """Return the id of the supergroup that a group has become, "" if it has not."""
    moved = as_mapping(body.get("parameters")).get("migrate_to_chat_id")
    return str(moved) if isinstance(moved, int) else ""


def _address(chat: int, message_id: int) -> str:
    inner = str(chat).removeprefix(_SUPERGROUP)
    return f"https://t.me/c/{inner}/{message_id}" if str(chat).startswith(_SUPERGROUP) else ""
