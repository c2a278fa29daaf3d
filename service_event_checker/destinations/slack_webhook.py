"""Slack's incoming webhook: for whoever may not install an app. It cannot edit, reply or be searched.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from service_event_checker.core.errors import Reason
from service_event_checker.remote.robots.config import RobotConfig, SecretAddress
from service_event_checker.remote.robots.dialect import Answers, Dialect, Meaning
from service_event_checker.remote.robots.robot import Robot
from service_event_checker.render.markup import Markup
from service_event_checker.render.message import Message

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}  # https://docs.slack.dev/messaging/formatting-message-text


class Config(RobotConfig):
    DISPLAY_NAME: ClassVar[str] = "Slack"
    RATE: ClassVar[tuple[float, int]] = (0.8, 3)  # https://docs.slack.dev/apis/web-api/rate-limits: 1 message/s
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {"url": ("SLACK_WEBHOOK_URL",)}

    kind: Literal["slack_webhook"] = "slack_webhook"
    url: SecretAddress = None
    """`https://hooks.slack.com/services/…`; it holds a token and is a secret"""


def _payload(_told: Message, text: str, _mentions: tuple[str, ...]) -> dict[str, Any]:
    return {"text": text, "unfurl_links": False, "unfurl_media": False}


class Adapter(Robot):
    """See `Robot`."""

    dialect = Dialect(
        system="Slack",
        markup=Markup(
            escapes=_ESCAPES,
            bold="*{text}*",
            link="<{url}|{text}>",
            in_url={**_ESCAPES, "|": "%7C"},
        ),
        part="mrkdwn",
        limit=4_000,  # characters; Slack cuts a longer text into messages by itself
        per_minute=55,  # one a second
        payload=_payload,
        pause=30.0,
        where="SLACK_WEBHOOK_URL",
        answers=Answers(
            good=frozenset({"ok"}),
            meanings={
                "channel_is_archived": Meaning(reason=Reason.FORBIDDEN, hint="unarchive the channel"),
                "action_prohibited": Meaning(reason=Reason.FORBIDDEN, hint="a workspace setting forbids the webhook"),
                "posting_to_general": Meaning(reason=Reason.FORBIDDEN, hint="a workspace setting forbids the channel"),
            },
        ),
    )
