"""Session fixtures for the real parts: each starts when a test first asks for it, and skips where it is missing.

Several workers have one of each: servers choose their ports and folders, and share none.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from service_event_checker import plugins
from service_event_checker.config.load import Config
from service_event_checker.render import names
from tests import order, said, tiers
from tests.real.alertmanager import Alertmanager
from tests.real.azurite import Azurite
from tests.real.databases import MariaDB, PostgreSQL
from tests.real.parts import (
    ALERTMANAGER,
    AZURITE,
    MARIADB,
    POSTGRESQL,
    PROMETHEUS,
    REDIS,
    REDMINE,
    Part,
    all_are_required,
)
from tests.real.prometheus import Prometheus
from tests.real.redis import Redis
from tests.real.redmine import Redmine
from tests.real.redmine_folder import private_folder
from tests.real.server import Server

RECORDER = "recorder of durations"

#: how long an example takes says how busy the machine is, and nothing about the code
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="write tests/durations.json anew")


def pytest_configure(config: pytest.Config) -> None:
    for tier, what in tiers.TIERS.items():
        config.addinivalue_line("markers", f"{tier}: {what}")
    config.pluginmanager.register(tiers.Guard())
    if config.getoption("record") and not is_worker(config):
        config.pluginmanager.register(order.Recorder(), RECORDER)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seconds = order.recorded()
    tiers.mark(items, seconds)
    if is_worker(config):
        items[:] = order.longest_first(items, seconds)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if is_worker(session.config):
        session.config.workeroutput["said"] = said.LINES
    if recorder := session.config.pluginmanager.get_plugin(RECORDER):
        recorder.write()


def is_worker(config: pytest.Config) -> bool:
    """Tell whether this is one of several processes that pytest-xdist has started."""
    return hasattr(config, "workerinput")


@pytest.hookimpl(optionalhook=True)  # pytest-xdist's: a worker is done
def pytest_testnodedown(node: Any) -> None:
    said.LINES += getattr(node, "workeroutput", {}).get("said", ())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in said.LINES:
        terminalreporter.write_line(line)


# As wiring does, for tests without it.
names.use({**plugins.display_names(Config((), (), (), (), ())), "alertmanager": "Alertmanager"})


def require(part: Part) -> None:
    """Skip the test when the part is missing, saying how to get it; fail where all parts are required."""
    if part.find() is not None:
        return
    if all_are_required():
        pytest.fail(part.reason())
    pytest.skip(part.reason())


AnyServer = TypeVar("AnyServer", bound=Server)


def _start(server: AnyServer, until: ExitStack) -> AnyServer:
    until.callback(server.stop)
    server.start()
    return server


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """One Azurite for all tests; `azurite.new_account()` gives each test tables of its own. Do not break it."""
    require(AZURITE)
    server = Azurite(tmp_path_factory.mktemp("azurite"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One PostgreSQL for all tests; `new_database()` gives each test one of its own. Do not break it."""
    require(POSTGRESQL)
    with private_folder("postgresql-") as folder:
        server = PostgreSQL(folder)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def redis() -> Iterator[Redis]:
    """A Redis of the test's own, which it may flush, kill and freeze."""
    require(REDIS)
    with private_folder("redis-") as folder:
        server = Redis(folder)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """One MariaDB for all tests; `new_database()` gives each test one of its own. Do not break it."""
    require(MARIADB)
    with private_folder("mariadb-") as folder:
        server = MariaDB(folder)
        server.start()
        yield server
        server.stop(signal.SIGTERM)


@pytest.fixture
def breakable_azurite(tmp_path: Path) -> Iterator[Azurite]:
    """An Azurite of the test's own, to kill, pause and restart; it keeps its tables over a clean stop."""
    require(AZURITE)
    server = Azurite(tmp_path / "azurite", persistent=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def start_alertmanager(end_of_test: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Alertmanager]:
    """Start an Alertmanager of the test's own, given the text of its configuration; it ends with the test.

    `port`: the one to listen on, where others have to know it beforehand.
    """
    require(ALERTMANAGER)

    def start(config: str, port: int = 0) -> Alertmanager:
        made = Alertmanager(tmp_path_factory.mktemp("alertmanager"), config)
        made.port = port
        return _start(made, end_of_test)

    return start


@pytest.fixture
def start_prometheus(end_of_test: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Prometheus]:
    """Start a Prometheus of the test's own, given the text of its configuration; it ends with the test."""
    require(PROMETHEUS)
    return lambda config: _start(Prometheus(tmp_path_factory.mktemp("prometheus"), config), end_of_test)


@pytest.fixture
def end_of_test() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def _the_redmine() -> Iterator[Redmine]:
    require(REDMINE)
    with private_folder() as folder:
        server = Redmine(folder)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def redmine(_the_redmine: Redmine) -> Iterator[Redmine]:
    """One Redmine for all tests; `redmine.new_project()` is the test's own. Break it freely: it is mended after."""
    yield _the_redmine
    _the_redmine.mend()
