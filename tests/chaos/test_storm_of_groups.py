"""Very many alerts of a few hundred groups at once, with two kills: few messages, one summary a channel, no loss.

Slack, a real SMTP server and the tickets are asked for their own truth; the ledger of alerts and groups is asked too.
`make chaos` sends 20,000 alerts of 300 groups, `./test` fewer.
"""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from tests.chaos.test_alert_storm import named
from tests.destinations.azure_devops.double import PAT, AzureDevOps
from tests.destinations.slack.double import TOKEN, Message, Slack
from tests.real.product import Product
from tests.real.smtp import SmtpServer
from tests.said import say
from tests.waiting import wait_for

LONG = "CHAOS_SECONDS" in os.environ
GROUPS, ALERTS, SAMPLE = (300, 20_000, 300) if LONG else (60, 2_400, 60)
SEED = int(os.environ.get("CHAOS_SEED", "17"))
AT_ONCE = 50  # alerts of one message
SENDERS = 4
SENT_WITHIN = 300.0
QUIET_WITHIN = 300.0
CHAT, MAIL = 20, 10  # alerts that are told one by one (the defaults), and half as many critical ones more
RESERVE = 2
PAGE = "https://poc.example.com"
_IN_SUMMARY = re.compile(r"Storm: (\d+) alerts? in one summary")


def test_twenty_thousand_alerts_are_few_messages_and_a_ticket_for_each_group(tmp_path: Path) -> None:
    with Slack() as slack, SmtpServer(tmp_path, security="none", sign_in=False) as smtp, AzureDevOps() as devops:
        product = Product(
            tmp_path / "product",
            config_for(slack, smtp, devops),
            ADO_PAT=PAT,
            SLACK_BOT_TOKEN=TOKEN,
            PUBLIC_URL=PAGE,
        )
        product.start()
        began = time.monotonic()
        senders = [threading.Thread(target=send, args=(product, number), daemon=True) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        chance = random.Random(SEED)
        for _ in range(2):
            time.sleep(chance.uniform(1.0, 2.0))  # the pace of the disaster, nothing is waited for
            product.kill()
            product.start()
        for sender in senders:
            sender.join(SENT_WITHIN)
        sent_after = time.monotonic() - began
        assert not any(sender.is_alive() for sender in senders)
        try:
            wait_for(lambda: is_quiet(product, slack, devops), QUIET_WITHIN, seen=lambda: seen(slack, smtp, devops))
            quiet_after = time.monotonic() - began - sent_after
            answers = ledgers(product)
        finally:
            product.stop()

        own, digests = told(slack)
        mails = [mail for mail in smtp.mails if "Storm" in mail.message["Subject"]]
        say(
            f"storm of groups: {ALERTS} alerts of {GROUPS} groups, 2 kills: {len(devops.items)} tickets, "
            f"Slack {len(own)} messages and {len(digests)} summary, mail {len(smtp.mails) - len(mails)} and "
            f"{len(mails)}; sent after {sent_after:.0f} s, quiet after {quiet_after:.0f} s more (seed {SEED})"
        )
        assert Counter(name for item in devops.items.values() for name in named(item.fields["System.Title"])) == {
            name: 1 for name in range(GROUPS)
        }
        assert len(digests) == 1
        assert max(Counter(map(title_of, own)).values()) == 1
        assert len(own) <= CHAT + CHAT // 2 + RESERVE
        assert len({mail.message["Message-ID"] for mail in mails}) == len(mails) <= (4 if LONG else 1)
        assert len(mails) >= LONG
        assert len(smtp.mails) - len(mails) <= MAIL + MAIL // 2 + RESERVE
        assert (slack.refused, smtp.refused, devops.refused) == ([], [], [])
        assert f"{PAGE}/alerts/" in digests[0].shown
        assert_told(answers, own, digests[0])


def config_for(slack: Slack, smtp: SmtpServer, devops: AzureDevOps) -> dict[str, object]:
    quick = {"timeout": "2s", "rate": 200, "burst": 200}  # what a killed process held is free after six time-outs
    mail = {
        "host": "localhost",
        "port": smtp.port,
        "security": "none",
        "sender": "a@example.com",
        "to": "b@example.com",
    }
    return {
        "destinations": {
            "slack": {"kind": "slack", "url": f"{slack.url}/api", "channel": "#outages", **quick},
            "mail": {"kind": "smtp", **mail, **quick},
            "azure_devops": {
                "kind": "azure_devops",
                "url": devops.org_url,
                "project": "Outages",
                "settle": "2s",
                **quick,
            },
        },
        "rules": [
            {
                "name": "groups",
                "match": ['intake="/alert"'],
                "send": ["slack", "mail", "azure_devops"],
                "per": "group",
                "group_by": ["alertname"],
                "group_wait": "1s",
            }
        ],
    }


def send(product: Product, number: int) -> None:
    """Send this sender's share, and each message again until it is taken."""
    mine = range(number, ALERTS, SENDERS)
    for start in range(0, len(mine), AT_ONCE):
        body = json.dumps({"version": "4", "alerts": [alert(each) for each in mine[start : start + AT_ONCE]]})
        while not is_taken(product, body):
            time.sleep(0.2)  # as a sender backs off


def alert(number: int) -> dict[str, Any]:
    """One alert in the format of https://prometheus.io/docs/alerting/latest/configuration/#webhook_config."""
    group = number % GROUPS
    return {
        "status": "firing",
        "labels": {
            "alertname": f"Trouble{group:03d}",
            "severity": "critical" if group % 60 == 7 else "warning",
            "instance": f"host-{number}",
        },
        "annotations": {"summary": f"Trouble{group:03d} on host-{number}"},
        "startsAt": "2026-11-20T04:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"{number:016x}",
    }


def is_taken(product: Product, body: str) -> bool:
    try:
        request = urllib.request.Request(  # noqa: S310  # loopback
            f"{product.url}/alert", body.encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # loopback
            return bool(answer.status == 200)
    except OSError:  # killed meanwhile, or busy
        return False


def told(slack: Slack) -> tuple[list[Message], list[Message]]:
    """Return the messages of single groups, and the summaries."""
    with slack.lock:
        shown = [message for message in slack.messages if not message.thread_ts]
    digests = [message for message in shown if "Storm: " in message.text]
    return [message for message in shown if message not in digests], digests


def title_of(message: Message) -> str:
    found = re.search(r"Trouble\d{3}", message.text)
    assert found, message.text
    return found.group()


def is_quiet(product: Product, slack: Slack, devops: AzureDevOps) -> bool:
    """Whether nothing waits, and the summary says what it covers."""
    own, digests = told(slack)
    covered = [_IN_SUMMARY.search(message.shown) for message in digests]
    counted = sum(int(found.group(1)) for found in covered if found)
    if len(devops.items) < GROUPS or len(own) + counted < GROUPS:
        return False
    waiting = asked(product, "deliveries?state=waiting")["deliveries"]
    late = () if LONG else ("mail",)  # its summary waits for a minute
    return not [each for each in waiting if each["verb"] == "open" and each["receiver"] not in late]


def seen(slack: Slack, smtp: SmtpServer, devops: AzureDevOps) -> str:
    own, digests = told(slack)
    mails = [mail.message["Subject"] for mail in smtp.mails]
    return f"{len(own)} messages, {[each.text for each in digests]}, {len(mails)} mails, {len(devops.items)} tickets"


def ledgers(product: Product) -> list[tuple[str, dict[str, str]]]:
    """Return what the API says of a sample of alerts: the name of the group, and the state at each receiver."""
    chance = random.Random(SEED)
    found = []
    for number in chance.sample(range(ALERTS), SAMPLE):
        entries = asked(product, f"alerts/{number:016x}")["deliveries"]
        assert all("part of the group" in each["why"] for each in entries), entries
        found.append((f"Trouble{number % GROUPS:03d}", {each["receiver"]: each["state"] for each in entries}))
    return found


def asked(product: Product, what: str) -> Any:
    with urllib.request.urlopen(f"{product.url}/api/v1/{what}", timeout=30) as answer:  # noqa: S310  # loopback
        return json.load(answer)


def assert_told(answers: list[tuple[str, dict[str, str]]], own: list[Message], digest: Message) -> None:
    titles = set(map(title_of, own))
    for title, states in answers:
        assert states["azure_devops"] == "delivered"
        assert states["slack"] == ("delivered" if title in titles else "summarised"), title
        assert states["mail"] in ("delivered", "summarised")
    found = _IN_SUMMARY.search(digest.shown)
    assert found
    assert int(found.group(1)) + len(own) == GROUPS
