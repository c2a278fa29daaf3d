"""results.md is written from whatever parts were run."""

from __future__ import annotations

from typing import Any

from bench.report import written
from bench.variants import SQLITE_1


def sample(rate: float, p99: float | None) -> dict[str, Any]:
    return {"rate": rate, "cpu": 1.0, "p50": p99, "p99": p99, "refused": 1}


def test_a_row_shows_the_three_sizes_and_a_dash_where_nothing_was_answered() -> None:
    sizes = {"1": [sample(100, 5)], "10": [sample(2000, 50)], "100": [sample(3000, None)]}
    intake = {
        "samples": {SQLITE_1.name: sizes},
        "starts": {SQLITE_1.name: [2.0]},
        "missing": {"alerta": "Alerta could not be installed: offline"},
        "about": {"rounds": 1, "seconds": 1.0},
    }

    text = written({"intake": intake}, "a machine")

    row = "| 100 / 2,000 / 3,000 | – / – / – | 1.00 / 1.00 / 1.00 | 5 / 50 / – | 5 / 50 / – | 3 | 2.0 |"
    assert f"| {SQLITE_1.name} {row}" in text
    assert "Not measured: Alerta could not be installed: offline" in text


def test_a_machine_without_a_database_still_gets_a_report() -> None:
    text = written({"memory": {"bytes": {"bare": {"idle": 3 << 20}}, "after": 60.0, "missing": {}}}, "a machine")

    assert "| bare | 3 | – | – |" in text
