"""An alert that opens and ends again and again: who is told what, and when."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from service_event_checker.core import announcements, matchers, reconcile, routing, rules, tracker
from service_event_checker.core.flapping import Flapping
from service_event_checker.core.model import Alert, Event, Link, Remote
from service_event_checker.core.reconcile import LocalView
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.store import Write
from service_event_checker.core.vocabulary import EventStatus, Family, Severity, Status, Verb, Why
from tests.factories import NOW, event, receiver

MINUTE = timedelta(minutes=1)
ONCE = frozenset({Verb.OPEN, Verb.CLOSE})
RECEIVERS = {
    "chat": receiver("chat"),
    "tickets": receiver("tickets", Family.TICKET),
    "pager": receiver("pager", Family.PAGER),
    "mail": receiver("mail", Family.MAIL, verbs=ONCE),
}
QUIET = ("chat", "tickets", "mail")
ALL = ("chat", "tickets", "pager", "mail")
BEGINS = "Flapping: it changed 5 times within 15m. You hear of it again after 15m without a change."
FIRING, RESOLVED = EventStatus.FIRING, EventStatus.RESOLVED


def book(*send: str, limits: Flapping | None = Flapping(), match: str = "") -> Rulebook:  # noqa: B008  # a frozen value
    parts = matchers.parse(match) if match else ()
    return Rulebook((Rule("all", parts, send or ALL),), receivers=RECEIVERS, flapping=limits)


def at(minutes: float) -> datetime:
    return NOW + minutes * MINUTE


class Life:
    """One alert, as the pipeline commits it."""

    def __init__(self, rulebook: Rulebook) -> None:
        self.book = rulebook
        self.alert: Alert | None = None
        self.now = NOW
        self.told: list[tuple[str, Verb, int]] = []
        self.writes: list[Write] = []

    def see(self, status: EventStatus, minutes: float, **changes: object) -> Write:
        self.now = at(minutes)
        observed: Event = event(status=status, at=self.now, **({"starts_at": self.now} | changes))
        change = tracker.track(self.alert, observed, self.now)
        assert change.alert is not None
        return self._keep(routing.route(change.alert, change.transitions, self.book, self.now))

    def tick(self, minutes: float) -> Write | None:
        assert self.alert is not None
        write = routing.release(self.alert, self.book, at(minutes))
        return self._keep(write) if write else None

    def flap(self, changes: int, **more: object) -> Write:
        """Change its state each minute, from the first minute on."""
        for number in range(changes):
            self.see(RESOLVED if number % 2 else FIRING, number, **more)
        return self.writes[-1]

    def _keep(self, write: Write) -> Write:
        self.alert = write.alert
        self.writes.append(write)
        self.told += [(one.receiver, one.verb, one.episode) for one in write.deliveries]
        return write


def told(write: Write | None) -> list[tuple[str, Verb]]:
    return [(one.receiver, one.verb) for one in write.deliveries] if write else []


def test_four_changes_are_told_as_ever() -> None:
    life = Life(book())

    write = life.flap(4)

    assert not write.alert.flapping
    assert life.told == [(name, verb, n) for n in (1, 2) for verb in ONCE_IN_ORDER for name in ALL]


ONCE_IN_ORDER = (Verb.OPEN, Verb.CLOSE)


def test_the_fifth_is_told_with_the_reason_and_it_flaps() -> None:
    write = Life(book()).flap(5)

    assert (write.alert.flapping, rules.names_of(write.alert)["flapping"]) == (True, "true")
    assert [(row.why, row.note) for row in write.transitions][-1] == (Why.FLAPPING, BEGINS)
    notes = {one.receiver: one.note for one in write.deliveries}
    assert notes == {**dict.fromkeys(QUIET, BEGINS), "pager": ""}
    assert {one.verb for one in write.deliveries} == {Verb.OPEN}


def test_what_is_longer_ago_does_not_count() -> None:
    life = Life(book())
    life.flap(4)

    assert not life.see(FIRING, 15).alert.flapping


def test_while_it_flaps_only_the_pager_hears_of_it() -> None:
    life = Life(book())
    life.flap(5)
    before = len(life.told)

    for number in range(5, 15):
        life.see(RESOLVED if number % 2 else FIRING, number)

    assert {name for name, _, _ in life.told[before:]} == {"pager"}
    assert life.alert is not None
    assert (life.alert.status, life.alert.episode) == (Status.FIRING, 8)
    assert life.alert.receivers == (*QUIET, "pager")


def test_after_the_quiet_time_they_hear_that_it_is_over() -> None:
    life = Life(book())
    life.flap(6)

    assert life.tick(19) is None
    write = life.tick(20)

    assert told(write) == [(name, Verb.CLOSE) for name in QUIET]
    assert write is not None
    assert [(row.why, row.note) for row in write.transitions] == [
        (Why.CALM, "No longer flapping: 15m without a change. It is over.")
    ]
    assert (write.alert.flapping, write.alert.waits, write.alert.open) == (False, False, False)
    assert life.tick(40) is None


def test_what_fires_after_that_is_told_as_ever() -> None:
    life = Life(book())
    life.flap(6)
    life.tick(20)

    write = life.see(FIRING, 30)

    assert told(write) == [(name, Verb.OPEN) for name in ALL]
    assert not any(one.carried for one in life.see(RESOLVED, 31).deliveries)


def test_or_that_it_still_fires() -> None:
    life = Life(book())
    life.flap(7)

    write = life.tick(21)

    assert told(write) == [(name, Verb.NOTE) for name in QUIET]
    assert {one.note for one in write.deliveries if write} == {
        "No longer flapping: 15m without a change. It is still firing."
    }
    assert told(life.see(RESOLVED, 60)) == [(name, Verb.CLOSE) for name in (*QUIET, "pager")]


def test_each_change_puts_the_quiet_time_off() -> None:
    life = Life(book())
    life.flap(6)
    life.see(FIRING, 19)

    assert life.tick(33) is None
    assert life.tick(34) is not None


def test_an_end_that_makes_it_flap_is_told_as_a_note() -> None:
    life = Life(book(limits=Flapping(changes=3)))

    write = life.flap(4)

    assert told(write) == [("pager", Verb.CLOSE), *((name, Verb.NOTE) for name in QUIET)]
    assert write.alert.recent.held == QUIET
    assert told(life.tick(18)) == [(name, Verb.CLOSE) for name in QUIET]


def test_the_object_goes_over_to_the_next_episodes() -> None:
    life = Life(book("tickets"))
    life.flap(9)
    calm = life.tick(23)
    assert calm is not None
    (note,) = calm.deliveries
    made = Link(key=note.key, episode=3, receiver="tickets", remote_key="of episode 3", external_id="7", closed=False)

    link = routing.link_for(note, calm.alert, [made], RECEIVERS["tickets"])

    assert (note.episode, note.carried) == (5, True)
    assert link == Link(key=note.key, episode=5, receiver="tickets", remote_key="of episode 3", external_id="7")


def test_critical_alerts_are_never_held_back() -> None:
    life = Life(book())

    life.flap(9, severity=Severity.CRITICAL)

    assert life.alert is not None
    assert life.alert.flapping
    assert [verb for name, verb, _ in life.told if name == "chat"] == [*ONCE_IN_ORDER * 4, Verb.OPEN]
    assert told(life.tick(30)) == []


def test_one_that_comes_back_as_critical_is_told_and_ends_as_ever() -> None:
    life = Life(book())
    life.flap(6)

    again = life.see(FIRING, 6, severity=Severity.CRITICAL)
    over = life.see(RESOLVED, 7, severity=Severity.CRITICAL)

    assert told(again) == [*((name, Verb.NOTE) for name in QUIET), ("pager", Verb.OPEN)]
    assert {one.note for one in again.deliveries if one.receiver != "pager"} == {"It fires again, as critical."}
    assert told(over) == [(name, Verb.CLOSE) for name in (*QUIET, "pager")]
    assert told(life.tick(30)) == []


def test_what_a_person_ends_is_ended_everywhere() -> None:
    life = Life(book())
    life.flap(5)

    write = life.see(RESOLVED, 6, person=True, actor="Ada")

    assert told(write) == [(name, Verb.CLOSE) for name in ALL]
    assert (write.alert.recent.held, told(life.tick(30))) == ((), [])


def test_who_was_not_told_yet_is_told_while_it_flaps() -> None:
    life = Life(book("chat", match='team="web"'))
    life.flap(6)

    write = life.see(FIRING, 6, labels={"team": "web"})

    assert told(write) == [("chat", Verb.OPEN)]
    assert told(life.see(RESOLVED, 7)) == []
    assert told(life.tick(22)) == [("chat", Verb.CLOSE)]


def test_an_end_that_came_from_a_receiver_is_not_held_back_from_it() -> None:
    life = Life(book("chat", "tickets", limits=Flapping(changes=3)))
    life.flap(3, source="tickets", via="tickets")

    write = life.see(RESOLVED, 3, source="tickets", via="tickets")

    assert (told(write), write.alert.recent.held) == ([("chat", Verb.NOTE)], ("chat",))


def test_an_opening_that_came_from_a_receiver_is_not_told_to_it() -> None:
    life = Life(book("chat", "tickets"))
    life.flap(6)

    write = life.see(FIRING, 6, severity=Severity.CRITICAL, via="chat")

    assert told(write) == [("tickets", Verb.NOTE)]


def test_if_it_is_switched_off_nothing_flaps_and_what_did_is_calm() -> None:
    off = Life(book(limits=None))
    assert not off.flap(30).alert.flapping
    life = Life(book("chat"))
    life.flap(6)

    life.book = book("chat", limits=None)

    assert told(life.tick(6)) == [("chat", Verb.CLOSE)]


def test_a_receiver_that_is_gone_is_passed_over() -> None:
    life = Life(book("chat", "tickets"))
    life.flap(6)

    life.book = Rulebook(receivers={"chat": RECEIVERS["chat"]}, flapping=Flapping())

    assert ("chat", Verb.CLOSE) in told(life.tick(30))


@pytest.mark.parametrize("changes", [6, 7])
def test_a_reconciliation_leaves_an_object_open_that_is_held(changes: int) -> None:
    life = Life(book("tickets"))
    alert = life.flap(changes).alert
    link = Link(key=alert.key, episode=3, receiver="tickets", remote_key="k", external_id="7")
    remote = Remote(external_id="7", remote_key="k", status=Status.FIRING, created_at=NOW)
    view = LocalView(receiver=RECEIVERS["tickets"], links={"7": link}, alerts={alert.key: alert})

    assert reconcile.repairs([remote], view, at(60)) == []


def test_a_destination_that_gets_another_name_keeps_what_is_held_open_there() -> None:
    life = Life(book("chat", "tickets"))
    life.flap(6)
    life.see(FIRING, 6)
    alert = life.see(RESOLVED, 7).alert

    renamed = announcements.moved(alert, "tickets", "jira", at(8)).alert

    assert (renamed.recent.held, renamed.recent.carried) == (("chat", "jira"), ("chat", "jira"))
