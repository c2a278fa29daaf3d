"""What the real product needs of memory: while large bodies are offered at once, and after a storm of alerts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from service_event_checker.web.webhooks.alertmanager import BODY_MAX
from tests.real.product import Product

AT_ONCE = 32
PEAK_MAX = 400  # MB of one process; the largest body costs some 220 beside the 90 of an idle process
STORM, MESSAGES = 20_000, 200
SHARE_MAX = 120  # MB of one process, what it shares with others counted in part; some 100 were measured


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    config = {"checkers": {}, "destinations": {"chat": {"kind": "console"}}, "rules": []}
    product = Product(tmp_path / "product", config)
    product.start()
    yield product
    product.stop()


def many_labels() -> bytes:
    """One alert with as many labels as 8 MiB hold: few bodies of this size become more when they are parsed."""
    labels = {f"{number:06x}": f"{number:x}" for number in range(BODY_MAX // 19)}
    body = json.dumps({"alerts": [{"status": "firing", "labels": labels}]}, separators=(",", ":")).encode()
    return body.ljust(BODY_MAX)


def many_lists() -> bytes:
    return (b'{"alerts":[' + b"[]," * (BODY_MAX // 3 - 10) + b"[]]}").ljust(BODY_MAX)


def some_alerts(message: int) -> bytes:
    alerts = [
        {"status": "firing", "labels": {"alertname": "HighLatency", "instance": f"web-{message}-{number}"}}
        for number in range(STORM // MESSAGES)
    ]
    return json.dumps({"alerts": alerts}).encode()


def post(product: Product, body: bytes) -> int:
    request = Request(f"{product.url}/alert", body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urlopen(request, timeout=60) as answer:  # noqa: S310  # our own loopback address
            return int(answer.status)
    except HTTPError as error:
        return error.code if error.code != 503 or error.headers["Retry-After"] else -1
    except (URLError, ConnectionError):
        return 0  # cut off while it sent


def sizes(product: Product, file: str, name: str) -> list[float]:
    """Return what /proc says of each of the product's processes, in MB."""
    children = Path(f"/proc/{product.pid}/task/{product.pid}/children").read_text().split()
    found = [Path(f"/proc/{pid}/{file}").read_text() for pid in (str(product.pid), *children)]
    return [int(re.findall(rf"{name}:\s+(\d+) kB", text)[0]) / 1000 for text in found]


def test_many_of_the_largest_bodies_at_once_stay_within_the_memory_of_a_small_machine(product: Product) -> None:
    bodies = [many_labels(), many_lists()] * (AT_ONCE // 2)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        statuses = Counter(pool.map(lambda body: post(product, body), bodies))

    assert max(sizes(product, "status", "VmHWM")) < PEAK_MAX
    assert statuses[200] >= 1, statuses
    assert set(statuses) <= {0, 200, 400, 503}, statuses


def test_a_storm_of_alerts_leaves_a_process_small(product: Product) -> None:
    with ThreadPoolExecutor(16) as pool:
        statuses = Counter(pool.map(lambda number: post(product, some_alerts(number)), range(MESSAGES)))

    assert statuses == {200: MESSAGES}
    assert max(sizes(product, "smaps_rollup", "Pss")) < SHARE_MAX
