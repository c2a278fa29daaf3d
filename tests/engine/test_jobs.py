"""Each piece of work has a name, runs by it, and asks for others by name and id alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from service_event_checker.core.errors import InvalidInput
from service_event_checker.engine import idempotency
from service_event_checker.engine.heartbeat import last_heartbeat
from service_event_checker.engine.jobs import JOBS, periodic, run
from service_event_checker.engine.services import Services
from tests.engine.small import Page
from tests.factories import event

IDS = {"poll": "github", "deliver": "chat"}
BY_ITSELF = {
    "poll-due": timedelta(seconds=1),
    "deliver-due": timedelta(seconds=1),
    "groups": timedelta(seconds=2),
    "unpark": timedelta(seconds=2),
    "reconcile": timedelta(seconds=5),
    "heartbeat": timedelta(seconds=10),
    "release": timedelta(seconds=10),
    "heartbeats": timedelta(seconds=10),
    "ping": timedelta(minutes=1),
    "rule-hits": timedelta(minutes=1),
    "look-back": timedelta(seconds=5),
    "act-due": timedelta(seconds=1),
    "storms": timedelta(seconds=5),
    "sweep": timedelta(seconds=15),
    "expire": timedelta(seconds=15),
    "expire-test-mode": timedelta(seconds=30),
    "fail-over": timedelta(seconds=5),
    "unowned": timedelta(minutes=1),
    "trim": timedelta(hours=1),
    "archive": timedelta(minutes=1),
    "prune": timedelta(hours=1),
    "retain": timedelta(hours=6),
    "keep-audit": timedelta(hours=1),
    "log-sunsets": timedelta(days=7),
}


@dataclass
class Noted:
    """An executor that runs nothing, and remembers what it was asked for."""

    services: Services
    draining: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    def submit(self, name: str, id: str = "") -> None:
        self.asked.append((name, id))


def test_what_runs_by_itself_runs_as_often_as_it_should(services: Services) -> None:
    assert periodic(services) == BY_ITSELF


def test_where_a_look_costs_money_what_looks_is_rarer(services: Services) -> None:
    rare = periodic(replace(services, look_every=timedelta(seconds=3)))

    three, six = timedelta(seconds=3), timedelta(seconds=6)
    assert rare == {**BY_ITSELF, "deliver-due": three, "act-due": three, "unpark": six, "groups": six}


@pytest.mark.parametrize("name", sorted(JOBS))
def test_each_runs_by_its_name_and_may_be_repeated(services: Services, name: str) -> None:
    for _ in range(2):
        run(name, IDS.get(name, ""), services, Noted(services))


def test_kept_answers_are_pruned_after_a_day(services: Services) -> None:
    holding, now = services.store.holding, datetime.now(UTC)
    requests = [idempotency.Request("ops", "/api/v1/alerts", str(number), b"{}") for number in range(40)]
    for number, each in enumerate(requests):
        at = now - timedelta(hours=23 if number % 2 else 25)
        idempotency.keep(holding, each, idempotency.KeptAnswer(201, {}), at)

    run("prune", "", services, Noted(services))

    held = [holding.list(each.area, source=each.id) for each in requests]
    assert [bool(items) for items in held] == [False, True] * 20


def test_an_unknown_name_is_refused_with_the_known_ones(services: Services) -> None:
    with pytest.raises(InvalidInput, match=r'"pol" is not known\. Known are act, .*poll, poll-due') as refused:
        run("pol", "", services, Noted(services))

    assert all(name in str(refused.value) for name in JOBS)


def test_a_poll_is_asked_for_by_the_name_of_its_checker_and_made_once(services: Services, page: Page) -> None:
    noted = Noted(services)
    run("poll-due", "", services, noted)
    assert (noted.asked, page.asked) == ([("poll", "github")], 0)

    for name, id in noted.asked * 2:  # two processes may have seen it due
        run(name, id, services, noted)
    run("poll-due", "", services, noted)

    assert (page.asked, len(noted.asked)) == (1, 1)
    assert [alert.title for alert in services.store.open_alerts()] == [event().title]


def test_deliveries_are_asked_for_by_the_name_of_their_receiver(services: Services) -> None:
    noted, now = Noted(services), datetime.now(UTC)
    services.pipeline.ingest([event(fingerprint=str(number)) for number in range(3)], now)

    run("deliver-due", "", services, noted)
    assert noted.asked == [("deliver", "chat")]
    run("deliver", "chat", services, Noted(services, draining=True))
    assert services.store.waiting("chat") == 3

    run("deliver", "chat", services, noted)
    assert services.store.waiting("chat") == 0


def test_a_heartbeat_is_stored(services: Services) -> None:
    assert last_heartbeat(services.store) is None

    run("heartbeat", "", services, Noted(services))

    assert last_heartbeat(services.store) is not None
