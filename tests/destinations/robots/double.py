"""What the doubles of chat robots share: the messages that were taken, and limits per minute as the systems have them.

Their truth is `messages`; `breaches` counts what was sent too fast, `refused` what the system does not allow.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.doubles.base import Answer, Double, Request

MINUTE = 60.0  # seconds


class RobotDouble(Double):
    """`per_minute`: messages; what comes above is refused, and all for `block` seconds. `clock` gives seconds.

    `answers`: what the next messages are told, in place of being taken.
    """

    per_minute = 20
    block = 0.0

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.messages: list[dict[str, Any]] = []
        self.answers: list[Answer] = []
        self.breaches = 0
        self.clock: Callable[[], float] = time.monotonic
        self._times: list[float] = []
        self._blocked_until = 0.0

    @property
    def address(self) -> str:
        """What a person copies from the system."""
        raise NotImplementedError

    def too_fast(self) -> Answer:
        raise NotImplementedError

    def others_send(self, count: int) -> None:
        """Others post to the same robot now."""
        self._times += [self.clock()] * count

    def take(self, request: Request) -> Answer | None:
        """Count a message; return the refusal of one that is too many, or what `answers` say."""
        now = self.clock()
        self._times = [each for each in self._times if now - each < MINUTE]
        if now < self._blocked_until or len(self._times) >= self.per_minute:
            if now >= self._blocked_until:
                self._blocked_until = now + self.block
            self.breaches += 1
            return self.too_fast()
        self._times.append(now)
        if self.answers:
            return self.answers.pop(0)
        self.messages.append(request.json())
        return None


def coded(code: int, said: str, names: tuple[str, str] = ("errcode", "errmsg")) -> Answer:
    return Answer(200, json.dumps({names[0]: code, names[1]: said}).encode(), {"Content-Type": "application/json"})
