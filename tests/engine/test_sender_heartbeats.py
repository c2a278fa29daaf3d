"""A sender that is silent for its time is an alert of its own, once; one that is heard again ends it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.heartbeats import SOURCE, Heartbeat
from service_event_checker.core.ids import alert_key
from service_event_checker.core.matchers import parse
from service_event_checker.core.model import Alert, Event
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Status
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.sender_heartbeats import Heartbeats
from tests.factories import NOW as START
from tests.factories import event, receiver
from tests.stores.memory import MemoryStore

FIVE, STEP = timedelta(minutes=5), timedelta(seconds=10)
WATCHDOG = {"source": "alertmanager", "fingerprint": "w", "labels": {"alertname": "Watchdog"}}


class World:
    """Processes on one store, of which one looks every ten seconds."""

    def __init__(self, *configured: Heartbeat) -> None:
        self.store = MemoryStore()
        self.restart(*configured)

    def restart(self, *configured: Heartbeat) -> None:
        self.heartbeats = Heartbeats(self.store, configured)
        book = Rulebook((Rule("all", (), ("slack",)),), (), {"slack": receiver()})
        self.pipeline = Pipeline(self.store, book, hear=self.heartbeats.take)

    def look(self, since: datetime, until: datetime, without: Iterable[str] = ()) -> None:
        now = since
        while now <= until:
            for name in self.heartbeats.configured:
                if name not in without:
                    self.heartbeats.hear(name, now)
            self.heartbeats.look(self.pipeline, now)
            now += STEP

    def alerts(self) -> list[Alert]:
        return self.store.open_alerts(SOURCE)


PROMETHEUS = Heartbeat(name="prometheus", every=FIVE, matchers=parse('alertname="Watchdog"'))
BACKUP = Heartbeat(name="backup", every=timedelta(hours=1))


@pytest.fixture
def world() -> World:
    return World(PROMETHEUS, BACKUP)


def test_a_sender_that_is_heard_from_in_time_raises_nothing(world: World) -> None:
    world.look(START, START + 3 * FIVE)

    assert world.alerts() == []


def test_a_silent_sender_is_one_alert_which_ends_when_it_is_heard_again(world: World) -> None:
    world.look(START, START + FIVE)

    world.look(START + FIVE + STEP, START + 4 * FIVE, without=["prometheus"])
    (silent,) = world.alerts()
    opened = [each for each in world.store.timeline(silent.key) if each.why.opens]
    world.look(START + 4 * FIVE + STEP, START + 4 * FIVE + STEP)

    assert (silent.title, silent.starts_at) == ("prometheus is silent", START + 2 * FIVE)
    assert len(opened) == 1
    assert world.alerts() == []


def test_a_silence_that_a_person_has_ended_is_not_told_again_and_the_next_one_is(world: World) -> None:
    world.look(START, START + FIVE, without=["prometheus"])
    (silent,) = world.alerts()
    ended = world.pipeline.ingest([_ended_by_a_person(silent)], START + FIVE)

    world.look(START + FIVE + STEP, START + 2 * FIVE, without=["prometheus"])
    assert world.store.get([silent.key]) == ended
    world.look(START + 2 * FIVE + STEP, START + 2 * FIVE + STEP)
    world.look(START + 2 * FIVE + 2 * STEP, START + 4 * FIVE, without=["prometheus"])

    assert [alert.episode for alert in world.alerts()] == [2]


def test_while_we_were_down_or_away_nobody_was_silent(world: World) -> None:
    world.look(START, START + FIVE)

    up = START + timedelta(hours=3)
    world.look(up, up + FIVE - STEP, without=["prometheus", "backup"])
    assert world.alerts() == []
    world.look(up + FIVE, up + FIVE, without=["prometheus", "backup"])

    assert [alert.fingerprint for alert in world.alerts()] == ["prometheus"]


def test_restarts_that_take_seconds_put_nothing_off(world: World) -> None:
    world.look(START, START + STEP)

    now = START + 2 * STEP
    while now < START + 2 * FIVE:
        world.restart(PROMETHEUS)
        world.look(now, now, without=["prometheus"])
        now += timedelta(seconds=50)

    assert [alert.fingerprint for alert in world.alerts()] == ["prometheus"]


def test_what_is_no_longer_configured_is_no_longer_missed(world: World) -> None:
    world.look(START, START + FIVE, without=["prometheus"])
    assert world.alerts()

    world.restart(BACKUP)
    world.look(START + FIVE + STEP, START + FIVE + STEP)

    assert world.alerts() == []


@pytest.mark.parametrize("before", [(BACKUP,), (BACKUP, PROMETHEUS)], ids=["new", "configured-again"])
def test_a_sender_that_a_reload_adds_has_its_whole_time_to_be_heard_from(before: tuple[Heartbeat, ...]) -> None:
    world = World(*before)
    world.look(START, START + FIVE)
    world.restart(BACKUP)
    world.look(START + FIVE, START + 5 * FIVE)

    world.restart(PROMETHEUS, BACKUP)
    world.look(START + 5 * FIVE, START + 6 * FIVE - STEP, without=["prometheus"])

    assert world.alerts() == []
    world.look(START + 6 * FIVE, START + 6 * FIVE, without=["prometheus"])
    assert [alert.title for alert in world.alerts()] == ["prometheus is silent"]


def test_while_processes_have_different_configurations_a_silence_is_found_in_time(world: World) -> None:
    other = Heartbeats(world.store, [BACKUP])

    for step in range(FIVE // STEP + 1):
        now = START + step * STEP
        world.look(now, now, without=["prometheus"])
        other.look(world.pipeline, now)

    (told,) = world.store.get([alert_key(SOURCE, "prometheus")]).values()
    assert told.opened_at == START + FIVE


def test_an_alert_like_watchdog_is_a_sign_of_life_and_no_alert(world: World) -> None:
    told = world.pipeline.ingest([event(**WATCHDOG), event(fingerprint="other")], START)

    assert [alert.fingerprint for alert in told.values()] == ["other"]
    assert world.heartbeats.last("prometheus") == START


def test_what_we_find_in_a_list_is_no_alert_and_proves_nothing(world: World) -> None:
    told = world.pipeline.ingest([event(**WATCHDOG, listed=True)], START)

    assert told == {}
    assert world.heartbeats.last("prometheus") is None


def test_a_sender_that_is_heard_from_all_the_time_is_rarely_written(world: World) -> None:
    for seconds in range(60):
        world.heartbeats.hear("backup", START + timedelta(seconds=seconds))

    assert world.heartbeats.last("backup") == START
    world.heartbeats.hear("backup", START + timedelta(minutes=4))
    assert world.heartbeats.last("backup") == START + timedelta(minutes=4)


def test_after_the_clock_is_set_back_it_is_heard_from_again(world: World) -> None:
    world.heartbeats.hear("prometheus", START + timedelta(days=1))

    world.heartbeats.hear("prometheus", START)

    assert world.heartbeats.last("prometheus") == START


def test_a_name_that_is_not_configured_is_refused_and_the_others_are_named(world: World) -> None:
    with pytest.raises(InvalidInput, match="backup, prometheus"):
        world.heartbeats.hear("promtheus", START)


def _ended_by_a_person(alert: Alert) -> Event:
    status = EventStatus.RESOLVED
    ended = event(source=alert.source, fingerprint=alert.fingerprint, status=status, person=True, actor="ada")
    assert alert.status is Status.FIRING
    return ended
