"""What stops working on a day that its vendor has named. Each adapter's config says what of it is in use. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

WARN_BEFORE = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Sunset:
    """`on`: the day it stops, or stopped; None where the vendor retired it and named no day."""

    name: str
    what: str
    on: date | None
    remedy: str

    def text(self, today: date) -> str:
        """Return a sentence for people."""
        when = "is retired" if self.on is None else f"{'stopped' if self.on <= today else 'stops'} on {self.on}"
        return f"{self.what} {when}. {self.remedy}"


def due(today: date, in_use: Iterable[Sunset]) -> list[Sunset]:
    """Return what is retired or will be within a year, each once, the first to stop first."""
    near = {sunset for sunset in in_use if sunset.on is None or sunset.on - today <= WARN_BEFORE}
    return sorted(near, key=lambda sunset: (sunset.on or date.min, sunset.name))
