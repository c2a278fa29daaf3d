"""In which language and time zone a receiver is told. Wiring sets it once; whoever sends says to whom.

Texts take the voice of the delivery in hand (`speaking`), so that no function has to hand it on. English and UTC else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Literal

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    language: Language = "en"
    zone: tzinfo = UTC


_PLAIN = Voice()
_voices: dict[str, Voice] = {}
_current: ContextVar[Voice] = ContextVar("voice", default=_PLAIN)


def use(voices: Mapping[str, Voice]) -> None:
    """Set the voice of each receiver, by its name."""
    _voices.clear()
    _voices.update(voices)


def current() -> Voice:
    return _current.get()


@contextmanager
def speaking(receiver: str) -> Iterator[None]:
    """Write texts in the receiver's voice meanwhile, in this thread."""
    with using(_voices.get(receiver, _PLAIN)):
        yield


@contextmanager
def using(voice: Voice) -> Iterator[None]:
    token = _current.set(voice)
    try:
        yield
    finally:
        _current.reset(token)
