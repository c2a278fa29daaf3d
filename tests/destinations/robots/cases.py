"""How the contract suite of chat robots sets one up, and reads what its double took."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.doubles.base import Answer


@dataclass(frozen=True, kw_only=True)
class RobotCase:
    """`adapter` takes a double and changes of the configuration. `texts`: what each message shows, in its markup.

    `links`, `mentions`: the addresses behind the links of a text, and whom it mentions, as the system reads it.
    `refusal`: an answer that says with a good status that the message was refused for good. `pause`: seconds to wait
    after "too fast". `wrong`: makes the double know another address. `edits`: changes edit the one message.
    `full_parts`: messages that endless text makes.
    """

    name: str
    double: Callable[[], Any]
    adapter: Callable[..., Any]
    texts: Callable[[Any], list[str]]
    links: Callable[[str], list[str]]
    mentions: Callable[[str], list[str]]
    refusal: Answer
    pause: float
    wrong: Callable[[Any], object]
    secret: str
    edits: bool = False
    full_parts: int = 3


def all_cases() -> list[RobotCase]:
    kinds = sorted(found.parent.name for found in Path(__file__).parents[1].glob("*/robot_case.py"))
    return [importlib.import_module(f"tests.destinations.{kind}.robot_case").CASE for kind in kinds]
