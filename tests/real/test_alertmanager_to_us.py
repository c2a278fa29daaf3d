"""A real Alertmanager sends to the real product: its alerts come, end, and come late where we were away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from service_event_checker.sources.alertmanager.webhook import fingerprint
from tests.real.alertmanager import Alertmanager, telling
from tests.real.product import Product
from tests.real.server import free_port

TOKEN = "canary-of-alertmanager"
CONFIG: dict[str, Any] = {
    "destinations": {"chat": {"kind": "console"}},
    "rules": [{"name": "none", "match": ['alertname="nothing"'], "send": ["chat"]}],
}
PATIENCE = 60  # seconds; a failed notification is tried again after a while only


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    server = Product(tmp_path / "product", CONFIG, WEBHOOK_TOKEN_ALERTMANAGER=TOKEN)
    server.start()
    yield server
    server.stop()


def eventually(look: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not look() and time.monotonic() < deadline:
        time.sleep(0.1)
    return look()


def found(product: Product, query: str = "") -> list[dict[str, Any]]:
    with urlopen(f"{product.url}/api/v1/alerts?limit=500{query}", timeout=10) as answer:  # noqa: S310  # our own
        alerts: list[dict[str, Any]] = json.load(answer)["alerts"]
    return alerts


def statuses(product: Product) -> list[str]:
    try:
        return [alert["status"] for alert in found(product)]
    except OSError:  # not up yet
        return []


def test_an_alert_comes_with_its_token_and_goes(
    product: Product, start_alertmanager: Callable[[str], Alertmanager]
) -> None:
    labels = {"alertname": "HighLatency", "instance": "web1", "severity": "page"}
    sender = start_alertmanager(telling(f"{product.url}/alert", token=TOKEN))

    sender.fire(**labels)
    assert eventually(lambda: statuses(product) == ["firing"])
    (alert,) = found(product)
    assert (alert["fingerprint"], alert["severity"]) == (fingerprint(labels), "critical")
    assert alert["title"] == "HighLatency fires"

    sender.resolve(**labels)
    assert eventually(lambda: statuses(product) == ["resolved"])


def test_what_was_sent_while_we_were_away_comes_when_we_are_back(
    product: Product, start_alertmanager: Callable[[str], Alertmanager]
) -> None:
    sender = start_alertmanager(telling(f"{product.url}/webhook", token=TOKEN))
    product.kill()

    sender.fire(alertname="WhileAway")
    assert eventually(lambda: "connection refused" in sender.log.read_text())
    product.start()

    assert eventually(lambda: statuses(product) == ["firing"])


def test_one_that_does_not_know_the_token_changes_nothing(
    product: Product, start_alertmanager: Callable[[str], Alertmanager]
) -> None:
    wrong = start_alertmanager(telling(f"{product.url}/alert", token="another"))
    right = start_alertmanager(telling(f"{product.url}/alert", token=TOKEN))

    wrong.fire(alertname="Stranger")
    right.fire(alertname="Friend")

    assert eventually(lambda: statuses(product) == ["firing"])
    assert eventually(lambda: "401" in wrong.log.read_text())
    assert [alert["title"] for alert in found(product)] == ["Friend fires"]


def test_alerts_that_it_leaves_out_are_fetched_by_their_way_in(
    tmp_path: Path, start_alertmanager: Callable[[str], Alertmanager]
) -> None:
    port = free_port()
    sender = start_alertmanager(telling(f"http://127.0.0.1:{port}/webhook", max_alerts=1))
    product = Product(
        tmp_path / "asking",
        CONFIG | {"sources": {"alertmanager": {"kind": "alertmanager"}}},
        ALERTMANAGER_URL=sender.url,
    )
    product.port = port
    product.start()
    try:
        sender.post_alerts(*[{"labels": {"alertname": "Many", "instance": str(number)}} for number in range(5)])

        assert eventually(lambda: statuses(product) == ["firing"] * 5)
        assert {alert["fingerprint"] for alert in found(product)} == {each["fingerprint"] for each in sender.alerts()}
    finally:
        product.stop()
