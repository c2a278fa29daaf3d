"""Waiting for what a test needs to see, where another process or a double brings it about."""

from __future__ import annotations

import time
from collections.abc import Callable

BETWEEN_LOOKS = 0.05  # seconds


def wait_for(so: Callable[[], object], seconds: float = 60.0, *, seen: Callable[[], object] = lambda: "") -> None:
    """Return as soon as `so` is true. Fails after `seconds`, with what `seen` returns."""
    until = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < until, f"waited {seconds} s in vain {seen()}"
        time.sleep(BETWEEN_LOOKS)
