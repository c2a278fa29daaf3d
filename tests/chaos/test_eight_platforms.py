"""The shipped config.json, its eight addresses pointed at doubles: each outage is told once, lives and ends.

Nothing is told of maintenance, of what a filter leaves out, and of what is healthy. People act by signed commands.
"""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.destinations.azure_devops.double import PAT, AzureDevOps
from tests.destinations.slack.double import TOKEN, Slack
from tests.doubles.microsoft import CLIENT, SECRET, SUBSCRIPTION, TENANT, Microsoft
from tests.doubles.statuspages import StatusPages
from tests.doubles.vendors import Vendors
from tests.real.product import Product
from tests.root import ROOT
from tests.web.slack.caller import SECRET as SIGNING_SECRET
from tests.web.slack.caller import command_form, signed

PAGES = ("github", "retool", "snowflake")
TOLD = {
    "github": "Actions are down",
    "retool": "Queries are slow",
    "snowflake": "Warehouses do not resume",
    "azure": "Trouble AZ1-ABC",
    "office365": "Trouble EX1",
    "azure_devops": "Pipelines",
    "slack": "Messages arrive late",
    "salesforce": "NA137",
}
LEFT_OUT = ("Pages are slow", "Planned work", "NA999")


@dataclass
class World:
    pages: StatusPages
    vendors: Vendors
    microsoft: Microsoft
    slack: Slack
    devops: AzureDevOps

    def break_all(self) -> None:
        """An outage on each platform, and beside it what must not be told."""
        for name in PAGES:
            self.pages.open_incident(name, f"{name}x1", TOLD[name], impact="major", components=("Ours",))
            self.pages.schedule_maintenance(name, f"{name}m1", "Planned work", datetime.now(UTC) - timedelta(hours=1))
            self.pages.update_incident(name, f"{name}m1", "in_progress")
        self.pages.open_incident("github", "githubx2", "Pages are slow", components=("Not ours",))
        self.vendors.set_health("Pipelines", "unhealthy")
        self.vendors.open_slack(1576, TOLD["slack"])
        self.vendors.open_salesforce(20001, ("NA137",))
        self.vendors.open_salesforce(20002, ("NA999",))
        self.microsoft.post_event("AZ1-ABC", {"West Europe": "Active"})
        self.microsoft.post_event(
            "AZ2-ABC", {"West Europe": "Active"}, eventType="PlannedMaintenance", title="Planned work"
        )
        self.microsoft.post_issue("EX1")

    def mend_all(self) -> None:
        for name in PAGES:
            self.pages.resolve_incident(name, f"{name}x1")
        self.vendors.set_health("Pipelines", "healthy")
        self.vendors.update_slack(1576, "resolved", "All is well again.")
        self.vendors.end_salesforce(20001, "A disk")
        self.microsoft.post_event("AZ1-ABC", {"West Europe": "Resolved"}, status="Resolved")
        self.microsoft.post_issue("EX1", isResolved=True, status="serviceRestored")

    def told(self) -> dict[str, int]:
        """Return how many messages there are of each platform's outage."""
        with self.slack.lock:
            shown = [message.shown for message in self.slack.roots()]
        return {name: sum(words in text for text in shown) for name, words in TOLD.items()}

    def ended(self) -> list[bool]:
        with self.slack.lock:
            return [
                "Resolved" in message.shown and len(self.slack.replies(message.ts)) == 1
                for message in self.slack.roots()
            ]


@pytest.fixture
def world() -> Iterator[World]:
    with (
        StatusPages() as pages,
        Vendors() as vendors,
        Microsoft() as microsoft,
        Slack() as slack,
        AzureDevOps() as devops,
    ):
        for name in PAGES:
            pages.page(name)
        yield World(pages, vendors, microsoft, slack, devops)


@pytest.fixture
def product(world: World, tmp_path: Path) -> Iterator[Product]:
    config: dict[str, Any] = json.loads((ROOT / "config.json").read_text())
    addresses = {name: f"{world.pages.url}/page/{name}" for name in PAGES}
    addresses |= {name: world.vendors.base(name) for name in ("azure_devops", "slack", "salesforce")}  # type: ignore[arg-type]
    addresses["salesforce"] += "/v1/incidents/active"
    addresses |= {"azure": world.microsoft.url, "office365": world.microsoft.url}
    for name, entry in config["checkers"].items():
        entry |= {"url": addresses[name], "every": "1s", "timeout": "2s"}
    config["checkers"]["github"]["only"] = {"components": ["Ours"]}
    config["checkers"]["salesforce"]["instances"] = ["NA137"]
    config["destinations"]["slack"] |= {"rate": 50, "burst": 50}
    product = Product(
        tmp_path,
        config,
        SLACK_BOT_TOKEN=TOKEN,
        SLACK_API_URL=world.slack.api_url,
        SLACK_SIGNING_SECRET=SIGNING_SECRET,
        ADO_ORG_URL=world.devops.org_url,
        ADO_PROJECT=world.devops.project,
        ADO_PAT=PAT,
        AZURE_CLIENT_ID=CLIENT,
        AZURE_CLIENT_SECRET=SECRET,
        AZURE_TENANT_ID=TENANT,
        AZURE_SUBSCRIPTION_ID=SUBSCRIPTION,
        AZURE_AUTHORITY_HOST=world.microsoft.url,
    )
    product.start()
    yield product
    product.stop()


def test_each_platforms_outage_is_told_once_lives_and_ends(world: World, product: Product) -> None:
    wait_for(lambda: len(world.pages.requests) > 6 and len(world.microsoft.requests) > 4, product)
    world.break_all()
    wait_for(lambda: all(world.told().values()), product)

    world.mend_all()
    wait_for(lambda: all(world.ended()), product)

    assert world.told() == dict.fromkeys(TOLD, 1)
    shown = "\n".join(message.shown for message in world.slack.roots())
    assert [words for words in LEFT_OUT if words in shown] == []
    assert world.slack.refused == []


def test_eight_people_who_ask_for_a_ticket_at_once_get_one(world: World, product: Product) -> None:
    world.pages.open_incident("github", "githubx1", TOLD["github"], components=("Ours",))
    wait_for(world.slack.roots, product)
    (id,) = set(re.findall(r"GITHUB-[0-9A-Z]{5,}", world.slack.roots()[0].shown))

    with ThreadPoolExecutor(8) as people:
        answers = list(people.map(lambda _: command(product, "/create_ticket", id.lower()), range(8)))
    wait_for(lambda: world.devops.items, product)
    world.pages.resolve_incident("github", "githubx1")
    wait_for(lambda: [item.state for item in world.devops.items.values()] == ["Closed"], product)

    assert all(id in answer for answer in answers)
    assert len(world.devops.items) == 1
    assert world.devops.refused == []


def test_a_slack_that_hangs_delays_no_answer_to_a_command(world: World, product: Product) -> None:
    world.pages.open_incident("github", "githubx1", TOLD["github"], components=("Ours",))
    wait_for(world.slack.roots, product)
    world.slack.hang(60)

    for name in ("/BotStatus", "/ListEvents", "/Manual-Check github", "/test_mode_on"):
        begun = time.monotonic()
        assert command(product, name)
        assert time.monotonic() - begun < 3, name  # Slack's own limit, for each of them


def test_test_mode_tells_each_checker_in_chat_and_opens_nothing(world: World, product: Product) -> None:
    wait_for(lambda: world.pages.requests, product)
    command(product, "/TestModeOn")
    wait_for(lambda: len(world.slack.roots()) == len(TOLD), product)

    command(product, "/TestModeOff")
    wait_for(lambda: all(world.ended()), product)

    assert all("TEST" in message.shown for message in world.slack.roots())
    assert world.devops.items == {}


def command(product: Product, command: str, text: str = "") -> str:
    """Call one of our commands as Slack does; return what the answer shows."""
    name, _, rest = command.partition(" ")
    body = command_form(name, text or rest)
    headers = {"Content-Type": "application/x-www-form-urlencoded", **signed(body)}
    request = urllib.request.Request(f"{product.url}/slack/commands", data=body, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # loopback
        return str(answer.read().decode())


def wait_for(so: Callable[[], object], product: Product, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < until, product.log.read_text()[-4000:]
        time.sleep(0.1)  # between looks
