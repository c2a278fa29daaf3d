"""Teams in the contract suite of chat robots."""

from __future__ import annotations

import re
from typing import Any

from service_event_checker.destinations.teams import Adapter, Config
from tests.destinations.robots.cases import RobotCase
from tests.destinations.teams.double import SIGNATURE, Teams, failed


def adapter(double: Teams, **changes: Any) -> Adapter:
    return Adapter("robot", Config(**{"url": double.address, "timeout": 5, **changes}))


def texts(double: Teams) -> list[str]:
    cards = [each["attachments"][0]["content"]["body"] for each in double.messages]
    return ["\n".join(block["text"] for block in body) for body in cards]


CASE = RobotCase(
    name="teams",
    double=Teams,
    adapter=adapter,
    texts=texts,
    links=lambda text: re.findall(r"(?<!\\)\[(?:\\.|[^\]\\])*\]\(([^)]*)\)", text),
    mentions=lambda text: re.findall(r"<at[ >]", text),
    refusal=failed(400),
    pause=60.0,
    wrong=lambda double: setattr(double, "signature", "another"),
    secret=SIGNATURE,
    full_parts=2,
)
