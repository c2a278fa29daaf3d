"""Each test is in one tier, unit tests stay within this process, and together they are quick."""

from __future__ import annotations

import importlib
import socket
import subprocess
import sys
from typing import Any

import pytest

from tests.order import file_of, recorded
from tests.tiers import UNIT_SECONDS_MAX, Guard, WentOutside, mark, tier_of

UNIT_SECONDS = 60.0  # of all unit tests together: half a minute on two cores


class Test:
    """What the derivation asks of a test that pytest has collected."""

    __test__ = False

    def __init__(self, file: str, *fixtures: str) -> None:
        self.nodeid, self.fixturenames, self.marks = f"{file}::test_a", fixtures, []
        importlib.import_module(file.removesuffix(".py").replace("/", "."))

    def get_closest_marker(self, name: str) -> Any:
        return name if name in self.marks else None

    def add_marker(self, name: str) -> None:
        self.marks.append(name)


@pytest.fixture(scope="module")
def guard() -> Guard:
    return Guard()


@pytest.mark.parametrize(
    ("file", "tier"),
    [
        ("tests/core/test_matchers.py", "unit"),
        ("tests/web/test_errors.py", "unit"),
        ("tests/destinations/jira/test_webhook.py", "real"),  # its double
        ("tests/web/slack/test_allowed.py", "real"),
        ("tests/packaging/test_start.py", "real"),  # subprocess
        ("tests/real/test_azurite.py", "real"),
        ("tests/chaos/test_full_house.py", "chaos"),
    ],
)
def test_the_tier_follows_from_the_folder_and_from_what_the_module_knows(file: str, tier: str) -> None:
    assert derived(Test(file)) == tier


def test_a_test_that_asks_for_a_server_or_takes_long_is_no_unit_test() -> None:
    file = "tests/core/test_matchers.py"

    assert derived(Test(file, "azurite")) == "real"
    assert derived(Test(file), {file: UNIT_SECONDS_MAX + 1}) == "real"


def test_a_mark_that_a_test_has_already_stays() -> None:
    test = Test("tests/core/test_matchers.py")
    test.add_marker("real")

    assert derived(test) == "real"


def test_a_unit_test_that_opens_a_port_or_starts_a_process_fails(guard: Guard) -> None:
    with guard.watching():
        with pytest.raises(WentOutside), socket.create_server(("127.0.0.1", 0)):
            pass
        with pytest.raises(WentOutside):
            subprocess.run([sys.executable, "--version"])
    socket.create_server(("127.0.0.1", 0)).close()


def test_every_test_of_this_run_has_one_tier(request: pytest.FixtureRequest) -> None:
    assert [test.nodeid for test in request.session.items if tier_of(test) is None] == []


def test_all_unit_tests_together_are_quick(request: pytest.FixtureRequest) -> None:
    files = {file_of(test.nodeid) for test in request.session.items if tier_of(test) == "unit"}

    assert sum(recorded().get(file, 0.0) for file in files) < UNIT_SECONDS


def derived(test: Any, seconds: dict[str, float] | None = None) -> str | None:
    mark([test], seconds or {})
    return tier_of(test)
