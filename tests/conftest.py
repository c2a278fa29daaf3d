"""Session fixtures for the real parts: each starts when a test first asks for it, and skips where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.azurite import Azurite
from tests.real.parts import AZURITE, Part, all_are_required


def require(part: Part) -> None:
    """Skip the test when the part is missing, saying how to get it; fail where all parts are required."""
    if part.find() is not None:
        return
    if all_are_required():
        pytest.fail(part.reason())
    pytest.skip(part.reason())


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """One Azurite for all tests; `azurite.new_account()` gives each test tables of its own. Do not break it."""
    require(AZURITE)
    server = Azurite(tmp_path_factory.mktemp("azurite"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def breakable_azurite(tmp_path: Path) -> Iterator[Azurite]:
    """An Azurite of the test's own, to kill, pause and restart; it keeps its tables over a clean stop."""
    require(AZURITE)
    server = Azurite(tmp_path / "azurite", persistent=True)
    server.start()
    yield server
    server.stop()
