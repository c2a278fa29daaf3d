"""Who else is told of an alert that nobody takes, when, and how often."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from service_event_checker.core import matchers, routing, tracker
from service_event_checker.core.conditions import Conditions
from service_event_checker.core.escalation import Escalate
from service_event_checker.core.model import Alert, Escalation, Event
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.silences import Silence
from service_event_checker.core.store import Write
from service_event_checker.core.vocabulary import EventStatus, Family, Severity, Verb, Why
from tests.factories import NOW, event, receiver

MINUTE = timedelta(minutes=1)
ONCE = Verb.OPEN, Verb.CLOSE
RECEIVERS = {
    "chat": receiver("chat"),
    "pager": receiver("pager", Family.PAGER),
    "mail": receiver("mail", Family.MAIL, verbs=frozenset(ONCE)),
    "robot": receiver("robot", Family.CHAT, verbs=frozenset(ONCE)),
    "events": receiver("events", Family.PAGER, verbs=frozenset(ONCE)),
    "off": receiver("off", why_off="X is not set"),
    "actions": receiver("actions", verbs=frozenset({Verb.RUN})),
}


def book(*send: str, silences: tuple[Silence, ...] = (), repeat: int = 30, match: str = "") -> Rulebook:
    """A rule that tells the chat, and after 10 minutes these."""
    escalate = Escalate(10 * MINUTE, send, repeat * MINUTE if repeat else None)
    parts = matchers.parse(match) if match else ()
    return Rulebook((Rule("oncall", parts, ("chat",), escalate=escalate),), silences, RECEIVERS)


def at(minutes: float) -> datetime:
    return NOW + minutes * MINUTE


def seen(known: Alert | None, observed: Event, rulebook: Rulebook, minutes: float = 0) -> Alert:
    change = tracker.track(known, observed, at(minutes))
    assert change.alert is not None
    return routing.route(change.alert, change.transitions, rulebook, at(minutes)).alert


def tick(known: Alert, rulebook: Rulebook, minutes: float) -> Write | None:
    return routing.release(known, rulebook, at(minutes))


def told(write: Write | None) -> list[tuple[str, Verb, str]]:
    return [(one.receiver, one.verb, one.note) for one in write.deliveries] if write else []


FIRST = "Escalated: nobody has acknowledged it for 10m."
SECOND = "Escalated, repeat 1: nobody has acknowledged it for 40m."


def test_nobody_else_is_told_before_the_time() -> None:
    known = seen(None, event(), book("pager"))

    assert (known.receivers, known.escalations) == (("chat",), {"oncall": Escalation(at(10))})
    assert tick(known, book("pager"), 9.9) is None


def test_then_they_are_told_once_and_the_timeline_says_so() -> None:
    write = tick(seen(None, event(), book("pager")), book("pager"), 10)

    assert told(write) == [("pager", Verb.OPEN, FIRST)]
    assert write is not None
    assert write.alert.receivers == ("chat", "pager")
    assert [(row.why, row.receiver, row.note) for row in write.transitions] == [(Why.ESCALATED, "pager", FIRST)]
    assert tick(write.alert, book("pager"), 39.9) is None


def test_a_repeat_tells_each_receiver_in_the_way_that_it_has() -> None:
    rulebook = book("chat", "pager", "mail", "robot", "events", "off", "actions", "unknown")
    first = tick(seen(None, event(), rulebook), rulebook, 10)
    assert first is not None

    second = tick(first.alert, rulebook, 40)

    assert told(first) == [
        ("chat", Verb.NOTE, FIRST),
        *((name, Verb.OPEN, FIRST) for name in ("pager", "mail", "robot", "events")),
    ]
    assert told(second) == [
        ("chat", Verb.NOTE, SECOND),
        ("pager", Verb.NOTE, SECOND),
        ("mail", Verb.NOTE, SECOND),
        ("robot", Verb.OPEN, SECOND),
    ]
    assert second is not None
    assert {one.receiver for one in second.deliveries if one.loud} == {"chat", "pager", "mail"}
    assert first.alert.withheld == {"off": "off: X is not set"}


def test_without_a_repeat_it_ends_after_one_step() -> None:
    rulebook = book("pager", repeat=0)

    write = tick(seen(None, event(), rulebook), rulebook, 10)

    assert write is not None
    assert (write.alert.escalations, write.alert.waits) == ({"oncall": Escalation(None, 1)}, False)
    changed = seen(write.alert, event(title="New"), rulebook, 20)
    assert changed.escalations == write.alert.escalations


def test_what_was_missed_while_nothing_ran_is_made_up_for_by_one_step() -> None:
    write = tick(seen(None, event(), book("pager")), book("pager"), 600)

    assert told(write) == [("pager", Verb.OPEN, FIRST)]
    assert write is not None
    assert write.alert.escalations == {"oncall": Escalation(at(630), 1)}


@pytest.mark.parametrize("status", [EventStatus.ACKNOWLEDGED, EventStatus.RESOLVED])
def test_an_acknowledgement_or_the_end_ends_it(status: EventStatus) -> None:
    known = seen(None, event(), book("pager"))

    taken = seen(known, event(status=status, at=at(5)), book("pager"), 5)

    assert (taken.escalations, taken.waits) == ({}, False)


def test_an_acknowledgement_when_it_is_due_comes_first() -> None:
    known = seen(None, event(), book("pager"))

    taken = seen(known, event(status=EventStatus.ACKNOWLEDGED), book("pager"), 11)

    assert (taken.receivers, taken.escalations) == (("chat",), {})


def test_if_the_acknowledgement_is_taken_back_the_time_begins_anew() -> None:
    taken = seen(seen(None, event(), book("pager")), event(status=EventStatus.ACKNOWLEDGED), book("pager"), 5)

    back = seen(taken, event(status=EventStatus.UNACKNOWLEDGED), book("pager"), 20)

    assert back.escalations == {"oncall": Escalation(at(30))}


def test_a_silence_holds_it_while_it_lasts() -> None:
    silence = Silence(matchers.parse('source="github"'), at(5), at(60), "Ada", "upgrade")
    rulebook = book("pager", silences=(silence,))
    known = seen(None, event(), rulebook)

    assert tick(known, rulebook, 10) is None
    assert told(tick(known, rulebook, 60)) == [("pager", Verb.OPEN, FIRST)]


def test_an_alert_that_is_silenced_from_the_start_waits_from_the_end_of_the_silence() -> None:
    silence = Silence(matchers.parse('source="github"'), NOW, at(60), "Ada", "upgrade")
    rulebook = book("pager", silences=(silence,))

    write = tick(seen(None, event(), rulebook), rulebook, 60)

    assert told(write) == [("chat", Verb.OPEN, "")]
    assert write is not None
    assert write.alert.escalations == {"oncall": Escalation(at(70))}


def test_a_rule_that_waits_escalates_after_it_has_told() -> None:
    (rule,) = book("pager").rules
    rulebook = replace(book(), rules=(replace(rule, conditions=Conditions(lasts=5 * MINUTE)),))
    waiting = seen(None, event(), rulebook)

    write = tick(waiting, rulebook, 5)

    assert waiting.escalations == {}
    assert write is not None
    assert write.alert.escalations == {"oncall": Escalation(at(15))}


def test_while_its_rule_does_not_match_there_is_no_step() -> None:
    rulebook = book("pager", match='severity="error"')
    known = seen(seen(None, event(), rulebook), event(severity=Severity.INFO), rulebook, 5)

    assert tick(known, rulebook, 10) is None


def test_a_test_alert_does_not_escalate() -> None:
    assert seen(None, event(test=True), book("pager")).escalations == {}


def test_a_receiver_that_is_told_by_both_at_once_is_released_and_named_once() -> None:
    """Its silence ends at the moment of the step."""
    rulebook = book("pager", repeat=0)
    known = replace(seen(None, event(), rulebook), withheld={"mail": "off: X is not set"})

    write = tick(known, rulebook, 10)

    assert write is not None
    assert [(row.why, row.receiver) for row in write.transitions] == [(Why.RELEASED, "mail"), (Why.ESCALATED, "pager")]


def test_the_next_episode_begins_with_none() -> None:
    rulebook = book("pager")
    first = tick(seen(None, event(), rulebook), rulebook, 10)
    assert first is not None
    over = seen(first.alert, event(status=EventStatus.RESOLVED, at=at(20)), rulebook, 20)

    again = seen(over, event(starts_at=at(30), at=at(30)), rulebook, 30)

    assert (again.receivers, again.escalations) == (("chat",), {"oncall": Escalation(at(40))})


@pytest.mark.parametrize("silenced", [True, False])
def test_it_begins_after_a_wait_also_if_no_receiver_waits(silenced: bool) -> None:
    waits = Conditions() if silenced else Conditions(lasts=30 * MINUTE)
    rule = Rule("slow", (), () if silenced else ("chat",), conditions=waits, escalate=Escalate(10 * MINUTE, ("pager",)))
    silences = (Silence((), at(0), at(30), "Ada", "x"),) if silenced else ()
    rulebook = Rulebook((Rule("all", (), () if silenced else ("chat",), True), rule), silences, RECEIVERS)

    known = seen(None, event(), rulebook)
    ready = tick(known, rulebook, 30)

    assert (list(known.withheld), known.waits, known.escalations) == (["escalation of slow"], True, {})
    assert ready is not None
    assert (ready.alert.withheld, ready.alert.escalations) == ({}, {"slow": Escalation(at(40))})
    assert told(tick(ready.alert, rulebook, 40)) == [("pager", Verb.OPEN, FIRST)]
