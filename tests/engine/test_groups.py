"""Groups: one alert, ticket and page for all alerts of a rule that have the same labels, whatever happens to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.core import groups, matchers
from service_event_checker.core.ledger import State
from service_event_checker.core.model import GROUPS, Alert, Event
from service_event_checker.core.rules import Rule, Rulebook, Silence
from service_event_checker.core.store import Conflict, Done, IdTaken, Write
from service_event_checker.core.vocabulary import EventStatus, Family, Kind, Severity, Status, Verb, Why
from service_event_checker.engine import grouping
from service_event_checker.engine.ledger import ledger
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.stores.sql.store import SqlStore
from tests.engine.test_pipeline_steps import CountingStore
from tests.factories import NOW, event, receiver
from tests.process import World
from tests.sink import Clock, Sink, Talker
from tests.stores.memory import MemoryStore

RULE = Rule("slow", (), ("tickets", "pager"), per_group=True, group_by=("alertname", "cluster"))
RECEIVERS = {
    "tickets": receiver("tickets", Family.TICKET, reopen_within=timedelta(hours=72)),
    "pager": receiver("pager", Family.PAGER),
    "chat": receiver("chat"),
}


def book(*rules: Rule, silences: tuple[Silence, ...] = ()) -> Rulebook:
    return Rulebook(rules or (RULE,), silences, RECEIVERS)


def fires(number: int, cluster: str = "eu", at: datetime = NOW, **changes: Any) -> Event:
    labels = {"alertname": "HighLatency", "cluster": cluster, "instance": f"web-{number}"}
    base = event(source="alertmanager", fingerprint=f"{cluster}-{number}", kind=Kind.ALERT, intake="/alert")
    changes = {
        "title": "HighLatency",
        "labels": labels,
        "starts_at": at,
        "at": at,
        "severity": Severity.ERROR,
    } | changes
    return replace(base, **changes)


def ends(number: int, cluster: str = "eu", at: datetime = NOW) -> Event:
    return fires(number, cluster, at=at, status=EventStatus.RESOLVED)


@pytest.fixture
def world() -> World:
    return new_world(book())


def new_world(rules: Rulebook) -> World:
    clock = Clock()
    sinks = {
        "tickets": Talker(clock, Family.TICKET),
        "pager": Sink(clock, Family.PAGER),
        "chat": Sink(clock, Family.CHAT),
    }
    return World(MemoryStore(), sinks, rules, clock)


def tick(world: World, seconds: float = 0) -> None:
    world.clock.advance(seconds)
    world.pipeline.mend_groups(world.clock())
    world.settle_down()


def groups_of(world: World) -> list[Alert]:
    found = [world.store.get([key]) for key in {key for each in members(world) for key in each.groups.values() if key}]
    return [group for each in found for group in each.values()]


def members(world: World) -> list[Alert]:
    keys = [fires(number, cluster).key for number in range(40) for cluster in ("eu", "us")]
    return list(world.store.get(keys).values())


def group(world: World) -> Alert:
    (found,) = groups_of(world)
    return found


def titles(world: World, name: str) -> list[tuple[bool, str]]:
    sink = world.destinations[name]
    assert isinstance(sink, Sink)
    return [(thing.open, thing.title) for thing in sink.things]


def restart(world: World, rules: Rulebook) -> None:
    world.book = rules
    world.start()


def test_many_alerts_that_belong_together_are_one_ticket_and_one_page(world: World) -> None:
    world.see(
        *(fires(number) for number in range(9)), *(fires(number, severity=Severity.CRITICAL) for number in (9, 10))
    )
    world.settle_down()

    said = "HighLatency · 11 alerts (2 critical) · cluster=eu"
    assert titles(world, "tickets") == titles(world, "pager") == [(True, said)]
    assert group(world).severity is Severity.CRITICAL
    assert all(each.receivers == () for each in members(world))


def test_each_value_of_the_labels_is_a_group_of_its_own(world: World) -> None:
    world.see(fires(1), fires(2, "us"), fires(3, "us"), fires(4, "", severity=Severity.WARNING))
    world.settle_down()

    assert sorted(title for _, title in titles(world, "tickets")) == [
        "HighLatency · 1 alert (1 error) · cluster=eu",
        "HighLatency · 1 alert (1 warning)",
        "HighLatency · 2 alerts (2 error) · cluster=us",
    ]


def test_a_group_ends_when_its_last_member_ends(world: World) -> None:
    world.see(fires(1), fires(2))
    world.see(ends(1))
    world.settle_down()
    open_before = titles(world, "tickets")[0][0]

    world.see(ends(2))
    world.settle_down()

    assert open_before
    assert [is_open for is_open, _ in titles(world, "tickets") + titles(world, "pager")] == [False, False]
    assert group(world).status is Status.RESOLVED


def test_a_group_opens_again_with_the_next_member(world: World) -> None:
    world.see(fires(1))
    world.see(ends(1))
    world.settle_down()
    world.clock.advance(600)

    world.see(fires(2, at=world.clock()))
    world.settle_down()

    assert group(world).episode == 2
    assert titles(world, "tickets") == [(True, "HighLatency · 1 alert (1 error) · cluster=eu")]  # the same, reopened


def test_the_first_telling_waits_for_what_comes_together_also_over_a_restart() -> None:
    world = new_world(book(replace(RULE, group_wait=timedelta(seconds=30))))
    world.see(fires(1))
    tick(world, 10)
    world.see(fires(2), fires(3, severity=Severity.CRITICAL))
    restart(world, world.book)
    tick(world, 19)
    told_early = titles(world, "tickets")

    tick(world, 1)

    assert told_early == []
    assert titles(world, "tickets") == [(True, "HighLatency · 3 alerts (1 critical) · cluster=eu")]
    assert group(world).withheld == {}


def test_what_is_over_before_the_wait_is_told_to_nobody() -> None:
    world = new_world(book(replace(RULE, group_wait=timedelta(seconds=30))))
    world.see(fires(1))
    world.see(ends(1))

    tick(world, 60)

    assert titles(world, "tickets") == titles(world, "pager") == []


def test_the_numbers_are_updated_now_and_then_and_what_is_worse_at_once(world: World) -> None:
    world.see(fires(1))
    world.clock.advance(1)
    world.see(fires(2, at=world.clock()))
    world.settle_down()
    early = titles(world, "tickets")
    world.clock.advance(1)
    world.see(fires(3, at=world.clock(), severity=Severity.CRITICAL))
    world.settle_down()
    worse = titles(world, "tickets")
    world.clock.advance(1)
    world.see(ends(3, at=world.clock()))

    tick(world, 5)

    assert early == [(True, "HighLatency · 1 alert (1 error) · cluster=eu")]
    assert worse == [(True, "HighLatency · 3 alerts (1 critical) · cluster=eu")]
    assert titles(world, "tickets") == [(True, "HighLatency · 2 alerts (2 error) · cluster=eu")]


def test_the_text_names_the_worst_members(world: World) -> None:
    world.see(*(fires(number) for number in range(12)), fires(12, severity=Severity.CRITICAL))

    lines = group(world).description.splitlines()

    assert lines[0] == "Open: 1 critical, 12 error"
    assert "critical: HighLatency (ALERTMANAGER-" in lines[1]
    assert "web-12" in lines[1]
    assert (len(lines), lines[-1]) == (12, "and 3 more")


def test_who_acknowledges_the_ticket_of_a_group_acknowledges_its_members(world: World) -> None:
    world.see(fires(1), fires(2), fires(3))
    world.see(ends(3))
    world.settle_down()
    tickets = world.destinations["tickets"]
    assert isinstance(tickets, Talker)
    world.clock.advance(60)

    world.see(tickets.says("1", EventStatus.ACKNOWLEDGED, "Ada"))
    world.clock.advance(1)
    world.see(fires(4, at=world.clock()))
    tick(world, 10)

    statuses = {each.fingerprint: (each.status, each.owner) for each in members(world)}
    assert statuses == {
        "eu-1": (Status.ACKNOWLEDGED, "Ada"),
        "eu-2": (Status.ACKNOWLEDGED, "Ada"),
        "eu-3": (Status.RESOLVED, ""),
        "eu-4": (Status.FIRING, ""),
    }
    assert group(world).owner == "Ada"
    assert (Verb.ACK in [verb for verb, _ in world.destinations["pager"].told]) is True  # type: ignore[attr-defined]


def test_an_acknowledgement_that_a_person_takes_back_stays_taken_back(world: World) -> None:
    world.see(fires(1), fires(2))
    world.clock.advance(60)
    acked = Event(source=GROUPS, fingerprint=group(world).fingerprint, kind=Kind.ALERT, status=EventStatus.ACKNOWLEDGED)
    world.see(replace(acked, actor="Ada", person=True, intake="api"))
    world.clock.advance(60)
    world.see(replace(fires(1), status=EventStatus.UNACKNOWLEDGED, actor="Bob", person=True))

    tick(world, 60)

    assert {each.fingerprint: each.status for each in members(world)} == {
        "eu-1": Status.FIRING,
        "eu-2": Status.ACKNOWLEDGED,
    }


def test_very_many_members_are_acknowledged_by_and_by(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "AT_ONCE", 7)
    world.see(*(fires(number) for number in range(20)))
    acked = Event(source=GROUPS, fingerprint=group(world).fingerprint, kind=Kind.ALERT, status=EventStatus.ACKNOWLEDGED)
    world.clock.advance(60)

    world.see(replace(acked, actor="Ada", person=True, intake="api"))
    at_once = sum(each.status is Status.ACKNOWLEDGED for each in members(world))
    for _ in range(2):
        tick(world, 2)

    assert at_once == 7
    assert {each.owner for each in members(world)} == {"Ada"}


def test_who_ends_a_group_ends_no_member_and_a_new_one_opens_it_again(world: World) -> None:
    world.see(fires(1), fires(2))
    world.clock.advance(60)
    over = Event(source=GROUPS, fingerprint=group(world).fingerprint, kind=Kind.ALERT, status=EventStatus.RESOLVED)
    world.see(replace(over, actor="Ada", person=True, intake="api"))
    tick(world, 600)
    after = (group(world).status, {each.status for each in members(world)}, titles(world, "tickets")[0][0])

    world.see(fires(3, at=world.clock()))
    tick(world)

    assert after == (Status.RESOLVED, {Status.FIRING}, False)
    assert (group(world).status, group(world).episode) == (Status.FIRING, 2)
    assert titles(world, "tickets") == [(True, "HighLatency · 3 alerts (3 error) · cluster=eu")]


def test_a_rule_that_groups_by_other_labels_ends_the_groups_of_before(world: World) -> None:
    world.see(fires(1), fires(2, "us"), fires(3))
    world.settle_down()
    before = groups_of(world)
    restart(world, book(replace(RULE, group_by=("alertname",))))

    for _ in range(2):
        tick(world, 60)

    ended = world.store.get([each.key for each in before]).values()
    assert {each.status for each in ended} == {Status.RESOLVED}
    note = world.store.timeline(before[0].key)[-1 - len(RULE.send)].note
    assert note == 'the rule "slow" groups by other labels now; its alerts go on'
    assert group(world).title == "HighLatency · 3 alerts (3 error)"
    assert [is_open for is_open, _ in titles(world, "tickets")] == [False, False, True]


def test_a_rule_without_groups_ends_those_of_before_and_then_they_cost_nothing(tmp_path: Path) -> None:
    store = CountingStore(f"sqlite:///{tmp_path}/store.db")
    store.prepare()
    Pipeline(store, book()).ingest([fires(1)], NOW)
    pipeline = Pipeline(store, book(Rule("slow", (), ("tickets",))))

    pipeline.mend_groups(NOW)
    over = store.open_alerts(GROUPS)
    store.reads.clear()
    store.open_alerts = store.members = None  # type: ignore[assignment]  # not to be called
    pipeline.mend_groups(NOW)
    pipeline.ingest([fires(2)], NOW)

    assert over == []
    assert store.reads == [{fires(2).key}]
    store.close()


def test_a_message_of_many_members_costs_one_write_of_their_group(tmp_path: Path) -> None:
    store = CountingStore(f"sqlite:///{tmp_path}/store.db")
    store.prepare()
    pipeline = Pipeline(store, book())

    pipeline.ingest([fires(number) for number in range(100)], NOW)
    first = [len(keys) for keys in store.commits]
    pipeline.ingest([fires(number) for number in range(100, 200)], NOW + timedelta(seconds=1))

    assert first == [100, 1]
    assert [len(keys) for keys in store.commits] == [100, 1, 100]  # its numbers may wait
    store.close()


def test_a_silenced_alert_joins_its_group_when_the_silence_is_over() -> None:
    quiet = Silence(matchers.parse('instance="web-1"'), NOW, NOW + timedelta(minutes=5), "Ada", "upgrade")
    world = new_world(book(silences=(quiet,)))
    world.see(fires(1), fires(2))
    tick(world, 60)
    during = titles(world, "tickets")
    (held,) = [each for each in members(world) if each.withheld]

    world.clock.advance(600)
    world.pipeline.release(world.clock())
    tick(world)

    assert during == [(True, "HighLatency · 1 alert (1 error) · cluster=eu")]
    assert list(held.withheld) == ["group of slow"]
    assert titles(world, "tickets") == [(True, "HighLatency · 2 alerts (2 error) · cluster=eu")]


def test_a_rule_beside_it_tells_of_each_member(world: World) -> None:
    restart(world, book(replace(RULE, proceed=True), Rule("each", (), ("chat",))))

    world.see(fires(1), fires(2))
    world.settle_down()

    assert len(titles(world, "chat")) == 2
    assert len(titles(world, "tickets")) == 1
    assert group(world).receivers == ("tickets", "pager")  # other rules are not asked of a group


def test_a_test_alert_joins_no_group(world: World) -> None:
    world.see(fires(1, test=True))

    assert [(each.groups, each.receivers) for each in members(world)] == [({}, ("tickets", "pager"))]


def test_planned_work_that_only_a_rule_for_groups_matches_is_tracked(world: World) -> None:
    world.see(fires(1, kind=Kind.MAINTENANCE))

    assert [each.memberships for each in members(world)] == [(group(world).key,)]


def test_a_group_is_as_old_as_its_first_member(world: World) -> None:
    world.see(fires(1))
    world.clock.advance(60)
    world.see(fires(2, at=world.clock()))

    assert (group(world).since, group(world).starts_at) == (NOW, NOW + timedelta(seconds=60))


def test_a_member_says_that_its_group_was_told_and_where(world: World) -> None:
    world.see(fires(1))
    world.settle_down()
    (member,) = members(world)

    told = ledger(world.store, member, RECEIVERS, world.store.timeline(member.key))

    name = group(world).internal_id
    found = {each.receiver: (each.state, each.url, each.why) for each in told}
    assert found["tickets"] == (State.DELIVERED, "http://sink.test/1", f"told as part of the group {name}")
    assert found["chat"][0] is State.NOT_MATCHED
    related = grouping.related(world.store, member)
    assert [each.internal_id for each in related.groups] == [name]
    assert grouping.related(world.store, group(world)).members == (member,)
    assert grouping.related(world.store, group(world)).member_count == 1


def test_a_member_with_another_value_of_the_label_moves_to_its_group(world: World) -> None:
    world.see(fires(1), fires(2, "us"))
    moved = replace(fires(1), labels={**fires(1).labels, "cluster": "us"}, at=NOW + timedelta(seconds=1))

    world.see(moved)
    tick(world, 10)

    assert sorted(titles(world, "tickets")) == [
        (False, "HighLatency · 1 alert (1 error) · cluster=eu"),
        (True, "HighLatency · 2 alerts (2 error) · cluster=us"),
    ]


def test_the_end_of_a_group_that_was_told_too_early_is_taken_back(world: World) -> None:
    """As by a process that counted before a member was committed, and wrote after that."""
    world.see(fires(1))
    over = groups.event(RULE, {"alertname": "HighLatency", "cluster": "eu"}, None)
    world.see(over)
    ended = group(world).status

    for _ in range(2):
        tick(world, 2)

    assert ended is Status.RESOLVED
    assert (group(world).status, titles(world, "tickets")[0][0]) == (Status.FIRING, True)


def test_a_group_that_was_never_written_is_written_at_the_next_tick(world: World) -> None:
    world.see(fires(1))
    member = members(world)[0]
    key = group(world).key
    store = world.store
    assert isinstance(store, MemoryStore)
    with store.transaction() as rows:  # as a kill -9 between the two commits leaves it
        del rows.heads[key]
        rows.lanes.clear()
        rows.waiting.clear()
        rows.codes = {code: place for code, place in rows.codes.items() if place[0] != key}

    tick(world)

    assert [each.key for each in store.open_alerts(GROUPS)] == [key]
    assert member.groups == {"slow": key}
    assert titles(world, "tickets") == [(True, "HighLatency · 1 alert (1 error) · cluster=eu")]


class SlowWriter(CountingStore):
    """Lets something else happen between the count of a group and its write, once."""

    def commit(self, writes: Sequence[Write], now: datetime) -> list[Done | Conflict | IdTaken]:
        if any(write.alert.is_group for write in writes):
            act, self.before_commit = self.before_commit, lambda: None
            act()
        return SqlStore.commit(self, writes, now)


def test_a_group_that_another_process_changed_meanwhile_is_counted_anew(tmp_path: Path) -> None:
    store = SlowWriter(f"sqlite:///{tmp_path}/store.db")
    store.prepare()
    other = Pipeline(SqlStore(str(store.engine.url)), book())
    store.before_commit = lambda: other.ingest([fires(2, severity=Severity.CRITICAL)], NOW)

    Pipeline(store, book()).ingest([fires(1)], NOW)

    (found,) = store.open_alerts(GROUPS)
    assert (found.title, found.episode) == ("HighLatency · 2 alerts (1 critical) · cluster=eu", 1)
    store.close()


def test_a_member_that_opens_while_the_group_ends_keeps_it_open_in_the_end(tmp_path: Path) -> None:
    store = SlowWriter(f"sqlite:///{tmp_path}/store.db")
    store.prepare()
    pipeline = Pipeline(store, book())
    pipeline.ingest([fires(1)], NOW)
    later = NOW + timedelta(minutes=5)
    other = Pipeline(SqlStore(str(store.engine.url)), book())
    store.before_commit = lambda: other.ingest([fires(2, at=later)], later)

    pipeline.ingest([ends(1, at=later)], later)

    (found,) = store.open_alerts(GROUPS)
    assert store.members()[found.key].total == 1
    store.close()


def test_several_writers_of_one_group_leave_one_that_is_right(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/store.db")
    store.prepare()

    def work(number: int) -> None:
        pipeline = Pipeline(store, book())
        for step in range(4):
            pipeline.ingest([fires(10 * number + step)], NOW)
        for step in range(3):
            pipeline.ingest([ends(10 * number + step)], NOW)

    at_once(work, range(6))
    open_then = store.open_alerts(GROUPS)
    at_once(lambda number: Pipeline(store, book()).ingest([ends(10 * number + 3)], NOW), range(6))
    for _ in range(2):
        Pipeline(store, book()).mend_groups(NOW)

    assert len(open_then) == 1
    assert store.open_alerts(GROUPS) == []
    assert store.members() == {}
    store.close()


def test_a_group_says_why_it_ended(world: World) -> None:
    world.see(fires(1))
    world.see(ends(1))

    last = [step for step in world.store.timeline(group(world).key) if step.why is Why.RESOLVED_BY_SOURCE]
    assert [step.note for step in last] == ["the last alert of the group is over"]


def at_once(work: Any, numbers: Iterable[int]) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, numbers))
