"""A Teams workflow on loopback: a card of at most 28 KB; 202, or 200 with the text of an error from behind it.

https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
"""

from __future__ import annotations

from typing import Any

from tests.destinations.robots.double import RobotDouble
from tests.doubles.base import Answer, Request

SIGNATURE = "canary4711sig"
PATH = "/workflows/0a1b/triggers/manual/paths/invoke"
CARD_MAX = 28 * 1024
_FAILED = (
    "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {} with ContextId x."
)


def failed(status: int) -> Answer:
    return Answer(200, _FAILED.format(status).encode(), {"Content-Type": "text/plain; charset=utf-8"})


class Teams(RobotDouble):
    """`status`: what a success is answered with."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.signature = SIGNATURE
        self.status = 202

    @property
    def address(self) -> str:
        return f"{self.url}{PATH}?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={SIGNATURE}"

    def too_fast(self) -> Answer:
        return failed(429)

    def handle(self, request: Request) -> Answer:
        if request.path != PATH:
            return self.refuse(request, "no such workflow", 404)
        if request.query.get("sig") != self.signature or request.query.get("sp") != "/triggers/manual/run":
            said = {"code": "DirectApiAuthorizationRequired", "message": "The request must be authenticated"}
            return Answer.json({"error": said}, 401)
        if len(request.body) > CARD_MAX:
            self.refused.append(f"{len(request.body)} bytes")
            return failed(413)
        wrong = list(_wrong(request.json()))
        if wrong:
            self.refused += wrong
            return failed(400)
        return self.take(request) or Answer(self.status, b"1" if self.status == 200 else b"")


def _wrong(body: dict[str, Any]) -> list[str]:
    if body.get("type") != "message" or not body.get("attachments"):
        return ["no message with an attachment"]
    content = body["attachments"][0]["content"]
    if content.get("type") != "AdaptiveCard" or not content.get("body"):
        return ["no card"]
    return [f"action {each}" for each in content["actions"] if each["type"] != "Action.OpenUrl" or not each["url"]]
