"""A dry run decides as live routing does, and says why."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core import matchers, routing, tracker
from service_event_checker.core.clean import clean
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.evaluation import evaluate
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.silences import Silence
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from tests.factories import NOW, event, receiver
from tests.strategies import REPEATABLE

RECEIVERS = {name: receiver(name, why_off="X is not set" if name == "off" else "") for name in ("a", "b", "c", "off")}
SILENCE = Silence(matchers.parse('team="web"'), NOW, NOW + timedelta(hours=1), "Ada", "upgrade")


def rule(name: str, match: str, *send: str, proceed: bool = True) -> Rule:
    return Rule(name, matchers.parse(match), send, proceed)


def test_each_rule_says_why_it_matches_or_does_not() -> None:
    those = (
        rule("all", "", "a"),
        rule("critical", 'severity="critical",kind="outage"', "c"),
        rule("web", 'team=~"web|db"', "b", proceed=False),
        rule("rest", "", "c"),
    )

    found = evaluate(event(severity=Severity.ERROR, labels={"team": "web"}), Rulebook(those, (), RECEIVERS), NOW)

    assert found.receivers == ("a", "b")
    assert [(step.rule.name, step.matched, step.why) for step in found.steps] == [
        ("all", True, "it has no matchers and matches everything"),
        ("critical", False, "severity=\"critical\" does not match: severity is 'error'"),
        ("web", True, "all matchers match"),
        ("rest", False, 'not evaluated: "web" matches and does not proceed'),
    ]


def test_a_silence_withholds_while_it_lasts() -> None:
    book = Rulebook((rule("all", "", "a", "off"),), (SILENCE,), RECEIVERS)
    silenced = event(labels={"team": "web"})

    assert list(evaluate(silenced, book, NOW).withheld) == ["a", "off"]
    assert evaluate(silenced, book, NOW + timedelta(hours=2)).receivers == ("a",)


matches = st.sampled_from(
    ("", 'severity="critical"', 'severity!="critical"', 'kind="alert"', 'team="web"', 'team=~"w.+"', 'team=""')
)
rulebooks = st.lists(
    st.tuples(matches, st.lists(st.sampled_from(sorted(RECEIVERS)), max_size=2), st.booleans()), max_size=5
)


@given(rulebooks, st.sampled_from(Severity), st.sampled_from(Kind), st.sampled_from(("web", "db", "")), st.booleans())
@REPEATABLE
def test_what_it_says_is_what_live_routing_does(
    drawn: list[tuple[str, list[str], bool]], severity: Severity, kind: Kind, team: str, silenced: bool
) -> None:
    those = tuple(rule(str(number), match, *send, proceed=on) for number, (match, send, on) in enumerate(drawn))
    book = Rulebook(those, (SILENCE,) if silenced else (), RECEIVERS)
    seen = clean(event(severity=severity, kind=kind, labels={"team": team}))

    found = evaluate(seen, book, NOW)

    change = tracker.track(None, seen, NOW)
    assert change.alert is not None
    live = routing.route(change.alert, change.transitions, book, NOW)
    assert (found.receivers, found.withheld) == (tuple(one.receiver for one in live.deliveries), live.alert.withheld)
    named = dict.fromkeys(name for step in found.steps if step.matched for name in step.rule.send)
    assert {*named} == {*found.receivers, *found.withheld}


def test_what_opens_no_alert_cannot_be_asked_about() -> None:
    with pytest.raises(InvalidInput, match="firing"):
        evaluate(event(status=EventStatus.RESOLVED), Rulebook(), NOW)
