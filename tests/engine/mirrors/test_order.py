"""What the pager mirror makes of news that cross each other on the way, one story each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service_event_checker.core.mirrors import PING_PONG, STATUSES_MAX, Mirrors
from service_event_checker.core.reconcile import Fix
from service_event_checker.core.tracker import NOTES_REMEMBERED
from service_event_checker.core.vocabulary import Status, Verb
from service_event_checker.metrics import REGISTRY
from tests.engine.mirrors.mirrored import MIRRORS, Mirrored, Weather

pytestmark = pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)
ACKED, FIRING = Status.ACKNOWLEDGED, Status.FIRING


class Calm(Mirrored):
    """No webhook is lost, late or repeated but by the story; one alert is open on both sides."""

    def __init__(self, store: Any, *, nobody: bool = False, mirrors: Mirrors = MIRRORS) -> None:
        super().__init__(store, Weather(0, nobody=nobody, calm=True), mirrors=mirrors)
        self.rest()
        (self.alert,) = self.ops.objects.values()
        (self.incident,) = self.pager.objects.values()

    def held_back(self) -> Callable[[], None]:
        """Keep what just happened at Opsgenie from us; return the function that brings it."""
        events = list(self.ops.hooks)
        self.ops.hooks.clear()
        return lambda: self.ops.hooks.extend(events)

    @property
    def statuses(self) -> tuple[Status, Status, Status]:
        """At Opsgenie, ours, at PagerDuty."""
        (ours,) = self._alerts()
        return self.alert.status, ours.status, self.incident.status

    def told(self) -> list[Verb]:
        """What we wrote at Opsgenie."""
        return [delivery.verb for delivery in self.alert.told.values()]


@pytest.fixture
def pair(fresh_store: Callable[[], Any]) -> Calm:
    return Calm(fresh_store())


def test_a_webhook_that_comes_again_after_the_other_side_has_moved_on_is_no_news(pair):
    pair.ops.person_brings(pair.alert, ACKED)
    pair.rest()
    pair.pager.ack_times_out(pair.incident)
    again = pair.pager.hooks[0]
    pair.rest()
    pair.ops.person_brings(pair.alert, ACKED)
    pair.hear()

    pair.pager.hooks.append(again)
    pair.rest()

    assert pair.statuses == (ACKED, ACKED, ACKED)


def test_a_late_acknowledgement_that_we_have_taken_back_there_meanwhile_stays_so(pair):
    pair.ops.person_brings(pair.alert, ACKED)
    bring = pair.held_back()
    pair.clock.advance(5)
    pair.pager.person_brings(pair.incident, ACKED)
    pair.rest()
    pair.pager.ack_times_out(pair.incident)
    pair.rest()

    bring()
    pair.rest()

    assert pair.statuses == (FIRING, FIRING, FIRING)


def test_who_takes_it_before_our_taking_back_has_left_keeps_it(pair):
    pair.ops.person_brings(pair.alert, ACKED)
    pair.rest()
    pair.pager.ack_times_out(pair.incident)
    pair.hear()
    pair.ops.person_brings(pair.alert, ACKED)
    pair.rest()

    assert pair.statuses == (ACKED, ACKED, ACKED)
    assert pair.told() == [Verb.NOTE]  # it is still said
    assert pair.alert.texts() == ["acknowledgement taken back at pagerduty"]


def test_an_acknowledgement_that_was_noted_already_is_not_noted_twice(fresh_store):
    pair = Calm(fresh_store(), mirrors=Mirrors({("opsgenie", "pagerduty"): {Verb.ACK: (Verb.NOTE, Verb.ACK)}}))
    pair.ops.person_brings(pair.alert, ACKED)
    pair.hear()
    pair.pager.person_brings(pair.incident, ACKED)
    pair.pager.person_brings(pair.incident, FIRING)
    pair.rest()

    assert [delivery.verb for delivery in pair.incident.told.values()] == [Verb.NOTE]
    assert pair.statuses == (FIRING, FIRING, FIRING)


def test_a_short_acknowledgement_is_carried_as_it_was(pair):
    pair.pager.person_brings(pair.incident, ACKED)
    pair.pager.ack_times_out(pair.incident)
    pair.rest()

    assert pair.told() == [Verb.ACK, Verb.UNACK]


def test_what_comes_back_as_done_by_nobody_is_no_news_and_what_nobody_did_is(fresh_store):
    pair = Calm(fresh_store(), nobody=True)
    pair.pager.person_brings(pair.incident, ACKED)
    pair.rest()
    pair.pager.ack_times_out(pair.incident)
    pair.rest()
    pair.pager.person_brings(pair.incident, ACKED)
    pair.rest()
    assert pair.statuses == (ACKED, ACKED, ACKED)

    pair.ops.person_brings(pair.alert, FIRING, "")  # an automation, seconds after we took it back ourselves
    pair.rest()

    assert pair.statuses == (FIRING, FIRING, ACKED)


def test_our_own_acknowledgement_that_comes_back_late_from_nobody_is_no_news(fresh_store):
    pair = Calm(fresh_store(), nobody=True)
    pair.pager.person_brings(pair.incident, ACKED)
    pair.hear()
    pair.world.settle_down()
    bring = pair.held_back()
    pair.pager.ack_times_out(pair.incident)
    pair.hear()

    bring()
    pair.rest()

    assert pair.statuses == (FIRING, FIRING, FIRING)


def test_an_incident_that_is_ended_again_after_it_was_taken_up_again_is_told_again(pair):
    pair.pager.person_brings(pair.incident, Status.RESOLVED, "Bob")
    pair.rest()
    pair.pager.person_brings(pair.incident, FIRING, "Bob")
    pair.pager.hooks.clear()
    pair.clock.advance(100)
    pair.pager.person_brings(pair.incident, Status.RESOLVED, "Carl")
    pair.rest()

    assert pair.alert.texts() == ["resolved at pagerduty by Bob", "resolved at pagerduty by Carl"]


def test_an_incident_that_is_opened_again_as_taken_keeps_its_acknowledgement(pair):
    pair.pager.person_brings(pair.incident, Status.RESOLVED)
    pair.rest()
    pair.pager.person_brings(pair.incident, ACKED)
    pair.rest()

    assert pair.statuses == (ACKED, ACKED, ACKED)


def test_what_happens_while_the_incident_is_being_made_waits_for_it(fresh_store):
    pair = Mirrored(fresh_store(), Weather(0, calm=True))
    (alert,) = pair.ops.objects.values()
    pair.hear()
    pair.ops.person_brings(alert, ACKED)
    pair.ops.person_notes(alert)
    pair.hear()
    assert not pair.pager.objects

    pair.rest()

    (incident,) = pair.pager.objects.values()
    assert incident.status is ACKED
    assert len(incident.texts(Verb.NOTE)) == 1


def test_a_word_of_an_alert_that_overtakes_its_creation_waits_for_it(fresh_store):
    pair = Mirrored(fresh_store(), Weather(0, calm=True))
    (alert,) = pair.ops.objects.values()
    created = pair.ops.hooks.popleft()
    pair.ops.person_brings(alert, ACKED)
    pair.hear()

    pair.ops.hooks.append(created)
    pair.rest()

    (incident,) = pair.pager.objects.values()
    assert incident.status is ACKED


def test_all_that_was_missed_of_an_alert_is_taken_in_by_one_pass(fresh_store):
    pair = Mirrored(fresh_store(), Weather(0, calm=True))
    (alert,) = pair.ops.objects.values()
    pair.ops.person_notes(alert)
    pair.ops.person_brings(alert, ACKED)
    pair.ops.hooks.clear()

    assert pair.reconcile() == []

    (incident,) = pair.pager.objects.values()
    assert incident.status is ACKED
    assert incident.texts(Verb.NOTE) == ["note of opsgenie-person-1."]


def test_one_pass_mends_both_sides_though_the_first_ones_repair_is_on_its_way_to_the_second(pair):
    pair.pager.person_brings(pair.incident, Status.RESOLVED)
    pair.ops.person_brings(pair.alert, Status.RESOLVED)
    pair.pager.hooks.clear()
    pair.ops.hooks.clear()

    assert pair.reconcile() == []
    assert pair.statuses == (Status.RESOLVED, Status.RESOLVED, Status.RESOLVED)


def test_notes_that_were_missed_are_told_though_both_are_over_by_now(pair):
    pair.ops.person_notes(pair.alert)
    pair.pager.person_notes(pair.incident)
    pair.ops.hooks.clear()
    pair.pager.hooks.clear()
    pair.pager.person_brings(pair.incident, Status.RESOLVED)
    pair.ops.person_brings(pair.alert, Status.RESOLVED)
    pair.rest()

    assert pair.reconcile() == []

    pair.check()


def test_a_note_that_was_missed_is_told_though_something_is_on_its_way_there(pair):
    pair.pager.person_notes(pair.incident)
    pair.pager.hooks.clear()
    pair.ops.person_notes(pair.alert)
    pair.hear()
    pair.clock.advance(130)

    assert [repair.fix for repair in pair.reconciler.run().repairs] == [Fix.NOTED]


def test_our_own_late_acknowledgement_is_nobodys_news(pair):
    pair.ops.person_brings(pair.alert, ACKED)
    pair.hear()
    pair.ops.person_brings(pair.alert, FIRING)
    pair.hear()
    pair.clock.advance(30)  # PagerDuty is away for a while
    pair.rest()

    assert pair.reconcile() == []
    assert pair.statuses == (FIRING, FIRING, ACKED)


def test_who_took_it_back_there_unheard_is_heard_though_we_were_late_ourselves(pair):
    pair.pager.person_brings(pair.incident, ACKED)
    taken = pair.pager.hooks.popleft()
    pair.clock.advance(60)
    pair.pager.ack_times_out(pair.incident)
    pair.pager.hooks.clear()
    pair.clock.advance(60)
    pair.pager.hooks.append(taken)
    pair.rest()
    assert pair.statuses == (ACKED, ACKED, FIRING)

    assert pair.reconcile() == []
    assert pair.statuses == (FIRING, FIRING, FIRING)


def test_an_incident_that_was_opened_again_unheard_is_known_to_be_open(pair):
    pair.pager.person_brings(pair.incident, Status.RESOLVED, "Bob")
    pair.rest()
    pair.clock.advance(100)
    pair.pager.person_brings(pair.incident, FIRING, "Bob")
    pair.pager.hooks.clear()

    assert pair.reconcile() == []
    pair.pager.person_brings(pair.incident, Status.RESOLVED, "Carl")
    pair.pager.hooks.clear()
    assert pair.reconcile() == []

    assert pair.alert.texts() == ["resolved at pagerduty by Bob", "resolved at pagerduty by Carl"]


def test_notes_are_told_once_however_many_there_are(pair):
    for _ in range(NOTES_REMEMBERED + 10):
        pair.pager.person_notes(pair.incident)
    pair.rest()
    for _ in range(NOTES_REMEMBERED + 10):
        pair.ops.person_notes(pair.alert)
    pair.rest()

    assert pair.reconcile() == []

    pair.check()


def test_a_ping_pong_ends_is_said_and_is_put_right_later(pair):
    before = ping_pongs()
    for number in range(STATUSES_MAX + 3):
        pair.clock.advance(10)
        pair.pager.person_brings(pair.incident, FIRING if number % 2 else ACKED)
        pair.rest()
    assert [delivery.verb for delivery in pair.alert.told.values()].count(Verb.ACK) == STATUSES_MAX // 2
    assert {(letter.receiver, letter.reason) for letter in pair.store.failed_deliveries()} == {("opsgenie", PING_PONG)}
    assert ping_pongs() == before + 3
    assert pair.statuses == (FIRING, ACKED, ACKED)

    pair.clock.advance(600)

    assert pair.reconcile() == []
    assert pair.statuses == (ACKED, ACKED, ACKED)


def ping_pongs() -> float:
    return REGISTRY.get_sample_value("poc_ping_pong_total", {"receiver": "opsgenie"}) or 0.0
