"""Telegram in the contract suite of chat robots."""

from __future__ import annotations

import html
import re
from typing import Any

from service_event_checker.destinations.telegram.adapter import Adapter, Config
from tests.destinations.robots.cases import RobotCase
from tests.destinations.telegram.double import CHAT, TOKEN, Telegram, problem


def adapter(double: Telegram, **changes: Any) -> Adapter:
    values = {"url": double.url, "token": TOKEN, "chat_id": str(CHAT), "timeout": 5}
    return Adapter("robot", Config(**{**values, **changes}))


CASE = RobotCase(
    name="telegram",
    double=Telegram,
    adapter=adapter,
    texts=lambda double: [versions[-1] for versions in double.posted.values()],
    links=lambda text: [html.unescape(each) for each in re.findall(r'<a href="([^"]*)">', text)],
    mentions=lambda text: re.findall(r"(?<!\w)@\w+", re.sub(r"<[^<>]*>", "", text)),
    refusal=problem(400, "Bad Request: wrong parameter"),
    pause=34.0,
    wrong=lambda double: setattr(double, "token", "another"),
    secret=TOKEN,
    edits=True,
    full_parts=1,
)
