"""`outage test`: what was proven, what is wrong and what to do; nothing is created."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.runner import Terminal
from tests.destinations.slack.double import Slack


@pytest.fixture
def chat() -> Iterator[Slack]:
    with Slack() as running:
        yield running


@pytest.fixture
def terminal(chat: Slack, tmp_path: Path) -> Terminal:
    destinations = {
        "slack": {"kind": "slack", "url": chat.api_url, "token": "env:TOKEN", "timeout": "2s"},
        "console": {"kind": "console"},
        "jira": {"kind": "jira", "url": "env:NO_URL"},
    }
    return Terminal(tmp_path, {"destinations": destinations}, TOKEN=chat.token)


def test_a_destination_that_works_is_shown_with_what_was_proven(terminal: Terminal, chat: Slack) -> None:
    answer = terminal.run("test", "slack")

    assert answer.exit_code == 0
    assert answer.output.splitlines()[:3] == [
        "✓ slack: works",
        "    ✓ the token is valid",
        "    ✓ the bot is a member of #outages",
    ]
    assert chat.messages == []


def test_what_is_wrong_is_shown_with_the_remedy(terminal: Terminal, chat: Slack) -> None:
    chat.token = "xoxb-another"

    answer = terminal.run("test", "slack")

    assert answer.exit_code == 1
    assert answer.output.startswith("✗ slack: fails, unauthorized (auth.test: invalid_auth")
    assert "→ correct the credentials" in answer.output


def test_all_that_are_on_are_tested_and_one_that_is_off_says_why(terminal: Terminal) -> None:
    every = json.loads(terminal.run("test", "--all", "--json").stdout)["tests"]
    off = terminal.run("test", "jira")

    assert [(each["name"], each["result"]) for each in every] == [("slack", "works"), ("console", "works")]
    assert (off.exit_code, off.output.startswith("✗ jira: off, ")) == (1, True)


def test_one_message_is_sent_on_request(terminal: Terminal, chat: Slack) -> None:
    answer = terminal.run("test", "slack", "--send")

    assert (answer.exit_code, len(chat.roots())) == (0, 1)
    assert "a message marked TEST was accepted: https://" not in answer.output  # no preflight, so no address


@pytest.mark.parametrize("words", [["nobody"], [], ["--all", "--send"]])
def test_what_cannot_be_tested_is_a_usage_error(words: list[str], terminal: Terminal) -> None:
    answer = terminal.run("test", *words)

    assert answer.exit_code == 2
