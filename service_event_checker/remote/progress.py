"""What of a delivery was sent already: its parts, numbers or addresses. State of this process; a restart repeats some.

A later try of the delivery goes on with the rest.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

REMEMBERED_MAX = 1000  # deliveries

Part = TypeVar("Part", bound=Hashable)


class Progress(Generic[Part]):
    """Safe for several threads; one delivery is in the hands of one of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: OrderedDict[str, set[Part]] = OrderedDict()

    def of(self, delivery_id: str) -> set[Part]:
        """Return what was sent of a delivery; what is added to the set is remembered."""
        with self._lock:
            sent = self._sent.setdefault(delivery_id, set())
            if len(self._sent) > REMEMBERED_MAX:
                self._sent.popitem(last=False)
            return sent

    def finish(self, delivery_id: str) -> None:
        """Forget a delivery that was sent as a whole."""
        with self._lock:
            self._sent.pop(delivery_id, None)
