"""Prometheus, Alertmanager, the product, Redmine: all real, from a target that goes down to an issue that is closed.

Azure DevOps is a double. What Redmine shows its administrator is what is asserted.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.destinations.azure_devops.double import PAT, AzureDevOps
from tests.doubles.base import Answer, Double, Request
from tests.real.alertmanager import Alertmanager, telling
from tests.real.product import Product
from tests.real.prometheus import Prometheus, watching
from tests.real.redmine import BOT_KEY, JANE_KEY, Redmine
from tests.real.server import free_port

GRACE = 12.0  # seconds; Prometheus sends again after 5 what an Alertmanager has forgotten
PATIENCE = 60.0
DEVOPS_ALERT = {
    "alerts": [
        {
            "status": "firing",
            "labels": {
                "address": "DLQ",
                "alertname": "alert-name-test",
                "container": "alert-container-test",
                "namespace": "test-namespace",
                "pod": "test-pod",
                "severity": "warning",
            },
            "annotations": {"description": "describe this pod", "summary": "summary of this pod"},
            "startsAt": "2024-12-11T23:29:33.936Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://nohello.net",
            "fingerprint": "33f2ec9bd4827a1v",
        }
    ]
}
SHORT_FORM = {
    "status": "firing",
    "labels": {"alertname": "Qiita_Manual_Alert", "instance": "testhost"},
    "annotations": {"summary": "Webhookテスト"},
}
SHORT_END = {**SHORT_FORM, "status": "resolved", "annotations": {"summary": "Webhookテスト（Resolved）"}}


class Target(Double):
    """A program with metrics; while it is not started, it is down."""

    def handle(self, request: Request) -> Answer:
        return Answer(200, b"jobs_done_total 3\n", {"Content-Type": "text/plain; version=0.0.4"})


@dataclass
class Chain:
    product: Product
    devops: AzureDevOps
    redmine: Redmine
    project: str
    manager_port: int

    def post(self, path: str, *alerts: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"alerts": list(alerts)}).encode()
        request = urllib.request.Request(self.product.url + path, body, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # loopback
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def issues(self) -> list[tuple[str, bool]]:
        """Return (subject, whether it is closed) of the project's issues."""
        found = self.redmine.issues(project_id=self.project)
        return [(issue["subject"], bool(issue["status"].get("is_closed") or issue["closed_on"])) for issue in found]

    def until_issues(self, *wanted: bool) -> list[tuple[str, bool]]:
        """Wait until the issues are so many, each open (False) or closed (True)."""
        wait_for(lambda: [closed for _, closed in self.issues()] == list(wanted))
        found = self.issues()
        assert [closed for _, closed in found] == list(wanted), self.product.log.read_text()[-3000:]
        return found


@pytest.fixture
def chain(redmine: Redmine, tmp_path: Path) -> Iterator[Chain]:
    with AzureDevOps() as devops:
        assert isinstance(devops, AzureDevOps)
        port, project = free_port(), redmine.new_project()
        quick = {"timeout": "5s", "settle": "2s", "rate": 20, "burst": 20}
        config = {
            "destinations": {
                "redmine": {"kind": "redmine", "url": redmine.url, "project": project, "close_status_id": 5, **quick},
                "azure_devops": {"kind": "azure_devops", "url": devops.org_url, "project": "Outages", **quick},
            },
            "sources": {
                "alertmanager": {
                    "kind": "alertmanager",
                    "url": f"http://127.0.0.1:{port}",
                    "every": "1s",
                    "grace": f"{GRACE:.0f}s",
                }
            },
            "rules": [
                {"name": "to devops", "match": ['intake="/alert"'], "send": ["azure_devops"], "proceed": True},
                {"name": "to redmine", "match": ['intake="/webhook"'], "send": ["redmine"]},
            ],
        }
        product = Product(tmp_path / "product", config, REDMINE_API_KEY=BOT_KEY, ADO_PAT=PAT)
        product.start()
        wait_for(lambda: is_ready(product))
        yield Chain(product, devops, redmine, project, port)
        product.stop()
        assert devops.refused == []


def test_the_request_of_part_b_is_one_bug_with_the_alerts_details(chain: Chain) -> None:
    for _ in range(3):
        assert chain.post("/alert", *DEVOPS_ALERT["alerts"]) == {"accepted": 1, "rejected": []}

    wait_for(lambda: len(chain.devops.items) == 1)

    (item,) = chain.devops.items.values()
    assert item.type == "Bug"
    shown = item.fields["System.Title"] + item.shown
    for detail in ("alert-name-test", "describe this pod", "test-pod", "DLQ", "https://nohello.net", "2024-12-11"):
        assert detail in shown
    assert chain.issues() == []


def test_the_two_requests_of_part_c_open_an_issue_and_close_it(chain: Chain) -> None:
    chain.post("/webhook", SHORT_FORM)
    chain.post("/webhook", SHORT_FORM)
    ((subject, _),) = chain.until_issues(False)
    chain.post("/webhook", SHORT_END)

    chain.until_issues(True)

    assert "Webhookテスト" in subject
    assert chain.devops.items == {}


def test_an_alert_that_comes_by_both_ways_gets_both_tickets(chain: Chain) -> None:
    chain.post("/webhook", SHORT_FORM)
    chain.post("/alert", SHORT_FORM)

    chain.until_issues(False)
    wait_for(lambda: len(chain.devops.items) == 1)

    assert len(chain.devops.items) == 1


def test_a_ticket_that_a_person_closes_while_the_alert_fires_is_answered(chain: Chain) -> None:
    chain.post("/webhook", SHORT_FORM)
    chain.until_issues(False)
    (issue,) = chain.redmine.issues(project_id=chain.project)
    chain.redmine.comment(issue["id"], "looking into it", key=JANE_KEY)
    chain.redmine.close(issue["id"], as_person=True)

    wait_for(lambda: "still fires" in notes_of(chain, issue["id"]))

    assert notes_of(chain, issue["id"]).count("still fires") == 1
    (alert,) = json.loads(get(chain.product.url + "/api/v1/alerts?status=active"))["alerts"]
    assert alert["status"] == "firing"


def test_from_a_target_that_goes_down_to_an_issue_that_is_closed_though_all_are_killed_in_between(
    chain: Chain,
    start_alertmanager: Callable[..., Alertmanager],
    start_prometheus: Callable[[str], Prometheus],
) -> None:
    target = free_port()
    urls = [f"{chain.product.url}/webhook", f"{chain.product.url}/alert"]
    chain.redmine.kill()
    manager = start_alertmanager(telling(*urls), port=chain.manager_port)
    prometheus = start_prometheus(watching(f"127.0.0.1:{target}", urlsplit(manager.url).netloc))
    wait_for(lambda: len(chain.devops.items) == 1)
    chain.redmine.start()
    chain.until_issues(False)

    manager.kill()
    chain.product.kill()
    manager.start()
    chain.product.start()
    wait_for(lambda: bool(manager.alerts()))
    time.sleep(GRACE + 3)  # the time in which a forgetful Alertmanager could have cost us the issue
    chain.until_issues(False)

    prometheus_knows = prometheus.alerts()
    with Target(target):
        chain.until_issues(True)
        wait_for(lambda: [item.state for item in chain.devops.items.values()] == ["Closed"])

    assert [alert["state"] for alert in prometheus_knows] == ["firing"]
    assert [item.state for item in chain.devops.items.values()] == ["Closed"]


def test_an_alert_whose_end_nobody_told_us_is_closed_because_it_is_listed_no_more(
    chain: Chain, start_alertmanager: Callable[..., Alertmanager]
) -> None:
    manager = start_alertmanager(telling(f"{chain.product.url}/webhook"), port=chain.manager_port)
    manager.fire(alertname="DiskFull", instance="db-1")
    manager.fire(alertname="Stays", instance="db-1")
    wait_for(lambda: len(chain.issues()) == 2)
    manager.config_file.write_text(telling("http://127.0.0.1:9/nowhere"))  # its end is told to somebody else
    manager.kill()
    manager.start()
    manager.fire(alertname="Stays", instance="db-1")

    wait_for(lambda: sorted(closed for _, closed in chain.issues()) == [False, True])

    closed = {subject for subject, is_closed in chain.issues() if is_closed}
    assert len(closed) == 1
    assert "DiskFull" in closed.pop()


def notes_of(chain: Chain, number: int) -> str:
    return "\n".join(journal.get("notes") or "" for journal in chain.redmine.issue(number)["journals"])


def is_ready(product: Product) -> bool:
    try:
        return b"ready" in get(product.url + "/readyz")
    except OSError:
        return False


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  # loopback
        return bytes(answer.read())


def wait_for(done: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Return when it is so, or after these seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not done():
        time.sleep(0.2)  # between looks
