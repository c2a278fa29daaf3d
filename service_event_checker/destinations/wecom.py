"""WeCom's group robot: a subset of Markdown, 4096 bytes a message, 20 messages a minute.

It answers HTTP 200 to whatever it refuses. https://developer.work.weixin.qq.com/document/path/91770
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from service_event_checker.core.errors import Reason
from service_event_checker.remote.robots.config import MentioningConfig, SecretAddress
from service_event_checker.remote.robots.dialect import Answers, Dialect, Meaning
from service_event_checker.remote.robots.robot import Robot
from service_event_checker.render.markup import MARKDOWN_SUBSET
from service_event_checker.render.message import Message
from service_event_checker.render.splitting import utf8

_ADDRESS = "check WECOM_WEBHOOK_URL"


class Config(MentioningConfig):
    """`mentions`: user ids, or `all`."""

    DISPLAY_NAME: ClassVar[str] = "WeCom"
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {"url": ("WECOM_WEBHOOK_URL",)}

    kind: Literal["wecom"] = "wecom"
    url: SecretAddress = None
    """`https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…`; it holds a token and is a secret"""


def _payload(_told: Message, text: str, _mentions: tuple[str, ...]) -> dict[str, Any]:
    return {"msgtype": "markdown", "markdown": {"content": text}}


class Adapter(Robot):
    """See `Robot`."""

    dialect = Dialect(
        system="WeCom",
        markup=MARKDOWN_SUBSET,
        limit=4_096,  # bytes
        measure=utf8,
        mention="\n<@{}>".format,
        payload=_payload,
        where="WECOM_WEBHOOK_URL",
        answers=Answers(
            code=("errcode",),
            good=frozenset({0}),
            says=("errmsg",),
            meanings={
                45009: Meaning(reason=Reason.RATE_LIMITED, pause=60.0),
                93000: Meaning(reason=Reason.NOT_FOUND, hint=_ADDRESS),
                93008: Meaning(reason=Reason.FORBIDDEN, hint="the robot may not post in its group"),
                -1: Meaning(reason=Reason.SERVER_ERROR),
            },
        ),
    )
