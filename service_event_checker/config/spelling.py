"""Finds the known name that a person most likely meant. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SHORTEST = 4  # characters; shorter names differ by one letter without being mistakes: env, dev
LONG = 7  # characters; longer names that are very much alike are taken for the same
ALIKE, SIMILAR = 0.9, 0.82  # ratios of difflib


def one_off(name: str, known: Iterable[str]) -> str:
    """Return the known name that differs by one letter (changed, added, lost, two swapped) or by case only, or "".

    Of a long name, one that is very much like it as well.
    """
    if len(name) < SHORTEST:
        return ""
    others = [other for other in known if other != name]
    near = next((other for other in others if _differ_by_one(name.casefold(), other.casefold())), "")
    alike = difflib.get_close_matches(name, others, n=1, cutoff=ALIKE) if len(name) >= LONG and not near else []
    return near or next(iter(alike), "")


def similar(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like it, or ""."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=SIMILAR)), "")


def _differ_by_one(one: str, other: str) -> bool:
    if abs(len(one) - len(other)) > 1:
        return False
    start = _common(one, other)
    one, other = one[start:], other[start:]
    end = _common(one[::-1], other[::-1])
    one, other = one[: len(one) - end], other[: len(other) - end]
    swapped = len(one) == 2 and one == other[::-1]
    return swapped or max(len(one), len(other)) <= 1


def _common(one: str, other: str) -> int:
    """Return how many characters at the start are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))
