"""Whatever a page may send: JSON of any shape, for the checkers' property tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from service_event_checker.core.clean import clean
from service_event_checker.core.errors import SourceError
from service_event_checker.core.model import Snapshot

_WORDS = ("", "id", "status", "active", "ok", "name", "7", "2026-11-20T03:00:00Z", "0001-01-01T00:00:00", "minor")
_texts = st.sampled_from(_WORDS) | st.text(max_size=20)
_numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | _numbers | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=12,
)


def hostile(read: Callable[[Any], Snapshot], payload: Any) -> None:
    """Read a payload; what comes of it must be a SourceError, or events that can be kept."""
    try:
        snapshot = read(payload)
    except SourceError:
        return
    for event in snapshot.events:
        clean(event)
