"""Robots and SMS behind the outbox: what cannot be searched is told at least once, or at most once, by severity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Severity, Why
from tests.destinations.dingtalk import robot_case as dingtalk
from tests.destinations.dingtalk.double import DingTalk
from tests.destinations.telegram import robot_case as telegram
from tests.destinations.telegram.double import Telegram
from tests.destinations.twilio import test_adapter as twilio
from tests.destinations.twilio.double import Twilio
from tests.doubles.base import Fault
from tests.factories import event, receiver
from tests.process import World
from tests.sink import Clock

pytestmark = pytest.mark.parametrize("store_kind", ["memory", "sqlite"], indirect=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def robot() -> Iterator[DingTalk]:
    with DingTalk() as running:
        yield running


def world_of(store: Any, clock: Clock, destination: Any) -> World:
    """Every event goes to the one destination, as wiring would set it up."""
    config = destination.config
    to = receiver(
        destination.name,
        destination.family,
        verbs=destination.verbs,
        findable=False,
        settle=config.SETTLE,
        update_every=config.UPDATE_EVERY,
    )
    world = World(store, {to.name: destination}, Rulebook((Rule("all", (), (to.name,)),), (), {to.name: to}), clock)
    world.outbox.destinations = world.destinations  # with all that they can do, which is asked by their methods
    return world


@pytest.mark.parametrize(
    ("severity", "messages", "failed"),
    [(Severity.CRITICAL, 2, 0), (Severity.ERROR, 2, 0), (Severity.WARNING, 1, 1), (Severity.INFO, 1, 1)],
)
def test_what_may_have_arrived_is_repeated_for_critical_and_error_only(
    fresh_store, clock, robot, severity, messages, failed
):
    world = world_of(fresh_store(), clock, dingtalk.adapter(robot))
    robot.script.append(Fault.ERROR_AFTER)
    world.see(event(severity=severity))

    world.settle_down()

    assert len(robot.messages) == messages
    assert len(world.store.failed_deliveries()) == failed


def test_a_refusal_that_a_person_can_correct_is_repeated_for_every_severity(fresh_store, clock, robot):
    world = world_of(fresh_store(), clock, dingtalk.adapter(robot))
    robot.token = "another"
    world.see(event(severity=Severity.INFO))
    world.drain_once()
    robot.token = dingtalk.TOKEN
    clock.advance(60)

    world.settle_down()

    assert len(robot.messages) == 1


def test_updates_of_a_robot_are_some_minutes_apart_and_say_the_state_of_then(fresh_store, clock, robot):
    world = world_of(fresh_store(), clock, dingtalk.adapter(robot))
    world.see(event())
    world.settle_down()
    for number in range(4):
        clock.advance(30)
        world.see(event(description=f"state {number}", at=clock()))
        world.drain_once()
    soon = dingtalk.CASE.texts(robot)
    clock.advance(300)
    world.settle_down()

    assert len(soon) == 2
    assert [text.count("state 3") for text in dingtalk.CASE.texts(robot)] == [0, 0, 1]


def test_telegram_has_one_message_for_an_episode_and_a_reply_at_its_end(fresh_store, clock):
    with Telegram() as running:
        world = world_of(fresh_store(), clock, telegram.adapter(running))
        for change in ({}, {"description": "worse"}, {"status": EventStatus.RESOLVED}):
            world.see(event(at=clock(), **change))
            world.settle_down()
            clock.advance(60)

    assert len(running.posted[1]) == 3
    assert [to for to, _ in running.replies] == [1]
    assert running.refused == []


def test_an_sms_is_for_what_is_severe_enough_and_comes_when_it_becomes_so(fresh_store, clock):
    with Twilio() as running:
        sms = twilio.adapter(running, to=[twilio.ADA])
        world = world_of(fresh_store(), clock, sms)
        for change in (
            {"severity": Severity.ERROR},
            {"severity": Severity.CRITICAL},
            {"severity": Severity.CRITICAL, "description": "worse"},
            {"severity": Severity.CRITICAL, "status": EventStatus.RESOLVED},
        ):
            world.see(event(at=clock(), **change))
            world.settle_down()
            clock.advance(60)

    assert [message.body.partition(":")[0] for message in running.messages] == [
        "CRITICAL",
        "Resolved after 3 min, at 2026-11-20 03",
    ]
    skipped = [step.note for step in world.store.timeline(event().key) if step.why is Why.SKIPPED]
    assert skipped == ["SMS are not sent for error", "an SMS was sent already"]
