"""Bodies kept for conditional requests: what a 304 stands for. In memory, capped, lost with the process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

_KEPT_BODIES = 64
_KEPT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Kept:
    validators: Mapping[str, str]
    body: bytes


class KeptBodies:
    """The bodies that a 304 stands for: the most recently used, capped in number and bytes."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[str, Kept] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, url: str) -> Kept | None:
        with self._lock:
            if url in self._bodies:
                self._bodies.move_to_end(url)
            return self._bodies.get(url)

    def put(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        pairs = (("If-None-Match", headers.get("ETag")), ("If-Modified-Since", headers.get("Last-Modified")))
        validators = {name: value for name, value in pairs if value}
        with self._lock:
            self._bodies.pop(url, None)
            if validators and len(body) <= _KEPT_BYTES:
                self._bodies[url] = Kept(validators, body)
            while (
                len(self._bodies) > _KEPT_BODIES or sum(len(kept.body) for kept in self._bodies.values()) > _KEPT_BYTES
            ):
                self._bodies.popitem(last=False)
