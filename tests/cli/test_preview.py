"""`outage preview`: what people would read, by which template; and what is wrong with one stops the start."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service_event_checker.engine.outbox import Outbox
from service_event_checker.render import own, voice
from tests.cli.runner import Terminal
from tests.factories import event


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    own.use({})
    voice.use({})


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    folder = tmp_path / "templates" / "chat"
    folder.mkdir(parents=True)
    (folder / "any.txt").write_text("{{ alert.title }} {{ alert.severity | word }} {{ notice.state }}")
    destinations = {"chat": {"kind": "console", "language": "zh", "time_zone": "Asia/Shanghai"}}
    rules = [{"name": "all", "send": ["chat"]}]
    config = {"destinations": destinations, "rules": rules}
    return Terminal(tmp_path, config, TEMPLATES_DIR=str(tmp_path / "templates"))


def test_a_preview_shows_the_sample_in_the_template_and_language_of_the_destination(
    terminal: Terminal, tmp_path: Path
) -> None:
    answer = terminal.run("preview", "chat", "--verb", "close")

    path = tmp_path / "templates/chat/any.txt"
    assert (
        answer.output
        == f"== txt ({path})\n[TEST] Test message, nothing has happened · web-1 提示 已恢复，持续 5 分钟\n\n"
    )


def test_a_preview_takes_an_alert_of_ours_labels_or_a_message(terminal: Terminal) -> None:
    terminal.services.pipeline.ingest([event()], datetime.now(UTC))
    message = {"alerts": [{"status": "firing", "labels": {"alertname": "DiskFull", "severity": "critical"}}]}

    shown = [
        json.loads(terminal.run("preview", "chat", *words, "--json").stdout)["parts"][0]["text"]
        for words in (["--alert", "8zc63m64hy36"], ["alertname=Slow", "severity=error"], [json.dumps(message)])
    ]

    assert shown == ["Disruption with some GitHub services 错误 告警中", "Slow 错误 告警中", "DiskFull 严重 告警中"]


def test_a_built_in_text_is_named_as_such(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "templates/chat/any.txt").unlink()

    assert terminal.run("preview", "chat").output.startswith("== txt (built-in)\n🔵 [TEST] 提示 · Test message")


@pytest.mark.parametrize("words", [["nobody"], ["chat", "a=b", "--alert", "x"], ["chat", "--verb", "run"]])
def test_what_cannot_be_shown_is_a_usage_error(words: list[str], terminal: Terminal) -> None:
    assert terminal.run("preview", *words).exit_code == 2


def test_a_wrong_template_stops_the_start_with_path_line_and_remedy(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "templates/chat/open.txt").write_text("fine\n{{ alert.titel }}")

    answer = terminal.run("config", "check")

    path = tmp_path / "templates/chat/open.txt"
    assert answer.exit_code == 1
    assert "TEMPLATES_DIR cannot be used:" in answer.output
    assert f"{path}:2: " in answer.output
    assert terminal.run("preview", "chat").exit_code == 1


def test_a_delivery_is_written_by_the_template_in_the_language_of_the_destination(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    services = terminal.services
    services.pipeline.ingest([event()], datetime.now(UTC))
    outbox: Outbox = services.outbox

    outbox.drain("chat")

    assert "Disruption with some GitHub services 错误 告警中" in capsys.readouterr().out


@pytest.mark.parametrize("key", [{"language": "fr"}, {"time_zone": "Mars/Olympus"}, {"time_zone": "../../etc/passwd"}])
def test_an_unknown_language_or_time_zone_is_a_mistake_of_the_configuration(
    key: dict[str, str], tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path, {"destinations": {"chat": {"kind": "console", **key}}})

    answer = terminal.run("config", "check")

    assert answer.exit_code == 1
    assert f"destinations.chat.{next(iter(key))}: " in answer.output
