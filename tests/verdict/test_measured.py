"""How often the verdict is right: the figures of the documentation are fresh, and the targets are met."""

from __future__ import annotations

import json

from service_event_checker.core.verdict import Answer
from tests.verdict import generator, held_out, report
from tests.verdict.measure import figures


def test_the_figures_in_the_documentation_are_those_that_are_measured() -> None:
    written = report.within(report.DOCS.read_text(encoding="utf-8"))

    assert written == report.table(), "stale: run `make verdict`"


def test_the_targets_are_met_on_scenarios_that_nothing_was_tuned_on() -> None:
    found = figures(report.of_held_out())

    number, precision, recall = found.answers[Answer.VENDOR]
    masked, told = found.masked
    assert (precision or 0.0) >= 0.95
    assert (recall or 0.0) >= 0.85
    assert (told or 0.0) >= 0.95
    assert (number, masked) >= (40, 10)


def test_scores_are_near_the_share_that_they_promise() -> None:
    for low, high, number, share, score in figures(report.of_generated()).bands:
        if number >= 50:
            assert abs(share - score) < 0.15, f"{low} to {high}"


def test_the_same_seed_makes_the_same_scenarios_and_another_seed_others() -> None:
    once, again = generator.scenarios(7, 40), generator.scenarios(7, 40)

    assert once == again
    assert [each.alert for each in generator.scenarios(8, 40)] != [each.alert for each in once]
    assert report.TUNED != report.REPORTED


def test_each_held_out_scenario_names_its_source_and_stands_once() -> None:
    rows = json.loads(held_out.FILE.read_text(encoding="utf-8"))

    assert len({row["name"] for row in rows}) == len(rows) >= 40
    assert all(row["source"] and isinstance(row["read"], bool) for row in rows)
