"""Who sends to Alertmanagers sends to the product: a real Prometheus without an Alertmanager, and amtool."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from tests.conftest import require
from tests.real.parts import AMTOOL
from tests.real.product import Product
from tests.real.prometheus import TARGET_DOWN, Prometheus, watching
from tests.real.server import free_port
from tests.real.test_prometheus import Target
from tests.waiting import wait_for

TOKEN, READER = "canary-of-the-senders", "canary-of-the-reader"
CONFIG: dict[str, Any] = {
    "destinations": {"chat": {"kind": "console"}},
    "rules": [{"name": "all", "send": ["chat"]}],
}


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    server = Product(tmp_path / "product", CONFIG, WEBHOOK_TOKEN_ALERTMANAGER=TOKEN, API_TOKENS=f"test:read:{READER}")
    server.start()
    yield server
    server.stop()


def ask(product: Product, path: str) -> Any:
    request = Request(product.url + path, headers={"Authorization": f"Bearer {READER}"})  # noqa: S310  # our own
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def alerts(product: Product) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(product, "/api/v1/alerts")["alerts"]
    return found


def test_prometheus_opens_one_alert_and_closes_it(
    product: Product, start_prometheus: Callable[[str], Prometheus]
) -> None:
    port = free_port()
    config = json.loads(watching(f"127.0.0.1:{port}", urlsplit(product.url).netloc))
    config["alerting"]["alertmanagers"][0]["authorization"] = {"credentials": TOKEN}

    start_prometheus(json.dumps(config))
    wait_for(lambda: [alert["status"] for alert in alerts(product)] == ["firing"], seen=lambda: alerts(product))
    with Target(port):
        wait_for(lambda: [alert["status"] for alert in alerts(product)] == ["resolved"], seen=lambda: alerts(product))

    (found,) = alerts(product)
    assert (found["title"], found["severity"], found["episode"]) == (
        f"{TARGET_DOWN}: 127.0.0.1:{port} cannot be scraped",
        "critical",
        1,
    )
    steps = ask(product, f"/api/v1/alerts/{found['id']}")["timeline"]
    changes = [step["why"] for step in steps if not step["receiver"]]
    assert changes == ["opened", "resolved by the source"]


def test_amtool_adds_an_alert_and_finds_it(product: Product, tmp_path: Path) -> None:
    require(AMTOOL)

    def amtool(token: str, *command: str) -> str:
        http = tmp_path / "http.yml"
        http.write_text(json.dumps({"authorization": {"credentials": token}}))
        place = [f"--alertmanager.url={product.url}", f"--http.config.file={http}"]
        return subprocess.run(
            [str(AMTOOL.find()), *place, *command], capture_output=True, text=True, timeout=30, check=True
        ).stdout

    amtool(TOKEN, "alert", "add", "alertname=DiskFull", "instance=db-1", "--annotation=summary=no space")
    shown = amtool(READER, "alert", "query", "instance=~db-.", "-o", "json")

    (found,) = alerts(product)
    assert (found["status"], found["title"]) == ("firing", "DiskFull: no space")
    assert [each["labels"] for each in json.loads(shown)] == [{"alertname": "DiskFull", "instance": "db-1"}]
    assert json.loads(amtool(READER, "alert", "query", "instance=web-1", "-o", "json")) == []
