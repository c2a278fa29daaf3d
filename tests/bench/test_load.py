"""What wrk tells is taken only where it says something."""

from __future__ import annotations

import json

import pytest

from bench.load import NotTaken, parsed


def line(**changes: int) -> str:
    plain = {"requests": 10, "micros": 2_000_000, "p50": 1500, "p99": 9000, "refused": 0, "broken": 0, "late": 0}
    return json.dumps({**plain, **changes})


def test_what_was_refused_is_not_taken() -> None:
    load = parsed(line(refused=4))

    assert (load.taken, load.refused, load.seconds, load.p50, load.p99) == (6, 4, 2.0, 1.5, 9.0)


def test_where_nothing_was_answered_there_is_no_latency() -> None:
    assert parsed(line(requests=0)).p99 is None


@pytest.mark.parametrize("fault", [{"broken": 1}, {"late": 1}, {"refused": 6}])
def test_requests_that_break_off_end_the_run(fault: dict[str, int]) -> None:
    with pytest.raises(NotTaken):
        parsed(line(**fault))
