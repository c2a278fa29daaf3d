"""What a summary counts, names and says; when it is sent again and when it is over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service_event_checker.core import routing, storms
from service_event_checker.core.ids import internal_id
from service_event_checker.core.model import GROUPS, STORMS, Alert, Budget, Link
from service_event_checker.core.replacing import replace
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.storms import Covered
from service_event_checker.core.vocabulary import Family, Severity, Status, Verb, Why
from tests.factories import NOW, alert, delivery, receiver
from tests.strategies import REPEATABLE

BUDGET = Budget(4, timedelta(minutes=5))
BOOK = Rulebook(
    receivers={
        "slack": receiver("slack", storm=BUDGET),
        "mail": receiver("mail", Family.MAIL, storm=BUDGET),
        "robot": receiver("robot", edits=False, storm=BUDGET),
        "quiet": receiver("quiet"),
    }
)


def one(name: str, severity: Severity = Severity.WARNING, verb: Verb = Verb.OPEN, **changes: Any) -> Covered:
    shown = alert(
        fingerprint=name,
        severity=severity,
        internal_id=f"GITHUB-{name}",
        **{"title": name, "url": f"https://example.com/{name}", **changes},
    )
    return Covered(delivery=delivery(shown, verb), alert=shown, opens=verb is Verb.OPEN)


def counted(known: Alert | None, *batch: Covered, receiver: str = "slack", **changes: Any) -> Alert:
    now = changes.pop("now", NOW)
    write = storms.counted(known, receiver, batch, BOOK, now, **{"budget": BUDGET, "own": 4, **changes})
    assert write is not None
    return write.alert


def test_a_summary_says_how_many_of_what_and_names_the_ten_worst() -> None:
    mixed = [one(f"w{number}") for number in range(12)]
    mixed += [one(f"e{number}", Severity.ERROR, labels={"alertname": "Slow"}) for number in range(3)]

    summary = counted(None, *mixed, page="https://poc.example.com")

    assert summary.title == "Storm: 15 alerts in one summary, 0 critical, 15 open"
    lines = summary.description.splitlines()
    assert lines[0] == "Severity: error 3, warning 12"
    assert lines[1] == "Source: github 15"
    assert lines[2] == "Group: Slow 3, w0 1, w1 1, w2 1, w3 1, and 8 more"
    assert lines[3:7] == [f"error: e{n} (GITHUB-e{n})" for n in range(3)] + ["warning: w0 (GITHUB-w0)"]
    assert lines[13:] == ["All alerts: https://poc.example.com"]
    assert summary.annotations["storm link GITHUB-e0"] == "https://poc.example.com/alerts/GITHUB-e0"
    assert summary.url == "https://poc.example.com"
    assert summary.severity is Severity.ERROR


def test_without_the_address_of_our_page_the_alerts_own_addresses_are_linked() -> None:
    summary = counted(None, one("a"), one("b", url=""))

    links = {name: url for name, url in summary.annotations.items() if name.startswith(storms.LINK)}
    assert links == {"storm link GITHUB-a": "https://example.com/a"}
    assert "All alerts" not in summary.description
    assert summary.title == "Storm: 2 alerts in one summary, 0 critical, 2 open"


def test_critical_alerts_are_named_before_all_others_and_those_beyond_are_counted() -> None:
    summary = counted(None, *(one(f"w{n}") for n in range(10)), *(one(f"c{n}", Severity.CRITICAL) for n in range(33)))

    lines = summary.description.splitlines()
    assert [line for line in lines if line.startswith("critical: ")] == [
        f"critical: c{n} (GITHUB-c{n})" for n in range(30)
    ]
    assert not [line for line in lines if line.startswith("warning: ")]
    assert lines[-1] == "and 3 more that are critical"


def test_a_group_counts_as_itself_and_very_many_names_are_counted_together() -> None:
    group = one("g", source=GROUPS)
    summary = counted(None, group, *(one(f"n{number}") for number in range(100)))

    groups = storms.tally_of(summary).groups
    assert groups["GITHUB-g"] == 1
    assert len(groups) == storms.NAMES_MAX + 1
    assert groups["others"] == 101 - storms.NAMES_MAX


def test_a_long_title_is_cut_and_an_empty_one_is_among_the_others() -> None:
    summary = counted(None, one("a", title="x" * 200), one("b", title=""))

    assert set(storms.tally_of(summary).groups) == {"x" * 59 + "…", "others"}
    assert "x" * 119 + "…" in summary.description


def test_the_same_delivery_is_counted_once_until_it_is_settled() -> None:
    first = counted(None, one("a"))

    assert storms.counted(first, "slack", [one("a")], BOOK, NOW, budget=BUDGET, own=4) is None
    again = counted(first, one("a"), one("b"))
    assert storms.tally_of(again).total == 2
    mark = storms.mark(one("a").delivery)
    assert mark not in storms.tally_of(counted(again, settled=[mark])).pending


def test_marks_that_nobody_settles_do_not_grow_without_end() -> None:
    summary = counted(None, *(one(f"n{number}") for number in range(storms.PENDING_MAX + 5)))

    assert len(storms.tally_of(summary).pending) == storms.PENDING_MAX


def test_an_end_counts_in_the_summary_that_covers_its_alert_only() -> None:
    first = counted(None, one("a"), one("b"))
    mine = Covered(**_fields(one("a", verb=Verb.CLOSE)), summary=first.internal_id)
    other = Covered(**_fields(one("b", verb=Verb.CLOSE)), summary="STORM-OTHER")
    update = Covered(**_fields(one("a", verb=Verb.UPDATE)), summary=first.internal_id)

    second = counted(first, mine, other, update)

    assert storms.tally_of(second).open == 1
    assert storms.counted(None, "slack", [mine], BOOK, NOW, budget=BUDGET, own=4) is None
    assert storms.counted(_over(second), "slack", [mine], BOOK, NOW, budget=BUDGET, own=4) is None


def _fields(covered: Covered) -> dict[str, Any]:
    return {"delivery": covered.delivery, "alert": covered.alert}


def _over(summary: Alert, after: timedelta = BUDGET.within) -> Alert:
    write = storms.ended(summary, BOOK, NOW + after)
    assert write is not None
    return write.alert


def test_a_storm_opens_one_alert_for_its_receiver_and_the_next_storm_another_episode() -> None:
    write = storms.counted(None, "slack", [one("a")], BOOK, NOW, budget=BUDGET, own=4)
    assert write is not None
    (opening,) = write.deliveries

    assert (write.alert.key, write.alert.source) == (storms.key_of("slack"), STORMS)
    assert (opening.receiver, opening.verb, opening.due_at) == ("slack", Verb.OPEN, NOW + storms.COLLECTED_FOR)
    assert [step.why for step in write.transitions] == [Why.OPENED]

    second = counted(_over(write.alert), one("b"))
    assert (second.episode, second.previous_ended_at) == (2, NOW + BUDGET.within)
    assert storms.tally_of(second).total == 1


@pytest.mark.parametrize("name", ["mail", "robot", "gone"])
def test_what_cannot_be_edited_waits_a_minute_and_its_end_cancels_nothing(name: str) -> None:
    write = storms.counted(None, name, [one("a")], BOOK, NOW, budget=BUDGET, own=4)

    assert write is not None
    assert write.deliveries[0].due_at == NOW + storms.SENT_EVERY
    end = storms.ended(write.alert, BOOK, NOW + BUDGET.within)
    assert end is not None
    assert [each.cancels for each in end.deliveries] == [False]


def test_an_edited_summary_is_sent_again_when_its_numbers_have_changed_and_it_is_time() -> None:
    sent_at = NOW + storms.COLLECTED_FOR
    first = counted(None, one("a"))
    summary = counted(first, one("b"), now=sent_at)
    soon, later = sent_at + timedelta(seconds=14), sent_at + timedelta(seconds=15)

    assert storms.refreshed(first, BOOK, later, waits=False) is None
    assert storms.refreshed(summary, BOOK, soon, waits=False) is None
    assert storms.refreshed(summary, BOOK, later, waits=True) is None
    write = storms.refreshed(summary, BOOK, later, waits=False)
    assert write is not None
    assert [(each.receiver, each.verb) for each in write.deliveries] == [("slack", Verb.UPDATE)]
    assert storms.refreshed(write.alert, BOOK, later + timedelta(minutes=1), waits=False) is None


def test_a_mail_is_repeated_after_one_two_four_minutes_and_so_on() -> None:
    summary, now, waits = counted(None, one("a"), receiver="mail"), NOW + storms.SENT_EVERY, []

    for number in range(6):
        began, write = now, None
        summary = counted(summary, one(f"n{number}"), receiver="mail", now=now)
        while write is None:
            now += timedelta(seconds=30)
            write = storms.refreshed(summary, BOOK, now, waits=False)
        waits.append((now - began).total_seconds() / 60)
        summary = write.alert

    assert waits == [1, 2, 4, 8, 16, 16]


def test_a_storm_is_over_when_its_budget_was_not_exceeded_for_its_time() -> None:
    summary = counted(None, one("a"))
    trickle = counted(summary, one("b"), now=NOW + timedelta(minutes=4), own=0)
    busy = counted(trickle, *(one(f"n{n}") for n in range(5)), now=NOW + timedelta(minutes=4), own=0)

    assert storms.ended(summary, BOOK, NOW + timedelta(minutes=4, seconds=59)) is None
    assert _over(trickle).title == "Storm over: 2 alerts summarised, 2 still open"
    assert storms.ended(busy, BOOK, NOW + timedelta(minutes=8)) is None
    assert _over(busy, timedelta(minutes=9)).status is Status.RESOLVED


def test_openings_of_long_ago_do_not_keep_a_storm_alive() -> None:
    summary = counted(None, *(one(f"n{n}") for n in range(50)))

    later = counted(summary, one("late"), now=NOW + timedelta(minutes=6), own=0)

    assert storms.tally_of(later).exceeded == NOW.timestamp()
    assert len(storms.tally_of(later).recent) == 1


def test_a_receiver_without_a_budget_has_no_storm_any_more() -> None:
    end = storms.ended(counted(None, one("a"), receiver="quiet"), BOOK, NOW)

    assert end is not None
    assert end.alert.title == "Storm over: 1 alert summarised, 1 still open"
    assert storms.ended(counted(None, one("a"), receiver="gone"), BOOK, NOW) is not None


@pytest.mark.parametrize(("messages", "critical"), [(1, 2), (20, 30)])
def test_critical_alerts_have_a_reserve(messages: int, critical: int) -> None:
    budget = Budget(messages, timedelta(minutes=5))

    assert storms.allowed(budget, Severity.CRITICAL) == critical
    assert storms.allowed(budget, Severity.ERROR) == messages


def test_tests_summaries_and_digests_are_exempt() -> None:
    assert all(storms.is_exempt(alert(**each)) for each in ({"test": True}, {"source": STORMS}, {"source": "failover"}))
    assert not storms.is_exempt(alert())


def test_a_note_leads_to_the_summary_of_its_storm() -> None:
    links = [_link(1, "https://chat/1"), _link(2, "https://chat/2")]
    second = internal_id(STORMS, storms.key_of("slack"), 2, length=6)

    assert storms.link_of(storms.note(second), "slack", links) == "https://chat/2"
    assert storms.link_of(storms.note("STORM-00000"), "slack", links) == ""
    assert storms.link_of(storms.note(second), "mail", links) == ""


def _link(episode: int, url: str) -> Link:
    return Link(key=storms.key_of("slack"), episode=episode, receiver="slack", remote_key="", url=url)


def test_only_what_a_summary_of_the_receiver_covers_counts_as_covered() -> None:
    step = routing.make_transition(alert(), Why.SUMMARISED, NOW, receiver="slack")

    assert storms.covers(step, "slack")
    assert not storms.covers(step, "mail")
    assert not storms.covers(replace(step, why=Why.DELIVERED), "slack")


@settings(REPEATABLE, max_examples=50)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(Severity), st.text(max_size=80)), max_size=8)),
)
def test_whatever_is_counted_again_the_numbers_are_those_of_the_alerts(
    batches: list[list[tuple[int, Severity, str]]],
) -> None:
    summary: Alert | None = None
    seen: dict[int, Severity] = {}

    for batch in batches:
        covered = [one(str(number), severity, title=title) for number, severity, title in batch]
        write = storms.counted(summary, "slack", covered, BOOK, NOW, budget=BUDGET, own=4)
        for number, severity, _ in batch:
            seen.setdefault(number, severity)
        summary = write.alert if write else summary

    if summary is None:
        assert not seen
        return
    tally = storms.tally_of(summary)
    assert tally.total == tally.open == len(seen)
    assert sum(tally.groups.values()) == sum(tally.severities.values()) == len(seen)
    worst = [Severity(each[0]).rank for each in tally.worst]
    assert worst == sorted(severity.rank for severity in seen.values())[: len(worst)]
    assert len(worst) >= min(len(seen), storms.WORST_SHOWN)
