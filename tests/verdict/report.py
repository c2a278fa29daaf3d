"""Writes the measured figures of the verdict into docs/verdict.md: `python -m tests.verdict.report`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from service_event_checker.core.verdict import Answer
from tests.verdict import generator, held_out
from tests.verdict.measure import Figures, Judged, figures, judged

DOCS = Path(__file__).parents[2] / "docs" / "verdict.md"
BEGIN, END = "<!-- measured: written by `make verdict` -->\n", "<!-- /measured -->\n"
TUNED, REPORTED = 1, 20261129  # seeds: weights and patterns are chosen on the first, and the second is told
NUMBER = 1500


@cache
def of_generated() -> tuple[Judged, ...]:
    return tuple(judged(generator.scenarios(REPORTED, NUMBER)))


@cache
def of_held_out() -> tuple[Judged, ...]:
    return tuple(judged(held_out.scenarios()))


def table() -> str:
    """Return what stands between the markers."""
    return "\n".join(_lines(figures(of_generated()), figures(of_held_out()))) + "\n"


def within(docs: str) -> str:
    """Return what stands between the markers of a text."""
    return docs.partition(BEGIN)[2].partition(END)[0]


def _lines(made: Figures, real: Figures) -> Iterator[str]:
    told = "precision, recall"
    yield f"| answer | generated ({made.number}): {told} | from post-mortems ({real.number}): {told} |"
    yield "| --- | --- | --- |"
    for answer in Answer:
        yield f"| `{answer.value}` | {_pair(made, answer)} | {_pair(real, answer)} |"
    yield f"| masked own faults told as ours or both | {_masked(made)} | {_masked(real)} |"
    yield f"| Brier score (0 is best) | {made.brier:.3f} | {real.brier:.3f} |"
    yield ""
    yield "| score | generated: how many, share that a vendor explains | from post-mortems |"
    yield "| --- | --- | --- |"
    for one, other in zip(made.bands, real.bands, strict=True):
        yield f"| {one[0]:.1f} to {one[1]:.1f} | {one[2]}, {one[3]:.0%} | {other[2]}, {other[3]:.0%} |"
    yield ""
    yield "| generated kind | how many | right |"
    yield "| --- | --- | --- |"
    for kind, (number, share) in made.kinds.items():
        yield f"| {kind} | {number} | {share:.0%} |"
    yield ""
    yield "Wrong, of those from post-mortems (wanted, told):"
    for each in of_held_out():
        if not each.right:
            yield f"- {each.scenario.name}: {each.scenario.want.value}, {each.verdict.answer.value}"


def _pair(found: Figures, answer: Answer) -> str:
    number, precision, recall = found.answers[answer]
    return f"{_number(precision)}, {_number(recall)} (of {number})"


def _masked(found: Figures) -> str:
    number, share = found.masked
    return f"{_number(share)} (of {number})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def main() -> None:
    docs = DOCS.read_text(encoding="utf-8")
    before, _, rest = docs.partition(BEGIN)
    DOCS.write_text(before + BEGIN + table() + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    main()
