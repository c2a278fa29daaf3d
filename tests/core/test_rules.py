"""Who is owed what: design, promises 5 and 6."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service_event_checker.core import announcements, matchers, mirrors, routing, rules, tracker
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Event, Link, Receiver
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.silences import Silence
from service_event_checker.core.store import Write
from service_event_checker.core.vocabulary import EventStatus, Family, Severity, Status, Verb, Why
from tests.factories import NOW, alert, delivery, event, receiver

LATER = NOW + timedelta(minutes=30)
HOUR = timedelta(hours=1)

SLACK = receiver("slack")
TICKETS = receiver("tickets", Family.TICKET, reopen_within=72 * HOUR)
PAGER = receiver("pager", Family.PAGER)
MAIL = receiver("mail", Family.MAIL, verbs=frozenset({Verb.OPEN, Verb.CLOSE}))


def rule(match: str, *send: str, proceed: bool = True) -> Rule:
    return Rule(match or "all", matchers.parse(match), send, proceed)


def book(*those: Rule, silences: tuple[Silence, ...] = (), off: str = "") -> Rulebook:
    known = (SLACK, TICKETS, PAGER, MAIL)
    receivers = {one.name: replace(one, why_off="X is not set") if one.name == off else one for one in known}
    return Rulebook(those, silences, receivers)


def silence(match: str = 'source="github"', hours: int = 1) -> Silence:
    return Silence(matchers.parse(match), NOW, NOW + hours * HOUR, "Ada", "upgrade")


def told(known: Alert | None, seen: Event, rulebook: Rulebook) -> Write:
    """What the pipeline makes of an event."""
    change = tracker.track(known, seen, NOW)
    assert change.alert is not None
    return routing.route(change.alert, change.transitions, rulebook, NOW)


def owed(write: Write | None) -> list[tuple[str, Verb]]:
    assert write is not None
    return [(one.receiver, one.verb) for one in write.deliveries]


class TestMatching:
    def test_the_receivers_of_all_rules_that_fit_each_once_in_their_order(self) -> None:
        those = (rule("", "b", "a"), rule('severity="error"', "a", "c"), rule('severity="info"', "d"))

        assert rules.matched(alert(), book(*those), NOW) == ("b", "a", "c")

    def test_a_rule_that_does_not_proceed_is_the_last_one_that_fits(self) -> None:
        those = (rule('severity="info"', "a", proceed=False), rule("", "b", proceed=False), rule("", "c"))

        assert rules.matched(alert(), book(*those), NOW) == ("b",)

    def test_all_matchers_of_a_rule_have_to_fit(self) -> None:
        assert rules.matched(alert(), book(rule('source="github",severity="info"', "a")), NOW) == ()

    @pytest.mark.parametrize(
        "match",
        [
            'source="github"',
            'kind="outage"',
            'intake="poll"',
            'intake="/alert"',
            'severity="error"',
            'title=~"Disruption.*"',
            'test="false"',
            'affects_us="yes"',
            'component="Actions"',
            'component="Pages"',
            'nothing=""',
        ],
    )
    def test_rules_may_ask_for_what_the_alert_says_of_itself_and_for_each_label(self, match: str) -> None:
        seen = alert(intakes=("poll", "/alert"), labels={"component": "Actions\nPages"})

        assert rules.matched(seen, book(rule(match, "a")), NOW) == ("a",)

    def test_a_label_cannot_pretend_to_be_the_alerts_own_name(self) -> None:
        seen = alert(labels={"severity": "critical", "source": "trusted", "test": "true"})

        names = rules.names_of(seen)

        assert (names["severity"], names["source"], names["test"]) == ("error", "github", "false")


class TestRoute:
    def test_a_receiver_that_is_matched_for_the_first_time_is_owed_an_open(self) -> None:
        write = told(None, event(), book(rule("", "slack", "tickets")))

        assert owed(write) == [("slack", Verb.OPEN), ("tickets", Verb.OPEN)]
        assert write.alert.receivers == ("slack", "tickets")
        assert [one.seq for one in write.deliveries] == [0, 1]
        assert {(one.episode, one.revision, one.created_at) for one in write.deliveries} == {(1, 1, NOW)}

    def test_one_that_was_opened_is_owed_the_verb_whatever_the_rules_say_by_then(self) -> None:
        write = told(alert(receivers=("slack",)), event(title="New"), book())

        assert owed(write) == [("slack", Verb.UPDATE)]
        assert write.alert.receivers == ("slack",)

    def test_rules_are_asked_at_every_transition(self) -> None:
        write = told(alert(), event(severity=Severity.CRITICAL), book(rule('severity="critical"', "slack", "pager")))

        assert owed(write) == [("slack", Verb.UPDATE), ("pager", Verb.OPEN)]
        assert [one.severity for one in write.deliveries] == [Severity.CRITICAL] * 2

    def test_a_new_intake_asks_them_too(self) -> None:
        write = told(alert(), event(intake="/alert"), book(rule('intake="/alert"', "tickets")))

        assert owed(write) == [("tickets", Verb.OPEN)]

    def test_what_is_no_transition_does_not_ask_them(self) -> None:
        """Else an open could be owed that no row of the timeline explains."""
        write = routing.route(alert(missing_polls=1), (), book(rule("", "pager")), NOW)

        assert (owed(write), write.alert.receivers) == ([], ("slack",))

    def test_an_alert_that_is_over_is_opened_nowhere(self) -> None:
        write = told(alert(), event(status=EventStatus.RESOLVED), book(rule("", "slack", "pager")))

        assert owed(write) == [("slack", Verb.CLOSE)]

    def test_a_verb_that_a_receiver_does_not_know_is_not_owed_to_it(self) -> None:
        write = told(alert(receivers=("mail", "slack")), event(title="New"), book())

        assert owed(write) == [("slack", Verb.UPDATE)]

    def test_one_that_cannot_open_is_not_opened(self) -> None:
        rulebook = Rulebook((rule("", "robot"),), (), {"robot": receiver("robot", verbs=frozenset({Verb.RUN}))})

        write = told(None, event(), rulebook)

        assert (owed(write), write.alert.receivers) == ([], ())

    def test_receivers_that_are_no_longer_configured_are_passed_over(self) -> None:
        known = alert(receivers=("gone", "slack"), withheld={"gone too": "off: X is not set"})

        write = told(known, event(title="New"), book(rule("", "nobody")))

        assert owed(write) == [("slack", Verb.UPDATE)]
        assert write.alert.withheld == {}
        assert write.alert.receivers == ("gone", "slack")

    def test_who_did_it_and_what_was_said_goes_with_the_delivery(self) -> None:
        said = event(status=EventStatus.NOTED, note="Restarted it.", note_id="7", actor="Ada")

        (note,) = told(alert(), said, book()).deliveries

        assert (note.verb, note.note, note.note_id, note.actor) == (Verb.NOTE, "Restarted it.", "7", "Ada")

    def test_a_close_knows_whether_it_may_cancel_an_open(self) -> None:
        everyone = ("slack", "tickets", "pager", "mail")

        write = told(alert(receivers=everyone), event(status=EventStatus.RESOLVED), book())

        assert {one.receiver: one.cancels for one in write.deliveries} == {
            "slack": False,
            "tickets": False,
            "pager": True,
            "mail": True,
        }

    def test_one_commit_owes_a_receiver_each_verb_once_with_all_that_was_said(self) -> None:
        first, second = (
            replace(tracker.track(alert(), event(status=EventStatus.NOTED, note=note, note_id=number), NOW))
            for note, number in (("one", "1"), ("two", "2"))
        )
        silent = tracker.track(alert(), event(status=EventStatus.NOTED), NOW)

        both = routing.route(alert(), first.transitions + second.transitions + silent.transitions, book(), NOW)

        assert [(one.note, one.note_id) for one in both.deliveries] == [("one\ntwo", "1,2")]


class TestNoLoops:
    @pytest.mark.parametrize(
        ("status", "verb"),
        [
            (EventStatus.ACKNOWLEDGED, Verb.ACK),
            (EventStatus.NOTED, Verb.NOTE),
            (EventStatus.RESOLVED, Verb.CLOSE),
        ],
    )
    def test_a_change_is_not_delivered_back_to_where_it_came_from(self, status: EventStatus, verb: Verb) -> None:
        change = event(status=status, via="pager", person=True)

        write = told(alert(receivers=("slack", "pager")), change, book(rule("", "pager")))

        assert owed(write) == [("slack", verb)]

    def test_nor_is_an_open(self) -> None:
        write = told(alert(receivers=()), event(intake="/ops-webhook", via="pager"), book(rule("", "slack", "pager")))

        assert owed(write) == [("slack", Verb.OPEN)]

    def test_an_alert_that_a_destination_sent_is_born_with_it_and_with_its_object(self) -> None:
        seen = event(source="opsgenie", fingerprint="70413a06", via="pager", url="https://ops.example/70413a06")

        write = told(None, seen, book(rule("", "pager", "slack")))

        assert owed(write) == [("slack", Verb.OPEN)]
        assert write.alert.receivers == ("pager", "slack")
        assert write.links == (
            Link(
                key=seen.key,
                episode=1,
                receiver="pager",
                remote_key=remote_key(seen.key, 1),
                external_id="70413a06",
                url="https://ops.example/70413a06",
            ),
        )

    def test_later_changes_from_elsewhere_are_owed_to_it_and_never_a_second_object(self) -> None:
        rulebook = book(rule("", "pager", "slack"))
        seen = event(source="opsgenie", fingerprint="70413a06", via="pager")
        born = told(None, seen, rulebook).alert

        taken = told(born, replace(seen, status=EventStatus.ACKNOWLEDGED, via="slack", person=True), rulebook)

        assert owed(taken) == [("pager", Verb.ACK)]

    def test_a_second_episode_of_it_is_born_so_too(self) -> None:
        seen = event(source="opsgenie", fingerprint="70413a06", via="pager", starts_at=LATER)
        before = alert(source="opsgenie", fingerprint="70413a06", status=Status.RESOLVED, receivers=("pager",))

        write = told(before, seen, book(rule("", "pager")))

        assert (owed(write), write.alert.receivers, write.alert.episode) == ([], ("pager",), 2)
        assert [link.episode for link in write.links] == [2]

    @pytest.mark.parametrize("via", ["", "slack", "unknown"])
    def test_others_are_born_without(self, via: str) -> None:
        """A chat holds no object before we made one."""
        write = told(None, event(via=via), book())

        assert (write.alert.receivers, write.links) == ((), ())


class TestWithholding:
    def test_a_silence_withholds_newly_matched_receivers_and_says_why(self) -> None:
        write = told(None, event(), book(rule("", "slack"), silences=(silence(),)))

        assert (owed(write), write.alert.receivers) == ([], ())
        assert write.alert.withheld == {"slack": "silenced by Ada until 2026-11-20 04:00 UTC: upgrade"}

    def test_receivers_that_were_opened_go_on_through_it(self) -> None:
        write = told(alert(), event(title="New"), book(rule("", "slack", "mail"), silences=(silence(),)))

        assert owed(write) == [("slack", Verb.UPDATE)]
        assert list(write.alert.withheld) == ["mail"]

    def test_a_destination_that_is_off_is_withheld_alone(self) -> None:
        write = told(None, event(), book(rule("", "slack", "mail"), off="mail"))

        assert owed(write) == [("slack", Verb.OPEN)]
        assert write.alert.withheld == {"mail": "off: X is not set"}

    def test_one_that_was_opened_and_is_off_by_now_is_still_owed_the_end(self) -> None:
        """The row waits in the outbox until the destination is on again."""
        write = told(alert(), event(status=EventStatus.RESOLVED), book(off="slack"))

        assert owed(write) == [("slack", Verb.CLOSE)]

    @pytest.mark.parametrize(
        ("minutes", "silent"), [(-1, False), (0, True), (59, True), (60, False)], ids=["before", "from", "in", "at end"]
    )
    def test_a_silence_holds_from_its_start_until_its_end(self, minutes: int, silent: bool) -> None:
        opened = tracker.track(None, event(), NOW)
        assert opened.alert is not None

        write = routing.route(
            opened.alert,
            opened.transitions,
            book(rule("", "slack"), silences=(silence(),)),
            NOW + timedelta(minutes=minutes),
        )

        assert bool(write.alert.withheld) is silent

    def test_a_silence_of_something_else_does_nothing(self) -> None:
        elsewhere = (silence('source="azure"'), silence('source="github",severity="info"'))

        assert owed(told(None, event(), book(rule("", "slack"), silences=elsewhere))) == [("slack", Verb.OPEN)]

    def test_a_later_transition_tells_those_whose_silence_is_over(self) -> None:
        quiet = alert(receivers=(), withheld={"slack": "silenced by Ada until 2026-11-20 04:00 UTC: upgrade"})

        write = told(quiet, event(title="New"), book())

        assert (owed(write), write.alert.withheld) == ([("slack", Verb.OPEN)], {})

    def test_the_end_forgets_the_withheld(self) -> None:
        quiet = alert(receivers=(), withheld={"slack": "silenced by Ada until 2026-11-20 04:00 UTC: upgrade"})

        write = told(quiet, event(status=EventStatus.RESOLVED), book(rule("", "slack")))

        assert (owed(write), write.alert.withheld) == ([], {})


class TestRelease:
    WITHHELD = alert(receivers=(), withheld={"slack": "silenced by Ada until 2026-11-20 04:00 UTC: upgrade"})

    def test_those_whose_silence_is_over_are_told_and_the_timeline_says_so(self) -> None:
        write = routing.release(self.WITHHELD, book(), NOW + HOUR)

        assert owed(write) == [("slack", Verb.OPEN)]
        assert write is not None
        assert (write.alert.receivers, write.alert.withheld) == (("slack",), {})
        assert [(row.why, row.receiver) for row in write.transitions] == [(Why.RELEASED, "slack")]

    def test_those_that_a_rule_names_anew_are_told_with_them(self) -> None:
        write = routing.release(self.WITHHELD, book(rule("", "pager")), NOW + HOUR)

        assert owed(write) == [("slack", Verb.OPEN), ("pager", Verb.OPEN)]

    def test_while_the_silence_lasts_there_is_nothing_to_write(self) -> None:
        assert routing.release(self.WITHHELD, book(silences=(silence(),)), NOW) is None

    def test_another_reason_is_kept_without_a_word_to_anybody(self) -> None:
        write = routing.release(self.WITHHELD, book(off="slack"), NOW)

        assert write
        assert owed(write) == []
        assert [(step.why, step.receiver, step.note) for step in write.transitions] == [
            (Why.WITHHELD, "slack", "off: X is not set")
        ]
        assert write is not None
        assert write.alert.withheld == {"slack": "off: X is not set"}

    @pytest.mark.parametrize("changes", [{"status": Status.RESOLVED}, {"withheld": {}}])
    def test_where_nobody_waits_or_it_is_over_there_is_nothing_to_do(self, changes: dict[str, object]) -> None:
        assert routing.release(replace(self.WITHHELD, **changes), book(rule("", "pager")), NOW) is None


class TestLinked:
    URL = "https://tickets.example/7"

    def test_a_new_address_is_owed_as_an_update_to_chats_only(self) -> None:
        known = alert(receivers=("slack", "tickets", "pager", "mail"))

        write = announcements.linked(known, "tickets", self.URL, book(), LATER)

        assert owed(write) == [("slack", Verb.UPDATE)]
        assert write is not None
        assert (write.alert.links, write.alert.updated_at) == ({"tickets": self.URL}, LATER)
        assert [(row.why, row.receiver) for row in write.transitions] == [(Why.LINKED, "tickets")]

    def test_the_same_address_is_told_once(self) -> None:
        write = announcements.linked(alert(receivers=("slack", "tickets")), "tickets", self.URL, book(), LATER)

        assert write is not None
        assert announcements.linked(write.alert, "tickets", self.URL, book(), LATER) is None

    def test_the_addresses_of_others_stay(self) -> None:
        known = alert(links={"pager": "https://pager.example/1"})

        write = announcements.linked(known, "tickets", self.URL, book(), LATER)

        assert write is not None
        assert set(write.alert.links) == {"pager", "tickets"}

    @pytest.mark.parametrize(("name", "url"), [("tickets", ""), ("slack", "https://slack.example/1")])
    def test_no_address_and_a_chats_own_are_no_news(self, name: str, url: str) -> None:
        assert announcements.linked(alert(), name, url, book(), LATER) is None

    def test_a_chat_that_cannot_edit_is_not_asked_to(self) -> None:
        robot = receiver("robot", verbs=frozenset({Verb.OPEN, Verb.CLOSE}))
        rulebook = Rulebook((), (), {"robot": robot, "tickets": TICKETS})

        write = announcements.linked(alert(receivers=("robot", "tickets")), "tickets", self.URL, rulebook, LATER)

        assert owed(write) == []

    def test_a_robot_that_cannot_edit_is_not_sent_one_more_message(self) -> None:
        rulebook = Rulebook((), (), {"robot": receiver("robot", edits=False), "slack": SLACK, "tickets": TICKETS})

        write = announcements.linked(
            alert(receivers=("robot", "slack", "tickets")), "tickets", self.URL, rulebook, LATER
        )

        assert owed(write) == [("slack", Verb.UPDATE)]

    def test_a_chat_that_is_no_longer_configured_is_passed_over(self) -> None:
        write = announcements.linked(alert(receivers=("gone", "slack")), "tickets", self.URL, book(), LATER)

        assert owed(write) == [("slack", Verb.UPDATE)]


class TestAFailedDelivery:
    """Promise 12: told through another channel, chat, else mail, else the page and a metric; never in a circle."""

    BOOK = Rulebook(
        (),
        (),
        {
            "tickets": TICKETS,
            "off": receiver("off", why_off="a variable is not set"),
            "slack": receiver("slack"),
            "teams": receiver("teams"),
            "mail": receiver("mail", Family.MAIL, verbs=frozenset({Verb.OPEN, Verb.CLOSE})),
        },
    )

    def told(self, failed: str, known: Alert, book: Rulebook = BOOK, **changes: Any) -> list[tuple[str, Verb]]:
        unreached = changes.pop("unreached", ())
        reason = changes.pop("reason", "unauthorized")
        letter = delivery(known, receiver=failed, **changes)
        write = announcements.gave_up(letter, known, reason, book, LATER, unreached=unreached)
        if write is None:
            return []
        note = f"{failed}: open failed, {reason}"
        assert write.transitions == ()  # the failure's own row of the timeline is written with its settle
        assert all(each.notice and each.note == note for each in write.deliveries) or reason == mirrors.PING_PONG
        assert {each.receiver for each in write.deliveries} <= set(write.alert.receivers)
        return owed(write)

    def test_is_shown_in_the_chats_that_know_the_alert(self) -> None:
        known = alert(receivers=("tickets", "slack", "teams"))

        assert self.told("tickets", known) == [("slack", Verb.UPDATE), ("teams", Verb.UPDATE)]
        assert self.told("slack", known) == [("teams", Verb.UPDATE)]

    def test_of_an_alert_that_no_chat_knows_is_told_in_the_first_that_is_on(self) -> None:
        assert self.told("tickets", alert(receivers=("tickets",))) == [("slack", Verb.OPEN)]
        assert self.told("slack", alert(receivers=("slack",))) == [("teams", Verb.OPEN)]

    def test_is_told_by_mail_where_no_chat_is_left(self) -> None:
        one = Rulebook((), (), {name: self.BOOK.receivers[name] for name in ("slack", "mail")})

        assert self.told("slack", alert(receivers=("slack",)), one) == [("mail", Verb.OPEN)]
        assert self.told("slack", alert(receivers=("slack", "mail")), one) == [("mail", Verb.OPEN)]
        both = alert(receivers=("tickets", "slack"))
        assert self.told("tickets", both, one, unreached={"slack"}) == [("mail", Verb.OPEN)]

    def test_of_a_test_alert_is_told_in_chats_only(self) -> None:
        assert self.told("slack", alert(receivers=("slack",), test=True)) == [("teams", Verb.OPEN)]
        assert self.told("teams", alert(receivers=("teams",), test=True), unreached={"slack"}) == []

    def test_is_left_to_the_page_where_no_channel_is_left(self) -> None:
        alone = Rulebook((), (), {"slack": receiver("slack"), "quiet": receiver("quiet", shadow=True)})

        assert self.told("slack", alert(receivers=("slack",)), alone) == []
        assert self.told("slack", alert(receivers=("slack",), withheld={"teams": "silenced", "mail": "silenced"})) == []

    def test_of_a_notice_is_told_nowhere(self) -> None:
        assert self.told("slack", alert(receivers=("tickets", "slack")), notice=True) == []

    def test_that_was_not_sent_on_purpose_is_shown_where_the_alert_is_known(self) -> None:
        known = alert(receivers=("tickets", "slack"))

        assert self.told("tickets", known, reason=mirrors.PING_PONG) == [("slack", Verb.UPDATE)]
        assert self.told("slack", known, reason=mirrors.PING_PONG) == []

    def test_what_can_only_comment_gets_a_comment(self) -> None:
        robot = Rulebook((), (), {"robot": receiver("robot", verbs=frozenset({Verb.OPEN, Verb.NOTE}))})

        assert self.told("tickets", alert(receivers=("tickets", "robot")), robot) == [("robot", Verb.NOTE)]


class TestTheLinkOfADelivery:
    def link(self, episode: int, **changes: str) -> Link:
        return Link(
            **{
                "key": alert().key,
                "episode": episode,
                "receiver": "tickets",
                "remote_key": remote_key(alert().key, episode),
                "external_id": str(episode),
                "url": f"https://tickets.example/{episode}",
                **changes,
            }
        )

    def second(self, pause: timedelta) -> Alert:
        return alert(episode=2, opened_at=NOW + pause, previous_ended_at=NOW)

    def found(self, now: Alert, links: tuple[Link, ...], to: Receiver = TICKETS) -> Link | None:
        return routing.link_for(delivery(now, receiver=to.name), now, links, to)

    def test_is_its_own_episodes(self) -> None:
        now = self.second(HOUR)

        assert self.found(now, (self.link(1), self.link(2))) == self.link(2)

    def test_is_none_where_there_was_nothing(self) -> None:
        assert self.found(alert(), ()) is None
        assert self.found(self.second(HOUR), (self.link(1, external_id=""),)) is None

    @pytest.mark.parametrize("pause", [HOUR, 72 * HOUR])
    def test_is_the_earlier_object_while_it_may_be_reopened_with_its_own_remote_key(self, pause: timedelta) -> None:
        carried = self.found(self.second(pause), (self.link(1, closed=True),))  # type: ignore[arg-type]

        assert carried == replace(self.link(1), episode=2, closed=False)
        assert carried is not None
        assert carried.remote_key == remote_key(alert().key, 1)

    def test_later_it_only_names_the_old_one(self) -> None:
        named = self.found(self.second(72 * HOUR + timedelta(seconds=1)), (self.link(1),))

        assert named == self.link(2, external_id="", url="", previous="https://tickets.example/1")

    def test_an_old_one_without_an_address_is_named_by_its_id(self) -> None:
        named = self.found(self.second(HOUR), (self.link(1, url=""),), to=PAGER)

        assert named is not None
        assert (named.previous, named.external_id) == ("1", "")

    def test_the_latest_of_the_earlier_ones_counts(self) -> None:
        third = alert(episode=3, opened_at=NOW + HOUR, previous_ended_at=NOW)

        carried = self.found(third, (self.link(1), self.link(2), self.link(4)))

        assert carried == replace(self.link(2), episode=3)

    def test_a_delivery_of_a_past_episode_does_not_take_over_what_came_before(self) -> None:
        """The alert knows when the episode before its own one ended, not when earlier ones did."""
        now = alert(episode=3, opened_at=NOW + HOUR, previous_ended_at=NOW)

        named = routing.link_for(delivery(replace(now, episode=2)), now, (self.link(1),), TICKETS)

        assert named is not None
        assert (named.external_id, named.previous) == ("", "https://tickets.example/1")


class TestNames:
    def test_a_label_that_an_own_name_hides_is_reached_by_its_long_name(self) -> None:
        found = rules.names_of(alert(labels={"severity": "page", "team": "web"}))

        assert (found["severity"], found["label.severity"]) == ("error", "page")
        assert (found["team"], found["label.team"]) == ("web", "web")

    def test_a_label_that_is_called_like_a_long_name_does_not_hide_the_label_itself(self) -> None:
        labels = {"severity": "page", "label.severity": "low"}

        assert rules.names_of(alert(labels=labels))["label.severity"] == "page"
        assert rules.names_of(alert(labels=labels))["label.label.severity"] == "low"
