"""`outage` beside a running app: what people do goes through its API, where it has the same store."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.core.model import Alert
from service_event_checker.core.store import Failed
from service_event_checker.core.vocabulary import Status
from tests.cli.runner import Terminal
from tests.doubles.statuspages import StatusPages
from tests.factories import event
from tests.real.product import Product
from tests.real.server import START_SECONDS

TOKEN = "a-long-token-of-the-operators"
Start = Callable[..., Product]


@pytest.fixture
def pages() -> Iterator[StatusPages]:
    with StatusPages() as pages:
        pages.page("github")
        yield pages


@pytest.fixture
def config(pages: StatusPages) -> dict[str, Any]:
    return {
        "checkers": {"github": {"kind": "statuspage", "url": f"{pages.url}/page/github", "every": "1h"}},
        "destinations": {"chat": {"kind": "console"}},
        "rules": [{"name": "all", "send": ["chat"]}],
    }


@pytest.fixture
def start(tmp_path: Path, config: dict[str, Any], end_of_test: ExitStack) -> Start:
    def run(name: str = "product", **variables: str) -> Product:
        product = Product(tmp_path / name, config, **variables)
        product.start()
        end_of_test.callback(product.stop)
        return product

    return run


def beside(product: Product, config: dict[str, Any], **variables: str) -> Terminal:
    """Return a terminal with the environment of a product."""
    return Terminal(product.folder, config, PORT=str(product.port), **variables)


def opened(terminal: Terminal, title: str = "own") -> Alert:
    happened = event(fingerprint=title, source="shop")
    return terminal.services.pipeline.ingest([happened], datetime.now(UTC))[happened.key]


def until_it_polls(terminal: Terminal) -> None:
    """Wait until the app has left its first heartbeat, which takes it a moment."""
    until = time.monotonic() + START_SECONDS
    while not json.loads(terminal.run("status", "--json").stdout)["running"]:
        assert time.monotonic() < until


def test_a_copy_of_the_store_is_not_mistaken_for_that_of_the_app(
    start: Start, config: dict[str, Any], tmp_path: Path
) -> None:
    product = start()
    live = beside(product, config)
    alert = opened(live)
    copy = tmp_path / "staging.db"
    assert live.run("backup", str(copy)).exit_code == 0
    (tmp_path / "staging").mkdir()
    staging = Terminal(tmp_path / "staging", config, PORT=str(product.port), DATABASE_URL=f"sqlite:///{copy}")

    answer = staging.run("resolve", alert.internal_id)

    assert answer.exit_code == 0, answer.output
    assert staging.services.store.get([alert.key])[alert.key].status is Status.RESOLVED
    assert live.services.store.get([alert.key])[alert.key].status is Status.FIRING


def test_acts_go_through_the_api_of_the_app_that_runs(start: Start, config: dict[str, Any]) -> None:
    tokens = f"eye:read:{'e' * 20};ops:read,write,act:{TOKEN}"
    terminal = beside(start(API_TOKENS=tokens), config, API_TOKENS=tokens)
    alert = opened(terminal)

    answers = [
        terminal.run(*words)
        for words in (
            ("ack", alert.internal_id),
            ("note", alert.internal_id, "we fail over by hand"),
            ("resolve", alert.internal_id, "--note", "rolled back"),
        )
    ]

    assert [answer.exit_code for answer in answers] == [0, 0, 0], [answer.output for answer in answers]
    steps = terminal.services.store.timeline(alert.key)
    assert {step.actor for step in steps if step.note} == {f"{getpass.getuser()} (ops)"}
    found = terminal.services.store.get([alert.key])[alert.key]
    assert (found.status, found.owner) == (Status.RESOLVED, f"{getpass.getuser()} (ops)")
    refused = terminal.run("unack", alert.internal_id)
    assert refused.stderr.startswith(f"Error: {alert.internal_id} cannot become active")


def test_an_act_on_many_goes_through_the_api_of_the_app_that_runs(start: Start, config: dict[str, Any]) -> None:
    tokens = f"ops:read,write:{TOKEN}"
    terminal = beside(start(API_TOKENS=tokens), config, API_TOKENS=tokens)
    found = [opened(terminal, title) for title in ("one", "two")]

    answer = terminal.run("ack", "--filter", 'source="shop"')

    assert "2 changed" in answer.output
    now = terminal.services.store.get({alert.key for alert in found})
    assert {alert.owner for alert in now.values()} == {f"{getpass.getuser()} (ops)"}


def test_where_the_app_lets_the_person_not_in_the_store_is_written(start: Start, config: dict[str, Any]) -> None:
    product = start(API_TOKENS=f"ops:admin:{TOKEN}")
    for variables in ({}, {"API_TOKENS": f"ops:admin:{TOKEN[::-1]}"}):
        terminal = beside(product, config, **variables)
        alert = opened(terminal, f"{variables}")

        assert terminal.run("ack", alert.internal_id).exit_code == 0

        assert terminal.services.store.get([alert.key])[alert.key].owner == getpass.getuser()


@pytest.mark.parametrize("variables", [{}, {"API_TOKENS": f"ops:admin:{TOKEN}"}])
def test_a_failed_delivery_is_sent_again_by_the_app_with_a_token_or_without(
    start: Start, config: dict[str, Any], tmp_path: Path, variables: dict[str, str]
) -> None:
    (tmp_path / "product").mkdir()
    terminal = Terminal(tmp_path / "product", config, **variables)
    opened(terminal)
    store, later = terminal.services.store, datetime.now(UTC) + timedelta(minutes=1)
    (claimed,) = store.claim("chat", limit=9, owner="me", now=later, until=later)
    store.settle(claimed.delivery, Failed(reason="refused"), later)
    terminal.environ["PORT"] = str(start(**variables).port)

    answer = terminal.run("failed", "--retry", claimed.delivery.id)

    assert (answer.output, answer.exit_code) == (f"{claimed.delivery.id}: queued again\n", 0)
    assert store.failed_deliveries() == []
    until = time.monotonic() + START_SECONDS
    while store.waiting():
        assert time.monotonic() < until


def test_an_app_with_another_store_is_left_alone(start: Start, config: dict[str, Any], tmp_path: Path) -> None:
    other = start("other")
    theirs = beside(other, config)
    (tmp_path / "mine").mkdir()
    mine = Terminal(tmp_path / "mine", config, PORT=str(other.port))
    alert, same = opened(mine), opened(theirs)
    assert alert.internal_id == same.internal_id

    assert mine.run("ack", alert.internal_id).exit_code == 0

    assert mine.services.store.get([alert.key])[alert.key].status is Status.ACKNOWLEDGED
    assert theirs.services.store.get([same.key])[same.key].status is Status.FIRING


def test_doctor_and_status_see_that_it_runs_and_restore_refuses(
    start: Start, config: dict[str, Any], tmp_path: Path
) -> None:
    product = start()
    terminal = beside(product, config)
    until_it_polls(terminal)

    status, doctor = terminal.run("status"), terminal.run("doctor")
    saved = terminal.run("backup", str(tmp_path / "saved.db"))
    restored = terminal.run("restore", str(tmp_path / "saved.db"), "--yes")

    assert f"answers at {product.url}" in doctor.stdout
    assert "app:        running, http" in status.stdout
    assert (doctor.exit_code, "no problems found" in doctor.stdout) == (0, True), doctor.stdout
    assert saved.exit_code == 0, saved.output
    assert restored.exit_code == 1
    assert f"the app runs at {product.url}. Stop it, then restore" in restored.stderr
