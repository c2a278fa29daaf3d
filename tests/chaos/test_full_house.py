"""A store that hangs holds those who wait for it, and nobody else: who only reads is answered in Slack's time."""

from __future__ import annotations

import json
import sqlite3
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

from tests.doubles.statuspages import StatusPages
from tests.real.product import Product

SLACKS_PATIENCE = 3.0  # docs.slack.dev/interactivity/implementing-slash-commands
WAITING = 12


def test_many_who_wait_for_the_store_delay_nobody_else(tmp_path: Path) -> None:
    with StatusPages() as pages:
        checker = {"kind": "statuspage", "url": pages.page("github").url, "every": "1s"}
        pages.open_incident("github", "inc1", "Actions are slow", impact="major")
        product = Product(tmp_path, {"checkers": {"github": checker}, "destinations": {}, "rules": []})
        product.start()
        change = f"/api/v1/alerts/{first_alert(product)}/status"
        with (
            closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other,
            ThreadPoolExecutor(WAITING) as people,
        ):
            other.execute("BEGIN IMMEDIATE")
            waiting = [people.submit(call, product, change, b'{"status": "resolved"}') for _ in range(WAITING)]
            time.sleep(0.5)  # until all of them are inside; the product shows it nowhere

            began = time.monotonic()
            call(product, "/livez")
            call(product, "/api/v1/alerts")
            passed = time.monotonic() - began

            assert not any(one.done() for one in waiting)
            assert passed < SLACKS_PATIENCE
        product.stop()


def first_alert(product: Product) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for alert in json.loads(call(product, "/api/v1/alerts")).get("alerts", ()):
            return str(alert["id"])
        time.sleep(0.1)  # between looks
    raise AssertionError(product.log.read_text()[-2000:])


def call(product: Product, path: str, body: bytes | None = None) -> bytes:
    """Ask the product; b"{}" where it refuses."""
    method, headers = ("PUT", {"Content-Type": "application/json"}) if body else ("GET", {})
    request = urllib.request.Request(product.url + path, body, headers, method=method)  # noqa: S310
    with (
        suppress(urllib.error.HTTPError),
        urllib.request.urlopen(request, timeout=30) as answer,  # noqa: S310  # loopback
    ):
        return bytes(answer.read())
    return b"{}"
