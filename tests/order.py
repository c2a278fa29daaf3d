"""Which test runs when, and beside which, where several workers share them: the longest first, so that none is last."""

from __future__ import annotations

import pytest

#: files whose tests take long, the longest first, but what waits beside what computes
LONG = (
    "tests/chaos/test_killed_again_and_again.py",
    "tests/outbox/test_crash_points.py",
    "tests/chaos/test_alert_storm.py",
    "tests/test_pipeline.py",
    "tests/chaos/test_alert_chain.py",
    "tests/outbox/test_mirror_histories.py",
    "tests/chaos/test_pager_bridge.py",
    "tests/chaos/test_start_and_stop.py",
    "tests/chaos",
    "tests/real",
    "tests/stores",
)
#: fixtures of servers that start slowly and serve many tests: one worker runs all of these
SERVERS = ("redmine", "shipped")


def arrange(items: list[pytest.Item]) -> None:
    """Put the tests of a worker into the order in which they are given out, and name those that stay together."""
    for item in items:
        if server := _server_of(item):
            item.add_marker(pytest.mark.xdist_group(server))
    items.sort(key=lambda item: _rank(item.nodeid))


def _rank(nodeid: str) -> int:
    return next((place for place, start in enumerate(LONG) if nodeid.startswith(start)), len(LONG))


def _server_of(item: pytest.Item) -> str:
    """Return the server that the test runs against; "" without one. A case of a contract asks for it only when run."""
    callspec = getattr(item, "callspec", None)
    case = callspec.params.get("case") if callspec else None
    wanted = {*getattr(item, "fixturenames", ()), getattr(case, "real", "")}
    return next((server for server in SERVERS if server in wanted), "")
