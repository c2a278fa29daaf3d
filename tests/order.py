"""Which test runs when, and on which worker, where several share them: the longest first, so that none is last.

For that the units of pytest-xdist's scopes are cut anew, by names: its marks for groups are lost with pytest 9.2
(https://github.com/pytest-dev/pytest-xdist/issues/1386).
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

#: files whose tests take long, the longest first, but what waits beside what computes
LONG = (
    "tests/chaos/test_killed_again_and_again.py",
    "tests/engine/test_crash_points.py",
    "tests/chaos/test_alert_storm.py",
    "tests/engine/test_pipeline.py",
    "tests/chaos/test_alert_chain.py",
    "tests/engine/mirrors/test_histories.py",
    "tests/chaos/test_pager_bridge.py",
    "tests/chaos/test_start_and_stop.py",
    "tests/chaos",
    "tests/real",
    "tests/stores",
)
#: what starts slowly and serves many tests; these run on one worker, which is the only one to start it
TOGETHER = {
    "redmine": re.compile(
        r"tests/chaos/test_alert_chain\.py|tests/real/test_redmine\.py|tests/destinations/redmine/|\[redmine\b"
    ),
    "pager bridge": re.compile(r"tests/chaos/test_pager_bridge\.py"),
    "webhooks": re.compile(r"tests/real/test_webhooks\.py"),
}


class Units(LoadScopeScheduling):
    """Gives each worker that is free the next unit, in the order of the tests."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


def unit(nodeid: str) -> str:
    """Return the name of what is given to one worker as a whole: mostly the test's own."""
    return next((name for name, tests in TOGETHER.items() if tests.search(nodeid)), nodeid)


def rank(item: pytest.Item) -> int:
    """Return the place of a test among all: those of one rank stay as they are."""
    return next((place for place, start in enumerate(LONG) if item.nodeid.startswith(start)), len(LONG))
