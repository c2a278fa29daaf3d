"""A reconciliation against a destination with a truth of its own: what it mends, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.matchers import parse
from service_event_checker.core.mirrors import Mirrors
from service_event_checker.core.model import Event, Link, RemoteNote
from service_event_checker.core.reconcile import Fix
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.store import Write
from service_event_checker.core.vocabulary import EventStatus, Family, Kind, Status, Verb, Why
from service_event_checker.engine.reconcile.passes import Reconciler, Report
from service_event_checker.stores.sql.store import SqlStore
from tests.factories import event, receiver
from tests.process import World
from tests.sink import Clock, Sink, Talker, Thing

KEY = event().key
RESOLVED = EventStatus.RESOLVED


class Place:
    """An alert that is open at one receiver and in a chat, and a reconciler that may look at the receiver."""

    def __init__(self, path: Path, family: Family = Family.TICKET, mirrors: Mirrors | None = None) -> None:
        self.clock = Clock()
        self.there = Talker(self.clock, family, name="there")
        self.chat = Sink(self.clock, Family.CHAT)
        destinations = {"there": self.there, "chat": self.chat}
        receivers = {name: receiver(name, each.family) for name, each in destinations.items()}
        book = Rulebook((Rule("all", (), tuple(destinations)),), (), receivers, mirrors or Mirrors())
        store = SqlStore(f"sqlite:///{path}/store.db")
        store.prepare()
        self.world = World(store, destinations, book, self.clock)
        self.see(event())
        self.reconciler = Reconciler(self.world.pipeline, destinations, [], clock=self.clock)

    def see(self, *events: object) -> None:
        self.world.see(*events)  # type: ignore[arg-type]
        self.world.settle_down()
        self.clock.advance(600)

    def bear(self, id: str, told: Event) -> None:
        """Let an object be born there, of which no webhook comes."""
        self.there.things.append(Thing(id, "", self.clock()))
        plain = self.there._remote
        shown = lambda thing: replace(plain(thing), event=told) if thing.id == id else plain(thing)  # noqa: E731
        self.there._remote = shown  # type: ignore[method-assign]

    def end(self) -> None:
        self.see(event(status=RESOLVED, at=self.clock()))

    def run(self, **how: bool) -> list[Fix]:
        """Make a pass, deliver what it owes, and return what it found."""
        report = self.report(**how)
        assert report.failed == []
        self.world.settle_down()
        self.clock.advance(300)
        return [repair.fix for repair in report.repairs]

    def report(self, **how: bool) -> Report:
        self.chat.told.clear()
        self.chat.notes.clear()
        return self.reconciler.run(**how)

    @property
    def status(self) -> Status:
        return self.world.store.get([KEY])[KEY].status

    def reopen_behind_our_back(self, *, closed: bool) -> None:
        """Let the object be open though its alert is over; `closed`: as our link knows it."""
        self.there.thing("1").open = True
        (link,) = (link for link in self.world.store.links([KEY])[KEY] if link.receiver == "there")
        alert = self.world.store.get([KEY])[KEY]
        self.world.store.commit([Write(alert=alert, links=(replace(link, closed=closed),))], self.clock())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.world.store.close()  # type: ignore[attr-defined]


@pytest.fixture
def pager(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, Family.PAGER)
    yield made
    made.world.store.close()  # type: ignore[attr-defined]


def test_where_all_agree_nothing_is_found(place):
    assert place.run() == []
    place.end()
    assert place.run() == []


def test_what_is_open_though_its_alert_is_over_is_closed(place):
    place.end()
    place.reopen_behind_our_back(closed=False)

    assert place.run() == [Fix.CLOSE]
    assert not place.there.thing("1").open
    assert [step.why for step in place.world.store.timeline(KEY)[-2:]] == [Why.RECONCILED, Why.DELIVERED]


def test_a_close_that_still_waits_is_not_owed_twice(place):
    place.there.failures.extend([DeliveryError(Reason.UNREACHABLE)] * 3)
    place.world.see(event(status=RESOLVED, at=place.clock()))
    place.world.drain_once()

    assert place.report().repairs == []


def test_what_a_person_opened_again_after_the_end_is_left(place):
    place.end()
    place.reopen_behind_our_back(closed=True)

    assert place.run() == [Fix.REOPENED_AFTER_END]
    assert place.there.thing("1").open


def test_a_close_there_that_no_hook_told_is_told_now_and_once(place):
    place.there.person("1", Status.RESOLVED)

    assert place.run() == [Fix.ENDED]
    assert (place.status, place.chat.notes) == (Status.FIRING, ["resolved at there by Ada"])
    assert place.run() == []


def test_an_object_that_was_deleted_is_told_as_closed_and_once(place):
    place.there.gone.add("1")

    assert place.run() == [Fix.GONE]
    assert place.run() == []


def test_a_list_that_lags_closes_nothing(place):
    place.there.open_objects = list  # type: ignore[method-assign]  # an empty list, while a look by id finds it open

    assert place.run() == []


def test_work_that_was_begun_there_is_an_acknowledgement(place):
    place.there.person("1", Status.ACKNOWLEDGED)

    assert place.run() == [Fix.ACKED]
    assert place.status is Status.ACKNOWLEDGED
    assert place.run() == []


def test_an_acknowledgement_here_is_only_a_comment_on_a_ticket(place):
    place.see(event(status=EventStatus.ACKNOWLEDGED, person=True, via="chat", actor="Bo"))

    assert place.run() == []


def test_one_taken_back_here_leaves_the_ticket_in_work(place):
    place.there.person("1", Status.ACKNOWLEDGED)
    place.run()
    place.see(event(status=EventStatus.UNACKNOWLEDGED, person=True, via="chat", actor="Bo"))

    assert place.run() == []


def test_a_comment_that_no_hook_told_is_told_now_and_once(place):
    place.there.comments["1"] = [RemoteNote(id="7", text="looking", actor="Ada", at=place.clock())]

    assert place.run() == [Fix.NOTED]
    assert place.chat.notes == ["looking"]
    assert place.run() == []


def test_the_younger_of_two_is_closed_and_our_link_leads_to_the_elder(place):
    key = remote_key(KEY, 1)
    place.there.things.insert(0, Thing("0", key, place.clock() - timedelta(days=1)))

    assert place.run() == [Fix.DUPLICATE]
    assert place.there.retired == [("1", "0")]
    link = place.world.store.link_by("there", "0")
    assert isinstance(link, Link)
    assert link.key == KEY
    place.end()
    assert not place.there.thing("0").open


def test_an_object_with_our_mark_that_nobody_knows_is_named_and_left(place):
    place.there.things.append(Thing("9", "ab" * 10, place.clock() - timedelta(days=1)))

    assert place.run() == [Fix.FOREIGN]
    assert place.there.thing("9").open


def test_an_object_made_a_moment_ago_may_not_be_on_our_books_yet(place):
    place.there.things.append(Thing("9", "ab" * 10, place.clock()))

    assert place.run() == []


def test_what_was_born_there_and_never_told_is_taken_in(pager):
    told = event(source="there", fingerprint="9", via="there", kind=Kind.ALERT, title="Disk full")
    pager.bear("8", event(source="there", fingerprint="8", via="there"))
    pager.clock.advance(1)
    pager.run()
    pager.bear("9", told)
    pager.clock.advance(600)

    assert pager.run() == [Fix.OPENED]
    assert pager.world.store.get([told.key])[told.key].title == "Disk full"
    assert pager.run() == []


def test_what_was_open_there_before_we_first_looked_is_history(pager):
    pager.bear("8", event(source="there", fingerprint="8", via="there"))
    pager.clock.advance(600)

    assert pager.run() == []


def test_what_no_rule_sends_anywhere_is_not_taken_in(pager):
    pager.run()
    elsewhere = replace(pager.world.book, rules=(Rule("none", parse('source="github"'), ("chat",)),))
    pager.reconciler.pipeline.book = elsewhere
    pager.bear("9", event(source="there", fingerprint="9", via="there"))
    pager.clock.advance(600)

    assert pager.run() == []


def test_an_acknowledgement_that_never_came_to_the_pager_is_sent_again(pager):
    pager.see(event(status=EventStatus.ACKNOWLEDGED, person=True, via="chat", actor="Bo"))
    pager.there.statuses["1"] = (Status.FIRING, "", pager.clock() - timedelta(days=1))
    pager.there.told.clear()

    assert pager.run() == [Fix.ACK_AGAIN]
    assert [verb for verb, _ in pager.there.told] == [Verb.ACK]


def test_one_taken_back_there_later_is_taken_back_here(pager):
    pager.see(event(status=EventStatus.ACKNOWLEDGED, person=True, via="chat", actor="Bo"))
    pager.there.person("1", Status.FIRING)

    assert pager.run() == [Fix.UNACKED]
    assert pager.status is Status.FIRING


def test_what_was_taken_back_here_later_is_taken_back_there(pager):
    pager.there.person("1", Status.ACKNOWLEDGED)
    pager.run()
    pager.see(event(status=EventStatus.UNACKNOWLEDGED, person=True, via="chat", actor="Bo"))
    pager.there.told.clear()

    assert pager.run() == [Fix.UNACK_AGAIN]
    assert [verb for verb, _ in pager.there.told] == [Verb.UNACK]


def test_an_end_that_the_mirrors_do_not_carry_is_listed_as_allowed(tmp_path):
    mirrors = Mirrors({("github", "there"): {Verb.CLOSE: (Verb.NOTE,)}})
    place = Place(tmp_path, Family.PAGER, mirrors)
    place.end()
    place.reopen_behind_our_back(closed=False)

    assert place.run() == [Fix.ALLOWED]
    assert place.there.thing("1").open


def test_a_dry_run_finds_and_changes_nothing(place):
    place.end()
    place.reopen_behind_our_back(closed=False)
    before = place.world.store.timeline(KEY)

    assert place.run(dry_run=True) == [Fix.CLOSE]
    assert place.there.thing("1").open
    assert place.world.store.timeline(KEY) == before


def test_a_destination_that_does_not_answer_is_said_and_harms_nothing(place):
    def away() -> None:
        raise DeliveryError(Reason.UNREACHABLE)

    place.there.open_objects = away  # type: ignore[assignment]

    assert place.report().failed == ["there: could not be asked: unreachable"]


def test_one_process_at_a_time_makes_the_pass_and_the_next_comes_five_minutes_later(place):
    slot = place.reconciler.take_due()
    assert slot is not None
    assert place.reconciler.take_due() is None

    place.reconciler.run_taken(slot)
    assert place.reconciler.take_due() is None
    place.clock.advance(300)
    assert place.reconciler.take_due() is not None


def test_a_pass_whose_process_was_killed_is_made_again_at_once(place):
    slot = place.reconciler.take_due()
    assert slot is not None
    store = place.world.store

    store.put_slot(replace(slot, owner=f"{slot.owner.rpartition(' ')[0]} 1"))

    assert place.reconciler.take_due() is not None
    assert place.reconciler.take_due() is None


@pytest.mark.parametrize("ended", [True, False])
def test_a_clock_that_was_set_back_does_not_stop_the_passes(place, ended):
    slot = place.reconciler.take_due()
    assert slot is not None
    if ended:
        place.reconciler.run_taken(slot)

    place.clock.advance(-3600)

    assert place.reconciler.take_due() is not None
    assert place.reconciler.take_due() is None


def test_a_pass_can_be_asked_for_at_once(place):
    slot = place.reconciler.take_due()
    assert slot is not None
    place.reconciler.run_taken(slot)

    place.reconciler.request_run()

    assert place.reconciler.take_due() is not None
