"""WeCom in the contract suite of chat robots."""

from __future__ import annotations

import re
from typing import Any

from service_event_checker.destinations.wecom import Adapter, Config
from tests.destinations.robots.cases import RobotCase
from tests.destinations.robots.double import coded
from tests.destinations.wecom.double import KEY, WeCom


def adapter(double: WeCom, **changes: Any) -> Adapter:
    return Adapter("robot", Config(**{"url": double.address, "timeout": 5, **changes}))


CASE = RobotCase(
    name="wecom",
    double=WeCom,
    adapter=adapter,
    texts=lambda double: [each["markdown"]["content"] for each in double.messages],
    links=lambda text: re.findall(r"\[[^\]]*\]\(([^)]*)\)", text),
    mentions=lambda text: re.findall(r"<@[^>]+>", text),
    refusal=coded(40039, "invalid url size"),
    pause=60.0,
    wrong=lambda double: setattr(double, "key", "another"),
    secret=KEY,
)
