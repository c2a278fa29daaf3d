"""When a receiver is down, what its fallback is told, and what the digest lists."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service_event_checker.core import failover
from service_event_checker.core.model import Alert, Recent, Transition
from service_event_checker.core.routing import make_transition
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.vocabulary import Family, Severity, Status, Verb, Why
from tests.factories import NOW, alert, delivery, receiver

BOOK = Rulebook((), (), {"slack": receiver("slack", fallback="mail"), "mail": receiver("mail", Family.MAIL)})
SEVERE = alert(severity=Severity.CRITICAL)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.mark.parametrize(
    ("failures", "failing", "waited", "outage", "down"),
    [
        (2, 45, 0, False, True),
        (2, 0, 45, False, True),
        (2, 44, 44, False, False),
        (1, 999, 999, True, False),
        (0, 0, 999, True, False),
        (2, 15, 0, True, True),
        (2, 14, 0, True, False),
    ],
)
def test_the_evidence_is_our_own_failures_and_an_outage_only_shortens_the_wait(
    failures: int, failing: float, waited: float, outage: bool, down: bool
) -> None:
    assert failover.is_down(failures, seconds(failing), seconds(waited), outage=outage) is down


def test_the_fallback_is_added_once_with_one_opening() -> None:
    write = failover.failed_over(SEVERE, delivery(SEVERE), BOOK, NOW)

    assert write
    assert write.alert.receivers == ("slack", "mail")
    assert [(step.why, step.receiver, step.note) for step in write.transitions] == [
        (Why.FAILED_OVER, "mail", "slack could not be reached")
    ]
    assert [(each.receiver, each.verb, each.note) for each in write.deliveries] == [("mail", Verb.OPEN, "")]
    assert failover.failed_over(write.alert, delivery(SEVERE), BOOK, NOW) is None


@pytest.mark.parametrize(
    ("changes", "book", "opening"),
    [
        ({"severity": Severity.WARNING}, BOOK, {}),
        ({"status": Status.RESOLVED}, BOOK, {}),
        ({"test": True}, BOOK, {}),
        ({"source": failover.SOURCE}, BOOK, {}),
        ({"withheld": {"mail": "silenced"}}, BOOK, {}),
        ({}, BOOK, {"verb": Verb.CLOSE}),
        ({}, BOOK, {"episode": 2}),
        ({}, BOOK, {"receiver": "gone"}),
        ({}, Rulebook((), (), {"slack": receiver("slack")}), {}),
        ({}, replace(BOOK, receivers={**BOOK.receivers, "mail": receiver("mail", why_off="no host")}), {}),
    ],
)
def test_what_is_not_severe_open_and_news_to_a_fallback_that_is_on_owes_nothing(
    changes: dict[str, Any], book: Rulebook, opening: dict[str, Any]
) -> None:
    one: Alert = replace(SEVERE, **changes)

    assert failover.failed_over(one, replace(delivery(one), **opening), book, NOW) is None


def test_a_rise_that_waits_for_a_receiver_which_is_down_opens_at_the_fallback() -> None:
    write = failover.failed_over(SEVERE, delivery(SEVERE, Verb.UPDATE), BOOK, NOW)

    assert write
    assert [(each.receiver, each.verb) for each in write.deliveries] == [("mail", Verb.OPEN)]


def rise(after: float) -> Transition:
    return make_transition(SEVERE, Why.SEVERITY_RAISED, NOW + seconds(after), receiver="")


def told(after: float, receiver: str = "slack", why: Why = Why.DELIVERED) -> Transition:
    return make_transition(SEVERE, why, NOW + seconds(after), receiver=receiver)


@pytest.mark.parametrize(
    ("steps", "untold"),
    [
        ([], False),
        ([told(0)], False),
        ([rise(1)], True),
        ([told(0), rise(1)], True),
        ([rise(1), told(1)], True),  # what was told at this moment may be either state
        ([rise(1), told(2)], False),
        ([rise(1), told(2, why=Why.DELIVERED_OTHERWISE)], False),
        ([rise(1), told(2), rise(3)], True),
        ([rise(1), told(2, "mail"), told(2, why=Why.GAVE_UP)], True),
        ([replace(rise(1), episode=2)], False),
    ],
)
def test_a_rise_is_untold_until_its_receiver_has_taken_something_after_it(
    steps: list[Transition], untold: bool
) -> None:
    assert failover.rise_untold("slack", steps, 1) is untold


def test_the_opening_of_an_object_that_has_gone_over_to_a_later_episode_tells_of_that_one() -> None:
    opening = delivery(SEVERE)
    later = replace(SEVERE, episode=2)
    carried = replace(later, recent=Recent(carried=("slack",)))

    assert failover.failed_over(later, opening, BOOK, NOW) is None
    write = failover.failed_over(carried, opening, BOOK, NOW)

    assert write
    assert [(each.receiver, each.episode) for each in write.deliveries] == [("mail", 2)]


def test_the_digest_is_extended_while_it_waits_and_is_a_new_one_afterwards() -> None:
    first = failover.digest(None, "slack", {"A-1": "one"}, BOOK, NOW, waits=False)
    assert first
    second = failover.digest(first.alert, "slack", {"B-2": "two"}, BOOK, NOW + seconds(9), waits=True)
    assert second
    later = failover.digest(replace(second.alert, revision=7), "slack", {"C-3": "x"}, BOOK, NOW, waits=False)
    assert later

    assert [(each.receiver, each.verb) for each in first.deliveries] == [("slack", Verb.OPEN)]
    assert (first.alert.open, first.alert.title) == (
        False,
        "1 alert was sent to mail while slack could not be reached",
    )
    assert (second.deliveries, second.transitions) == ((), ())
    assert second.alert.description == "A-1: one\nB-2: two"
    assert second.alert.ended_at == NOW + seconds(9)
    assert (later.alert.episode, later.alert.revision, later.alert.description) == (2, 7, "C-3: x")
    assert later.alert.internal_id != first.alert.internal_id
    assert failover.digest(second.alert, "slack", {"A-1": "one"}, BOOK, NOW, waits=True) is None


def test_a_digest_is_bounded_and_says_how_many_there_are() -> None:
    many = {f"A-{number}": "x" for number in range(failover.LISTED_MAX + 5)}

    write = failover.digest(None, "slack", many, BOOK, NOW, waits=False)

    assert write
    assert write.alert.title.startswith("105 alerts were sent")
    assert len(write.alert.annotations) == failover.LISTED_MAX
    assert failover.digest(write.alert, "slack", {"B": "y"}, BOOK, NOW, waits=True) is None


def test_people_read_a_digest_in_chat_and_mail_alone() -> None:
    tickets = Rulebook((), (), {"jira": receiver("jira", Family.TICKET)})

    assert failover.has_digest("slack", BOOK)
    assert failover.has_digest("mail", BOOK)
    assert not failover.has_digest("jira", tickets)


def test_only_what_was_sent_there_for_that_reason_and_arrived_is_told_by_the_fallback() -> None:
    sent = make_transition(SEVERE, Why.FAILED_OVER, NOW, receiver="mail")
    arrived = replace(make_transition(SEVERE, Why.DELIVERED, NOW, receiver="mail"), verb=Verb.OPEN)

    assert failover.delivered_by("mail", [sent, arrived], 1)
    assert not failover.delivered_by("mail", [sent], 1)
    assert not failover.delivered_by("mail", [arrived], 1)
    assert not failover.delivered_by("mail", [sent, arrived], 2)
    assert not failover.delivered_by("mail", [sent, replace(arrived, verb=Verb.CLOSE)], 1)
