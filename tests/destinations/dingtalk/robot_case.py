"""DingTalk in the contract suite of chat robots."""

from __future__ import annotations

import re
from typing import Any

from service_event_checker.destinations.dingtalk import Adapter, Config
from tests.destinations.dingtalk.double import SECRET, TOKEN, DingTalk
from tests.destinations.robots.cases import RobotCase
from tests.destinations.robots.double import coded


def adapter(double: DingTalk, **changes: Any) -> Adapter:
    return Adapter("robot", Config(**{"url": double.address, "secret": SECRET, "timeout": 5, **changes}))


CASE = RobotCase(
    name="dingtalk",
    double=DingTalk,
    adapter=adapter,
    texts=lambda double: [each["markdown"]["text"] for each in double.messages],
    links=lambda text: re.findall(r"\[[^\]]*\]\(([^)]*)\)", text),
    mentions=lambda text: re.findall(r"(?<!\w)@\w+", text),
    refusal=coded(430104, "content contains inappropriate text"),
    pause=600.0,
    wrong=lambda double: setattr(double, "token", "another"),
    secret=TOKEN,
    full_parts=2,
)
