"""Whether the system that an alert comes from keeps it from its own receivers, and why. Pure.

It is a fact beside the alert: nobody is told or withheld for it. Whoever learns of it, by a message or by asking,
makes a `Mute`; `engine.muted` keeps the newest of each alert.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

BELIEVED_FOR = timedelta(hours=1)  # without a known end; it is told again at every evaluation


@dataclass(frozen=True, slots=True)
class Mute:
    """An alert (`key`) was muted at `at` `by` something, in words; `until` is None where no end is known.

    `silence`: the id of the silence, "" for an inhibition.
    """

    key: str
    by: str
    at: datetime
    until: datetime | None = None
    silence: str = ""


def newer(known: Mute | None, told: Mute) -> bool:
    """Whether what is told takes the place of what is known: a repetition and what was overtaken do not."""
    if known is None:
        return True
    same = (known.by, known.until, known.silence) == (told.by, told.until, told.silence)
    return told.at > known.at and not (same and known.until is not None)


def is_muted(mute: Mute, now: datetime) -> bool:
    """Whether it can still be believed now."""
    return now < (mute.until or mute.at + BELIEVED_FOR)
