"""A stateful WeCom robot on loopback: https://developer.work.weixin.qq.com/document/path/91770.

20 messages a minute, 4096 bytes of Markdown; HTTP 200 to everything.
"""

from __future__ import annotations

from tests.destinations.robots.double import RobotDouble, coded
from tests.doubles.base import Answer, Request

KEY = "canary4711-6f2a-4a1e-9c0f-7e1f2a3b4c5d"
CONTENT_MAX = 4096  # bytes


class WeCom(RobotDouble):
    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.key = KEY

    @property
    def address(self) -> str:
        return f"{self.url}/cgi-bin/webhook/send?key={KEY}"

    def too_fast(self) -> Answer:
        return coded(45009, "api freq out of limit, hint: [1] from ip: 127.0.0.1")

    def handle(self, request: Request) -> Answer:
        if (request.method, request.path) != ("POST", "/cgi-bin/webhook/send"):
            return self.refuse(request, "no such endpoint", 404)
        if request.query.get("key") != self.key:
            return coded(93000, "invalid webhook url, hint: [1]")
        body = request.json()
        content = body.get("markdown", {}).get("content", "")
        if body.get("msgtype") != "markdown" or not 1 <= len(content.encode()) <= CONTENT_MAX:
            self.refused.append(f"markdown.content of {len(content.encode())} bytes")
            return coded(40058, "markdown.content exceed max length 4096. invalid Request Parameter")
        return self.take(request) or coded(0, "ok")
