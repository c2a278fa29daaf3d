"""The issues that this process made lately: Jira Cloud's search does not show them yet."""

from __future__ import annotations

import threading
from collections import OrderedDict

REMEMBERED = 200


class Recent:
    """Ids by remote key, the newest REMEMBERED. Safe for several threads; of this process only."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, remote_key: str, id: str) -> None:
        with self._lock:
            self._ids[remote_key] = id
            if len(self._ids) > REMEMBERED:
                self._ids.popitem(last=False)

    def get(self, remote_key: str) -> str:
        """Return the id, "" if it is not remembered."""
        with self._lock:
            return self._ids.get(remote_key, "")

    def forget(self, remote_key: str) -> None:
        with self._lock:
            self._ids.pop(remote_key, None)

    def ids(self) -> list[str]:
        """Return all ids, the oldest first."""
        with self._lock:
            return list(self._ids.values())
