"""What makes a group, what it says of its members, and what it is called."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core import groups, matchers, routing, tracker
from service_event_checker.core.conditions import Conditions
from service_event_checker.core.escalation import Escalate
from service_event_checker.core.evaluation import evaluate
from service_event_checker.core.flapping import Flapping
from service_event_checker.core.ledger import Entry, State, with_groups
from service_event_checker.core.model import GROUPS, Alert
from service_event_checker.core.rules import Rule, Rulebook, matching, steps
from service_event_checker.core.silences import Holding, Silence
from service_event_checker.core.store import Members
from service_event_checker.core.vocabulary import EventStatus, Severity, Verb
from service_event_checker.core.weekly import DAYS, Weekly
from tests.factories import NOW, alert, event, receiver
from tests.strategies import REPEATABLE

RULE = Rule("slow", (), ("tickets",), per_group=True, group_by=("alertname", "cluster"))
WAITING = replace(RULE, group_wait=timedelta(seconds=30))
LABELS = {"alertname": "HighLatency", "cluster": "eu"}
RECEIVERS = {
    name: receiver(name, why_off="X is not set" if name == "off" else "") for name in ("tickets", "chat", "off")
}
HOUR = NOW + timedelta(hours=1)
QUIET = Holding(Silence((), NOW, HOUR, "Ada", "upgrade"), HOUR)

texts = st.text(max_size=8)


def counted(**numbers: int) -> Members:
    return Members(severities={Severity(name): each for name, each in numbers.items()}, firing=1, newest_at=NOW)


def group(rule: Rule = RULE, **changes: object) -> Alert:
    found = tracker.track(None, groups.event(rule, LABELS, counted(error=2)), NOW).alert
    assert found is not None
    return replace(found, **changes)


def test_the_title_says_what_how_many_and_where() -> None:
    def title(labels: dict[str, str], **numbers: int) -> str:
        return groups.event(RULE, labels, counted(**numbers)).title

    assert title(LABELS, critical=3, warning=9) == "HighLatency · 12 alerts (3 critical) · cluster=eu"
    assert title({"alertname": "", "cluster": ""}, info=1) == "slow · 1 alert (1 info)"
    assert len(title({"alertname": "x" * 5000, "cluster": "y" * 5000}, error=2)) < 300


def test_a_group_is_as_severe_as_its_worst_member() -> None:
    assert groups.event(RULE, LABELS, counted(critical=1, info=7)).severity is Severity.CRITICAL


def test_the_text_counts_and_names_members() -> None:
    worst = [alert(title="a\nb", labels={"instance": "web-1"}), alert(fingerprint="two", title="c")]

    found = groups.event(RULE, LABELS, counted(error=2), worst).description

    one, two = (each.internal_id for each in worst)
    assert found == f"Open: 2 error\nerror: a b ({one}, web-1)\nerror: c ({two})"
    assert groups.event(RULE, LABELS, counted(error=3), worst).description.endswith("\nand 1 more")
    assert groups.event(RULE, LABELS, counted(error=3)).description == ""


@given(values=st.dictionaries(st.sampled_from(["a", "b"]), texts), other=st.dictionaries(st.sampled_from("ab"), texts))
@REPEATABLE
def test_alerts_are_of_one_group_only_if_they_have_all_values_in_common(
    values: dict[str, str], other: dict[str, str]
) -> None:
    rule = replace(RULE, group_by=("a", "b"))
    keys = [
        groups.key_of(rule, groups.labels_of(rule, alert(labels=each | {"pod": str(number)})))
        for number, each in enumerate((values, other))
    ]

    same = all(values.get(name, "") == other.get(name, "") for name in "ab")
    assert (keys[0] == keys[1]) == same
    assert keys[0] == groups.key_of(replace(rule, group_by=("b", "a")), {"a": "", "b": "", **values})
    assert keys[0] != groups.key_of(replace(rule, name="other"), {"a": "", "b": "", **values})
    assert keys[0] != groups.key_of(replace(rule, group_by=("a",)), {"a": "", "b": "", **values})


def test_a_group_may_be_made_of_an_alerts_own_names() -> None:
    rule = replace(RULE, group_by=("severity", "label.severity", "source"))

    found = groups.labels_of(rule, alert(labels={"severity": "page"}))

    assert found == {"severity": "error", "label.severity": "page", "source": "github"}


def test_an_alert_joins_the_groups_of_all_rules_that_match() -> None:
    rules = (
        replace(RULE, proceed=True),
        Rule("web", matchers.parse('team="web"'), ("chat",), True, per_group=True),
        Rule("db", matchers.parse('team="db"'), ("chat",), True, per_group=True),
        Rule("each", (), ("chat",)),
    )

    joined = groups.join(alert(labels={"team": "web", **LABELS}), Rulebook(rules), None, NOW)

    assert joined.groups == {"slow": groups.key_of(RULE, LABELS), "web": groups.key_of(rules[1], {})}
    assert joined.memberships == tuple(joined.groups.values())
    assert replace(joined, groups={}).memberships == ()


def test_a_silenced_alert_joins_no_group_but_stays_in_its_own() -> None:
    silenced = groups.join(alert(labels=LABELS), Rulebook((RULE,)), QUIET, NOW)
    member = groups.join(alert(labels=LABELS), Rulebook((RULE,)), None, NOW)

    assert (silenced.groups, list(silenced.withheld)) == ({}, ["group of slow"])
    assert groups.join(member, Rulebook((RULE,)), QUIET, NOW) == member


def test_after_a_change_of_the_rules_an_alert_is_in_the_groups_of_now() -> None:
    member = groups.join(alert(labels=LABELS), Rulebook((RULE, replace(RULE, name="gone"))), None, NOW)

    moved = groups.join_anew(replace(member, groups={**member.groups, "gone": "x"}), Rulebook((RULE,)), NOW)

    assert moved.groups == {"slow": groups.key_of(RULE, LABELS), "gone": ""}


def test_a_group_knows_its_rule_as_long_as_it_groups_in_the_same_way() -> None:
    assert groups.rule_of(group(), (Rule("all", (), ()), RULE)) == RULE
    assert groups.rule_of(group(), (replace(RULE, group_by=("alertname",)),)) is None
    assert groups.rule_of(group(), (replace(RULE, per_group=False),)) is None
    assert groups.end(group(), (replace(RULE, group_by=()),)).note.endswith(
        "groups by other labels now; its alerts go on"
    )
    assert groups.end(group(), ()).note == 'the rule "slow" makes no groups any more; its alerts go on'


def test_a_group_waits_from_its_opening_on() -> None:
    assert groups.wait(group(), (WAITING,), NOW) == "waits until 03:00:30 UTC for more alerts of the group"
    assert groups.wait(group(), (WAITING,), NOW + timedelta(seconds=30)) == ""
    assert groups.wait(group(), (), NOW) == ""
    assert groups.wait(alert(), (WAITING,), NOW) == ""


def test_a_group_is_told_by_its_own_rule_whatever_matches() -> None:
    picky = replace(RULE, matchers=matchers.parse('instance="web-1"'))
    book = Rulebook((Rule("all", (), ("chat",)), picky), (), RECEIVERS)

    assert [step.rule.name for step in steps(group(), book, NOW)] == ["slow"]
    assert matching(group(fingerprint="x:other"), book, NOW) == ()
    assert routing.route(group(receivers=()), (), book, NOW).alert.receivers == ()
    opened = tracker.track(None, groups.event(RULE, LABELS, counted(error=1)), NOW)
    assert opened.alert is not None
    assert routing.route(opened.alert, opened.transitions, book, NOW).alert.receivers == ("tickets",)


def test_what_ends_opens_or_gets_worse_is_urgent() -> None:
    assert groups.is_urgent(group(), None)
    assert groups.is_urgent(group(), counted(critical=1))
    assert not groups.is_urgent(group(), counted(error=7, info=1))
    over = tracker.track(group(), groups.event(RULE, LABELS, None), NOW).alert
    assert over is not None
    assert groups.is_urgent(over, counted(error=1))


def test_a_member_is_acknowledged_as_by_the_person_who_acknowledged_the_group() -> None:
    found = groups.acknowledgement(alert(), group(), "Ada")

    assert (found.key, found.status, found.actor, found.person) == (alert().key, EventStatus.ACKNOWLEDGED, "Ada", True)
    assert found.note == f"with the group {group().internal_id}"
    assert group().source == GROUPS


def test_a_dry_run_names_the_group_and_who_would_be_told_of_it() -> None:
    rules = (replace(WAITING, send=("tickets", "off"), proceed=True), Rule("each", (), ("chat",)))
    seen = event(labels=LABELS)

    found = evaluate(seen, Rulebook(rules, (), RECEIVERS), NOW)

    assert found.receivers == ("chat",)
    (joined,) = found.groups
    assert (joined.rule.name, joined.key, joined.labels) == ("slow", groups.key_of(RULE, LABELS), LABELS)
    assert (joined.receivers, joined.withheld) == (("tickets",), {"off": "off: X is not set"})
    assert evaluate(seen, Rulebook(rules[1:], (), RECEIVERS), NOW).groups == ()


def test_a_member_that_no_rule_sends_shows_what_its_group_was_told() -> None:
    told = [
        Entry(receiver="tickets", state=State.NOT_MATCHED),
        Entry(receiver="chat", state=State.NOT_MATCHED),
        Entry(receiver="mail", state=State.DELIVERED, verb=Verb.OPEN),
    ]
    of_group = [
        Entry(receiver="tickets", state=State.FAILED, verb=Verb.OPEN, why="refused", delivery_id="1", tries=3),
        Entry(receiver="mail", state=State.WAITING, verb=Verb.OPEN),
        Entry(receiver="chat", state=State.DELIVERED, verb=Verb.UPDATE),
    ]

    found = with_groups(told, [(group(), of_group)])

    why = f"as part of the group {group().internal_id}: refused"
    assert found == [replace(of_group[0], why=why, delivery_id=""), *told[1:]]
    waits = [Entry(receiver="tickets", state=State.WAITING, verb=Verb.OPEN)]
    assert with_groups(told, [(group(), waits)])[0].why == f"as part of the group {group().internal_id}"


MINUTE = timedelta(minutes=1)
NIGHT = Conditions(windows=(Weekly(DAYS, time(4), time(6), "UTC"),))  # NOW: 03:00


def opened(rule: Rule, *more: Rule, silences: tuple[Silence, ...] = ()) -> tuple[Alert, Rulebook]:
    book = Rulebook((rule, *more), silences, RECEIVERS)
    change = tracker.track(None, groups.event(rule, LABELS, counted(error=1)), NOW)
    assert change.alert is not None
    return routing.route(change.alert, change.transitions, book, NOW).alert, book


def told_at(known: Alert, book: Rulebook, now: datetime) -> list[tuple[str, Verb]]:
    write = routing.release(known, book, now)
    return [(each.receiver, each.verb) for each in write.deliveries] if write else []


def test_a_group_waits_for_what_its_rule_waits_for() -> None:
    lasting, lasting_book = opened(replace(RULE, conditions=Conditions(lasts=5 * MINUTE)))
    nightly, nightly_book = opened(replace(RULE, conditions=NIGHT))

    assert lasting.withheld == {"tickets": "waits: must fire for 5m, until 2026-11-20 03:05 UTC"}
    assert nightly.withheld["tickets"].endswith(", until 2026-11-20 04:00 UTC")
    assert told_at(lasting, lasting_book, NOW + 4 * MINUTE) == []
    assert told_at(lasting, lasting_book, NOW + 5 * MINUTE) == [("tickets", Verb.OPEN)]
    assert told_at(nightly, nightly_book, HOUR) == [("tickets", Verb.OPEN)]


def test_outside_the_windows_an_alert_joins_and_later_rules_tell_of_it() -> None:
    book = Rulebook((replace(RULE, conditions=NIGHT), Rule("day", (), ("chat",))), (), RECEIVERS)

    dry = evaluate(event(labels=LABELS), book, NOW)
    change = tracker.track(None, event(labels=LABELS), NOW)
    assert change.alert is not None
    live = routing.route(change.alert, change.transitions, book, NOW).alert

    (joined,) = dry.groups
    assert (live.receivers, list(live.groups)) == (dry.receivers, [joined.rule.name]) == (("chat",), ["slow"])
    assert (joined.receivers, list(joined.withheld)) == ((), ["tickets"])


def test_a_group_escalates_from_when_it_was_told_and_its_members_do_not() -> None:
    rule = replace(WAITING, escalate=Escalate(10 * MINUTE, ("chat",)))
    known, book = opened(rule)
    told = routing.release(known, book, NOW + MINUTE)
    member = routing.route(alert(labels=LABELS), (), book, NOW).alert
    assert told is not None

    assert (known.escalations, member.escalations) == ({}, {})
    assert told_at(told.alert, book, NOW + 10.5 * MINUTE) == []
    assert told_at(told.alert, book, NOW + 11 * MINUTE) == [("chat", Verb.OPEN)]


def test_while_a_group_is_silenced_it_does_not_escalate() -> None:
    rule = replace(RULE, escalate=Escalate(10 * MINUTE, ("chat",)))
    known, book = opened(rule)
    silenced = replace(book, silences=(Silence((), NOW, HOUR, "Ada", "upgrade"),))

    assert told_at(known, silenced, NOW + 10 * MINUTE) == []
    assert told_at(known, book, HOUR) == [("chat", Verb.OPEN)]


def test_a_group_never_flaps_whatever_its_members_do() -> None:
    book = replace(Rulebook((RULE,), (), RECEIVERS), flapping=Flapping(2, HOUR - NOW))
    known: Alert | None = None
    episodes = set()
    for now in (NOW + number * MINUTE for number in range(10)):
        members = replace(counted(error=1), newest_at=now) if now.minute % 2 == 0 else None
        change = tracker.track(known, groups.event(RULE, LABELS, members), now)
        assert change.alert is not None
        known = routing.route(change.alert, change.transitions, book, now).alert
        episodes.add(known.episode)
        assert not known.flapping

    assert episodes == {1, 2, 3, 4, 5}
