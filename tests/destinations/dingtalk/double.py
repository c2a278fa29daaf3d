"""A stateful DingTalk robot on loopback: https://open.dingtalk.com/document/orgapp/custom-robot-access.

20 messages a minute, then none for ten minutes; token, signature and keyword as configured; HTTP 200 to everything.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

from tests.destinations.robots.double import RobotDouble, coded
from tests.doubles.base import Answer, Request

TOKEN = "canary4711canary4711"
SECRET = "SECcanary4711"
BODY_MAX = 20_000  # bytes


class DingTalk(RobotDouble):
    block = 600.0

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.token, self.secret, self.keyword = TOKEN, SECRET, ""

    @property
    def address(self) -> str:
        return f"{self.url}/robot/send?access_token={TOKEN}"

    def too_fast(self) -> Answer:
        said: dict[str, Any] = {"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "errcode": 130101}
        return Answer.json({**said, "errmsg": "send too fast, exceed 20 times per minute"})

    def handle(self, request: Request) -> Answer:
        if (request.method, request.path) != ("POST", "/robot/send"):
            return self.refuse(request, "no such endpoint", 404)
        if request.query.get("access_token") != self.token:
            return coded(300001, "token is not exist")
        if self.secret and not self._is_signed(request):
            return coded(310000, "sign not match, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]")
        body = request.json()
        if body.get("msgtype") != "markdown" or not {"title", "text"} <= body.get("markdown", {}).keys():
            return self._refused("miss param: markdown->title")
        if len(request.body) > BODY_MAX:
            return self._refused("message too long")
        if self.keyword not in body["markdown"]["text"]:
            return coded(310000, "keywords not in content, more: [https://ding-doc.dingtalk.com]")
        return self.take(request) or coded(0, "ok")

    def _refused(self, why: str) -> Answer:
        self.refused.append(why)
        return coded(40035, why)

    def _is_signed(self, request: Request) -> bool:
        """The query was decoded once; what was encoded twice does not match."""
        stamp = request.query.get("timestamp", "")
        if not stamp.isdecimal() or abs(int(stamp) / 1000 - time.time()) > 3600:
            return False
        digest = hmac.new(self.secret.encode(), f"{stamp}\n{self.secret}".encode(), hashlib.sha256).digest()
        return request.query.get("sign") == base64.b64encode(digest).decode()
