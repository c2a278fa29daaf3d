"""The configuration is reloaded while the product runs: nothing is lost or doubled, a wrong file changes nothing."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.destinations.jira.double import EMAIL, TOKEN, Jira
from tests.doubles.base import Fault
from tests.real.product import Product
from tests.waiting import wait_for

TOKENS = "ops:admin:a-long-token-of-the-operators"
Start = Callable[..., Product]


@pytest.fixture
def jira() -> Iterator[Jira]:
    with Jira() as double:
        yield double


@pytest.fixture
def with_jira(jira: Jira) -> dict[str, Any]:
    entry = {
        "kind": "jira",
        "api": "cloud",
        "url": jira.url,
        "project": jira.project,
        "email": EMAIL,
        "settle": "1s",
        "timeout": "5s",
    }
    return {
        "destinations": {"chat": {"kind": "console"}, "jira": entry},
        "rules": [{"name": "all", "send": ["chat", "jira"]}],
    }


@pytest.fixture
def without_jira() -> dict[str, Any]:
    return {"destinations": {"chat": {"kind": "console"}}, "rules": [{"name": "all", "send": ["chat"]}]}


@pytest.fixture
def start(tmp_path: Path, end_of_test: ExitStack) -> Start:
    def run(config: dict[str, Any], **variables: str) -> Product:
        product = Product(tmp_path / "product", config, JIRA_API_TOKEN=TOKEN, API_TOKENS=TOKENS, **variables)
        product.start()
        end_of_test.callback(product.stop)
        wait_for(lambda: ask(product, "/readyz")[0] == 200, seen=product.log.read_text)
        return product

    return run


def ask(product: Product, path: str, body: object = None) -> tuple[int, Any]:
    """Return the status and the answer of a GET, or of a POST with a body."""
    headers = {"Authorization": f"Bearer {TOKENS.rpartition(':')[2]}", "Content-Type": "application/json"}
    request = Request(f"{product.url}{path}", None if body is None else json.dumps(body).encode(), headers)  # noqa: S310
    try:
        with urlopen(request, timeout=20) as answer:  # noqa: S310  # our own loopback address
            status, text = answer.status, answer.read().decode()
    except HTTPError as error:
        status, text = error.code, error.read().decode()
    return status, json.loads(text) if text.startswith("{") else text


def alert(product: Product, name: str) -> None:
    message = {"alerts": [{"status": "firing", "labels": {"alertname": name}}]}
    assert ask(product, "/alert", message)[0] == 200


def hang_up(product: Product, config: object) -> None:
    """Write the file, and ask Gunicorn's master to take it."""
    product.config_file.write_text(config if isinstance(config, str) else json.dumps(config))
    os.kill(product.pid, signal.SIGHUP)


def events(product: Product, name: str) -> list[dict[str, Any]]:
    whole = product.log.read_text().rpartition("\n")[0].splitlines()
    return [line for text in whole if text.startswith("{") and (line := json.loads(text))["event"] == name]


def wait_for_event(product: Product, name: str, number: int = 1) -> None:
    wait_for(lambda: len(events(product, name)) >= number, seen=product.log.read_text)


def sends(product: Product) -> list[list[str]]:
    return [rule["send"] for rule in ask(product, "/api/v1/rules")[1]["rules"]]


def summaries(jira: Jira) -> list[str]:
    with jira.lock:
        return sorted(issue.fields["summary"] for issue in jira.issues.values())


def waiting(product: Product) -> list[str]:
    return [one["receiver"] for one in ask(product, "/api/v1/deliveries?state=waiting")[1]["deliveries"]]


def metric(product: Product, name: str) -> float:
    text = ask(product, "/metrics")[1]
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " "))


def test_a_hangup_has_a_new_rule_and_destination_used(
    start: Start, jira: Jira, with_jira: dict[str, Any], without_jira: dict[str, Any]
) -> None:
    product = start(without_jira)
    alert(product, "Before")

    hang_up(product, with_jira)
    wait_for_event(product, "config_reloaded", 2)
    alert(product, "After")

    wait_for(lambda: len(summaries(jira)) == 1, seen=product.log.read_text)
    assert "After" in summaries(jira)[0]
    assert {line["added"] for line in events(product, "config_reloaded")} == {"destination jira"}
    assert {line["changed"] for line in events(product, "config_reloaded")} == {"rules"}


def test_a_wrong_file_changes_nothing_and_is_told_until_it_is_right(start: Start, without_jira: dict[str, Any]) -> None:
    product = start(without_jira)
    wrong = {**without_jira, "rules": [{"name": "all", "send": ["chatt"]}]}

    hang_up(product, wrong)
    wait_for(lambda: metric(product, "poc_config_reload_ok") == 0.0, seen=product.log.read_text)

    (line,) = events(product, "config_not_reloaded")
    assert line["problems"] == ['rules[0].send: "chatt" is not a destination. Did you mean "chat"?']
    assert "correct the file" in line["hint"]
    page = ask(product, "/")[1]
    assert "config.json was not reloaded" in page
    assert "rules[0].send" in page
    status, answer = ask(product, "/api/v1/config/reload", {})
    assert (status, answer["error"]["details"]["file"]) == (422, "config.json")
    assert sends(product) == [["chat"]]
    before = metric(product, "poc_config_last_reload_success_timestamp_seconds")

    hang_up(product, without_jira)
    wait_for(lambda: metric(product, "poc_config_reload_ok") == 1.0, seen=product.log.read_text)
    assert metric(product, "poc_config_last_reload_success_timestamp_seconds") > before
    assert "was not reloaded" not in ask(product, "/")[1]


def test_a_delivery_that_runs_ends_at_the_destination_that_was_removed(
    start: Start, jira: Jira, with_jira: dict[str, Any], without_jira: dict[str, Any]
) -> None:
    product = start(with_jira)
    jira.late_seconds = 3.0
    jira.script.extend([Fault.SLOW] * 9)
    seen = len(jira.requests)
    alert(product, "Slow")
    wait_for(lambda: len(jira.requests) > seen, seen=product.log.read_text)

    hang_up(product, without_jira)
    wait_for_event(product, "config_reloaded", 2)

    assert sends(product) == [["chat"]]
    assert summaries(jira) == []
    wait_for(lambda: waiting(product) == [], seen=product.log.read_text)
    assert len(summaries(jira)) == 1
    told = ask(product, "/api/v1/deliveries?state=settled")[1]["deliveries"]
    assert ("jira", "delivered") in {(each["receiver"], each["outcome"]) for each in told}


def test_what_waits_for_a_removed_destination_is_told_and_sent_when_it_is_back(
    start: Start, jira: Jira, with_jira: dict[str, Any], without_jira: dict[str, Any]
) -> None:
    product = start(with_jira)
    jira.chaos(1.0)
    jira.FAULTS = (Fault.ERROR,)  # type: ignore[misc]  # of this one alone
    alert(product, "Waits")
    wait_for(lambda: len(jira.requests) > 1 and waiting(product) == ["jira"], seen=product.log.read_text)

    hang_up(product, without_jira)
    wait_for_event(product, "config_reloaded", 2)
    wait_for(lambda: "config.json has no destination jira" in ask(product, "/")[1], seen=product.log.read_text)
    jira.chaos(0.0)
    asked = len(jira.requests)
    assert waiting(product) == ["jira"]
    assert len(jira.requests) == asked

    hang_up(product, with_jira)
    wait_for(lambda: waiting(product) == [], seen=product.log.read_text)
    assert len(summaries(jira)) == 1


def test_a_storm_of_hangups_loses_and_doubles_nothing(start: Start, jira: Jira, with_jira: dict[str, Any]) -> None:
    product = start(with_jira, WEB_CONCURRENCY="2")
    names = [f"Storm{number:02}" for number in range(24)]
    others = {**with_jira, "destinations": {**with_jira["destinations"], "other": {"kind": "console"}}}

    for number, name in enumerate(names):
        for config in ("{", others if number % 2 else with_jira):
            hang_up(product, config)
        alert(product, name)
    hang_up(product, others)

    wait_for(lambda: len(summaries(jira)) == len(names) and not waiting(product), seen=product.log.read_text)
    assert [name for name in names if not any(name in summary for summary in summaries(jira))] == []
    assert not jira.refused
    wait_for(lambda: metric(product, "poc_config_reload_ok") == 1.0, seen=product.log.read_text)
    for _ in range(20):
        found = ask(product, "/api/v1/destinations")[1]["destinations"]
        assert [each["name"] for each in found] == ["chat", "jira", "other"]
    assert "job_failed" not in product.log.read_text()


def test_both_workers_take_what_one_was_asked_for(
    start: Start, with_jira: dict[str, Any], without_jira: dict[str, Any]
) -> None:
    product = start(without_jira, WEB_CONCURRENCY="2")
    product.config_file.write_text(json.dumps(with_jira))

    status, answer = ask(product, "/api/v1/config/reload", {})
    wait_for_event(product, "config_reloaded", 2)

    assert (status, answer["added"], answer["changed"]) == (200, ["destination jira"], ["rules"])
    assert all(sends(product) == [["chat", "jira"]] for _ in range(30))


def test_a_worker_that_starts_later_has_what_was_reloaded(
    start: Start, with_jira: dict[str, Any], without_jira: dict[str, Any]
) -> None:
    product = start(without_jira)
    hang_up(product, with_jira)
    wait_for_event(product, "config_reloaded", 2)
    product.config_file.write_text("not yet finished")

    (worker,) = children(product.pid)
    os.kill(worker, signal.SIGKILL)

    wait_for(lambda: children(product.pid) not in ([], [worker]), seen=product.log.read_text)
    wait_for(lambda: ask(product, "/readyz")[0] == 200, seen=product.log.read_text)
    assert sends(product) == [["chat", "jira"]]


def children(pid: int) -> list[int]:
    """Return the processes that a process has forked: proc(5)."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_what_was_reloaded_is_in_the_store_for_processes_elsewhere(start: Start, without_jira: dict[str, Any]) -> None:
    product = start(without_jira)
    hang_up(product, without_jira)
    wait_for_event(product, "config_reloaded", 2)

    def stored() -> str:
        with sqlite3.connect(product.folder / "store.db") as database:
            rows = database.execute("SELECT value FROM settings WHERE name = 'config_reload'").fetchall()
        return str(rows)

    wait_for(lambda: events(product, "config_reloaded")[0]["checksum"] in stored(), seen=stored)
