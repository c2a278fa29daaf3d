"""A template of a user that failed is a warning of the page until it works again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service_event_checker.engine.services import Services
from service_event_checker.render import own
from service_event_checker.web.status.warnings import warnings
from tests.factories import NOW, event
from tests.web.conftest import MakeApp


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    own.use({})


def test_it_is_named_with_its_path_and_line_and_the_built_in_text_was_sent(
    make_app: MakeApp, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "templates" / "chat"
    folder.mkdir(parents=True)
    (folder / "any.txt").write_text("{% if alert.source == 'github' %}{{ 1 / 0 }}{% else %}fine{% endif %}")
    services: Services = make_app(TEMPLATES_DIR=str(tmp_path / "templates")).extensions["services"]
    services.pipeline.ingest([event()], NOW)

    services.outbox.drain("chat")

    assert "Disruption with some GitHub services" in capsys.readouterr().out
    (warning,) = [each for each in warnings(services, NOW) if "template" in each]
    assert warning.startswith(f"chat: the template {folder / 'any.txt'} failed at ")
    assert "Line 1: ZeroDivisionError" in warning
