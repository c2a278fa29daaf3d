"""What the product shall reach, and whether it did, judged from what the parts of the bench measured. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from bench.intake import SIZES
from bench.variants import ALERTA, POSTGRESQL_2, SQLITE_1, SQLITE_2, STORED, Variant

#: share of the bare app's rate, by alerts a message
OF_BARE = {SQLITE_1: (0.45, 0.35, 0.30), SQLITE_2: (0.60, 0.45, 0.40), POSTGRESQL_2: (0.55, 0.50, 0.40)}
P99_MS = {1: 60.0, 100: 400.0}
OF_EMPTY = 0.85
OF_ALERTA = (6.0, 11.0, 20.0)  # times its rate, by alerts a message
QUERY_OF_ALERTA = 1 / 15
QUERY_MS = 2.5  # of CPU

Sample = Mapping[str, Any]
Samples = Mapping[str, Mapping[str, Sequence[Sample]]]


@dataclass(frozen=True, slots=True)
class Target:
    """`met` is None where it was not measured."""

    what: str
    wanted: str
    measured: str
    met: bool | None


def of_intake(samples: Samples) -> Iterator[Target]:
    for variant, shares in OF_BARE.items():
        for size, share in zip(SIZES, shares, strict=True):
            reached = ratio(samples, variant, variant.bare, size)
            yield _at_least(f"{variant.name}: alerts/s of bare, {size} a message", share, reached)
    for variant in OF_BARE:
        for size, most in P99_MS.items():
            reached = middle(samples, variant, size, "p99")
            yield _at_most(f"{variant.name}: p99, {size} a message", most, reached, lambda value: f"{value:.0f} ms")
    for variant in (SQLITE_1, POSTGRESQL_2):
        for size in SIZES:
            reached = ratio(samples, replace(variant, stored=STORED), variant, size)
            yield _at_least(
                f"{variant.name}: alerts/s with {STORED:,} stored of empty, {size} a message", OF_EMPTY, reached
            )
    for size, times in zip(SIZES, OF_ALERTA, strict=True):
        reached = ratio(samples, POSTGRESQL_2, ALERTA, size)
        yield _at_least(f"{POSTGRESQL_2.name}: alerts/s of Alerta's, {size} a message", times, reached)


def of_query(samples: Mapping[str, Sequence[Sample]]) -> Iterator[Target]:
    alerta = [one["cpu"] for one in samples.get(replace(ALERTA, stored=STORED).name, [])]
    for variant in (SQLITE_1, POSTGRESQL_2):
        ours = [one["cpu"] for one in samples.get(replace(variant, stored=STORED).name, [])]
        reached = median(a / b for a, b in zip(ours, alerta, strict=True)) if ours and alerta else None
        what = f"{variant.name}: CPU of a GET of 50 alerts of Alerta's"
        yield _at_most(what, QUERY_OF_ALERTA, reached, lambda value: f"1/{1 / value:.1f}")
        own = median(ours) if ours else None
        yield _at_most(f"{variant.name}: CPU of a GET of 50 alerts", QUERY_MS, own, lambda value: f"{value:.1f} ms")


def ratio(samples: Samples, one: Variant, other: Variant, size: int) -> float | None:
    """Return the median over the rounds of one variant's rate by the other's; None where one was not measured."""
    ours, theirs = (samples.get(variant.name, {}).get(str(size), []) for variant in (one, other))
    if not ours or not theirs:
        return None
    return median([float(a["rate"] / b["rate"]) for a, b in zip(ours, theirs, strict=True)])


def middle(samples: Samples, variant: Variant, size: int, field: str) -> float | None:
    """Return the median over the rounds; None where a round has no value."""
    values = [one[field] for one in samples.get(variant.name, {}).get(str(size), [])]
    return median(values) if values and None not in values else None


def _at_least(what: str, least: float, reached: float | None) -> Target:
    measured = "not measured" if reached is None else f"{reached:.2f}"
    return Target(what, f"at least {least:.2f}", measured, None if reached is None else reached >= least)


def _at_most(what: str, most: float, reached: float | None, text: Callable[[float], str]) -> Target:
    measured = "not measured" if reached is None else text(reached)
    return Target(what, f"at most {text(most)}", measured, None if reached is None else reached <= most)
