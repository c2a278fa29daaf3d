"""How the product starts under Gunicorn: what it prints, and what it refuses."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.real.product import Product
from tests.real.server import free_port

CONFIG: dict[str, Any] = {
    "checkers": {"off": {"kind": "statuspage", "url": "env:NO_SUCH_URL"}},
    "destinations": {"chat": {"kind": "console"}, "tickets": {"kind": "azure_devops"}},
    "rules": [{"name": "all", "send": ["chat"]}],
}
ALERT = {"alerts": [{"status": "firing", "labels": {"alertname": "DiskFull"}}]}


def lines(product: Product) -> list[dict[str, Any]]:
    """The log, as far as it is whole; every line of it has to be JSON."""
    text = product.log.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines() if not line.startswith("---")]


def events(product: Product) -> list[str]:
    return [line["event"] for line in lines(product)]


def status_of(product: Product, path: str) -> int:
    try:
        with urlopen(f"{product.url}{path}", timeout=10) as answer:  # noqa: S310  # our own loopback address
            return int(answer.status)
    except HTTPError as error:
        return error.code


def run(product: Product, port: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start it where it is not to come up; return what it printed."""
    product.port = port or free_port()
    environment = {**product.environment(), **variables}
    return subprocess.run(product.command(), env=environment, capture_output=True, text=True, timeout=60)


def wait_for(product: Product, event: str) -> None:
    until = time.monotonic() + 60
    while event not in events(product):
        assert time.monotonic() < until, f"{event} is missing in {events(product)}"
        time.sleep(0.05)  # between looks


def wait_until_ready(product: Product) -> None:
    """Its jobs may not have run yet where others keep the machine busy."""
    until = time.monotonic() + 60
    while status_of(product, "/readyz") != 200:
        assert time.monotonic() < until, events(product)
        time.sleep(0.05)  # between looks


def test_the_first_request_finds_a_prepared_store(tmp_path: Path) -> None:
    product = Product(tmp_path, CONFIG)
    product.start()

    status = status_of(product, "/api/v1/alerts")
    product.stop()

    assert status == 200
    assert "store_unavailable" not in events(product)


def test_the_start_says_in_few_lines_where_to_look_and_what_is_off(tmp_path: Path) -> None:
    product = Product(tmp_path, CONFIG)
    product.start()
    wait_for(product, "who_may_call")
    product.stop()

    said = {line["event"]: line for line in lines(product) if "logger" not in line and line["level"] != "debug"}
    assert len(said) <= 8
    assert said["started"]["open"] == f"{product.url}/"
    assert said["telling"]["receivers"] == "chat"
    assert said["checkers_off"]["why"] == "off: NO_SUCH_URL is not set"
    assert "tickets: ADO_ORG_URL" in said["destinations_off"]["why"]
    assert said["rules"]["names"] == "all"
    assert "API_TOKENS" in said["who_may_call"]["page_and_api"]
    assert said["api_tokens_not_set"]["level"] == "warning"


def test_a_service_that_only_this_machine_reaches_is_not_warned_of(tmp_path: Path) -> None:
    product = Product(tmp_path, CONFIG)
    plain = product.command()
    product.command = lambda: [*plain, "--bind", f"127.0.0.1:{product.port}"]  # type: ignore[method-assign]
    product.start()
    wait_for(product, "started")
    product.stop()

    assert "api_tokens_not_set" not in events(product)


def test_a_wrong_configuration_is_the_last_thing_printed(tmp_path: Path) -> None:
    done = run(Product(tmp_path, {"checkers": {"x": {"kind": "statuspage", "evry": "60s"}}}))

    assert done.returncode == 3
    assert done.stderr.splitlines()[0] == "config.json cannot be used:"
    assert "checkers.x." in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("PORT", "eighty"),
        ("PORT", "9" * 5000),
        ("WEB_CONCURRENCY", "0"),
        ("RETENTION_DAYS", "99999999999"),
        ("RETENTION_DAYS", "²"),
        ("TRUSTED_PROXIES", "10.0.0.0/99"),
    ],
)
def test_a_number_out_of_range_is_one_line_and_no_traceback(tmp_path: Path, name: str, value: str) -> None:
    done = run(Product(tmp_path, CONFIG), **{name: value})

    first, problem = done.stderr.splitlines()
    assert (done.returncode, first) == (3, "environment cannot be used:")
    assert problem.startswith(f"  {name}: ")


def test_a_port_in_use_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(Product(tmp_path, CONFIG), port)

    *_, last = map(json.loads, done.stderr.splitlines())
    assert (last["event"], last["port"]) == ("port_unavailable", port)
    assert "set PORT" in last["hint"]
    assert len([line for line in done.stderr.splitlines() if '"error"' in line]) == 1


def test_a_database_of_a_newer_version_is_neither_read_nor_written(tmp_path: Path) -> None:
    product = Product(tmp_path, CONFIG)
    product.start()
    status_of(product, "/readyz")
    product.stop()
    with sqlite3.connect(tmp_path / "store.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")

    product.start()
    wait_for(product, "store_unavailable")
    found = [status_of(product, path) for path in ("/livez", "/readyz", "/api/v1/alerts", "/")]
    wrote = alert_status(product)
    product.stop()

    assert (found, wrote) == ([200, 503, 503, 503], 503)
    reason = next(line["reason"] for line in lines(product) if line["event"] == "store_unavailable")
    assert "start the newer version" in reason


def alert_status(product: Product) -> int:
    head = "POST /alert HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    body = json.dumps(ALERT)
    with socket.create_connection(("127.0.0.1", product.port), timeout=10) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        return int(client.recv(100).split()[1])


def test_the_path_of_a_request_is_not_taken_from_a_header(tmp_path: Path) -> None:
    product = Product(tmp_path, CONFIG)
    product.start()
    with socket.create_connection(("127.0.0.1", product.port), timeout=10) as client:
        client.sendall(b"GET /x/livez HTTP/1.1\r\nHost: localhost\r\nSCRIPT_NAME: /x\r\nConnection: close\r\n\r\n")
        first = client.recv(100)
    product.stop()

    assert first.startswith(b"HTTP/1.1 404 ")
