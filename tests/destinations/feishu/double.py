"""A stateful Feishu robot on loopback: https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot.

100 messages a minute, 20 KB a body, signature in the body; answers name the code twice, as the older API did.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

from tests.destinations.robots.double import RobotDouble
from tests.doubles.base import Answer, Request

HOOK = "canary47-11aa-4bcd-8eef-001122334455"
SECRET = "canary4711sign"
BODY_MAX = 20 * 1024


def said(code: int, text: str) -> Answer:
    old = {"StatusCode": 0, "StatusMessage": "success"} if code == 0 else {}
    return Answer.json({"code": code, "msg": text, "data": {}, **old})


class Feishu(RobotDouble):
    per_minute = 100

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.hook, self.secret, self.keyword = HOOK, SECRET, ""

    @property
    def address(self) -> str:
        return f"{self.url}/open-apis/bot/v2/hook/{HOOK}"

    def too_fast(self) -> Answer:
        return said(11232, "frequency limited psm[lark.oapi.app_platform_runtime]")

    def handle(self, request: Request) -> Answer:
        if (request.method, request.path) != ("POST", f"/open-apis/bot/v2/hook/{self.hook}"):
            return said(19001, "param invalid: incoming webhook access token invalid")
        body = request.json()
        if self.secret and not self._is_signed(body):
            return said(19021, "sign match fail or timestamp is not within one hour from current time")
        if len(request.body) > BODY_MAX:
            return self._refused(f"{len(request.body)} bytes")
        card = body.get("card", {})
        if body.get("msg_type") != "interactive" or not card.get("elements"):
            return self._refused("no card")
        if self.keyword not in card["elements"][0]["content"]:
            return said(19024, "Key Words Not Found")
        return self.take(request) or said(0, "success")

    def _refused(self, why: str) -> Answer:
        self.refused.append(why)
        return said(9499, "Bad Request")

    def _is_signed(self, body: dict[str, Any]) -> bool:
        stamp = str(body.get("timestamp", ""))
        if not stamp.isdecimal() or abs(int(stamp) - time.time()) > 3600:
            return False
        digest = hmac.new(f"{stamp}\n{self.secret}".encode(), b"", hashlib.sha256).digest()
        return body.get("sign") == base64.b64encode(digest).decode()
