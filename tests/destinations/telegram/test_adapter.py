"""Telegram: one message that is edited, a reply at the end, and a group that changes its id."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Link
from service_event_checker.core.vocabulary import ResolvedBy, Status, Verb
from tests.destinations.telegram.double import CHAT, Telegram, problem
from tests.destinations.telegram.robot_case import adapter
from tests.doubles.base import Fault
from tests.factories import NOW, alert, delivery

OVER = replace(
    alert(), status=Status.RESOLVED, ended_at=NOW + timedelta(minutes=42), resolved_by=ResolvedBy.SOURCE, revision=3
)


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    with Telegram() as running:
        yield running
        assert running.refused == []


def tell(robot: Any, about: Alert, verb: Verb = Verb.OPEN, link: Link | None = None, **changes: Any) -> Link:
    told: Link = robot.deliver(delivery(about, verb, "robot", **changes), about, link)
    return told


def test_the_message_is_edited_while_it_lasts_and_answered_when_it_is_over(telegram):
    robot = adapter(telegram)
    link = tell(robot, alert())
    tell(robot, alert(), Verb.NOTE, link, actor="Ada", note="looking into it")
    tell(robot, OVER, Verb.CLOSE, link)

    first, reply = telegram.posted
    shown = telegram.posted[first]
    assert link.external_id == f"{CHAT}:{first}"
    assert link.url == f"https://t.me/c/1234567890/{first}"
    assert "Note from Ada: looking into it" in shown[1]
    assert "Resolved after 42 min" in shown[2]
    assert [to for to, _ in telegram.replies] == [first]
    assert "Resolved after 42 min" in telegram.posted[reply][0]


def test_an_end_that_is_only_edited_has_no_reply(telegram):
    robot = adapter(telegram, announce_end="edit")

    tell(robot, OVER, Verb.CLOSE, tell(robot, alert()))

    assert telegram.replies == []
    assert len(telegram.posted) == 1


def test_an_edit_that_changes_nothing_is_well(telegram):
    robot = adapter(telegram)
    link = tell(robot, alert())

    for _ in range(2):
        assert tell(robot, alert(title="Worse"), Verb.UPDATE, link) == link


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER, Fault.HANG_AFTER, Fault.ERROR_AFTER])
def test_an_edit_that_may_have_arrived_is_repeated_for_every_severity(telegram, fault):
    link = tell(adapter(telegram), alert())
    telegram.script.append(fault)

    with pytest.raises(DeliveryError) as raised:
        tell(adapter(telegram, timeout=0.4), alert(title="Worse"), Verb.UPDATE, link)

    assert not raised.value.reason.ambiguous
    assert not raised.value.permanent


def test_a_message_that_a_person_deleted_is_posted_anew(telegram):
    robot = adapter(telegram)
    link = tell(robot, alert())
    telegram.person_deletes(1)

    again = tell(robot, OVER, Verb.CLOSE, link)

    assert again.external_id == f"{CHAT}:2"
    assert "Resolved" in telegram.posted[2][0]


def test_a_group_that_became_a_supergroup_is_followed(telegram):
    telegram.moved_to = -1009999999999
    robot = adapter(telegram)

    first = tell(robot, alert())
    second = tell(robot, alert(fingerprint="another"))

    assert first.external_id.startswith("-1009999999999:")
    assert second.url == "https://t.me/c/9999999999/2"
    assert len(telegram.requests) == 3


def test_a_topic_of_the_group_is_named(telegram):
    tell(adapter(telegram, thread_id=7), alert())

    assert telegram.requests[0].json()["message_thread_id"] == 7


@pytest.mark.parametrize(
    ("answer", "reason", "hint"),
    [
        (problem(403, "Forbidden: bot was kicked from the supergroup chat"), Reason.FORBIDDEN, "invite the bot"),
        (problem(403, "Forbidden: bot was blocked by the user"), Reason.FORBIDDEN, "invite the bot"),
        (problem(400, "Bad Request: chat not found"), Reason.NOT_FOUND, "TELEGRAM_CHAT_ID"),
        (problem(400, "Bad Request: not enough rights to send text messages"), Reason.FORBIDDEN, "let the bot send"),
    ],
)
def test_what_a_person_can_correct_waits_and_says_the_next_step(telegram, answer, reason, hint):
    telegram.answers.append(answer)

    with pytest.raises(DeliveryError) as raised:
        tell(adapter(telegram), alert())

    assert (raised.value.reason, raised.value.permanent) == (reason, False)
    assert hint in str(raised.value)
