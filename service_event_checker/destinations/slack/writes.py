"""Orders the writes to one message within this process, so that an older state does not replace a newer one.

Two parts write: the outbox (chat.update), and the answer to a pressed button (response_url). Between processes, the
delivery that follows a press writes the state of then. Slack itself has no conditional update.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

REMEMBERED_MAX = 10_000  # messages


class MessageWrites:
    """Turns to write, and the alert's revision that the last finished write shows. Safe for several threads.

    Messages are named as links name them: "channel:ts".
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._busy: set[str] = set()
        self._shown: dict[str, int] = {}

    @contextmanager
    def turn(self, message: str, seconds: float) -> Iterator[bool]:
        """Wait at most `seconds` for a turn; False: another write is still under way, and may end after this one."""
        with self._condition:
            alone = self._condition.wait_for(lambda: message not in self._busy, seconds)
            if alone:
                self._busy.add(message)
        try:
            yield alone
        finally:
            if alone:
                with self._condition:
                    self._busy.discard(message)
                    self._condition.notify_all()

    def shown(self, message: str) -> int:
        """Return the revision that the message shows; 0 where this process does not know."""
        with self._condition:
            return self._shown.get(message, 0)

    def record(self, message: str, revision: int) -> None:
        """Remember what a write shows; 0 for a write that may have had an effect."""
        with self._condition:
            self._shown.pop(message, None)
            if revision:
                self._shown[message] = revision
            if len(self._shown) > REMEMBERED_MAX:
                del self._shown[next(iter(self._shown))]
