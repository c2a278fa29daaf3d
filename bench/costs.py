"""How costs inside the product grow, as ratios within one run, since seconds differ from machine to machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from bench.terminal import say
from service_event_checker.core import matchers, rules
from service_event_checker.core.model import Alert, Delivery, Event, Link, Receiver, Remote
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.store import Query, Write
from service_event_checker.core.vocabulary import EventStatus, Family, Kind, Severity, Status, Verb
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.reconcile import destinations
from service_event_checker.sources.alertmanager import webhook
from service_event_checker.stores.sql.store import SqlStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FEW, MANY = 100, 20_000
TICKETS = 2_000
BATCH = 100
ROUNDS = 30


def run() -> None:
    say(f"{'what':58} {'each':>10} {'ratio':>8}")
    intake()
    reading()
    growth()
    comparing()
    deciding()


def intake() -> None:
    """Taking in: one message of many alerts against many messages of one."""
    with pipeline() as taking:
        single = seconds(lambda: [taking.ingest([alert(number)], NOW) for number in range(FEW)]) / FEW
        batch = seconds(lambda: taking.ingest([alert(MANY + number) for number in range(BATCH)], NOW)) / BATCH
        again = seconds(lambda: taking.ingest([alert(MANY + number) for number in range(BATCH)], NOW)) / BATCH
    row("an alert, one per message", single, 1.0)
    row(f"an alert, {BATCH} per message", batch, batch / single)
    row("the same again (nothing changes)", again, again / single)


def reading() -> None:
    """Parsing Alertmanager's messages: one alert, and a hundred in one."""
    told = {"status": "firing", "labels": {**alert(0).labels, "alertname": "Slow"}, "startsAt": NOW.isoformat()}
    single = seconds(lambda: [webhook.parse({"alerts": [told]}, "/alert") for _ in range(BATCH)]) / BATCH
    batch = seconds(lambda: webhook.parse({"alerts": [told] * BATCH}, "/alert")) / BATCH
    row("reading an alert, one per message", single, 1.0)
    row(f"reading an alert, {BATCH} per message", batch, batch / single)


def comparing() -> None:
    """A reconciliation that finds nothing to repair, per open ticket, with few and with many of them."""
    each = [comparison(number) for number in (FEW, TICKETS)]
    for number, cost in zip((FEW, TICKETS), each, strict=True):
        row(f"comparing a ticket, of {number:,}", cost, cost / each[0])


def comparison(number: int) -> float:
    with pipeline() as one:
        fill(one, number)
        alerts = one.store.open_alerts()
        links = [
            Link(key=known.key, episode=1, receiver="chat", remote_key=known.key, external_id=str(place))
            for place, known in enumerate(alerts)
        ]
        one.store.commit([Write(alert=known, links=(link,)) for known, link in zip(alerts, links, strict=True)], NOW)
        return seconds(lambda: destinations.look("chat", Tickets(links), one.store, one.book, NOW)) / number


class Tickets:
    """A destination that lists what it is given, and does nothing."""

    family = Family.TICKET
    verbs = frozenset(Verb)

    def __init__(self, links: list[Link]) -> None:
        self.links = links

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        return link

    def open_objects(self) -> list[Remote]:
        return [
            Remote(external_id=one.external_id, remote_key=one.remote_key, status=Status.FIRING) for one in self.links
        ]

    def get_remote(self, external_id: str) -> Remote | None:
        return None

    def close_duplicate(self, duplicate: Remote, original: Remote) -> None:
        """Nothing is made twice here."""


def growth() -> None:
    """What people and workers ask of the store, with few and with many alerts in it."""
    asked: dict[str, Callable[[Pipeline], object]] = {
        "a page of open alerts": lambda one: one.store.page(Query(open=True)),
        "a page of critical open alerts": lambda one: one.store.page(
            Query(open=True, severities=frozenset({Severity.CRITICAL}))
        ),
        "claiming one delivery": lambda one: one.store.claim(
            "chat", limit=1, owner="bench", now=NOW, until=NOW + timedelta(minutes=1)
        ),
        "an idle look for deliveries": lambda one: one.store.claim(
            "nobody", limit=1, owner="bench", now=NOW, until=NOW
        ),
        "taking in one more alert": lambda one: one.ingest([alert(time.perf_counter_ns())], NOW),
    }
    with pipeline() as few, pipeline() as many:
        fill(few, FEW)
        fill(many, MANY)
        for name, ask in asked.items():
            small = median(seconds(lambda: ask(few)) for _ in range(ROUNDS))  # noqa: B023  # called at once
            large = median(seconds(lambda: ask(many)) for _ in range(ROUNDS))  # noqa: B023
            row(f"{name}: at {FEW:,}", small, 1.0)
            row(f"{name}: at {MANY:,}", large, large / small)


def deciding() -> None:
    """Asking the rules of one alert, with one rule and with a hundred."""
    with pipeline() as one:
        known = one.ingest([alert(0)], NOW)[alert(0).key]
    parts = matchers.parse('severity="critical", title=~".*(down|slow).*"')
    rule = Rule("rule", parts, ("chat",), proceed=True)
    few, many = Rulebook((rule,)), Rulebook((rule,) * 100)
    small = seconds(lambda: [rules.matched(known, few, NOW) for _ in range(1000)]) / 1000
    large = seconds(lambda: [rules.matched(known, many, NOW) for _ in range(1000)]) / 1000
    row("asking 1 rule", small, 1.0)
    row("asking 100 rules", large, large / small)


def alert(number: int) -> Event:
    return Event(
        source="bench",
        fingerprint=f"{number:016x}",
        kind=Kind.ALERT,
        status=EventStatus.FIRING,
        title=f"Disk {number} is slow",
        severity=list(Severity)[number % 4],
        description="The disk answers late. " * 10,
        starts_at=NOW,
        at=NOW,
        labels={"instance": f"web-{number}", "job": "node", "namespace": "shop"},
        intake="/alert",
    )


@contextmanager
def pipeline() -> Iterator[Pipeline]:
    """A pipeline on a new SQLite file, with one chat that every alert goes to."""
    chat = Receiver(name="chat", family=Family.CHAT, verbs=frozenset(Verb), findable=True)
    book = Rulebook((Rule("all", (), ("chat",)),), (), {"chat": chat})
    with tempfile.TemporaryDirectory(prefix="outage-bench-") as folder:
        store = SqlStore(f"sqlite:///{Path(folder)}/bench.db")
        store.prepare()
        yield Pipeline(store, book)
        store.close()


def fill(one: Pipeline, alerts: int) -> None:
    for start in range(0, alerts, 1000):
        one.ingest([replace(alert(number)) for number in range(start, min(start + 1000, alerts))], NOW)


def seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def row(what: str, each: float, ratio: float) -> None:
    say(f"{what:58} {each * 1e6:>7.0f} µs {ratio:>8.2f}")
