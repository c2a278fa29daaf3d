"""Ten vendors' outages come, change and go while the product is killed and its destinations fail a quarter of the time.

The doubles' own truth is asked at the end: one message and one work item per outage, all ended.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.destinations.azure_devops.double import PAT, AzureDevOps
from tests.destinations.slack.double import TOKEN, Slack
from tests.doubles.base import Answer, Request
from tests.doubles.statuspages import StatusPages
from tests.real.product import Product
from tests.said import say

# Azurite does a few hundred calls a second, all in all: fewer vendors, asked less often.
PAGES = {"sqlite": 10, "azure": 3, "postgresql": 10}
EVERY = {"sqlite": "1s", "azure": "2s", "postgresql": "1s"}
SECONDS = float(os.environ.get("CHAOS_SECONDS", "30"))
SEED = int(os.environ.get("CHAOS_SEED", "7"))
KILL_EVERY = (2.5, 5.0)  # seconds
FAILING = 0.25
FAILING_FOR = 20.0  # seconds after the last kill
QUIET_WITHIN = 300.0  # a minute as a rule; a delivery whose every call failed by chance waits ever longer
SHOWN_AT_LEAST = 5  # times; one that is over before a poll could commit it is history, not news
BROKEN_FOR = 2.0  # seconds
BREAKAGES = ("html", "500", "truncated", "empty")


@pytest.fixture
def doubles() -> Iterator[tuple[Pages, Slack, AzureDevOps]]:
    with Pages() as pages, Slack() as slack, AzureDevOps() as devops:
        slack.chaos(FAILING, SEED)
        devops.chaos(FAILING, SEED + 1)
        assert isinstance(pages, Pages)
        yield pages, slack, devops


@pytest.fixture(params=["sqlite", "azure", "postgresql"])
def store(request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    """Return a kind of store and the variables that name one."""
    if request.param == "sqlite":
        return "sqlite", {}
    if request.param == "postgresql":
        return "postgresql", {"DATABASE_URL": request.getfixturevalue("postgresql").new_database()}
    return "azure", {"AZURE_STORAGE_CONNECTION_STRING": request.getfixturevalue("azurite").new_account()}


def test_each_outage_ends_with_one_message_and_one_work_item_both_closed(
    doubles: tuple[Pages, Slack, AzureDevOps],
    store: tuple[str, dict[str, str]],
    tmp_path: Path,
) -> None:
    pages, slack, devops = doubles
    kind, variables = store
    config = config_for(pages, slack, devops, PAGES[kind], EVERY[kind])
    product = Product(tmp_path / "product", config, SLACK_BOT_TOKEN=TOKEN, ADO_PAT=PAT, **variables)
    vendors = Vendors(pages, PAGES[kind], random.Random(SEED))
    product.start()
    kills = rage(product, vendors, random.Random(SEED + 2))
    vendors.end_all()

    try:
        quiet = wait_for(lambda: verdict(vendors, slack, devops) == {}, FAILING_FOR)
        slack.chaos(0.0)
        devops.chaos(0.0)
        quiet += wait_for(lambda: verdict(vendors, slack, devops) == {}, QUIET_WITHIN)
    finally:
        product.stop()

    say(
        f"chaos on {kind}: {len(vendors.all)} outages, {kills} kills, {len(slack.requests)} calls to Slack and "
        f"{len(devops.requests)} to Azure DevOps, a quarter of them failing; quiet after {quiet:.0f} s (seed {SEED})"
    )
    assert verdict(vendors, slack, devops) == {}
    assert [slack.refused, devops.refused, pages.refused] == [[], [], []]


class Pages(StatusPages):
    """Counts how often each open outage was shown in a good answer: what nobody could see, nobody need tell."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: Counter[str] = Counter()

    def handle(self, request: Request) -> Answer:
        page = request.path.split("/")[2]
        if page not in self.broken and request.path.endswith(("/summary.json", "/unresolved.json")):
            incidents = self.pages[page].incidents.values()
            self.shown.update(incident["id"] for incident in incidents if incident["status"] != "resolved")
        return super().handle(request)


class Vendors:
    """Opens, changes and ends outages; breaks pages for a while. Outages are (page, id)."""

    def __init__(self, pages: Pages, number: int, chance: random.Random) -> None:
        self.pages, self.chance = pages, chance
        self.names = [f"vendor{place}" for place in range(number)]
        self.all: list[tuple[str, str]] = []
        self.open: list[tuple[str, str]] = []
        self.heals_at: dict[str, float] = {}
        for name in self.names:
            pages.page(name)

    def act(self) -> None:
        for name in [name for name, at in self.heals_at.items() if at < time.monotonic()]:
            del self.pages.broken[name], self.heals_at[name]
        page = self.chance.choice(self.names)
        match self.chance.randrange(5):
            case 0 | 1 if len(self.open) < 2 * len(self.names):
                outage = (page, f"{page}x{len(self.all):03d}")
                self.pages.open_incident(
                    *outage, f"Trouble {outage[1]}", impact=self.chance.choice(("minor", "critical"))
                )
                self.all.append(outage)
                self.open.append(outage)
            case 2 if self.open:
                self.pages.update_incident(
                    *self.chance.choice(self.open), "identified", f"Update {self.chance.random()}"
                )
            case 3 if seen := [outage for outage in self.open if self.pages.shown[outage[1]] >= SHOWN_AT_LEAST]:
                outage = self.chance.choice(seen)
                self.open.remove(outage)
                self.pages.resolve_incident(*outage)
            case _:
                self.pages.broken[page] = self.chance.choice(BREAKAGES)
                self.heals_at[page] = time.monotonic() + BROKEN_FOR

    def end_all(self) -> None:
        """End what still goes on, once it was seen."""
        self.pages.broken.clear()
        wait_for(lambda: all(self.pages.shown[id] >= SHOWN_AT_LEAST for _, id in self.open), QUIET_WITHIN)
        for outage in self.open:
            self.pages.resolve_incident(*outage)
        self.open.clear()


def rage(product: Product, vendors: Vendors, chance: random.Random) -> int:
    """Let the vendors act and kill the product every few seconds; return how often."""
    kills, until = 0, time.monotonic() + SECONDS
    while time.monotonic() < until:
        pause = time.monotonic() + chance.uniform(*KILL_EVERY)
        while time.monotonic() < pause:
            vendors.act()
            time.sleep(0.15)  # the pace of the vendors, nothing is waited for
        product.kill()
        kills += 1
        product.start()
    return kills


def verdict(vendors: Vendors, slack: Slack, devops: AzureDevOps) -> dict[str, str]:
    """Return what is wrong with each outage that is not told once and ended once."""
    with slack.lock, devops.lock:
        messages = Counter(
            name for message in slack.roots() for _, name in vendors.all if f"Trouble {name}" in message.shown
        )
        items = Counter(
            name for item in devops.items.values() for _, name in vendors.all if f"Trouble {name}" in item.shown
        )
        unfinished = {
            name for m in slack.roots() if "Resolved" not in m.shown for _, name in vendors.all if name in m.shown
        }
        replies = {name: len(slack.replies(m.ts)) for m in slack.roots() for _, name in vendors.all if name in m.shown}
        open_items = {
            name
            for item in devops.items.values()
            if item.state != "Closed"
            for _, name in vendors.all
            if name in item.shown
        }
    wrong: dict[str, str] = {}
    for _, name in vendors.all:
        facts = (messages[name], items[name], replies.get(name, 0), name in unfinished, name in open_items)
        if facts != (1, 1, 1, False, False):
            wrong[name] = "messages {}, work items {}, end notes {}, message open {}, item open {}".format(*facts)
    return wrong


def config_for(pages: Pages, slack: Slack, devops: AzureDevOps, number: int, every: str) -> dict[str, object]:
    quick = {"timeout": "1s", "settle": "2s", "rate": 50, "burst": 50}
    return {
        "checkers": {
            f"vendor{place}": {
                "kind": "statuspage",
                "url": f"{pages.url}/page/vendor{place}",
                "every": every,
                "timeout": "1s",
            }
            for place in range(number)
        },
        "destinations": {
            "slack": {"kind": "slack", "url": slack.api_url, "storm": None, **quick},
            "azure_devops": {"kind": "azure_devops", "url": devops.org_url, "project": "Outages", **quick},
        },
        "rules": [{"name": "outages", "match": ['kind="outage"'], "send": ["slack", "azure_devops"]}],
    }


def wait_for(done: Callable[[], bool], seconds: float) -> float:
    """Return after how many seconds it was so; look again every moment until then."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if done():
            break
        time.sleep(0.2)  # between looks at the doubles
    return round(time.monotonic() - start, 1)
