"""DingTalk's group robot: Markdown, signed, 20 messages a minute and then none for ten minutes.

It answers HTTP 200 to whatever it refuses. https://open.dingtalk.com/document/orgapp/custom-robot-access
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import SecretStr

from service_event_checker.core.errors import Reason
from service_event_checker.remote.robots.config import MentioningConfig, SecretAddress
from service_event_checker.remote.robots.dialect import Answers, Dialect, Meaning, Signature
from service_event_checker.remote.robots.robot import Robot
from service_event_checker.render.markup import MARKDOWN_SUBSET
from service_event_checker.render.message import Message
from service_event_checker.render.splitting import in_json

BLOCKED = 600.0  # seconds
_SETTINGS = (
    "one of the robot's security settings refused it: its keywords (see `keyword`), DINGTALK_SECRET, its IP list"
)
_ADDRESS = "check DINGTALK_WEBHOOK_URL"
_TOO_FAST = Meaning(reason=Reason.RATE_LIMITED, pause=BLOCKED)
_GONE = Meaning(reason=Reason.NOT_FOUND, hint=_ADDRESS)


class Config(MentioningConfig):
    """`secret`: of the setting "sign". `keyword`: of the setting "keywords"; each message ends with it.

    `mentions`: mobile numbers, or `all`.
    """

    DISPLAY_NAME: ClassVar[str] = "DingTalk"
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {"url": ("DINGTALK_WEBHOOK_URL",), "secret": ("DINGTALK_SECRET",)}

    kind: Literal["dingtalk"] = "dingtalk"
    url: SecretAddress = None
    """`https://oapi.dingtalk.com/robot/send?access_token=…`; it holds a token and is a secret"""
    secret: SecretStr | None = None
    """of the robot's setting "sign", `SEC…`: signs the messages"""
    keyword: str = ""
    """each message ends with it, for robots that demand a keyword"""


def _payload(told: Message, text: str, mentions: tuple[str, ...]) -> dict[str, Any]:
    numbers = [each for each in mentions if each != "all"]
    return {
        "msgtype": "markdown",
        "markdown": {"title": told.headline[:100], "text": text},
        "at": {"atMobiles": numbers, "isAtAll": "all" in mentions},
    }


def _sign(secret: str, now: datetime) -> Signature:
    stamp = str(int(now.timestamp() * 1000))
    digest = hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest()
    return Signature(query={"timestamp": stamp, "sign": base64.b64encode(digest).decode()})


class Adapter(Robot):
    """See `Robot`."""

    config: Config
    dialect = Dialect(
        system="DingTalk",
        markup=replace(MARKDOWN_SUBSET, newline="  \n"),  # a plain line end joins the lines
        limit=18_000,  # bytes; 20,000 are taken of a whole message
        measure=in_json,
        mention=lambda id: "" if id == "all" else f" @{id}",  # a number is mentioned only if the text has it as well
        payload=_payload,
        sign=_sign,
        pause=BLOCKED,
        where="DINGTALK_WEBHOOK_URL",
        answers=Answers(
            code=("errcode",),
            good=frozenset({0}),
            says=("errmsg",),
            meanings={
                130101: _TOO_FAST,
                410100: _TOO_FAST,
                310000: Meaning(reason=Reason.FORBIDDEN, hint=_SETTINGS),
                300001: _GONE,
                400101: _GONE,
                400106: _GONE,
                400013: Meaning(reason=Reason.NOT_FOUND, hint=f"the group was dissolved, {_ADDRESS}"),
                400102: Meaning(reason=Reason.FORBIDDEN, hint="the robot is switched off in its group"),
                -1: Meaning(reason=Reason.SERVER_ERROR),
            },
        ),
    )

    @property
    def ending(self) -> str:
        return self.config.keyword
