"""An episode that is recorded under a rulebook: its clock, its groups, and the ledger that it is compared with."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from service_event_checker.core import matchers
from service_event_checker.core.model import Alert, Delivery, Transition
from service_event_checker.core.replay import TICK, Life, Membership, replayed
from service_event_checker.core.replay_difference import Told, Window, differences, told
from service_event_checker.core.replay_groups import replayed_group
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.silences import Silence
from service_event_checker.core.store import Recorded
from service_event_checker.core.timeline import Row
from service_event_checker.core.verdict import Answer, Verdict
from service_event_checker.core.vocabulary import Family, ResolvedBy, Severity, Status, Verb, Why
from tests.factories import NOW, alert, receiver

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LATER = NOW + 9 * HOUR
RECEIVERS = {"slack": receiver("slack"), "pager": receiver("pager", Family.PAGER)}
CHAT = Rule("chat", (), ("slack",), proceed=True)
PAGES = Rule("pages", matchers.parse('severity="critical"'), ("pager",))
POLLED = Rule("polled", matchers.parse('intake="/webhook"'), ("pager",))


def book(*rules: Rule, silences: tuple[Silence, ...] = ()) -> Rulebook:
    return Rulebook(rules, silences, RECEIVERS)


def silence(begins: timedelta, ends: timedelta) -> Silence:
    return Silence((), NOW + begins, NOW + ends, "Ada", "move")


def row(why: Why, at: datetime = NOW, *verbs: Verb, after: Status = Status.FIRING, **changes: object) -> Transition:
    base = Transition(key=alert().key, episode=1, at=at, why=why, before=None, after=after, verbs=verbs)
    return replace(base, **changes)  # type: ignore[arg-type]


def recorded(*commits: Row, final: Alert | None = None, outcomes: tuple[Row, ...] = ()) -> Recorded:
    return Recorded(alert=final or alert(), commits=commits, outcomes=outcomes)


def sent(life: Life) -> list[tuple[str, str, timedelta]]:
    return [(each.receiver, each.verb.value, each.at - NOW) for each in life.sent]


OPENED = (1, (row(Why.OPENED),))
OVER = alert(status=Status.RESOLVED, resolved_by=ResolvedBy.SOURCE, ended_at=NOW + HOUR, closed_at=NOW + HOUR)
ENDED = (2, (row(Why.RESOLVED_BY_SOURCE, NOW + HOUR, Verb.CLOSE, after=Status.RESOLVED),))


class TestTheClock:
    def test_an_alert_is_told_when_the_silence_ends_if_it_still_fires(self) -> None:
        early = replayed(recorded(OPENED), book(CHAT, silences=(silence(-HOUR, 2 * HOUR),)), LATER)
        late = replayed(recorded(OPENED, ENDED, final=OVER), book(CHAT, silences=(silence(-HOUR, 2 * HOUR),)), LATER)

        assert sent(early) == [("slack", "open", 2 * HOUR)]
        assert sent(late) == []
        assert late.alert.withheld == {}

    def test_a_silence_that_follows_another_one_holds_on(self) -> None:
        both = (silence(-HOUR, HOUR), silence(MINUTE, 3 * HOUR), silence(4 * HOUR, 5 * HOUR))

        assert sent(replayed(recorded(OPENED), book(CHAT, silences=both), LATER)) == [("slack", "open", 3 * HOUR)]

    def test_after_a_change_an_alert_that_waits_is_looked_at_once_more(self) -> None:
        """It came from the chat: told there only by the tick, which asks as somebody else waits."""
        off = {**RECEIVERS, "pager": replace(RECEIVERS["pager"], why_off="no key")}
        by_chat = (1, (row(Why.OPENED, via="slack"),))

        life = replayed(recorded(by_chat), Rulebook((CHAT, replace(PAGES, matchers=())), (), off), LATER)

        assert sent(life) == [("slack", "open", TICK)]

    def test_the_number_of_looks_is_bounded(self) -> None:
        chain = tuple(silence(n * MINUTE - MINUTE / 2, (n + 1) * MINUTE) for n in range(9))
        life = Life(book(CHAT, silences=chain), alert(receivers=(), withheld={"slack": "silenced"}), NOW, looks_left=3)

        life.wait(LATER)

        assert (sent(life), life.looks_left, life.now) == ([], 0, LATER)


class TestWhatIsDecidedAnew:
    def test_what_was_decided_then_is_not_repeated(self) -> None:
        decided = (2, (row(Why.RELEASED, receiver="pager"), row(Why.WITHHELD, receiver="pager", verb=Verb.OPEN)))

        assert sent(replayed(recorded(OPENED, decided), book(CHAT), LATER)) == [("slack", "open", 0 * HOUR)]

    def test_severities_count_from_when_they_were_told(self) -> None:
        opened = (1, (row(Why.OPENED, severity=Severity.WARNING),))
        raised = (2, (row(Why.SEVERITY_RAISED, NOW + HOUR, Verb.UPDATE, severity=Severity.CRITICAL),))
        lowered = (3, (row(Why.SEVERITY_LOWERED, NOW + 2 * HOUR, Verb.UPDATE, severity=Severity.INFO),))
        final = alert(severity=Severity.INFO)

        life = replayed(recorded(opened, raised, lowered, final=final), book(PAGES), LATER)

        assert sent(life) == [("pager", "open", HOUR), ("pager", "update", 2 * HOUR)]
        assert life.rules == {"pager": "pages"}

    def test_an_intake_counts_from_when_it_saw_the_alert(self) -> None:
        seen = (2, (row(Why.NEW_INTAKE, NOW + HOUR),))
        final = alert(intakes=("poll", "/webhook"))

        assert sent(replayed(recorded(OPENED, seen, final=final), book(POLLED), LATER)) == [("pager", "open", HOUR)]

    def test_a_verdict_counts_from_when_it_was_told(self) -> None:
        explained = (2, (row(Why.EXPLAINED, NOW + HOUR, Verb.NOTE),))
        final = alert(verdict=Verdict(answer=Answer.VENDOR, score=0.9, at=NOW))
        vendors = Rule("vendors", matchers.parse('verdict="vendor"'), ("slack",))

        judged_later = replayed(recorded(OPENED, explained, final=final), book(vendors), LATER)
        judged_at_once = replayed(recorded(OPENED, final=final), book(vendors), LATER)

        assert sent(judged_later) == [("slack", "open", HOUR)]
        assert sent(judged_at_once) == [("slack", "open", 0 * HOUR)]

    def test_what_people_did_is_repeated(self) -> None:
        acked = (2, (row(Why.ACKNOWLEDGED, NOW + MINUTE, Verb.ACK, after=Status.ACKNOWLEDGED, actor="Ada"),))
        back = (3, (row(Why.UNACKNOWLEDGED, NOW + 2 * MINUTE, Verb.UNACK),))

        taken = replayed(recorded(OPENED, acked), book(CHAT), LATER)
        returned = replayed(recorded(OPENED, acked, back), book(CHAT), LATER)

        assert (taken.alert.status, taken.alert.owner) == (Status.ACKNOWLEDGED, "Ada")
        assert (returned.alert.status, returned.alert.owner) == (Status.FIRING, "")
        assert [verb for _, verb, _ in sent(returned)] == ["open", "ack", "unack"]

    @pytest.mark.parametrize("receivers", [{}, {"pager": receiver("pager", Family.PAGER, why_off="no key")}])
    def test_a_receiver_that_a_person_added_is_left_out_where_it_is_not_configured(
        self, receivers: dict[str, object]
    ) -> None:
        added = (2, (row(Why.RECEIVER_ADDED, NOW + MINUTE, receiver="pager", actor="Ada"),))

        life = replayed(recorded(OPENED, added), replace(book(), receivers=receivers), LATER)

        assert sent(life) == []

    def test_a_receiver_that_a_person_added_is_told_once(self) -> None:
        added = (2, (row(Why.RECEIVER_ADDED, NOW + MINUTE, receiver="slack", actor="Ada"),))

        assert len(sent(replayed(recorded(OPENED, added), book(CHAT), LATER))) == 1
        assert sent(replayed(recorded(OPENED, added), book(), LATER)) == [("slack", "open", MINUTE)]

    def test_an_alert_is_a_member_of_the_groups_that_the_rules_make_of_it(self) -> None:
        life = replayed(recorded(OPENED, ENDED, final=OVER), book(CHAT, GROUPED), LATER)

        assert [(each.rule.name, each.labels, each.open) for each in life.memberships] == [
            ("by cluster", {"cluster": ""}, True),
            ("by cluster", {"cluster": ""}, False),
        ]


GROUPED = Rule("by cluster", (), ("pager",), per_group=True, group_by=("cluster",))


def member(name: str, at: timedelta, *, open: bool = True, opened: timedelta | None = None) -> Membership:
    return Membership(
        at=NOW + at,
        group="g",
        rule=GROUPED,
        labels={"cluster": "eu"},
        member=name,
        severity=Severity.ERROR,
        firing=open,
        open=open,
        opened_at=NOW + (at if opened is None else opened),
    )


class TestGroups:
    def test_a_group_opens_with_its_first_member_and_ends_with_its_last(self) -> None:
        seen = [
            member("a", MINUTE),
            member("b", 2 * MINUTE),
            member("a", 3 * MINUTE, open=False, opened=MINUTE),
            member("b", HOUR, open=False, opened=2 * MINUTE),
        ]

        life = replayed_group(seen, (), book(GROUPED), LATER)

        assert life is not None
        told = [(verb, at) for _, verb, at in sent(life) if verb != "update"]
        assert told == [("open", MINUTE), ("close", HOUR)]

    def test_a_group_whose_members_were_never_open_is_none(self) -> None:
        assert replayed_group([member("a", MINUTE, open=False)], (), book(GROUPED), LATER) is None
        assert replayed_group([], (), book(GROUPED), LATER) is None

    def test_a_member_that_was_open_all_the_time_opens_its_group_again_at_the_second_look(self) -> None:
        seen = [
            member("a", MINUTE),
            member("a", HOUR, open=False, opened=MINUTE),
            member("b", 2 * HOUR, opened=timedelta(0)),
        ]

        life = replayed_group(seen, (), book(GROUPED), LATER)

        assert life is not None
        assert [verb for _, verb, _ in sent(life) if verb != "update"] == ["open", "close", "open"]

    def test_what_people_did_to_a_group_is_repeated_while_it_is_open(self) -> None:
        act = row(Why.RESOLVED_BY_PERSON, NOW + HOUR, Verb.CLOSE, after=Status.RESOLVED, actor="Ada")
        early = replace(act, at=NOW)
        own = recorded((1, (early,)), (2, (act,)))

        life = replayed_group([member("a", MINUTE), member("a", 2 * HOUR, opened=MINUTE)], [own], book(GROUPED), LATER)

        assert life is not None
        assert sent(life) == [("pager", "open", MINUTE), ("pager", "close", HOUR)]


WINDOW = Window(NOW, LATER)


def done(why: Why, name: str = "slack", verb: Verb | None = Verb.OPEN) -> Transition:
    return row(why, NOW + MINUTE, receiver=name, verb=verb)


class TestTheLedger:
    def test_deliveries_count_at_the_time_of_the_commit_that_owed_them(self) -> None:
        found = told(recorded(OPENED, outcomes=((1, (done(Why.DELIVERED),)),)), (), book(CHAT))

        assert [(each.receiver, each.verb, each.at) for each in found.sent] == [("slack", Verb.OPEN, NOW)]
        assert found.recorded

    def test_a_dry_run_has_told_nobody(self) -> None:
        found = told(recorded(OPENED, outcomes=((1, (done(Why.DRY_RUN),)),)), (), book(CHAT))
        new = replayed(recorded(OPENED), book(CHAT), LATER)

        assert (found.sent, found.recorded) == ((), True)
        assert [each.number for each in differences(found, {}, new, WINDOW)] == [1]

    @pytest.mark.parametrize("why", [Why.RECONCILED, Why.FAILED_OVER])
    def test_what_no_rule_asked_for_is_left_out_with_all_that_follows(self, why: Why) -> None:
        repaired = (2, (row(why, NOW, receiver="pager"),))
        outcomes = (
            (1, (done(Why.DELIVERED),)),
            (2, (done(Why.DELIVERED, "pager"),)),
            (3, (done(Why.DELIVERED, "pager", Verb.CLOSE),)),
        )
        ended = (3, ENDED[1])

        found = told(recorded(OPENED, repaired, ended, outcomes=outcomes), (), book(CHAT))

        assert [each.receiver for each in found.sent] == ["slack"]
        assert found.beside == 1

    def test_a_repair_of_what_a_rule_had_told_leaves_the_rest(self) -> None:
        repaired = (2, (row(Why.RECONCILED, NOW, receiver="slack"),))
        outcomes = ((1, (done(Why.DELIVERED),)), (2, (done(Why.DELIVERED),)))

        found = told(recorded(OPENED, repaired, outcomes=outcomes), (), book(CHAT))

        assert (len(found.sent), found.beside) == (1, 1)

    def test_what_waits_counts_at_its_commit(self) -> None:
        waits = Delivery(key=alert().key, episode=1, revision=1, receiver="slack", verb=Verb.OPEN)

        assert [each.at for each in told(recorded(OPENED), [waits], book(CHAT)).sent] == [NOW]

    def test_of_an_open_that_was_over_before_it_was_sent_nothing_is_compared(self) -> None:
        over = (2, (*ENDED[1], row(Why.OVER_BEFORE_SENT, NOW + HOUR, receiver="slack")))
        found = told(recorded(OPENED, over, final=OVER), (), book(CHAT))

        new = replayed(recorded(OPENED, over, final=OVER), book(CHAT), LATER)

        assert list(differences(found, {}, new, WINDOW)) == []
        assert len(new.sent) == 2

    def test_the_window_ends_before_its_end(self) -> None:
        assert [WINDOW.holds(at) for at in (NOW - MINUTE, NOW, LATER - MINUTE, LATER)] == [False, True, True, False]

    def test_a_rule_that_is_gone_has_no_name(self) -> None:
        found = told(recorded(OPENED, outcomes=((1, (done(Why.DELIVERED),)),)), (), book(CHAT))
        new = replayed(recorded(OPENED), book(), LATER)

        ((spared),) = differences(found, {}, new, WINDOW)

        assert (spared.rule, spared.number) == ("", -1)

    def test_nothing_told_and_nothing_decided_is_no_difference(self) -> None:
        assert list(differences(Told(), {}, replayed(recorded(OPENED), book(), LATER), WINDOW)) == []
