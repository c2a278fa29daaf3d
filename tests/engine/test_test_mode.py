"""Test mode travels the whole path, reaches nothing but chat, and ends by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.core.ids import alert_key
from service_event_checker.core.model import Alert, Receiver
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import DRY_RUN, EventStatus, Family, Verb
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.test_mode import FINGERPRINT, LASTS, TestMode
from service_event_checker.stores.sql.store import SqlStore
from tests.factories import event, receiver
from tests.process import World
from tests.sink import Clock, Sink

RECEIVERS: dict[str, Receiver] = {
    "chat": receiver("chat", Family.CHAT),
    "tickets": receiver("tickets", Family.TICKET),
    "pager": receiver("pager", Family.PAGER),
}
BOOK = Rulebook((Rule("all", (), tuple(RECEIVERS)),), (), RECEIVERS)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sinks(clock: Clock) -> dict[str, Sink]:
    return {name: Sink(clock, known.family) for name, known in RECEIVERS.items()}


@pytest.fixture
def world(clock: Clock, sinks: dict[str, Sink], tmp_path: Path) -> Iterator[World]:
    store = SqlStore(f"sqlite:///{tmp_path}/store.db")
    store.prepare()
    yield World(store, dict(sinks), BOOK, clock)
    store.close()


def mode_of(world: World) -> TestMode:
    return TestMode(world.store, world.pipeline, ("github", "retool"))


def test_each_checker_has_a_synthetic_outage_told_in_chat_and_nowhere_else(
    world: World, sinks: dict[str, Sink], clock: Clock
) -> None:
    until = mode_of(world).turn_on("Ada", clock())
    world.settle_down()

    assert until == clock() + LASTS
    assert sorted(thing.title for thing in sinks["chat"].things) == [
        "Synthetic outage of github",
        "Synthetic outage of retool",
    ]
    assert [sinks["tickets"].told, sinks["pager"].told] == [[], []]


def test_chat_shows_what_the_others_would_have_got(world: World, sinks: dict[str, Sink], clock: Clock) -> None:
    mode_of(world).turn_on("Ada", clock())
    world.settle_down()

    key = alert_key("github", FINGERPRINT)
    annotations = world.store.get([key])[key].annotations
    assert annotations[f"{DRY_RUN}tickets"] == annotations[f"{DRY_RUN}pager"] == "open Synthetic outage of github"
    verbs = [verb for verb, id in sinks["chat"].told if id.startswith(key)]
    assert verbs[0] is Verb.OPEN
    assert set(verbs[1:]) == {Verb.UPDATE}


def test_turning_it_off_ends_the_test_alerts_and_no_real_one(
    world: World, sinks: dict[str, Sink], clock: Clock
) -> None:
    world.see(event(title="Real"))
    mode_of(world).turn_on("Ada", clock())
    world.settle_down()

    assert mode_of(world).turn_off("Ada", clock()) == 2
    world.settle_down()

    assert mode_of(world).until(clock()) is None
    assert {thing.title: thing.open for thing in sinks["chat"].things} == {
        "Synthetic outage of github": False,
        "Synthetic outage of retool": False,
        "Real": True,
    }


def test_it_ends_by_itself_after_an_hour_in_whatever_process(world: World, clock: Clock) -> None:
    mode_of(world).turn_on("Ada", clock())
    clock.now += LASTS - timedelta(seconds=1)
    mode_of(world).expire(clock())
    assert mode_of(world).until(clock()) is not None

    clock.now += timedelta(seconds=1)
    world.start()
    mode_of(world).expire(clock())

    assert mode_of(world).until(clock()) is None
    assert world.store.open_alerts() == []


def test_it_can_be_turned_on_again_and_is_told_anew(world: World, sinks: dict[str, Sink], clock: Clock) -> None:
    for _ in range(2):
        mode_of(world).turn_on("Ada", clock())
        world.settle_down()
        clock.advance(10)
        mode_of(world).turn_off("Ada", clock())
        world.settle_down()
        clock.advance(10)

    assert [thing.open for thing in sinks["chat"].things] == [False] * 4


def test_turned_on_and_off_at_once_it_leaves_nothing_open_that_nobody_ends(world: World, clock: Clock) -> None:
    class Overtaken(Pipeline):
        """Somebody turns it off between what turning it on does first and last."""

        def ingest(self, *given: Any, **named: Any) -> dict[str, Alert]:
            mode_of(world).turn_off("Bob", clock())
            return super().ingest(*given, **named)

    TestMode(world.store, Overtaken(world.store, BOOK), ("github", "retool")).turn_on("Ada", clock())

    assert mode_of(world).until(clock()) is None
    assert world.store.open_alerts() == []


def test_a_checkers_poll_neither_ends_nor_asks_for_a_test_alert(world: World, clock: Clock) -> None:
    mode_of(world).turn_on("Ada", clock())

    world.see(event(fingerprint="another", status=EventStatus.RESOLVED))

    assert [alert.test for alert in world.store.open_alerts()] == [True, True]
