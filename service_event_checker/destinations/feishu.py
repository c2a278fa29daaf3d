"""Feishu's and Lark's group robot: a card with Markdown, signed, 100 messages a minute and 5 a second.

It answers HTTP 200 to much that it refuses. https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import SecretStr

from service_event_checker.core.errors import Reason
from service_event_checker.core.vocabulary import Severity
from service_event_checker.remote.robots.config import MentioningConfig, SecretAddress
from service_event_checker.remote.robots.dialect import Answers, Dialect, Meaning, Signature
from service_event_checker.remote.robots.robot import Robot
from service_event_checker.render.markup import IN_MARKDOWN_URL, MARKDOWN_LINK, Markup
from service_event_checker.render.message import Message
from service_event_checker.render.splitting import in_json

COLOURS = {Severity.CRITICAL: "red", Severity.ERROR: "orange", Severity.WARNING: "yellow", Severity.INFO: "blue"}


class Config(MentioningConfig):
    """`secret`: of the setting "signature". `keyword`: each message ends with it. `mentions`: open ids, or `all`."""

    DISPLAY_NAME: ClassVar[str] = "Feishu"
    RATE: ClassVar[tuple[float, int]] = (1.0, 3)  # a card of three parts counts three
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {"url": ("FEISHU_WEBHOOK_URL",), "secret": ("FEISHU_SECRET",)}

    kind: Literal["feishu"] = "feishu"
    url: SecretAddress = None
    """`https://open.feishu.cn/open-apis/bot/v2/hook/…`, Lark: `https://open.larksuite.com/…`; it
    holds a token and is a secret"""
    secret: SecretStr | None = None
    """of the robot's setting "signature verification": signs the messages"""
    keyword: str = ""
    """each message ends with it, for robots that demand a keyword"""


def _payload(told: Message, text: str, _mentions: tuple[str, ...]) -> dict[str, Any]:
    return {
        "msg_type": "interactive",
        "card": {
            "config": {"wide_screen_mode": True},
            "header": {
                "title": {"tag": "plain_text", "content": told.headline},
                "template": "green" if told.over else COLOURS[told.severity],
            },
            "elements": [{"tag": "markdown", "content": text}],
        },
    }


def _sign(secret: str, now: datetime) -> Signature:
    stamp = str(int(now.timestamp()))
    digest = hmac.new(f"{stamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return Signature(body={"timestamp": stamp, "sign": base64.b64encode(digest).decode()})


class Adapter(Robot):
    """See `Robot`."""

    config: Config
    dialect = Dialect(
        system="Feishu",
        markup=Markup(
            escapes={char: f"&#{ord(char)};" for char in "&<>*~[]`_\\"},
            line_starts={"#": "&#35;"},
            bold="**{text}**",
            link=MARKDOWN_LINK,
            in_url=IN_MARKDOWN_URL,
        ),
        limit=16_000,  # bytes; 20 KB are taken of a whole body
        measure=in_json,
        headline=False,
        per_minute=90,  # 100 are taken
        mention="\n<at id={}></at>".format,
        payload=_payload,
        sign=_sign,
        where="FEISHU_WEBHOOK_URL",
        answers=Answers(
            code=("code", "StatusCode"),
            good=frozenset({0}),
            says=("msg", "StatusMessage"),
            meanings={
                11232: Meaning(reason=Reason.RATE_LIMITED, pause=60.0),
                19021: Meaning(reason=Reason.UNAUTHORIZED, hint="check FEISHU_SECRET, and this machine's clock"),
                19022: Meaning(reason=Reason.FORBIDDEN, hint="the robot's IP list does not have this machine"),
                19024: Meaning(reason=Reason.FORBIDDEN, hint="the robot wants a keyword, see `keyword`"),
                19001: Meaning(reason=Reason.NOT_FOUND, hint="check FEISHU_WEBHOOK_URL"),
            },
        ),
    )

    @property
    def ending(self) -> str:
        return self.config.keyword
