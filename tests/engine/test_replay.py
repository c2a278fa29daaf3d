"""Stored alerts under another configuration: what is more and what is less, against the ledger of deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service_event_checker.core import failover, matchers
from service_event_checker.core.conditions import After, Conditions
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.escalation import Escalate
from service_event_checker.core.flapping import Flapping
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.silences import Silence
from service_event_checker.core.store import Failed, Outcome, Settled
from service_event_checker.core.vocabulary import EventStatus, Family, Kind, Severity, Why
from service_event_checker.core.weekly import DAYS, Weekly
from service_event_checker.engine import replay
from service_event_checker.engine.outcomes import Skipped, outcome_step
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.replay import Report, compare
from tests.factories import NOW, event, receiver
from tests.process import World
from tests.sink import Clock, Sink
from tests.stores.memory import MemoryStore
from tests.strategies import REPEATABLE, Poll, observations, polls

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
RECEIVERS = {
    "slack": receiver("slack"),
    "tickets": receiver("tickets", Family.TICKET),
    "pager": receiver("pager", Family.PAGER),
    "off": receiver("off", Family.PAGER, why_off="no key"),
}
QUIET = Silence(matchers.parse('severity!="critical"'), NOW + HOUR, NOW + 2 * HOUR, "Ada", "upgrade")


def timed(lasts: timedelta = timedelta(0), escalate: Escalate | None = None, **conditions: Any) -> Rule:
    return rule("", "slack", conditions=Conditions(lasts, **conditions), escalate=escalate)


def rule(match: str, *send: str, proceed: bool = True, **keys: object) -> Rule:
    return Rule(match or "all", matchers.parse(match), send, proceed, **keys)  # type: ignore[arg-type]


RULES = (
    rule('kind="outage"', "slack"),
    rule('severity="critical"', "pager", "off"),
    rule('intake="/alert"', "tickets"),
)
BOOK = Rulebook(RULES, (QUIET,), RECEIVERS)


class Live:
    """The product over a store in memory: takes in, looks each minute at who waits, delivers at once."""

    def __init__(self, book: Rulebook = BOOK, outcome: Outcome | None = None) -> None:
        self.store: Store = MemoryStore()
        self.pipeline = Pipeline(self.store, book)
        self.outcome = outcome or Settled()
        self.now = NOW

    def pass_time(self, span: timedelta) -> None:
        until = self.now + span
        while self.now < until:
            self.now += MINUTE
            self.pipeline.release(self.now)
            self.pipeline.mend_groups(self.now)
            self.deliver()

    def take(self, *events: Event) -> None:
        self.pipeline.ingest(events, self.now)
        self.deliver()

    def poll(self, poll: Poll) -> None:
        listed = tuple(event(fingerprint=name) for name in poll.listed)
        snapshot = Snapshot(source="github", events=listed, complete=poll.complete, unknown=poll.unknown)
        self.pipeline.absent(self.store.open_alerts("github"), snapshot, 1, self.now)
        self.deliver()

    def deliver(self) -> None:
        at = self.now + timedelta(seconds=1)
        for name in RECEIVERS:
            while claimed := self.store.claim(name, limit=50, owner="w", now=at, until=at + MINUTE):
                for each in claimed:
                    step = outcome_step(each, self.outcome, at)
                    self.store.settle(each.delivery, self.outcome, at, None, step)

    def replay(self, *rules: Rule, silences: Iterable[Silence] = (), **changes: object) -> Report:
        proposed = replace(self.pipeline.book, rules=rules, silences=tuple(silences), **changes)  # type: ignore[arg-type]
        return compare(self.store, self.pipeline.book, proposed, NOW - HOUR, self.now + HOUR)


def numbers(report: Report) -> dict[tuple[str, str, str], int]:
    """The differences by rule, receiver and verb: more is positive."""
    return {(rule, name, verb.value): each.added - each.spared for (rule, name, verb), each in report.counted.items()}


@settings(REPEATABLE, max_examples=100)
@given(st.lists(observations() | polls(), min_size=1, max_size=8), st.sampled_from((5, 17, 45)))
def test_the_rules_of_then_change_nothing_whatever_happened(history: Sequence[Event | Poll], minutes: int) -> None:
    live = Live()
    for step in history:
        live.take(step) if isinstance(step, Event) else live.poll(step)
        live.pass_time(minutes * MINUTE)

    report = compare(live.store, BOOK, BOOK, NOW - HOUR, live.now + HOUR)

    assert numbers(report) == {}
    assert report.gaps.unexplained == report.gaps.unrecorded == report.gaps.beside == 0


OFFICE = Weekly(DAYS, time(4, 10), time(5, 40), "UTC")  # NOW is 03:00
TIMED = (
    timed(10.5 * MINUTE, Escalate(15.5 * MINUTE, ("pager",))),
    rule('severity="critical"', "tickets", escalate=Escalate(5.5 * MINUTE, ("slack", "pager"), 20 * MINUTE)),
    rule('severity="error"', "pager", conditions=Conditions(windows=(OFFICE,))),
    rule('severity!="info"', "tickets", conditions=Conditions(after=After(2, HOUR))),
)


@settings(REPEATABLE, max_examples=100)
@given(st.lists(observations() | polls(), min_size=1, max_size=10), st.sampled_from((3, 17, 45)))
def test_rules_that_wait_escalate_and_flap_change_nothing_either(history: Sequence[Event | Poll], minutes: int) -> None:
    live = Live(Rulebook(TIMED, (QUIET,), RECEIVERS, flapping=Flapping(2, MINUTE * 30.5)))
    for step in history:
        live.take(step) if isinstance(step, Event) else live.poll(step)
        live.pass_time(minutes * MINUTE)

    report = compare(live.store, live.pipeline.book, live.pipeline.book, NOW - HOUR, live.now + timedelta(seconds=1))

    assert numbers(report) == {}
    assert report.gaps.unexplained == 0


def fires(name: str = "one", **changes: Any) -> Event:
    labels = {"cluster": changes.pop("cluster", "eu")}
    base = event(fingerprint=name, source="alertmanager", kind=Kind.ALERT, intake="/alert", labels=labels)
    return replace(base, **({"severity": Severity.ERROR} | changes))


def ends(name: str = "one", **changes: Any) -> Event:
    return fires(name, status=EventStatus.RESOLVED, **changes)


CHAT, PAGES = rule("", "slack"), rule('severity="critical"', "pager")


def test_more_pages_are_counted_with_their_ends_and_named_by_rule_and_alert() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    live.take(fires(title="Web is slow"))
    live.pass_time(HOUR)
    live.take(ends(title="Web is slow", at=live.now))

    report = live.replay(CHAT, rule('severity="error"', "pager"))

    named = 'severity="error"'
    assert numbers(report) == {(named, "pager", "open"): 1, (named, "pager", "close"): 1}
    (open_row,) = [row for (_, _, verb), row in report.counted.items() if verb == "open"]
    assert list(open_row.examples.values()) == ["Web is slow"]
    assert report.families == {"pager": Family.PAGER}


def test_only_what_happened_in_the_window_counts() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    live.take(fires("before"))
    live.pass_time(3 * HOUR)
    live.take(ends("before", at=live.now), fires("within", at=live.now, starts_at=live.now))

    report = compare(live.store, live.pipeline.book, Rulebook((), (), RECEIVERS), NOW + HOUR, live.now + HOUR)

    assert numbers(report) == {("all", "slack", "open"): -1, ("all", "slack", "close"): -1}


def test_updates_count_once_and_only_for_whom_the_other_rules_do_not_tell() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    live.take(fires())
    for title in ("Slow", "Slower", "Down"):
        live.pass_time(MINUTE)
        live.take(fires(title=title, at=live.now))

    assert numbers(live.replay()) == {("all", "slack", "open"): -1, ("all", "slack", "update"): -1}
    more = numbers(live.replay(CHAT, rule('source="alertmanager"', "tickets")))
    assert set(more.values()) == {1}
    assert {verb for _, _, verb in more} == {"open", "update"}
    assert live.replay().gaps.texts == 1


def test_a_delivery_that_failed_was_owed_and_what_could_not_follow_is_no_difference() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS), Failed(reason="refused"))
    live.take(fires())
    live.pass_time(HOUR)
    live.take(ends(at=live.now))

    assert numbers(live.replay(CHAT)) == {}
    assert numbers(live.replay()) == {("all", "slack", "open"): -1}


def test_what_was_owed_and_not_needed_any_more_is_no_difference() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS), Skipped(why="over"))
    live.take(fires())

    assert numbers(live.replay(CHAT)) == numbers(live.replay()) == {}


def test_a_page_that_was_over_before_it_was_sent_is_no_difference() -> None:
    live = Live(Rulebook((rule("", "pager"),), (), RECEIVERS))
    live.pipeline.ingest([fires()], live.now)
    live.pipeline.ingest([ends(at=NOW)], live.now)

    assert numbers(live.replay(rule("", "pager"))) == {}
    assert numbers(live.replay(rule("", "pager"), CHAT)) == {("all", "slack", "open"): 1, ("all", "slack", "close"): 1}


def test_what_still_waits_counts_as_told() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    live.pipeline.ingest([fires()], live.now)

    assert numbers(live.replay(CHAT)) == {}
    assert numbers(live.replay()) == {("all", "slack", "open"): -1}


def test_test_alerts_are_left_out() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    live.take(fires(test=True))

    assert (numbers(live.replay()), live.replay().gaps.tests) == ({}, 1)


def test_a_receiver_in_shadow_is_told_nothing() -> None:
    shadows = {**RECEIVERS, "pager": replace(RECEIVERS["pager"], shadow=True)}
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    live.take(fires())

    assert numbers(live.replay(CHAT, rule("", "pager"), receivers=shadows)) == {}


def test_a_receiver_with_another_name_is_the_same() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    live.take(fires())
    renamed = {"chat": replace(RECEIVERS["slack"], name="chat")}

    report = live.replay(rule("", "chat"), receivers=renamed, moved={"slack": "chat"})

    assert numbers(report) == {}
    assert report.gaps.unexplained == 0


def test_a_person_adds_a_receiver_again() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    live.take(fires())
    live.pipeline.request(fires().key, "tickets", actor="Ada", now=live.now + MINUTE)
    live.pass_time(2 * MINUTE)
    live.take(ends(at=live.now))

    assert numbers(live.replay(CHAT)) == {}
    assert numbers(live.replay(CHAT, rule("", "tickets"))) == {}
    assert numbers(live.replay(CHAT, receivers={"slack": RECEIVERS["slack"]})) == {
        ("asked for by a person", "tickets", "open"): -1,
        ("asked for by a person", "tickets", "close"): -1,
    }


def test_a_silence_holds_back_until_it_ends() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    live.take(fires("short"), fires("long"))
    live.pass_time(20 * MINUTE)
    live.take(ends("short", at=live.now))
    live.pass_time(HOUR)
    until = Silence((), NOW, NOW + HOUR, "Ada", "move")

    report = live.replay(CHAT, silences=(until,))

    assert numbers(report) == {("all", "slack", "open"): -1, ("all", "slack", "close"): -1}


def test_the_stored_silences_hold_for_both() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    stored = Silence(matchers.parse('severity="error"'), NOW, NOW + HOUR, "Ada", "move", id="s1")
    assert live.store.silences.put(stored)
    live.take(fires(), fires("long"))
    live.pass_time(20 * MINUTE)
    live.take(ends(at=live.now))
    live.pass_time(HOUR)

    assert numbers(live.replay(CHAT)) == {}
    assert numbers(live.replay(CHAT, rule("", "pager"))) == {("all", "pager", "open"): 1}


def test_all_pages_of_the_store_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "PAGE", 2)
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    live.take(*(fires(f"web-{number}") for number in range(5)))

    report = live.replay()

    assert (numbers(report), report.alerts) == ({("all", "slack", "open"): -5}, 5)


def test_the_groups_of_then_are_not_those_of_a_silenced_alert() -> None:
    by_cluster = replace(rule("", "tickets"), name="by cluster", per_group=True, group_by=("cluster",))
    live = Live(Rulebook((by_cluster,), (), RECEIVERS))
    live.take(fires())
    live.pass_time(HOUR)

    members = matchers.parse('source="alertmanager"')
    report = live.replay(by_cluster, silences=[Silence(members, NOW, NOW + 9 * HOUR, "Ada", "move")])

    assert numbers(report) == {("by cluster", "tickets", "open"): -1}


def test_alerts_of_a_new_group_are_one_ticket() -> None:
    live = Live(Rulebook((rule("", "tickets"),), (), RECEIVERS))
    live.take(*(fires(f"web-{number}") for number in range(5)), fires("far", cluster="us"))
    live.pass_time(HOUR)
    live.take(*(ends(f"web-{number}", at=live.now) for number in range(5)))

    report = live.replay(replace(rule("", "tickets"), name="by cluster", per_group=True, group_by=("cluster",)))

    assert numbers(report) == {
        ("all", "tickets", "open"): -6,
        ("all", "tickets", "close"): -5,
        ("by cluster", "tickets", "open"): 2,
        ("by cluster", "tickets", "close"): 1,
        ("by cluster", "tickets", "update"): 1,
    }


def test_a_group_waits_for_its_first_members() -> None:
    live = Live(Rulebook((rule("", "tickets"),), (), RECEIVERS))
    live.take(fires("a"))
    live.pass_time(MINUTE)
    live.take(ends("a", at=live.now))
    by_cluster = replace(rule("", "tickets"), name="by cluster", per_group=True, group_by=("cluster",))

    waits = live.replay(replace(by_cluster, group_wait=5 * MINUTE))
    tells = live.replay(replace(by_cluster, group_wait=MINUTE / 2))

    assert ("by cluster", "tickets", "open") not in numbers(waits)
    assert numbers(tells)["by cluster", "tickets", "open"] == 1


def test_the_groups_of_then_change_nothing_and_without_them_each_alert_is_told() -> None:
    by_cluster = replace(rule("", "tickets"), name="by cluster", per_group=True, group_by=("cluster",))
    live = Live(Rulebook((by_cluster,), (), RECEIVERS))
    live.take(*(fires(f"web-{number}") for number in range(3)))
    live.pass_time(HOUR)
    (group,) = [alert for alert in live.store.open_alerts() if alert.is_group]
    acked = fires(fingerprint=group.fingerprint, source=group.source, status=EventStatus.ACKNOWLEDGED, actor="Ada")
    live.take(replace(acked, person=True, at=None, starts_at=None))
    live.pass_time(HOUR)
    live.take(*(ends(f"web-{number}", at=live.now) for number in range(3)))
    live.pass_time(HOUR)
    live.take(fires("web-1", at=live.now, starts_at=live.now))
    live.pass_time(HOUR)

    assert numbers(live.replay(by_cluster)) == {}
    without = numbers(live.replay(rule("", "tickets")))
    assert without["all", "tickets", "open"] == 4
    assert without["by cluster", "tickets", "open"] == -2


def test_without_a_ledger_what_the_rules_of_now_decide_counts() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    live.pipeline.ingest([fires()], live.now)
    for each in live.store.claim("slack", limit=9, owner="w", now=NOW, until=NOW + MINUTE):
        live.store.settle(each.delivery, Settled(), NOW)

    assert (numbers(live.replay(CHAT)), live.replay(CHAT).gaps.unrecorded) == ({}, 1)
    assert numbers(live.replay()) == {("all", "slack", "open"): -1}


def test_notices_of_failures_are_left_out_and_so_are_links_shown_in_chat() -> None:
    clock = Clock()
    sinks = {"tickets": Sink(clock, Family.TICKET), "slack": Sink(clock, Family.CHAT)}
    sinks["tickets"].failures.extend([DeliveryError(Reason.REFUSED, "no such project", permanent=True), None])
    book = Rulebook((rule("", "tickets"),), (), RECEIVERS)
    world = World(MemoryStore(), sinks, book, clock)
    world.see(fires("fails"), fires("works"))
    world.settle_down()

    report = compare(world.store, book, book, NOW - HOUR, clock() + HOUR)

    assert len(sinks["slack"].things) == 1
    assert numbers(report) == {}
    assert (report.gaps.beside, report.gaps.unexplained) == (1, 0)


def test_what_a_fallback_and_a_digest_told_is_left_out() -> None:
    backed = {**RECEIVERS, "pager": replace(RECEIVERS["pager"], fallback="slack")}
    live = Live(Rulebook((rule("", "pager"),), (), backed))
    live.pipeline.ingest([fires()], live.now)
    (opening,) = live.store.waiting_deliveries()
    over = failover.failed_over(live.store.get([fires().key])[fires().key], opening, live.pipeline.book, live.now)
    assert over is not None
    assert live.pipeline.commit(over, live.now)
    live.take(fires("digest", source=failover.SOURCE))

    report = live.replay(rule("", "pager"))

    assert numbers(report) == {}
    assert report.gaps.beside == 2


def test_severities_that_an_older_version_did_not_store_are_said() -> None:
    store = MemoryStore()
    live = Live(Rulebook((CHAT, PAGES), (), RECEIVERS))
    live.store, live.pipeline.store = store, store
    live.take(fires())
    live.pass_time(MINUTE)
    live.take(fires(severity=Severity.CRITICAL, at=live.now))
    with store.transaction() as rows:
        rows.timeline = {
            place: (episode, tuple(replace(step, severity=None) for step in steps))
            for place, (episode, steps) in rows.timeline.items()
        }

    assert (live.replay(CHAT, PAGES).gaps.severities, numbers(live.replay(CHAT, PAGES))) == (1, {})


def test_what_was_trimmed_is_said_and_who_was_told_by_it_still_counts() -> None:
    live = Live(Rulebook((CHAT, PAGES), (), RECEIVERS))
    live.take(fires())
    for number in range(320):
        live.now += MINUTE
        severity = Severity.CRITICAL if number == 60 else Severity.ERROR
        live.take(fires(title=f"{number} of them", severity=severity, at=live.now))
    live.store.trim(NOW - HOUR)

    report = live.replay(CHAT)

    assert [step.why for step in live.store.timeline(fires().key)].count(Why.LEFT_OUT) == 1
    assert report.gaps.trimmed == 1
    assert (
        sum(each.spared for (_, name, verb), each in report.counted.items() if (name, verb) == ("pager", "open")) == 1
    )


def test_what_lasts_too_short_for_a_rule_is_spared() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    live.take(fires("short"), fires("long"))
    live.pass_time(4 * MINUTE)
    live.take(ends("short", at=live.now))
    live.pass_time(HOUR)

    report = live.replay(timed(lasts=5 * MINUTE))

    assert numbers(report) == {("all", "slack", "open"): -1, ("all", "slack", "close"): -1}


def test_what_fires_often_enough_is_told() -> None:
    live = Live(Rulebook((), (), RECEIVERS))
    for number in range(3):
        live.take(fires(at=live.now, starts_at=live.now), fires(f"once-{number}", at=live.now, starts_at=live.now))
        live.pass_time(5 * MINUTE)
        live.take(ends(at=live.now))
        live.pass_time(5 * MINUTE)

    report = live.replay(timed(after=After(3, HOUR)))

    assert numbers(report) == {("all", "slack", "open"): 1, ("all", "slack", "close"): 1}


def test_a_window_tells_when_it_begins() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    live.take(fires("short"), fires("long"))
    live.pass_time(HOUR)
    live.take(ends("short", at=live.now))
    live.pass_time(HOUR)

    report = live.replay(timed(windows=(OFFICE,)))

    assert numbers(report) == {("all", "slack", "open"): -1, ("all", "slack", "close"): -1}


def test_pages_by_escalation_are_those_of_the_rule_that_escalates() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    live.take(fires("taken"), fires("left"))
    live.pass_time(5 * MINUTE)
    live.take(fires("taken", status=EventStatus.ACKNOWLEDGED, actor="Ada", person=True))
    live.pass_time(30 * MINUTE)
    live.take(ends("left", at=live.now))

    report = live.replay(timed(escalate=Escalate(10 * MINUTE, ("pager",), 8 * MINUTE)))

    assert numbers(report) == {
        ("all", "pager", "open"): 1,
        ("all", "pager", "note"): 3,
        ("all", "pager", "close"): 1,
    }


def test_messages_of_what_flaps_are_spared() -> None:
    live = Live(Rulebook((CHAT,), (), RECEIVERS))
    for _ in range(4):
        live.take(fires(at=live.now, starts_at=live.now))
        live.pass_time(MINUTE)
        live.take(ends(at=live.now))
        live.pass_time(MINUTE)
    live.pass_time(HOUR)

    report = live.replay(CHAT, flapping=Flapping(2, 15 * MINUTE))

    spared = numbers(report)
    assert (spared["all", "slack", "open"], spared["all", "slack", "close"]) == (-2, -2)
