"""How long all calls of one piece of work may take together; each thread has its own."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_work = threading.local()


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Bound the calls that this thread makes meanwhile; within another bound the earlier end counts."""
    outer = _ends_at()
    _work.ends_at = min(outer, time.monotonic() + seconds)
    try:
        yield
    finally:
        _work.ends_at = outer


def left() -> float:
    """Return the seconds that are left for this thread's calls; infinite where nothing bounds them."""
    return _ends_at() - time.monotonic()


def _ends_at() -> float:
    return float(getattr(_work, "ends_at", math.inf))
