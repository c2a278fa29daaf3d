"""Ten thousand alerts of three hundred fingerprints, sent by eight senders, while the product is killed five times.

The ticket system fails a quarter of its calls, until half a minute after the last alert. Its own truth is asked at the
end: one work item per alert, open or closed as the last message of each alert said.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from tests.chaos.test_killed_again_and_again import wait_for
from tests.destinations.azure_devops.double import PAT, AzureDevOps
from tests.real.product import Product
from tests.said import say

FINGERPRINTS = 300
ALERTS = 10_000
SENDERS = 8
KILLS = 5
AT_ONCE = (5, 40)  # alerts of one message
FAILING = 0.25
SEED = int(os.environ.get("CHAOS_SEED", "11"))
KILL_EVERY = (2.0, 4.0)  # seconds
SENT_WITHIN = 300.0
FAILING_FOR = 30.0  # after the last alert was sent; each 429 alone costs a second
QUIET_WITHIN = 300.0
DONE = "Closed"


class Sender(threading.Thread):
    """Sends its share of the alerts in messages, and each message again until it is answered 200; some once more.

    It owns its fingerprints, as one Alertmanager does: what it said last of each is the truth. An alert fires, is
    repeated, and ends; some go on firing.
    """

    def __init__(self, product: Product, number: int) -> None:
        super().__init__(daemon=True)
        self.product = product
        self.chance = random.Random(SEED * 100 + number)
        self.mine = [name for name in range(FINGERPRINTS) if name % SENDERS == number]
        self.state: dict[int, str] = {}
        self.sent = self.tries = 0
        self.odd: list[str] = []

    def run(self) -> None:
        while self.sent < ALERTS // SENDERS:
            chosen = [self.chance.choice(self.mine) for _ in range(self.chance.randint(*AT_ONCE))]
            self.deliver([self.alert(name, self.next_status(name)) for name in chosen])
        for start in range(0, len(self.mine), AT_ONCE[1]):  # the rest has its say, so that all have fired
            unheard = [name for name in self.mine[start : start + AT_ONCE[1]] if name not in self.state]
            self.deliver([self.alert(name, self.next_status(name)) for name in unheard])

    def next_status(self, name: int) -> str:
        """Fire until it ends; what has ended stays so (an end may be told again)."""
        before = self.state.get(name)
        ends = before == "resolved" or (before == "firing" and self.chance.random() < 0.05)
        self.state[name] = "resolved" if ends else "firing"
        return self.state[name]

    def alert(self, name: int, status: str) -> dict[str, Any]:
        ended = "2026-11-20T05:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z"
        return {
            "status": status,
            "labels": {"alertname": f"Trouble{name:03d}", "severity": self.chance.choice(("critical", "warning"))},
            "annotations": {"summary": f"Trouble{name:03d} at {self.chance.randrange(9)}0 %"},
            "startsAt": "2026-11-20T04:00:00Z",
            "endsAt": ended,
            "fingerprint": f"{name:016x}",
        }

    def deliver(self, alerts: list[dict[str, Any]]) -> None:
        body = json.dumps({"version": "4", "groupKey": "{}", "alerts": alerts}).encode()
        while alerts and self.post(body) != 200:
            time.sleep(0.1)  # as a sender backs off
        if alerts and self.chance.random() < 0.2:
            self.post(body)  # the other one of a pair sends it too
        self.sent += len(alerts)

    def post(self, body: bytes) -> int:
        self.tries += 1
        headers = {"Content-Type": "application/json"}
        try:
            request = urllib.request.Request(f"{self.product.url}/alert", body, headers)  # noqa: S310
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # loopback
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            if refusal.code != 503:
                self.odd.append(f"{refusal.code}: {refusal.read()[:200]!r}")
            return refusal.code
        except OSError:  # killed meanwhile
            return 0


def test_ten_thousand_alerts_end_with_three_hundred_work_items_in_the_right_state(
    tmp_path: Path,
) -> None:
    with AzureDevOps() as devops:
        devops.chaos(FAILING, SEED)
        product = Product(tmp_path / "product", config_for(devops), ADO_PAT=PAT)
        product.start()
        senders = [Sender(product, number) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        kill_some(product, random.Random(SEED))
        sent_after = wait_for(lambda: not any(sender.is_alive() for sender in senders), SENT_WITHIN)
        assert not any(sender.is_alive() for sender in senders)
        truth = {name: status for sender in senders for name, status in sender.state.items()}

        failing = wait_for(lambda: verdict(devops, truth) == {}, FAILING_FOR)
        devops.chaos(0.0)
        try:
            quiet = failing + wait_for(lambda: verdict(devops, truth) == {}, QUIET_WITHIN)
        finally:
            product.stop()

        sent, tries = sum(sender.sent for sender in senders), sum(sender.tries for sender in senders)
        say(
            f"alert storm: {sent} alerts in {tries} posts by {SENDERS} senders, {KILLS} kills, "
            f"{len(devops.requests)} calls to Azure DevOps, a quarter failing; {len(devops.items)} work items; "
            f"sent after {sent_after} s, quiet after {quiet} s more (seed {SEED})"
        )
        assert verdict(devops, truth) == {}
        assert sent >= ALERTS
        assert len(devops.items) == FINGERPRINTS
        assert [sender.odd for sender in senders] == [[]] * SENDERS
        assert devops.refused == []


def kill_some(product: Product, chance: random.Random) -> None:
    for _ in range(KILLS):
        time.sleep(chance.uniform(*KILL_EVERY))  # the pace of the disaster, nothing is waited for
        product.kill()
        product.start()


def verdict(devops: AzureDevOps, truth: dict[int, str]) -> dict[int, str]:
    """Return what is wrong with each alert that has not exactly one work item, in the state that was said last."""
    with devops.lock:
        found = Counter(name for item in devops.items.values() for name in named(item.fields["System.Title"]))
        open_items = {
            name for item in devops.items.values() if item.state != DONE for name in named(item.fields["System.Title"])
        }
    wrong = {}
    for name, status in truth.items():
        if found[name] != 1 or (name in open_items) is not (status == "firing"):
            wrong[name] = f"{status}: {found[name]} work items, open: {name in open_items}"
    return wrong


def named(title: str) -> list[int]:
    place = title.find("Trouble")
    return [int(title[place + 7 : place + 10])] if place >= 0 else []


def config_for(devops: AzureDevOps) -> dict[str, object]:
    quick = {"timeout": "1s", "settle": "2s", "rate": 200, "burst": 200, "update_every": "5m"}
    return {
        "destinations": {
            "azure_devops": {"kind": "azure_devops", "url": devops.org_url, "project": "Outages", **quick},
        },
        "rules": [{"name": "to devops", "match": ['intake="/alert"'], "send": ["azure_devops"]}],
    }
