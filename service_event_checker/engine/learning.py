"""What people say of causes, by vendor and service: small, bounded steps that fade, kept in one setting.

Two votes in the same moment may lose one step: that is harmless.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from service_event_checker.core.correlate import LEARNED_MAX
from service_event_checker.core.roles import Settings

NAME = "learned-causes"
STEP = 0.2  # log-odds
HALF_LIFE = timedelta(days=60)
PAIRS_MAX = 500
FORGOTTEN = 0.02

Pair = tuple[str, str]  # vendor, service


def learned(settings: Settings, now: datetime) -> dict[Pair, float]:
    """Return the log-odds of each pair as they are now, each within +-0.7. Raises StoreError."""
    return {pair: faded for pair, (value, at) in _read(settings).items() if (faded := _faded(value, at, now))}


def learn(settings: Settings, steps: Iterable[tuple[Pair, int]], now: datetime) -> None:
    """Take one step for each pair, up (+1) or down (-1); 0 none, 2 for a vote that was changed. Raises StoreError."""
    kept: dict[Pair, tuple[float, datetime]] = dict(_read(settings))
    for pair, direction in steps:
        value, at = kept.get(pair, (0.0, now))
        moved = _faded(value, at, now) + STEP * direction
        kept[pair] = max(-LEARNED_MAX, min(LEARNED_MAX, moved)), now
    strongest = sorted(kept.items(), key=lambda each: -abs(_faded(each[1][0], each[1][1], now)))[:PAIRS_MAX]
    rows = [[*pair, round(value, 4), at.isoformat()] for pair, (value, at) in strongest if _faded(value, at, now)]
    settings.set_setting(NAME, json.dumps(rows))


def _read(settings: Settings) -> Mapping[Pair, tuple[float, datetime]]:
    rows = json.loads(settings.setting(NAME) or "[]")
    return {(vendor, service): (value, datetime.fromisoformat(at)) for vendor, service, value, at in rows}


def _faded(value: float, at: datetime, now: datetime) -> float:
    """Halve a value every 60 days; 0.0 once it is too small to count."""
    left = value * 0.5 ** (max(timedelta(0), now - at) / HALF_LIFE)
    return left if abs(left) >= FORGOTTEN else 0.0
