"""Opsgenie and PagerDuty mirrored: what happens on one side shows on the other, once, and never comes back.

Both adapters are the real ones, the systems are doubles; their webhooks are delivered until no side has any more.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from service_event_checker.core.vocabulary import Status
from tests.destinations.opsgenie.double import Opsgenie
from tests.destinations.pagerduty.double import ALICE, BOB, BOT, PagerDuty
from tests.engine.mirrors.bridge import Bridge, History
from tests.process import Death

pytestmark = pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)
STRIDE = 5  # one crash point in five; each makes a world of its own
HISTORIES = 40


@pytest.fixture
def bridge(fresh_store: Callable[[], Any]) -> Iterator[Bridge]:
    with Opsgenie() as ops, PagerDuty() as pager:
        yield Bridge(fresh_store(), ops, pager)
        assert ops.refused == pager.refused == []
        assert pager.reopened == 0


def test_a_new_alert_is_one_incident(bridge):
    assert bridge.incident.title == "Test alert"
    assert bridge.incident.status == "triggered"
    assert bridge.told == []


def test_a_note_is_on_the_incident_with_its_author(bridge):
    bridge.ops.person_notes(bridge.alert.id, "This is a test note", "test-user")
    bridge.carry()

    (note,) = bridge.incident.contents
    assert "test-user" in note
    assert "This is a test note" in note
    assert bridge.told == []


def test_an_acknowledgement_is_noted_with_who_and_made_as_the_automation_user(bridge):
    bridge.ops.person_acknowledges(bridge.alert.id, "test-user")
    bridge.carry()

    assert [who for who, _ in bridge.incident.acks] == [BOT]
    assert ["Acknowledged by test-user" in note for note in bridge.incident.contents] == [True]
    assert bridge.told == []


def test_an_acknowledgement_taken_back_is_noted_with_who(bridge):
    bridge.ops.person_acknowledges(bridge.alert.id, "test-user")
    bridge.carry()
    bridge.ops.person_unacknowledges(bridge.alert.id, "second-user")
    bridge.carry()

    assert "second-user" in bridge.incident.contents[-1]
    assert len(bridge.incident.contents) == 2
    assert (bridge.status, bridge.alert.acknowledged) == (Status.FIRING, False)


def test_a_close_ends_the_alert_and_is_a_note_on_the_incident(bridge):
    bridge.ops.person_closes(bridge.alert.id, "test-user")
    bridge.carry()

    assert bridge.world.store.open_alerts() == []
    assert bridge.incident.status == "triggered"
    assert len(bridge.incident.contents) == 1


def test_who_takes_the_incident_takes_the_alert(bridge):
    bridge.pager.person_acknowledges(bridge.incident.id, BOB)
    bridge.carry()

    assert bridge.alert.acknowledged
    assert any("Bob Builder" in text for text in bridge.told)
    assert bridge.incident.contents == []


@pytest.mark.parametrize("how", ["by a person", "by time"])
def test_an_incident_that_nobody_has_any_more_frees_the_alert_to_escalate(bridge, how):
    bridge.pager.person_acknowledges(bridge.incident.id, BOB)
    bridge.carry()
    if how == "by time":
        bridge.pager.ack_times_out(bridge.incident.id)
    else:
        bridge.pager.person_reopens(bridge.incident.id, BOB)  # back to triggered
    bridge.carry()

    assert (bridge.alert.acknowledged, bridge.status) == (False, Status.FIRING)


def test_the_automations_own_acknowledgement_may_time_out_too(bridge):
    bridge.ops.person_acknowledges(bridge.alert.id, "test-user")
    bridge.carry()
    bridge.clock.advance(1800)
    bridge.pager.ack_times_out(bridge.incident.id)
    bridge.carry()

    assert (bridge.alert.acknowledged, bridge.incident.status) == (False, "triggered")


def test_a_note_on_the_incident_is_on_the_alert(bridge):
    bridge.pager.person_notes(bridge.incident.id, "looking into it", ALICE)
    bridge.carry()

    (note,) = bridge.told
    assert "Alice Archer" in note
    assert "looking into it" in note
    assert len(bridge.incident.contents) == 1


def test_a_resolved_incident_is_a_note_and_never_a_closed_alert(bridge):
    bridge.pager.person_resolves(bridge.incident.id, BOB)
    bridge.carry()

    assert bridge.alert.open
    assert ["Bob Builder" in text for text in bridge.told] == [True]
    bridge.ops.person_acknowledges(bridge.alert.id, "test-user")
    bridge.carry()
    assert bridge.incident.status == "resolved"


def test_what_the_automation_user_did_by_hand_is_not_carried(bridge):
    bridge.pager.person_notes(bridge.incident.id, "by hand", BOT)
    bridge.pager.person_acknowledges(bridge.incident.id, BOT)
    bridge.carry()

    assert (bridge.told, bridge.alert.acknowledged) == ([], False)


def test_webhooks_that_come_twice_late_and_in_another_order_end_as_if_they_had_not(bridge):
    for seed in range(5):
        bridge.pager.person_acknowledges(bridge.incident.id, BOB)
        bridge.clock.advance(60)
        bridge.pager.ack_times_out(bridge.incident.id)
        bridge.clock.advance(60)
        bridge.pager.person_notes(bridge.incident.id, f"note {seed}", ALICE)
        bridge.pager.person_acknowledges(bridge.incident.id, ALICE)
        hooks = [*bridge.pager.webhooks] * 2
        bridge.pager.webhooks.clear()
        random.Random(seed).shuffle(hooks)
        for headers, body in hooks:
            bridge.hear("pagerduty", headers, body)
        bridge.carry()

        assert (bridge.alert.acknowledged, bridge.status) == (True, Status.ACKNOWLEDGED)
        assert len([text for text in bridge.told if f"note {seed}" in text]) == 1
        bridge.clock.advance(timedelta(hours=1).total_seconds())
        bridge.pager.ack_times_out(bridge.incident.id)
        bridge.carry()


@pytest.mark.parametrize("user", ["Automation", "Nobody", BOT])
def test_it_comes_to_rest_however_well_the_automation_user_is_known(fresh_store, user):
    with Opsgenie() as ops, PagerDuty() as pager:
        bridge = Bridge(fresh_store(), ops, pager, user)
        ops.person_acknowledges(bridge.alert.id, "test-user")
        ops.person_notes(bridge.alert.id, "once", "test-user")
        bridge.carry()

        assert (bridge.told, len(bridge.incident.contents)) == ([], 2)


def test_a_process_that_dies_anywhere_writes_nothing_twice(fresh_store):
    def day(death: Death) -> None:
        with Opsgenie() as ops, PagerDuty() as pager:
            bridge = Bridge(fresh_store(), ops, pager, death=death)
            ops.person_acknowledges(bridge.alert.id, "test-user")
            pager.person_notes(bridge.incident.id, "looking into it", ALICE)
            bridge.carry()
            pager.person_resolves(bridge.incident.id, BOB)
            bridge.carry()

            assert (bridge.incident.status, pager.reopened) == ("resolved", 0)
            assert len([text for text in bridge.incident.contents if "Acknowledged by test-user" in text]) == 1
            assert (len(bridge.told), bridge.alert.open, bridge.alert.acknowledged) == (2, True, True)
            assert pager.refused == ops.refused == []

    whole = Death()
    day(whole)
    for point in range(1, len(whole.calls) + 1, STRIDE):
        day(Death(at=point, after=point % 2 == 0))


@pytest.mark.parametrize("lost", [False, True], ids=["late", "lost"])
def test_histories_end_in_agreement(fresh_store, lost):
    for seed in range(HISTORIES // 2):
        with Opsgenie() as ops, PagerDuty() as pager:
            history = History(Bridge(fresh_store(), ops, pager), seed, lost=lost)
            history.live(10)

            assert not lost or history.bridge.reconcile() == []
            history.check()
            assert ops.refused == pager.refused == []
            assert history.bridge.world.store.failed_deliveries() == []
