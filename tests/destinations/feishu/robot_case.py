"""Feishu in the contract suite of chat robots."""

from __future__ import annotations

import re
from typing import Any

from service_event_checker.destinations.feishu import Adapter, Config
from tests.destinations.feishu.double import HOOK, SECRET, Feishu, said
from tests.destinations.robots.cases import RobotCase


def adapter(double: Feishu, **changes: Any) -> Adapter:
    return Adapter("robot", Config(**{"url": double.address, "secret": SECRET, "timeout": 5, **changes}))


def texts(double: Feishu) -> list[str]:
    cards = [each["card"] for each in double.messages]
    return [f"{card['header']['title']['content']}\n{card['elements'][0]['content']}" for card in cards]


CASE = RobotCase(
    name="feishu",
    double=Feishu,
    adapter=adapter,
    texts=texts,
    links=lambda text: re.findall(r"\[[^\]]*\]\(([^)]*)\)", text.partition("\n")[2]),
    mentions=lambda text: re.findall(r"<at [^>]+>", text.partition("\n")[2]),
    refusal=said(9499, "Bad Request"),
    pause=60.0,
    wrong=lambda double: setattr(double, "hook", "another"),
    secret=HOOK,
    full_parts=2,
)
