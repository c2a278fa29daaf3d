"""Rules that wait: `for`, `after` and `windows`, for live routing and for those who ask."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core import matchers, routing, rules, tracker
from service_event_checker.core.conditions import After, Conditions, short
from service_event_checker.core.evaluation import evaluate
from service_event_checker.core.ledger import entries
from service_event_checker.core.model import Alert, Event
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.silences import Silence
from service_event_checker.core.store import Write
from service_event_checker.core.vocabulary import EventStatus, Severity, Verb, Why
from service_event_checker.core.weekly import DAYS, Weekly
from tests.factories import NOW, event, receiver
from tests.strategies import REPEATABLE

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LASTS = Conditions(lasts=5 * MINUTE)
TWICE = Conditions(after=After(2, HOUR))
OFFICE = Conditions(windows=(Weekly(DAYS[:5], time(8), time(18), "Europe/Berlin"),))  # NOW: Friday
BEGINS = NOW.replace(hour=7)  # 08:00 in Berlin in winter
WAITS = "waits: must fire for 5m, until 2026-11-20 03:05 UTC"


def rule(name: str, conditions: Conditions, *send: str, match: str = "", proceed: bool = True) -> Rule:
    return Rule(name, matchers.parse(match) if match else (), send, proceed, conditions=conditions)


def book(*those: Rule, silences: tuple[Silence, ...] = (), off: str = "") -> Rulebook:
    known = {name: receiver(name, why_off="X is not set" if name == off else "") for name in ("a", "b")}
    return Rulebook(those, silences, known)


def seen(known: Alert | None, observed: Event, rulebook: Rulebook, now: datetime) -> Write:
    """What the pipeline makes of an event."""
    change = tracker.fired_again(known, observed, tracker.track(known, observed, now), now)
    assert change.alert is not None
    return routing.route(change.alert, change.transitions, rulebook, now)


def told(write: Write | None) -> list[tuple[str, Verb]]:
    assert write is not None
    return [(one.receiver, one.verb) for one in write.deliveries]


def at(minutes: float) -> datetime:
    return NOW + minutes * MINUTE


class TestFor:
    BOOK = book(rule("long", LASTS, "a"))

    def test_until_it_has_lasted_its_receivers_wait_with_the_reason(self) -> None:
        write = seen(None, event(), self.BOOK, NOW)

        assert (told(write), dict(write.alert.withheld)) == ([], {"a": WAITS})
        assert [(row.why, row.receiver, row.note) for row in write.transitions[1:]] == [(Why.WITHHELD, "a", WAITS)]

    @pytest.mark.parametrize("minutes", [0.5, 4.99])
    def test_the_tick_changes_nothing_before(self, minutes: float) -> None:
        waiting = seen(None, event(), self.BOOK, NOW).alert

        assert routing.release(waiting, self.BOOK, at(minutes)) is None

    def test_the_tick_tells_them_when_it_is_due_once(self) -> None:
        waiting = seen(None, event(), self.BOOK, NOW).alert

        write = routing.release(waiting, self.BOOK, at(5))

        assert told(write) == [("a", Verb.OPEN)]
        assert write is not None
        assert (write.alert.receivers, dict(write.alert.withheld)) == (("a",), {})
        assert [(row.why, row.receiver) for row in write.transitions] == [(Why.RELEASED, "a")]
        assert routing.release(write.alert, self.BOOK, at(5)) is None

    def test_what_ends_before_is_told_to_nobody_and_the_ledger_says_so(self) -> None:
        first = seen(None, event(), self.BOOK, NOW)

        write = seen(first.alert, event(status=EventStatus.RESOLVED, at=at(2)), self.BOOK, at(2))

        assert (told(write), dict(write.alert.withheld), write.alert.waits) == ([], {}, False)
        rows = (*first.transitions, *write.transitions)
        (entry,) = entries(write.alert, steps=rows, waiting=(), failed=(), links=(), receivers=("a",))
        assert (entry.state, entry.why) == ("withheld", "not told, it lasted 2m (must fire for 5m)")

    def test_a_change_before_does_not_tell_them(self) -> None:
        waiting = seen(None, event(), self.BOOK, NOW).alert

        write = seen(waiting, event(title="New"), self.BOOK, at(2))

        assert (told(write), list(write.alert.withheld)) == ([], ["a"])

    def test_another_rule_that_does_not_wait_tells_at_once(self) -> None:
        rulebook = book(rule("long", LASTS, "a", "b"), rule("critical", Conditions(), "b", match='severity="critical"'))
        waiting = seen(None, event(severity=Severity.WARNING), rulebook, NOW).alert

        write = seen(waiting, event(severity=Severity.CRITICAL), rulebook, at(1))

        assert (told(write), list(write.alert.withheld)) == ([("b", Verb.OPEN)], ["a"])

    def test_if_its_rule_does_not_match_any_more_it_does_not_wait_on(self) -> None:
        rulebook = book(rule("long", LASTS, "a", match='severity="error"'))
        waiting = seen(None, event(), rulebook, NOW).alert

        write = seen(waiting, event(severity=Severity.INFO), rulebook, at(1))

        assert (told(write), dict(write.alert.withheld)) == ([], {})

    def test_the_next_episode_waits_anew(self) -> None:
        first = seen(None, event(), self.BOOK, NOW).alert
        over = seen(first, event(status=EventStatus.RESOLVED, at=at(4)), self.BOOK, at(4)).alert

        again = seen(over, event(starts_at=at(6), at=at(6)), self.BOOK, at(6))

        assert dict(again.alert.withheld) == {"a": "waits: must fire for 5m, until 2026-11-20 03:11 UTC"}

    def test_when_it_has_lasted_a_silence_holds_on(self) -> None:
        silence = Silence(matchers.parse('source="github"'), NOW, at(10), "Ada", "upgrade")
        rulebook = book(rule("long", LASTS, "a"), silences=(silence,))
        waiting = seen(None, event(), rulebook, NOW).alert

        silenced = routing.release(waiting, rulebook, at(5))

        assert silenced is not None
        assert silenced.alert.withheld["a"].startswith("silenced by Ada")
        assert told(routing.release(silenced.alert, rulebook, at(10))) == [("a", Verb.OPEN)]

    def test_a_rule_that_waits_takes_the_alert_as_one_that_sends(self) -> None:
        rulebook = book(rule("long", LASTS, "a", proceed=False), rule("rest", Conditions(), "b"))

        assert told(seen(None, event(), rulebook, NOW)) == []

    def test_a_clock_that_was_set_back_makes_nobody_wait_where_the_rule_does_not(self) -> None:
        assert told(seen(None, event(), book(rule("all", Conditions(), "a")), NOW)) == [("a", Verb.OPEN)]
        opened = tracker.track(None, event(), at(9)).alert
        assert opened is not None
        assert rules.choose(opened, book(rule("all", Conditions(), "a")), NOW).send == ("a",)


class TestAfter:
    BOOK = book(rule("again", TWICE, "a"))

    def test_it_waits_until_the_alert_has_opened_so_often(self) -> None:
        first = seen(None, event(), self.BOOK, NOW)
        over = seen(first.alert, event(status=EventStatus.RESOLVED, at=at(9)), self.BOOK, at(9)).alert

        again = seen(over, event(starts_at=at(30), at=at(30)), self.BOOK, at(30))

        assert (told(first), dict(first.alert.withheld)) == ([], {"a": "waits: must fire 2 times within 1h"})
        assert told(again) == [("a", Verb.OPEN)]

    def test_what_was_longer_ago_does_not_count(self) -> None:
        first = seen(None, event(), self.BOOK, NOW).alert
        over = seen(first, event(status=EventStatus.RESOLVED, at=at(9)), self.BOOK, at(9)).alert

        assert told(seen(over, event(starts_at=at(60), at=at(60)), self.BOOK, at(60))) == []

    @pytest.mark.parametrize(
        ("again", "counts"),
        [
            (event(intake="/alert", starts_at=at(5)), True),
            (event(intake="/alert", starts_at=None), True),
            (event(intake="/alert"), False),  # the same start: Alertmanager repeats what goes on
            (event(intake="poll", starts_at=None), False),
            (event(intake="/alert", starts_at=None, listed=True), False),
            (event(intake="/alert", starts_at=None, via="b"), False),
            (event(intake="/alert", starts_at=None, content_only=True), False),
        ],
        ids=["later start", "no start", "same start", "poll", "list", "own copy", "content"],
    )
    def test_a_report_of_an_open_alert_counts_if_it_is_a_new_firing(self, again: Event, counts: bool) -> None:
        first = seen(None, event(intake="/alert"), self.BOOK, NOW).alert

        write = seen(first, replace(again, title=""), self.BOOK, at(5))

        assert told(write) == ([("a", Verb.OPEN)] if counts else [])
        assert (Why.FIRED_AGAIN in [row.why for row in write.transitions]) is counts

    def test_only_the_newest_times_are_kept(self) -> None:
        known = seen(None, event(intake="/alert"), self.BOOK, NOW).alert

        for number in range(1, 200):
            known = seen(known, event(intake="/alert", starts_at=at(number)), self.BOOK, at(number)).alert

        assert (len(known.recent.fired_at), known.recent.fired_at[-1]) == (50, at(199))

    def test_an_event_that_opens_or_ends_is_not_counted_twice(self) -> None:
        first = seen(None, event(), self.BOOK, NOW).alert

        over = seen(first, event(status=EventStatus.RESOLVED, at=at(9)), self.BOOK, at(9)).alert

        assert (first.recent.fired_at, over.recent.fired_at) == ((NOW,), (NOW,))


class TestWindows:
    BOOK = book(rule("office", OFFICE, "a", proceed=False), rule("rest", Conditions(), "b"))

    def test_outside_it_does_not_match_and_its_receivers_wait(self) -> None:
        write = seen(None, event(), self.BOOK, NOW)

        assert told(write) == [("b", Verb.OPEN)]
        text = "waits: outside its window (mon-fri 08:00-18:00 Europe/Berlin), until 2026-11-20 07:00 UTC"
        assert dict(write.alert.withheld) == {"a": text}

    def test_when_it_begins_the_tick_tells_of_what_is_open(self) -> None:
        waiting = seen(None, event(), self.BOOK, NOW).alert

        assert routing.release(waiting, self.BOOK, BEGINS - MINUTE) is None
        assert told(routing.release(waiting, self.BOOK, BEGINS)) == [("a", Verb.OPEN)]

    def test_within_it_matches_and_takes_the_alert(self) -> None:
        assert told(seen(None, event(), self.BOOK, BEGINS)) == [("a", Verb.OPEN)]

    def test_one_that_was_told_goes_on_outside(self) -> None:
        known = seen(None, event(), self.BOOK, BEGINS).alert

        write = seen(known, event(title="New"), self.BOOK, BEGINS + 12 * HOUR)

        assert told(write) == [("a", Verb.UPDATE), ("b", Verb.OPEN)]

    def test_an_alert_that_only_waits_for_a_window_is_not_unrouted(self) -> None:
        rulebook = book(rule("office", OFFICE))
        opened = tracker.track(None, event(), NOW).alert
        assert opened is not None

        assert not rules.is_unrouted(opened, rulebook, NOW)
        assert rules.is_unrouted(opened, book(), NOW)

    def test_a_window_that_never_begins_makes_nobody_wait(self) -> None:
        never = Weekly((), time(0), time(1), "UTC")

        write = seen(None, event(), book(rule("never", Conditions(windows=(never,)), "a")), NOW)

        assert (told(write), dict(write.alert.withheld)) == ([], {})


def test_each_rule_says_in_words_what_it_waits_for() -> None:
    those = (
        rule("long", LASTS, "a"),
        rule("again", TWICE, "a"),
        rule("office", OFFICE, "a"),
        rule("met", Conditions(after=After(1, HOUR), windows=(Weekly(DAYS, time(0), time(0), "UTC"),))),
        rule("never", Conditions(windows=(Weekly((), time(0), time(1), "UTC"),)), "a"),
    )

    found = evaluate(event(), book(*those), NOW)

    window = "mon-fri 08:00-18:00 Europe/Berlin"
    assert [(step.matched, step.why) for step in found.steps] == [
        (True, "matched, waits until 2026-11-20 03:05 UTC, because for: 5m"),
        (True, "matched, waits until it fires again, because after: 2 times within 1h, 1 so far"),
        (False, f"outside its window ({window}), which begins 2026-11-20 07:00 UTC"),
        (
            True,
            "it has no matchers and matches everything (after: 1 times within 1h, windows: mon-sun 00:00-24:00 UTC)",
        ),
        (False, "outside its window ( 00:00-01:00 UTC)"),
    ]
    assert dict(found.withheld) == {"a": WAITS}
    met = evaluate(event(), book(rule("met", Conditions(lasts=timedelta(0)), match='severity="error"')), NOW)
    assert met.steps[0].why == "all matchers match"


def test_what_has_lasted_says_for_how_long_it_had_to() -> None:
    known = seen(None, event(), book(rule("long", LASTS, "a")), NOW).alert

    (step,) = rules.steps(known, book(rule("long", LASTS, "a")), at(5))

    assert step.why == "it has no matchers and matches everything (for: 5m)"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (45, "45s"), (300, "5m"), (5400, "1h30m"), (90061, "1d1h1m1s"), (0.4, "0s")]
)
def test_durations_are_written_as_in_the_configuration(seconds: float, text: str) -> None:
    assert short(timedelta(seconds=seconds)) == text


conditions = st.builds(
    Conditions,
    lasts=st.sampled_from((timedelta(0), MINUTE, 5 * MINUTE)),
    after=st.sampled_from((None, After(1, HOUR), After(2, HOUR))),
    windows=st.sampled_from(((), OFFICE.windows)),
)
rulebooks = st.lists(
    st.tuples(conditions, st.lists(st.sampled_from("ab"), max_size=2), st.booleans()), min_size=1, max_size=4
).map(lambda those: book(*(rule(str(n), when, *send, proceed=on) for n, (when, send, on) in enumerate(those))))


@REPEATABLE
@given(rulebooks, st.integers(0, 600))
def test_a_dry_run_says_of_any_moment_what_live_routing_does(rulebook: Rulebook, minutes: int) -> None:
    live = seen(None, event(), rulebook, at(minutes)).alert

    dry = evaluate(event(), rulebook, at(minutes))

    assert (live.receivers, dict(live.withheld)) == (dry.receivers, dict(dry.withheld))
    named = {name for step in dry.steps if step.matched or step.outside for name in step.rule.send}
    assert named == {*live.receivers, *live.withheld}


@REPEATABLE
@given(rulebooks, st.lists(st.integers(1, 400), max_size=6))
def test_the_tick_tells_everyone_once_and_nobody_before_a_rule_does(rulebook: Rulebook, pauses: list[int]) -> None:
    write, now = seen(None, event(), rulebook, NOW), NOW
    known, opens = write.alert, told(write)

    for pause in pauses:
        now += pause * MINUTE
        ready = rules.choose(known, rulebook, now).send
        released = routing.release(known, rulebook, now)
        new = told(released) if released else []
        assert {name for name, _ in new} <= set(ready) <= {*known.receivers, *(name for name, _ in new)}
        known, opens = released.alert if released else known, opens + new

    assert sorted(opens) == sorted((name, Verb.OPEN) for name in known.receivers)
