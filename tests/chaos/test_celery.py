"""Two web processes, two Celery workers and beat on one PostgreSQL, while Redis and all of them fail in turns.

Redis is emptied and killed, workers are killed and frozen for longer than their leases, web processes are killed.
The doubles' own truth is asked at the end: each outage and each alert told once, ticketed once, ended once.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import pytest
import requests

from tests.chaos.test_killed_again_and_again import QUIET_WITHIN, Pages, Vendors, config_for, verdict, wait_for
from tests.destinations.azure_devops.double import PAT, AzureDevOps
from tests.destinations.slack.double import TOKEN, Slack
from tests.real.databases import PostgreSQL
from tests.real.product import Product
from tests.real.redis import Celery, Redis
from tests.real.server import Server
from tests.said import say

SECONDS = float(os.environ.get("CHAOS_SECONDS", "20"))
SEED = int(os.environ.get("CHAOS_SEED", "7"))
VENDORS, EVERY = 6, 1.0  # seconds between two polls of a page
FROZEN_FOR = 10.0  # seconds; a poll's lease is 8, a delivery's 6
REDIS_AWAY_FOR = 3.0
ACT_EVERY = 2.0
FAILING = 0.15  # of the calls to the destinations


class House:
    """All processes. `acts` break one thing each; `heal` ends what lasts for a while."""

    def __init__(self, folder: Path, redis: Redis, config: dict[str, object], **variables: str) -> None:
        self.redis = redis
        self.webs = [Product(folder / f"web{number}", config, **variables) for number in range(2)]
        self.workers = [Celery(folder / f"worker{number}", "worker", config, **variables) for number in range(2)]
        self.beat = Celery(folder / "beat", "beat", config, **variables)
        self.acts = cycle(
            (
                redis.flush,
                lambda: self.freeze(self.workers[0]),
                lambda: self.restart(self.workers[1]),
                self.lose_redis,
                lambda: self.restart(self.webs[0]),
                redis.flush,
                lambda: self.restart(self.workers[0]),
                lambda: self.freeze(self.workers[1]),
                lambda: self.restart(self.webs[1]),
                lambda: self.restart(self.beat),
            )
        )
        self.healing: list[tuple[float, Callable[[], None]]] = []

    def start(self) -> None:
        self.webs[0].start()  # makes the tables
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda part: part.start(), (self.webs[1], *self.workers, self.beat)))

    def stop(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda part: part.kill(), (*self.webs, *self.workers, self.beat)))

    def freeze(self, worker: Server) -> None:
        worker.pause()
        self.healing.append((time.monotonic() + FROZEN_FOR, worker.resume))

    def lose_redis(self) -> None:
        self.redis.kill()
        self.healing.append((time.monotonic() + REDIS_AWAY_FOR, self.redis.start))

    def restart(self, part: Server) -> None:
        self.healing = [(at, end) for at, end in self.healing if getattr(end, "__self__", None) is not part]
        part.kill()
        part.start()

    def heal(self, *, all_of_it: bool = False) -> None:
        now = time.monotonic()
        ended = [end for at, end in self.healing if all_of_it or at <= now]
        self.healing = [(at, end) for at, end in self.healing if end not in ended]
        for end in ended:
            end()


class Senders:
    """Alerts by webhook, each sent to one of the web processes until one has taken it."""

    def __init__(self, webs: list[Product]) -> None:
        self.webs = cycle(webs)
        self.names: list[str] = []

    def open_one(self) -> None:
        self.names.append(f"a{len(self.names):03d}")
        self.send(self.names[-1], "firing")

    def send(self, name: str, status: str) -> None:
        body = {"alerts": [{"status": status, "labels": {"alertname": f"Trouble {name}"}}]}
        assert wait_for(lambda: self.taken(body), QUIET_WITHIN) < QUIET_WITHIN

    def taken(self, body: dict[str, object]) -> bool:
        try:
            return requests.post(f"{next(self.webs).url}/alert", json=body, timeout=5).status_code == 200
        except requests.RequestException:
            return False


@pytest.fixture
def doubles() -> Iterator[tuple[Pages, Slack, AzureDevOps]]:
    with Pages() as pages, Slack() as slack, AzureDevOps() as devops:
        slack.chaos(FAILING, SEED)
        devops.chaos(FAILING, SEED + 1)
        assert isinstance(pages, Pages)
        yield pages, slack, devops


def test_nothing_is_lost_doubled_or_left_open_when_redis_and_workers_fail(
    doubles: tuple[Pages, Slack, AzureDevOps], redis: Redis, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    pages, slack, devops = doubles
    config = config_for(pages, slack, devops, VENDORS, f"{EVERY:.0f}s")
    config["rules"] = [{"name": "all", "send": ["slack", "azure_devops"]}]
    house = House(
        tmp_path,
        redis,
        config,
        SLACK_BOT_TOKEN=TOKEN,
        ADO_PAT=PAT,
        DATABASE_URL=postgresql.new_database(),
        CELERY_BROKER_URL=redis.url,
    )
    vendors = Vendors(pages, VENDORS, random.Random(SEED))
    started = time.monotonic()
    try:
        house.start()
        acts, senders = rage(house, vendors)
        house.heal(all_of_it=True)
        vendors.end_all()
        for name in senders.names:
            senders.send(name, "resolved")
        vendors.all += [("/alert", name) for name in senders.names]
        slack.chaos(0.0)
        devops.chaos(0.0)
        quiet = wait_for(lambda: verdict(vendors, slack, devops) == {}, QUIET_WITHIN)
    finally:
        house.stop()

    took = time.monotonic() - started
    polls = most_polled(pages)
    say(
        f"chaos with Celery: {len(vendors.all)} outages and alerts, {acts} faults, quiet after {quiet:.0f} s; "
        f"a page was polled {polls} times at most in {took:.0f} s (seed {SEED})"
    )
    assert verdict(vendors, slack, devops) == {}
    assert polls <= took / EVERY + acts  # whose process was killed is polled again at once
    assert [slack.refused, devops.refused, pages.refused] == [[], [], []]


def rage(house: House, vendors: Vendors) -> tuple[int, Senders]:
    """Break one thing every few seconds while outages and alerts come; return how many faults there were."""
    senders, acts, until = Senders(house.webs), 0, time.monotonic() + SECONDS
    while time.monotonic() < until:
        pause = time.monotonic() + ACT_EVERY
        while time.monotonic() < pause:
            vendors.act()
            house.heal()
            time.sleep(0.15)  # the pace of the vendors, nothing is waited for
        senders.open_one()
        next(house.acts)()
        acts += 1
    return acts, senders


def most_polled(pages: Pages) -> int:
    """Return how often the page that was asked most was polled."""
    asked = [request.path.split("/")[2] for request in pages.requests if request.path.endswith("/summary.json")]
    return max(map(asked.count, set(asked)))
