"""Whether a target counts as met: by the rounds' own ratios, and never by what was not measured."""

from __future__ import annotations

from collections.abc import Iterable

from bench.targets import Sample, Target, middle, of_intake, of_query, ratio
from bench.variants import ALERTA, SQLITE_1, STORED, Variant


def rounds(*rates: float, p99: float | None = 50.0) -> dict[str, list[Sample]]:
    return {"1": [{"rate": rate, "p99": p99} for rate in rates]}


def named(targets: Iterable[Target], words: str) -> Target:
    return next(target for target in targets if words in target.what)


def test_a_ratio_is_the_median_of_the_rounds_ratios_so_that_noise_meets_both_alike() -> None:
    samples = {SQLITE_1.name: rounds(45, 50, 300), SQLITE_1.bare.name: rounds(100, 100, 600)}

    assert ratio(samples, SQLITE_1, SQLITE_1.bare, 1) == 0.5


def test_a_share_is_met_from_its_figure_on() -> None:
    for rate, met in ((44.9, False), (45.0, True)):
        samples = {SQLITE_1.name: rounds(rate), SQLITE_1.bare.name: rounds(100)}

        assert named(of_intake(samples), "1 worker: alerts/s of bare, 1 a").met is met


def test_a_latency_is_met_up_to_its_figure() -> None:
    for p99, met in ((60.0, True), (60.1, False)):
        assert named(of_intake({SQLITE_1.name: rounds(1, p99=p99)}), "1 worker: p99, 1 a").met is met


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    targets = [*of_intake({}), *of_query({})]

    assert {target.met for target in targets} == {None}
    assert middle({SQLITE_1.name: rounds(1, p99=None)}, SQLITE_1, 1, "p99") is None


def test_a_query_is_compared_with_alertas_of_the_same_round() -> None:
    ours, theirs = Variant("product", "SQLite", 1, STORED), Variant("alerta", ALERTA.store, ALERTA.workers, STORED)
    samples = {ours.name: [{"cpu": 3.0}, {"cpu": 4.0}], theirs.name: [{"cpu": 60.0}, {"cpu": 80.0}]}

    target = named(of_query(samples), ours.empty.name)

    assert (target.measured, target.met) == ("1/20.0", True)
