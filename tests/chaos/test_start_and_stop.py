"""The product as people start it: without credentials, with a wrong config, twice on one store, and its demo."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.destinations.slack.double import TOKEN, Slack
from tests.doubles.base import Fault
from tests.doubles.statuspages import StatusPages
from tests.real.product import Product
from tests.real.server import free_port
from tests.root import ROOT
from tests.waiting import wait_for

DEMO_SECONDS = 300  # it takes 20; what it waits for in vain ends it sooner, and says what that was


def config_for(pages: StatusPages, **slack: object) -> dict[str, object]:
    return {
        "checkers": {
            "github": {"kind": "statuspage", "url": f"{pages.url}/page/github", "every": "1s", "timeout": "1s"}
        },
        "destinations": {
            "slack": {"kind": "slack", **slack},
            "azure_devops": {"kind": "azure_devops", "url": "env:ADO_ORG_URL"},
        },
        "rules": [{"name": "outages", "match": ['kind="outage"'], "send": ["slack"]}],
    }


def test_without_credentials_it_starts_says_what_is_off_and_prints_what_it_would_have_told(tmp_path: Path) -> None:
    with StatusPages() as pages:
        pages.page("github")
        pages.open_incident("github", "abc", "Actions are slow", impact="major")
        product = Product(tmp_path, config_for(pages))
        product.start()
        wait_for(lambda: "Actions are slow" in product.log.read_text())
        product.stop()

    log = product.log.read_text()
    assert "SLACK_BOT_TOKEN is not set; messages go to the console" in log
    assert "ADO_ORG_URL, ADO_PROJECT and ADO_PAT are not set" in log


def test_a_wrong_config_stops_the_start_with_the_path_of_the_mistake_and_a_hint(tmp_path: Path) -> None:
    wrong = {"checkers": {"github": {"kind": "statuspage", "url": "https://status.example.com", "evry": "60s"}}}
    product = Product(tmp_path, wrong)
    product.port = free_port()

    done = subprocess.run(product.command(), env=product.environment(), capture_output=True, text=True, timeout=60)

    assert done.returncode != 0
    assert 'checkers.github.evry: is not a known key. Did you mean "every"?' in done.stderr
    assert "Traceback" not in done.stderr


def test_importing_the_app_starts_nothing(tmp_path: Path) -> None:
    script = "import threading, app; print(threading.active_count())"
    config = tmp_path / "config.json"
    config.write_text("{}")
    environment = {**os.environ, "CONFIG_FILE": str(config), "DATABASE_URL": f"sqlite:///{tmp_path}/x/store.db"}

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)

    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr
    assert not (tmp_path / "x" / "store.db").exists()


def test_a_stop_does_not_wait_for_a_vendor_and_slack_that_hang(tmp_path: Path) -> None:
    with StatusPages() as pages, Slack() as slack:
        pages.page("github")
        pages.open_incident("github", "abc", "Actions are slow")
        product = Product(tmp_path, config_for(pages, url=slack.api_url), SLACK_BOT_TOKEN=TOKEN)
        slack.script.extend([Fault.HANG] * 50)
        product.start()
        wait_for(lambda: slack.requests)
        asked, pages.broken["github"] = len(pages.requests), "hang"
        wait_for(lambda: len(pages.requests) > asked)
        product.stop()

    assert not product.forced


def test_two_instances_on_one_store_poll_each_page_once_and_tell_once(tmp_path: Path) -> None:
    with StatusPages() as pages, Slack() as slack:
        pages.page("github")
        config = config_for(pages, url=slack.api_url, rate=50)
        config["checkers"]["github"]["every"] = "2s"  # type: ignore[index]
        store = f"sqlite:///{tmp_path}/shared.db"
        products = [Product(tmp_path / name, config, SLACK_BOT_TOKEN=TOKEN, DATABASE_URL=store) for name in ("a", "b")]
        together([product.start for product in products])
        wait_for(lambda: pages.requests)
        begun, before = time.monotonic(), polls(pages)
        pages.open_incident("github", "abc", "Actions are slow")
        wait_for(lambda: polls(pages) >= before + 4)
        passed = time.monotonic() - begun
        wait_for(lambda: slack.roots())
        together([product.stop for product in products])

    assert polls(pages) - before <= passed / 2 + 2
    assert len(slack.roots()) == 1


def test_the_demo_shows_an_outage_an_alert_and_a_page_from_beginning_to_end() -> None:
    command = [sys.executable, "-m", "tests.doubles.world", "--once", "--beat", "0.1", "--port", "0"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEMO_SECONDS)

    assert done.returncode == 0, done.stdout + done.stderr
    _, outage, alert, page = done.stdout.split("\n— ")
    # Slack and Azure DevOps are told side by side: neither has to be the first
    assert in_order(outage, "message 1", "✅ Resolved", "1 message in Slack, 1 work item.")
    assert in_order(outage, "— New", "— Closed", "1 message in Slack, 1 work item.")
    assert in_order(alert, "fires", "web-1 — New", "repeats", "is resolved", "web-1 — Closed", "1 work item")
    assert in_order(
        page,
        *("Opsgenie, alert 1:", "— open", "PagerDuty, incident 1:", "— triggered"),
        *("PagerDuty, incident 1:", "— acknowledged", "— open, acknowledged", "Acknowledged by Alice Archer"),
        *("PagerDuty, note 1", "Opsgenie, note 2", "Note from Alice Archer: The provider confirms it"),
        *("— closed", "PagerDuty, note 2 on incident 1, by Automation", "dana@example.com", "— resolved"),
        "1 incident, 2 notes there, 2 in Opsgenie",
    )


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_stopped_or_whose_terminal_is_closed_stops_its_app(by: signal.Signals) -> None:
    port = free_port()
    command = [sys.executable, "-m", "tests.doubles.world", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout
        shown = next(line for line in demo.stdout if line.startswith("The page:"))
        demo.send_signal(by)
        demo.communicate(timeout=60)

    assert f":{port}/" in shown
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0


def test_python_app_py_serves_too(tmp_path: Path) -> None:
    product = Product(tmp_path, {"checkers": {}})
    product.command = lambda: [sys.executable, str(ROOT / "app.py")]  # type: ignore[method-assign]
    product.start()

    with urllib.request.urlopen(f"{product.url}/livez", timeout=5) as answer:  # noqa: S310  # loopback
        status = json.load(answer)["status"]
    product.stop()

    assert status == "ok"


def in_order(text: str, *words: str) -> bool:
    """Whether each of the words stands in the text, behind the one before it."""
    rest = text
    for word in words:
        _, found, rest = rest.partition(word)
        assert found, f"“{word}” is missing in:\n{text}"
    return True


def polls(pages: StatusPages) -> int:
    return sum(request.path.endswith("/summary.json") for request in list(pages.requests))


def together(acts: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
