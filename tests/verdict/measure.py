"""Compares verdicts with labels: precision and recall of each answer, Brier score, reliability, masked own faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service_event_checker.core.verdict import Answer, Verdict
from tests.verdict.scenario import MASKED, OURS, Scenario

BANDS = (0.0, 0.1, 0.3, 0.6, 0.8, 0.9, 1.01)


@dataclass(frozen=True, slots=True)
class Judged:
    scenario: Scenario
    verdict: Verdict

    @property
    def right(self) -> bool:
        """Whether the answer is the label's, and, where a vendor is blamed, blames the outages that it was."""
        wanted, answer = self.scenario.want, self.verdict.answer
        if self.scenario.kind == MASKED:
            return answer in OURS
        return answer is wanted and (not self.scenario.is_theirs or self._blames_right())

    def _blames_right(self) -> bool:
        ids = {each.internal_id for each in self.scenario.outages if each.key in self.scenario.truth}
        return bool(ids & set(self.verdict.explained_by))


@dataclass(frozen=True, slots=True)
class Figures:
    """`answers`: how many, precision, recall; None where there is none. `bands`: low, high, how many, share, score."""

    number: int
    answers: dict[Answer, tuple[int, float | None, float | None]]
    masked: tuple[int, float | None]
    brier: float
    bands: tuple[tuple[float, float, int, float, float], ...]
    kinds: dict[str, tuple[int, float]]


def judged(scenarios: Sequence[Scenario]) -> list[Judged]:
    return [Judged(each, each.verdict()) for each in scenarios]


def figures(found: Sequence[Judged]) -> Figures:
    """A masked own fault that is answered `both` is no error of `both`: it says what must be said."""
    answers = {answer: _of(answer, found) for answer in Answer}
    masked = [each for each in found if each.scenario.kind == MASKED]
    pairs = [(each.verdict.score, float(each.scenario.is_theirs)) for each in found]
    kinds = sorted({each.scenario.kind for each in found})
    return Figures(
        len(found),
        answers,
        (len(masked), _share(masked, masked)),
        sum((score - truth) ** 2 for score, truth in pairs) / len(pairs),
        tuple(_band(low, high, pairs) for low, high in zip(BANDS, BANDS[1:], strict=False)),
        {kind: _kind(kind, found) for kind in kinds},
    )


def _of(answer: Answer, found: Sequence[Judged]) -> tuple[int, float | None, float | None]:
    told = [each for each in found if each.verdict.answer is answer]
    true = [each for each in found if each.scenario.want is answer]
    return (
        len(true),
        _share([each for each in told if each.right], told),
        _share([each for each in true if each.right], true),
    )


def _share(right: Sequence[Judged], of: Sequence[Judged]) -> float | None:
    return sum(each.right for each in right) / len(of) if of else None


def _band(low: float, high: float, pairs: Sequence[tuple[float, float]]) -> tuple[float, float, int, float, float]:
    inside = [(score, truth) for score, truth in pairs if low <= score < high]
    number = len(inside)
    mean = sum(score for score, _ in inside) / number if number else 0.0
    share = sum(truth for _, truth in inside) / number if number else 0.0
    return low, min(high, 1.0), number, share, mean


def _kind(kind: str, found: Sequence[Judged]) -> tuple[int, float]:
    these = [each for each in found if each.scenario.kind == kind]
    return len(these), sum(each.right for each in these) / len(these)
