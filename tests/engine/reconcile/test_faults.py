"""Reconciliation when the other side refuses, breaks, or changes while it is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Remote
from service_event_checker.core.reconcile import Fix
from service_event_checker.core.vocabulary import EventStatus, Family, Status, Verb, Why
from service_event_checker.engine import pending_events
from service_event_checker.engine.outbox import GIVE_UP_AFTER
from tests.engine.reconcile.test_destinations import KEY, Place
from tests.factories import event
from tests.process import Died
from tests.sink import Thing

RESOLVED = EventStatus.RESOLVED
REFUSED = DeliveryError(Reason.REFUSED, "the workflow forbids it", permanent=True)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.world.store.close()  # type: ignore[attr-defined]


def test_a_close_that_is_refused_is_not_asked_for_again_at_each_pass(place):
    place.there.failures.append(REFUSED)
    place.end()

    assert [place.run() for _ in range(3)] == [[Fix.GIVEN_UP]] * 3
    assert len(place.world.store.failed_deliveries()) == 1


def test_an_open_that_died_of_age_is_brought_when_the_receiver_answers_again(place):
    place.there.failures.extend([DeliveryError(Reason.UNAUTHORIZED)] * 2000)
    place.world.see(event(fingerprint="second"))
    for _ in range(2000):
        place.world.drain_once()
        place.clock.advance(300)
        if place.world.store.failed_deliveries():
            break
    assert place.clock() - GIVE_UP_AFTER > event().starts_at
    place.there.failures.clear()

    place.run()

    assert [thing.open for thing in place.there.things] == [True, True]


def test_one_that_was_refused_stays_dead_until_a_person_asks(place):
    place.there.failures.append(REFUSED)
    place.see(event(fingerprint="second"))
    place.run()
    assert len(place.there.things) == 1

    (letter,) = place.world.store.failed_deliveries()
    place.world.store.requeue(letter.id, place.clock())
    place.world.settle_down()

    assert len(place.there.things) == 2


def test_an_object_that_cannot_be_looked_at_holds_up_no_other(place):
    place.see(event(fingerprint="second"))
    place.end()
    place.reopen_behind_our_back(closed=False)
    place.there.thing("2").open = False

    def forbidden(external_id: str) -> Remote | None:
        raise DeliveryError(Reason.UNAUTHORIZED, "private")

    place.there.get_remote = forbidden  # type: ignore[method-assign]

    assert place.run() == [Fix.CLOSE]
    assert not place.there.thing("1").open


def test_an_adapters_bug_keeps_no_other_from_being_compared_and_frees_the_pass(place):
    def broken() -> list[Remote]:
        raise KeyError("id")

    place.there.open_objects = broken  # type: ignore[method-assign]
    slot = place.reconciler.take_due()
    assert slot is not None

    place.reconciler.run_taken(slot)

    (left,) = place.world.store.slots().values()
    assert (left.lease_until, left.warnings) == (None, ("there: could not be asked: the log says why",))


def test_a_pass_that_is_asked_for_during_another_is_made_after_it(place):
    slot = place.reconciler.take_due()
    assert slot is not None

    place.reconciler.request_run()
    place.reconciler.run_taken(slot)

    assert place.reconciler.take_due() is not None


def test_in_shadow_nothing_is_written_there(place):
    key = remote_key(KEY, 1)
    place.there.things.insert(0, Thing("0", key, place.clock() - timedelta(days=1)))
    shadow = replace(place.world.book.receivers["there"], shadow=True)
    place.world.book.receivers["there"] = shadow  # type: ignore[index]

    assert place.run() == [Fix.DUPLICATE]
    assert place.there.retired == []


@pytest.mark.parametrize("after", [False, True], ids=["before the close", "after the close"])
def test_a_death_while_a_double_is_closed_loses_neither(place, after):
    key = remote_key(KEY, 1)
    place.there.things.insert(0, Thing("0", key, place.clock() - timedelta(days=1)))

    retire = place.there.close_duplicate

    def dies(duplicate: Remote, kept: Remote) -> None:
        if after:
            retire(duplicate, kept)
        raise Died

    place.there.close_duplicate = dies  # type: ignore[method-assign]
    with pytest.raises(Died):
        place.reconciler.run()
    place.there.close_duplicate = retire  # type: ignore[method-assign]

    assert place.run() == ([] if after else [Fix.DUPLICATE])
    assert place.run() == []
    place.end()
    assert [thing.open for thing in place.there.things] == [False, False]


def test_a_double_is_left_alone_while_something_is_on_its_way_there(place):
    place.there.things.insert(0, Thing("0", remote_key(KEY, 1), place.clock() - timedelta(days=1)))
    place.world.see(event(title="changed"))

    assert place.report().repairs == []


def test_nobody_is_troubled_with_what_can_no_longer_be_written_to_a_deleted_object(place):
    place.there.gone.add("1")

    def missing(delivery: Any, alert: Any, link: Any) -> None:
        raise DeliveryError(Reason.NOT_FOUND, "deleted", permanent=True)

    place.there.deliver = missing  # type: ignore[method-assign]
    assert place.run() == [Fix.GONE]
    place.end()

    assert place.world.store.failed_deliveries() == []


def test_what_was_opened_in_shadow_is_made_at_its_first_change_afterwards(place):
    real = place.world.book.receivers["there"]
    place.world.book.receivers["there"] = replace(real, shadow=True)  # type: ignore[index]
    place.see(event(fingerprint="second"))
    place.world.book.receivers["there"] = real  # type: ignore[index]

    place.see(event(fingerprint="second", title="worse now"))

    assert len(place.there.things) == 2
    assert place.world.store.failed_deliveries() == []


def test_what_was_opened_in_shadow_and_ends_afterwards_has_nothing_to_end(place):
    real = place.world.book.receivers["there"]
    place.world.book.receivers["there"] = replace(real, shadow=True)  # type: ignore[index]
    place.see(event(fingerprint="second"))
    place.world.book.receivers["there"] = real  # type: ignore[index]

    place.see(event(fingerprint="second", status=RESOLVED, at=place.clock()))

    assert len(place.there.things) == 1
    assert place.world.store.failed_deliveries() == []


def test_a_comment_on_a_ticket_that_is_being_opened_again_waits_for_it(place):
    reopening = replace(place.world.book.receivers["there"], reopen_within=timedelta(hours=72))
    place.world.book.receivers["there"] = reopening  # type: ignore[index]
    place.end()
    place.world.see(event(starts_at=place.clock(), at=place.clock()))
    place.chat.notes.clear()
    place.world.see(place.there.says("1", EventStatus.NOTED, note="again?", note_id="7"))
    assert len(place.world.store.holding.list(pending_events.AREA)) == 1

    place.world.settle_down()
    place.world.pipeline.unpark(place.clock())
    place.world.settle_down()

    assert "again?" in place.chat.notes


def test_what_was_closed_there_while_we_wrote_stays_known_as_closed(place):
    place.there.family = Family.TICKET
    deliver = place.there.deliver

    def meanwhile(delivery: Any, alert: Any, link: Any) -> Any:
        if delivery.verb is Verb.UPDATE:
            place.world.pipeline.ingest([place.there.says("1", RESOLVED)], place.clock())
        return deliver(delivery, alert, link)

    place.there.deliver = meanwhile  # type: ignore[method-assign]
    slow = replace(place.world.book.receivers["there"], update_every=timedelta(minutes=5))
    place.world.book.receivers["there"] = slow  # type: ignore[index]
    place.see(event(title="changed"))

    link = place.world.store.link_by("there", "1")
    assert link is not None
    assert (link.closed, link.updated_at is not None) == (True, True)


def test_an_alert_of_the_pagers_own_that_a_person_ended_here_is_ended_there_once_more(tmp_path):
    pager = Place(tmp_path, Family.PAGER)
    born = event(source="there", fingerprint="9", via="there")
    pager.there.things.append(Thing("9", "", pager.clock()))
    pager.see(born)
    pager.there.failures.append(DeliveryError(Reason.REFUSED, permanent=True))
    pager.see(event(source="there", fingerprint="9", status=RESOLVED, person=True, via="chat", actor="Ada"))
    assert pager.run() == [Fix.GIVEN_UP]

    pager.world.store.discard(pager.world.store.failed_deliveries()[0].id)

    assert pager.run() == [Fix.CLOSE]
    assert pager.world.store.get([born.key])[born.key].status is Status.RESOLVED
    steps = pager.world.store.timeline(born.key)
    assert [step.why for step in steps[-2:]] == [Why.RECONCILED, Why.DELIVERED]
