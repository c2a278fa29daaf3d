"""Slack's incoming webhook in the contract suite of chat robots."""

from __future__ import annotations

import re
from typing import Any

from service_event_checker.destinations.slack_webhook import Adapter, Config
from tests.destinations.robots.cases import RobotCase
from tests.destinations.slack_webhook.double import PLAIN, SlackWebhook
from tests.doubles.base import Answer


def adapter(double: SlackWebhook, **changes: Any) -> Adapter:
    return Adapter("robot", Config(**{"url": double.address, "timeout": 5, **changes}))


CASE = RobotCase(
    name="slack_webhook",
    double=SlackWebhook,
    adapter=adapter,
    texts=lambda double: [each["text"] for each in double.messages],
    links=lambda text: re.findall(r"<(https?:[^|>]*)\|", text),
    mentions=lambda text: re.findall(r"<[@!#][^>]*>|(?<!\w)@(?:here|channel|everyone)\b", text),
    refusal=Answer(400, b"invalid_payload", PLAIN),
    pause=30.0,
    wrong=lambda double: setattr(double, "path", "/another"),
    secret="canary4711Canary4711xyz",
)
