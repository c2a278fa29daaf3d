"""Which of three tiers a test belongs to: `unit` (at once), `real` (servers, sockets, processes), `chaos` (kills).

It is derived: `chaos` by the folder; `real` where the test's module, or a module of the tests that it takes from,
knows servers, sockets or processes, or where its file takes long; `unit` is the rest. A unit test that opens a
connection or starts a process all the same fails.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import PurePath
from types import ModuleType
from typing import Any

import pytest

from tests.order import file_of

TIERS = {
    "unit": "quick, in this process alone: no server, no connection, no other process",
    "real": "needs real parts, doubles over sockets or other processes, or takes long",
    "chaos": "kills the product or what it works with",
}
#: seconds of a file; the tests of longer ones are no unit tests, so that all of these take less than 60 together
UNIT_SECONDS_MAX = 2.0
#: fixtures of tests/conftest.py that start a server
SERVERS = frozenset(
    {
        "azurite",
        "breakable_azurite",
        "start_alertmanager",
        "start_prometheus",
        "redmine",
        "postgresql",
        "mariadb",
        "redis",
    }
)
#: modules of which a unit test knows nothing
OUTSIDE = ("subprocess", "socket", "socketserver", "http.server", "tests.doubles", "tests.real", "tests.destinations")
#: how a test leaves its process
OUTWARD: Sequence[tuple[Any, str]] = (
    (socket.socket, "bind"),
    (socket.socket, "connect"),
    (subprocess.Popen, "__init__"),
    (os, "fork"),
)


def mark(tests: list[pytest.Item], seconds: Mapping[str, float]) -> None:
    """Give each test the mark of its tier; one that it has already stays."""
    known: dict[str, bool] = {}
    for test in tests:
        if tier_of(test) is None:
            test.add_marker(_derived(test, seconds, known))


def tier_of(test: pytest.Item) -> str | None:
    """Return the tier that the test is marked with; None when it has no such mark."""
    return next((tier for tier in TIERS if test.get_closest_marker(tier)), None)


def _derived(test: pytest.Item, seconds: Mapping[str, float], known: dict[str, bool]) -> str:
    file = PurePath(file_of(test.nodeid))
    if "chaos" in file.parts:
        return "chaos"
    if seconds.get(str(file), 0.0) > UNIT_SECONDS_MAX or SERVERS.intersection(getattr(test, "fixturenames", ())):
        return "real"
    beside = [".".join((*folder.parts, "conftest")) for folder in file.parents if len(folder.parts) > 1]
    names = [".".join(file.with_suffix("").parts), *beside]
    return "real" if any(_knows_outside(name, known) for name in names) else "unit"


def _knows_outside(name: str, known: dict[str, bool]) -> bool:
    """Tell whether this is a module from outside, or one of the tests that takes something from such a module."""
    if any(name == outside or name.startswith(f"{outside}.") for outside in OUTSIDE):
        return True
    if not name.startswith("tests.") or name not in sys.modules or name == "tests.conftest":
        return False
    if name not in known:
        known[name] = False  # for modules that take from each other
        homes = {_home(value) for value in vars(sys.modules[name]).values()}
        known[name] = any(_knows_outside(home, known) for home in homes - {name})
    return known[name]


def _home(value: object) -> str:
    home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
    return home if isinstance(home, str) else ""


class WentOutside(Exception):
    """A test of the tier `unit` opened a connection or started a process."""


class Guard:
    """Holds unit tests to what they are, in the thread of the tests.

    It takes the place of the calls themselves. An audit hook would see more, but with one, threads cannot start while
    coverage traces.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    @contextmanager
    def watching(self) -> Iterator[None]:
        with ExitStack() as calls:
            for place, name in OUTWARD:
                calls.enter_context(self._refusing(place, name))
            yield

    @contextmanager
    def _refusing(self, place: Any, name: str) -> Iterator[None]:
        given = getattr(place, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            # Threads that an earlier test has left behind are not this test's.
            if threading.get_ident() == self._thread:
                raise WentOutside(f"{name}: this is not a unit test; tests/tiers.py says what makes it another")
            return given(*args, **kwargs)

        setattr(place, name, call)
        try:
            yield
        finally:
            setattr(place, name, given)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if tier_of(item) != "unit":
            return (yield)
        with self.watching():
            return (yield)
