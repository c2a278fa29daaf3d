"""HEARTBEAT_URL is asked while all loops run, and not while one stands still; it is never shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service_event_checker.core.model import Slot
from service_event_checker.engine.ping_out import STILL_AFTER, ping, standing_still
from service_event_checker.engine.services import Services
from tests.doubles.base import Answer, Double, Fault, Request
from tests.factories import event

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - STILL_AFTER - timedelta(minutes=1)


class Watcher(Double):
    """What misses us: it counts the requests to its secret path, and knows no other."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = 0

    def handle(self, request: Request) -> Answer:
        if request.path != "/a-secret-path":
            return Answer(404)
        self.heard += 1
        return Answer(200)


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    with Watcher() as double:
        yield double


@pytest.fixture
def pinging(services: Services, watcher: Watcher) -> Services:
    return replace(services, settings=replace(services.settings, heartbeat_url=f"{watcher.url}/a-secret-path"))


def test_while_all_loops_run_the_address_is_asked(pinging: Services, watcher: Watcher) -> None:
    ping(pinging, NOW)

    assert watcher.heard == 1


def test_without_an_address_nobody_is_asked(services: Services) -> None:
    ping(services, NOW)


def test_a_page_that_nobody_polls_keeps_us_silent(pinging: Services, watcher: Watcher) -> None:
    pinging.store.put_slot(Slot(name="github", due_at=LONG_AGO))

    ping(pinging, NOW)

    assert standing_still(pinging, NOW) == ["poll github"]
    assert watcher.heard == 0


def test_a_poll_that_is_under_way_is_no_stand_still(pinging: Services) -> None:
    pinging.store.put_slot(Slot(name="github", due_at=LONG_AGO, owner="one", lease_until=NOW))

    assert standing_still(pinging, NOW) == []


def test_a_receiver_that_nobody_delivers_to_keeps_us_silent(pinging: Services, watcher: Watcher) -> None:
    pinging.pipeline.ingest([event()], LONG_AGO)

    ping(pinging, NOW)

    assert standing_still(pinging, NOW) == ["deliver chat"]
    assert watcher.heard == 0


def test_an_address_that_fails_is_logged_without_its_secret(
    pinging: Services, watcher: Watcher, capsys: pytest.CaptureFixture[str]
) -> None:
    watcher.script.append(Fault.ERROR)

    ping(pinging, NOW)

    said = capsys.readouterr()
    assert "heartbeat_not_taken" in said.out + said.err
    assert "a-secret-path" not in said.out + said.err
