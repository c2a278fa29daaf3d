"""Slack's incoming webhook on loopback: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks."""

from __future__ import annotations

from tests.destinations.robots.double import RobotDouble
from tests.doubles.base import Answer, Request

PATH = "/services/T0CANARY/B0CANARY/canary4711Canary4711xyz"
TEXT_MAX = 4000  # characters; Slack itself cuts what is longer into several messages
PLAIN = {"Content-Type": "text/plain"}


class SlackWebhook(RobotDouble):
    per_minute = 60

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.path = PATH

    @property
    def address(self) -> str:
        return f"{self.url}{PATH}"

    def too_fast(self) -> Answer:
        return Answer(429, b"rate_limited", {**PLAIN, "Retry-After": "30"})

    def handle(self, request: Request) -> Answer:
        if request.path != self.path:
            return Answer(404, b"no_service", PLAIN)
        text = request.json().get("text", "")
        if not 1 <= len(text) <= TEXT_MAX:
            self.refused.append(f"text of {len(text)} characters")
            return Answer(400, b"invalid_payload", PLAIN)
        return self.take(request) or Answer(200, b"ok", PLAIN)
