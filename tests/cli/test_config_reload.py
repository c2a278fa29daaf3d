"""`outage config reload`: by the running app's API, else by the store that its processes look into."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cli.runner import Terminal
from tests.real.product import Product
from tests.waiting import wait_for

TOKEN = "a-long-token-of-the-operators"
CONFIG: dict[str, Any] = {"destinations": {"chat": {"kind": "console"}}, "rules": [{"name": "all", "send": ["chat"]}]}
OTHER = {**CONFIG, "destinations": {"chat": {"kind": "console"}, "other": {"kind": "console"}}}
Start = Callable[..., Product]


@pytest.fixture
def start(tmp_path: Path, end_of_test: ExitStack) -> Start:
    def run(**variables: str) -> Product:
        product = Product(tmp_path / "product", CONFIG, **variables)
        product.start()
        end_of_test.callback(product.stop)
        return product

    return run


def reloaded(product: Product) -> bool:
    return "config_reloaded" in product.log.read_text()


def test_the_running_app_takes_the_file_and_says_what_has_changed(start: Start) -> None:
    variables = {"API_TOKENS": f"ops:admin:{TOKEN}"}
    product = start(**variables)
    terminal = Terminal(product.folder, OTHER, PORT=str(product.port), **variables)

    answer = terminal.run("config", "reload")

    assert (answer.exit_code, answer.output) == (0, "config.json is reloaded\nadded: destination other\n")
    assert reloaded(product)
    assert "no part of it has changed" in terminal.run("config", "reload").output
    assert json.loads(terminal.run("config", "reload", "--json").stdout)["added"] == []


def test_without_a_token_the_processes_hear_of_it_through_the_store(start: Start) -> None:
    product = start(API_TOKENS=f"ops:admin:{TOKEN}")
    terminal = Terminal(product.folder, OTHER, PORT=str(product.port))

    answer = terminal.run("config", "reload")

    assert answer.exit_code == 0, answer.output
    assert "within seconds" in answer.output
    wait_for(lambda: reloaded(product), seen=product.log.read_text)


def test_a_wrong_file_is_refused_before_any_process_is_asked(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, {**CONFIG, "rules": [{"name": "all", "send": ["chatt"]}]})

    answer = terminal.run("config", "reload")

    assert answer.exit_code == 1
    assert 'rules[0].send: "chatt" is not a destination' in answer.output
