"""Log lines go where `cli.main` sends them: nowhere, but for errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from service_event_checker import logs


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    logs.set_up(level="ERROR")
    yield
    structlog.configure(**before)
    root.handlers[:], root.level = handlers, level
