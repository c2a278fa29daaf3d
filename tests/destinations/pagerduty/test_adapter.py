"""What is special about PagerDuty: keys that it refuses twice, acknowledgements, our own user, signed webhooks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from service_event_checker.core.errors import DeliveryError, InvalidInput, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Event, Link, Remote
from service_event_checker.core.ports import DryRunnable, Findable, FindableByAlert, Inbound, Preflight, Reconcilable
from service_event_checker.core.vocabulary import EventStatus, ResolvedBy, Severity, Status, Verb
from service_event_checker.destinations.pagerduty import client, own_user
from service_event_checker.destinations.pagerduty.adapter import Adapter, Config
from tests.destinations.deliver import deliver
from tests.destinations.pagerduty.double import ALICE, BOB, BOT, SECRET, SERVICE, TOKEN, PagerDuty
from tests.doubles.base import Fault
from tests.factories import NOW, alert, delivery
from tests.root import ROOT

SAMPLES = Path(os.environ.get("SAMPLES_DIR", "/nonexistent")) / "pagerduty"
EXAMPLES = ROOT / "examples"
HOOK = "https://outages.example.com/pd-webhook"


@pytest.fixture
def pager() -> Iterator[PagerDuty]:
    with PagerDuty() as running:
        yield running


def adapter(pager: PagerDuty, **changes: Any) -> Adapter:
    given = {"url": pager.url, "token": pager.token, "service_id": SERVICE, "timeout": 5, "webhook_secret": SECRET}
    known = {"email": "bot@example.com", "user": BOT}
    return Adapter("pagerduty", Config(**{**given, **known, **changes}), background=lambda task: task())


def pay(pager: PagerDuty, alert: Alert, verb: Verb = Verb.OPEN, link: Link | None = None, **changes: Any) -> Link:
    by = changes.pop("by", None) or adapter(pager)
    paid = deliver(by, delivery(alert, verb, receiver="pagerduty", **changes), alert, link)
    assert paid
    return paid


def over(alert: Alert) -> Alert:
    ended = {"ended_at": NOW + timedelta(minutes=42), "resolved_by": ResolvedBy.SOURCE}
    return replace(alert, status=Status.RESOLVED, revision=alert.revision + 1, **ended)


def heard(pager: PagerDuty, by: Adapter | None = None) -> list[Event]:
    """Deliver all webhooks that wait, as the web does, and return what they say."""
    by = by or adapter(pager)
    events = []
    while pager.webhooks:
        headers, body = pager.webhooks.popleft()
        assert by.verify_signature(headers, body)
        events += by.parse(headers, json.loads(body))
    return events


def the_incident(pager: PagerDuty) -> Any:
    (incident,) = pager.incidents.values()
    return incident


def test_it_offers_all_that_the_pipeline_may_ask_of_a_pager(pager):
    for port in (Findable, FindableByAlert, Reconcilable, Inbound, DryRunnable, Preflight):
        assert isinstance(adapter(pager), port)
    assert Verb.UNACK not in Adapter.verbs


def test_an_incident_says_what_a_person_needs_at_night(pager):
    outage = alert(severity=Severity.CRITICAL, links={"redmine": "https://redmine.example.com/issues/7"})
    link = pay(pager, outage)

    made = the_incident(pager)
    assert (made.title, made.urgency) == ("GitHub: Disruption with some GitHub services", "high")
    assert made.key == f"poc-{remote_key(outage.key, 1)}"
    for text in (outage.description, outage.url, outage.internal_id, "Actions", "https://redmine.example.com/issues/7"):
        assert text in made.details
    assert link.url == f"https://example.pagerduty.com/incidents/{made.id}"


def test_endless_details_are_cut_behind_what_matters(pager):
    labels = {f"label-{number}": "x" * 500 for number in range(100)}
    pay(pager, alert(labels=labels, annotations=labels))

    details = the_incident(pager).details
    assert len(details) == 16_000
    assert alert().internal_id in details[:500]


def test_nobody_is_assigned_so_that_the_escalation_policy_pages(pager):
    pay(pager, alert())

    sent = pager.requests[-1].json()["incident"]
    assert set(sent) == {"type", "title", "service", "incident_key", "urgency", "body"}
    assert the_incident(pager).status == "triggered"


@pytest.mark.parametrize(("severity", "urgency"), [("critical", "high"), ("error", "high"), ("warning", "low")])
def test_the_urgency_follows_the_severity(pager, severity, urgency):
    pay(pager, alert(severity=Severity(severity)))

    assert the_incident(pager).urgency == urgency


def test_urgencies_and_priorities_are_configured_by_severity(pager):
    by = adapter(pager, urgencies={"warning": "high"}, priorities={"warning": "PPRIO01"})
    pay(pager, alert(severity=Severity.WARNING), by=by)

    assert (the_incident(pager).urgency, the_incident(pager).priority) == ("high", "PPRIO01")


def test_a_second_create_takes_the_incident_that_pagerduty_has_already(pager):
    first, second = pay(pager, alert()), pay(pager, alert())

    assert first == second
    assert len(pager.incidents) == 1
    assert pager.refused == []


def test_a_duplicate_that_vanished_meanwhile_is_tried_again(pager):
    pay(pager, alert())
    pager.search_lag = timedelta(minutes=1)

    with pytest.raises(DeliveryError) as raised:
        pay(pager, alert())

    assert not raised.value.permanent


def test_a_new_episode_gets_an_incident_of_its_own_that_names_the_old(pager):
    first = pay(pager, alert())
    pager.person_resolves(first.external_id)
    again = alert(episode=2, revision=3)
    link = Link(key=again.key, episode=2, receiver="pagerduty", remote_key=remote_key(again.key, 2), previous=first.url)

    second = pay(pager, again, link=link)

    assert second.external_id != first.external_id
    assert first.url in pager.incidents[second.external_id].details
    assert pager.reopened == 0


def test_within_reopen_within_the_same_incident_is_triggered_again(pager):
    link = pay(pager, alert())
    pager.person_resolves(link.external_id)
    again = alert(episode=2, revision=3)

    for _ in range(2):
        assert pay(pager, again, link=replace(link, episode=2)).external_id == link.external_id

    assert (the_incident(pager).status, pager.reopened) == ("triggered", 1)
    assert len([text for text in the_incident(pager).contents if "Opened again" in text]) == 1


def test_where_the_old_one_is_gone_a_reopening_makes_one_new(pager):
    link = replace(pay(pager, alert()), episode=2)
    pager.incidents.clear()
    again = alert(episode=2, revision=3)

    made = pay(pager, again, link=link)

    assert made.remote_key == remote_key(again.key, 2)
    assert link.url in the_incident(pager).details


def test_where_pagerduty_refuses_to_reopen_beside_another_that_one_is_taken(pager):
    link = pay(pager, alert())
    pager.person_resolves(link.external_id)
    other = pay(pager, alert())
    again = alert(episode=2, revision=3)

    made = pay(pager, again, link=replace(link, episode=2))

    assert (made.external_id, made.previous) == (other.external_id, link.url)
    assert pager.incidents[link.external_id].status == "resolved"


@pytest.mark.parametrize(
    ("sender", "reason"), [("nobody@example.com", Reason.UNAUTHORIZED), ("bot@example.com", Reason.REFUSED)]
)
def test_what_a_person_can_mend_waits_and_what_nobody_can_does_not(pager, sender, reason):
    by = adapter(pager, email=sender, service_id=SERVICE if reason is Reason.UNAUTHORIZED else "PNONE01")

    with pytest.raises(DeliveryError) as raised:
        pay(pager, alert(), by=by)

    assert (raised.value.reason, raised.value.permanent) == (reason, reason is Reason.REFUSED)
    assert TOKEN not in str(raised.value)


def test_a_rate_limit_without_a_header_is_waited_for_all_the_same(pager):
    pager.retry_after = ""
    pager.script.append(Fault.RATE_LIMIT)

    with pytest.raises(DeliveryError) as raised:
        pay(pager, alert())

    assert raised.value.retry_after == 10


def test_a_rate_limit_is_waited_for_until_it_is_counted_anew(pager):
    pager.retry_after, pager.limits = (
        "",
        {"ratelimit-limit": "960", "ratelimit-reset": "37"},
    )
    pager.script.append(Fault.RATE_LIMIT)

    with pytest.raises(DeliveryError) as raised:
        pay(pager, alert())

    assert raised.value.retry_after == 37


def test_an_acknowledgement_names_who_it_was_and_is_made_as_the_automation_user(pager):
    link = pay(pager, alert())
    for attempt in range(2):
        pay(pager, alert(), Verb.ACK, link, actor="alice", attempts=attempt)

    made = the_incident(pager)
    assert made.status == "acknowledged"
    assert [who for who, _ in made.acks] == [BOT]
    assert len(made.notes) == 1
    assert made.contents[0].startswith("Acknowledged by alice")


def test_an_acknowledgement_never_opens_again_what_a_person_has_resolved(pager):
    link = pay(pager, alert())
    pager.person_resolves(link.external_id)

    pay(pager, alert(), Verb.ACK, link, actor="alice")

    assert (the_incident(pager).status, pager.reopened) == ("resolved", 0)
    assert pager.refused == []


def test_a_persons_acknowledgement_stays_theirs(pager):
    link = pay(pager, alert())
    pager.person_acknowledges(link.external_id, ALICE)

    pay(pager, alert(), Verb.ACK, link, actor="bob")

    assert [who for who, _ in the_incident(pager).acks] == [ALICE]


def test_the_end_resolves_what_is_acknowledged_as_well(pager):
    link = pay(pager, alert())
    pager.person_acknowledges(link.external_id)

    closed = pay(pager, over(alert()), Verb.CLOSE, link)

    assert closed.closed
    assert the_incident(pager).status == "resolved"


def test_what_a_person_has_resolved_is_left_as_it_is(pager):
    link = pay(pager, alert())
    pager.person_resolves(link.external_id)

    pay(pager, over(alert()), Verb.CLOSE, link)

    assert the_incident(pager).contents == []


@pytest.mark.parametrize(("verb", "status"), [(Verb.CLOSE, "resolved"), (Verb.ACK, "acknowledged")])
def test_a_person_who_was_a_moment_faster_is_no_failure(pager, verb, status):
    link = pay(pager, alert())
    faster = {"resolved": pager.person_resolves, "acknowledged": pager.person_acknowledges}[status]
    pager.before_change, pager.refuses_repeats = faster, True

    pay(pager, over(alert()), verb, link)

    assert the_incident(pager).status == status


def test_an_update_corrects_the_title_and_raises_the_urgency_but_never_lowers_it(pager):
    link = pay(pager, alert(severity=Severity.WARNING))
    worse = alert(severity=Severity.CRITICAL, title="GitHub is down", revision=2)

    pay(pager, worse, Verb.UPDATE, link)
    raised = (the_incident(pager).title, the_incident(pager).urgency)
    pay(pager, alert(severity=Severity.INFO, revision=3), Verb.UPDATE, link)

    assert raised == ("GitHub is down", "high")
    assert the_incident(pager).urgency == "high"
    assert "Severity: critical" in the_incident(pager).contents[0]


def test_an_update_of_what_a_person_has_resolved_is_only_noted(pager):
    link = pay(pager, alert(severity=Severity.WARNING))
    pager.person_resolves(link.external_id)

    pay(pager, alert(severity=Severity.CRITICAL, title="GitHub is down", revision=2), Verb.UPDATE, link)

    assert (the_incident(pager).urgency, len(the_incident(pager).notes)) == ("low", 1)
    assert [request.method for request in pager.requests].count("PUT") == 0


def test_a_long_note_is_cut_and_still_known_as_ours(pager):
    link = pay(pager, alert())
    for attempt in range(2):
        pay(pager, alert(description="long " * 2000), Verb.UPDATE, link, attempts=attempt)

    (note,) = the_incident(pager).contents
    assert len(note) < 5100
    assert heard(pager, adapter(pager, user="Somebody Else")) == []


# What is found again


def test_an_incident_that_was_resolved_while_we_wondered_is_found(pager):
    link = pay(pager, alert())
    pager.person_resolves(link.external_id)

    found = adapter(pager).find(remote_key(alert().key, 1))

    assert found
    assert found.external_id == link.external_id


def test_an_open_incident_goes_before_one_that_was_resolved_lately(pager):
    first = pay(pager, alert())
    pager.person_resolves(first.external_id)
    second = pay(pager, alert())
    pager.person_resolves(second.external_id)
    pager.person_reopens(first.external_id)

    found = adapter(pager).find(remote_key(alert().key, 1))

    assert found
    assert found.external_id == first.external_id


def test_an_old_resolved_incident_does_not_keep_anybody_from_being_paged(pager):
    link = pay(pager, alert())
    pager.person_resolves(link.external_id)
    pager.incidents[link.external_id].created_at -= timedelta(hours=2)

    assert adapter(pager).find(remote_key(alert().key, 1)) is None


def test_an_open_incident_is_found_however_old_it_is(pager):
    link = pay(pager, alert())
    pager.incidents[link.external_id].created_at -= timedelta(days=90)

    assert adapter(pager).find(remote_key(alert().key, 1))
    assert adapter(pager).find_open_for(alert().key)
    assert len(adapter(pager).open_objects()) == 1


def test_an_incident_of_any_episode_is_adopted_after_a_loss_of_data_unless_it_is_over(pager):
    link = pay(pager, alert(episode=17))
    pay(pager, alert(fingerprint="another"))

    adopted = adapter(pager).find_open_for(alert().key)
    pager.person_resolves(link.external_id)

    assert adopted
    assert (adopted.external_id, adopted.url) == (link.external_id, link.url)
    assert adapter(pager).find_open_for(alert().key) is None


def test_many_new_alerts_do_not_list_all_that_is_open_each_time(pager):
    by = adapter(pager)
    for number in range(20):
        assert by.find_open_for(alert(fingerprint=str(number)).key) is None
        pay(pager, alert(fingerprint=str(number)), by=by)
    found = by.find_open_for(alert(fingerprint="7").key)

    assert found
    assert sum(request.path == "/incidents" and request.method == "GET" for request in pager.requests) == 1


@pytest.mark.parametrize("how", ["resolved", "gone"])
def test_what_was_open_a_moment_ago_is_looked_at_before_it_is_adopted(pager, how):
    by = adapter(pager)
    link = pay(pager, alert(), by=by)
    assert by.find_open_for(alert().key)
    if how == "resolved":
        pager.person_resolves(link.external_id)
    else:
        pager.incidents.clear()

    assert by.find_open_for(alert().key) is None


def test_incidents_of_another_service_are_not_ours(pager):
    pager.services["POTHER1"] = {"name": "Another installation's", "status": "active"}
    pay(pager, alert(), by=adapter(pager, service_id="POTHER1"))

    ours = adapter(pager)
    assert (ours.find(remote_key(alert().key, 1)), ours.find_open_for(alert().key), ours.open_objects()) == (
        None,
        None,
        [],
    )


# What a reconciliation reads


def test_what_is_open_is_listed_whole_and_nothing_of_others(pager):
    made = [pay(pager, alert(fingerprint=str(number))) for number in range(230)]
    pager.person_resolves(made[3].external_id)
    pager.incidents[made[4].external_id].key = "somebody's"

    listed = adapter(pager).open_objects()

    asked = [request for request in pager.requests if request.path == "/incidents" and request.method == "GET"]
    assert len(asked) == 3
    assert [each.external_id for each in listed] == [m.external_id for i, m in enumerate(made) if i not in (3, 4)]
    assert listed[0].remote_key == made[0].remote_key
    assert listed[0].created_at
    assert pager.refused == []


def test_an_incident_that_is_resolved_while_we_page_hides_no_other(pager):
    made = [pay(pager, alert(fingerprint=str(number))) for number in range(150)]
    left = [made[0].external_id]

    def resolve_one(offset: int) -> None:
        if offset and left:
            pager.person_resolves(left.pop())

    pager.before_listing = resolve_one

    assert len(adapter(pager).open_objects()) == 149


def test_a_list_that_never_holds_still_is_an_error_and_not_half_a_list(pager):
    made = [pay(pager, alert(fingerprint=str(number))) for number in range(150)]
    pager.before_listing = lambda offset: pager.person_resolves(made.pop(0).external_id)

    with pytest.raises(DeliveryError):
        adapter(pager).open_objects()


def test_more_than_pagerduty_lists_is_an_error_and_not_half_a_list(pager, monkeypatch):
    for number in range(101):
        pay(pager, alert(fingerprint=str(number)))
    monkeypatch.setattr(client, "LISTED_MAX", 150)

    with pytest.raises(DeliveryError):
        adapter(pager).open_objects()


def test_the_status_says_who_and_when(pager):
    link = pay(pager, alert())
    firing = adapter(pager).get_remote(link.external_id)
    pager.person_acknowledges(link.external_id, BOB)
    taken = adapter(pager).open_objects()[0]
    pager.person_resolves(link.external_id, ALICE)
    ended = adapter(pager).get_remote(link.external_id)

    assert (firing.status, firing.actor) == (Status.FIRING, "")
    assert (taken.status, taken.actor) == (Status.ACKNOWLEDGED, "Bob Builder")
    assert (ended.status, ended.actor) == (Status.RESOLVED, "Alice Archer")
    assert abs(ended.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert taken.at <= ended.at


def test_who_took_an_acknowledgement_back_is_named(pager):
    link = pay(pager, alert())
    pager.person_acknowledges(link.external_id, ALICE)
    pager.person_reopens(link.external_id, BOB)

    freed = adapter(pager).get_remote(link.external_id)

    assert (freed.status, freed.actor) == (Status.FIRING, "Bob Builder")


def test_an_acknowledgement_that_timed_out_shows_when_it_did(pager):
    link = pay(pager, alert())
    pager.person_acknowledges(link.external_id)
    taken = adapter(pager).get_remote(link.external_id)
    pager.now = lambda: datetime.now(UTC) + timedelta(minutes=30)
    pager.ack_times_out(link.external_id)

    freed = adapter(pager).get_remote(link.external_id)

    assert (freed.status, freed.actor) == (Status.FIRING, "")
    assert freed.at - taken.at >= timedelta(minutes=29)


def test_of_several_who_took_it_the_last_is_named_but_people_before_the_automation_user(pager):
    link = pay(pager, alert())
    for minutes, user in enumerate((ALICE, BOB, BOT)):
        pager.now = lambda minutes=minutes: NOW + timedelta(minutes=minutes)
        pager.person_acknowledges(link.external_id, user)

    taken = adapter(pager).get_remote(link.external_id)

    assert taken
    assert (taken.actor, taken.at) == ("Bob Builder", NOW + timedelta(minutes=1))


def test_an_incident_that_is_gone_is_none_and_one_that_cannot_be_read_is_not(pager):
    assert adapter(pager).get_remote("QGONE") is None
    pager.script.append(Fault.ERROR)
    with pytest.raises(DeliveryError):
        adapter(pager).get_remote("QGONE")


def test_the_notes_of_people_are_listed_and_ours_are_not(pager):
    link = pay(pager, alert())
    pay(pager, alert(), Verb.NOTE, link, actor="alice", note="ours")
    pager.person_notes(link.external_id, "looking into it", ALICE)
    pager.person_notes(link.external_id, "by hand, as the automation user", BOT)

    (note,) = adapter(pager).open_objects()[0].notes
    assert (note.text, note.actor) == ("looking into it", "Alice Archer")
    assert note.id == the_incident(pager).notes[1].id
    assert note.at


def test_our_notes_are_told_from_peoples_by_their_marker_too(pager):
    by = adapter(pager, user="Somebody Else")
    link = pay(pager, alert(), by=by)
    pay(pager, alert(), Verb.NOTE, link, by=by, actor="alice", note="ours")

    assert by.open_objects()[0].notes == ()


def test_of_two_the_younger_is_retired_once_with_a_note_that_names_the_elder(pager):
    kept, twice = pay(pager, alert()), pay(pager, alert(fingerprint="2"))
    first, second = (
        Remote(external_id=e.external_id, remote_key="ab", status=Status.FIRING, url=e.url) for e in (kept, twice)
    )
    for _ in range(2):
        adapter(pager).close_duplicate(second, first)

    retired = pager.incidents[twice.external_id]
    assert (retired.status, len(retired.notes)) == ("resolved", 1)
    assert kept.url in retired.contents[0]
    assert pager.incidents[kept.external_id].status == "triggered"


def test_one_that_a_person_has_resolved_needs_no_retiring(pager):
    kept, twice = pay(pager, alert()), pay(pager, alert(fingerprint="2"))
    pager.person_resolves(twice.external_id)
    first, second = (Remote(external_id=e.external_id, remote_key="ab", status=Status.FIRING) for e in (kept, twice))

    adapter(pager).close_duplicate(second, first)

    assert pager.incidents[twice.external_id].contents == []


def test_a_rehearsal_says_what_would_be_paged_and_sends_nothing(pager):
    told = adapter(pager).dry_run(delivery(alert(), receiver="pagerduty"), alert())

    assert told == f"incident on {SERVICE}, urgency high: GitHub: Disruption with some GitHub services"
    assert pager.requests == []


# What comes back


def test_what_people_do_comes_back_in_order_with_who_and_when(pager):
    link = pay(pager, alert())
    pager.person_acknowledges(link.external_id, ALICE)
    pager.person_notes(link.external_id, "looking into it", BOB)
    pager.person_resolves(link.external_id, BOB)

    taken, noted, ended = heard(pager)

    assert (taken.status, taken.actor) == (EventStatus.ACKNOWLEDGED, "Alice Archer")
    assert (noted.status, noted.actor, noted.note) == (EventStatus.NOTED, "Bob Builder", "looking into it")
    assert noted.note_id == the_incident(pager).notes[0].id
    assert (ended.status, ended.actor) == (EventStatus.RESOLVED, "Bob Builder")
    for event in (taken, noted, ended):
        assert (event.ref, event.via) == (("pagerduty", link.external_id), "pagerduty")
        assert event.intake == "/pd-webhook"
        assert abs(event.at - datetime.now(UTC)) < timedelta(minutes=1)


def test_an_acknowledgement_that_times_out_comes_back_although_nobody_did_it(pager):
    link = pay(pager, alert())
    pager.person_acknowledges(link.external_id)
    pager.webhooks.clear()
    pager.ack_times_out(link.external_id)

    (event,) = heard(pager)

    assert (event.status, event.actor) == (EventStatus.UNACKNOWLEDGED, "")


@pytest.mark.parametrize("user", [BOT, "bot@example.com", "Automation", "automation ", ""])
def test_nothing_that_we_did_comes_back_however_our_user_is_named(pager, user):
    by = adapter(pager, user=user)
    link = pay(pager, alert(), by=by)
    for revision, verb in enumerate((Verb.ACK, Verb.NOTE, Verb.UPDATE, Verb.CLOSE), 2):
        pay(pager, replace(alert(), revision=revision), verb, link, by=by, actor="alice", note="x")

    assert len(pager.webhooks) > 4
    assert heard(pager, by) == []


def test_what_the_automation_user_did_by_hand_does_not_come_back(pager):
    link = pay(pager, alert())
    pager.person_acknowledges(link.external_id, BOT)
    pager.person_notes(link.external_id, "by hand", BOT)

    assert heard(pager) == []


def test_our_notes_are_known_by_their_marker_where_our_user_is_not(pager):
    by = adapter(pager, user="Somebody Else")
    link = pay(pager, alert(), by=by)
    pay(pager, alert(), Verb.NOTE, link, by=by, actor="alice", note="x")

    assert heard(pager, by) == []


def test_a_note_that_quotes_one_of_ours_is_a_persons(pager):
    link = pay(pager, alert())
    pay(pager, alert(), Verb.NOTE, link, actor="alice", note="x")
    pager.webhooks.clear()
    pager.person_notes(link.external_id, f"{the_incident(pager).contents[0]}\n\nI disagree", BOB)

    assert [event.actor for event in heard(pager)] == ["Bob Builder"]


def test_a_user_who_only_has_the_automations_name_is_not_it_once_the_id_is_known(pager):
    pager.users["PCLONE1"] = {"name": "Automation", "email": "other@example.com"}
    by = adapter(pager, user="bot@example.com")
    link = pay(pager, alert(), by=by)
    pager.webhooks.clear()
    pager.person_acknowledges(link.external_id, "PCLONE1")

    assert len(heard(pager, by)) == 1


def test_the_first_event_of_somebody_makes_us_look_up_who_we_are(pager):
    link = pay(pager, alert())
    pager.webhooks.clear()
    pager.person_acknowledges(link.external_id, BOT)
    fresh = adapter(pager, user="bot@example.com")

    assert heard(pager, fresh) == []
    assert pager.requests[-1].path == "/users"


def test_a_lookup_that_fails_harms_nothing_and_is_made_again_a_minute_later(pager, monkeypatch):
    asked: list[Any] = []
    by = adapter(pager, user="bot@example.com")
    by._background = asked.append
    pager.script.append(Fault.ERROR)
    link = pay(pager, alert(), by=by)
    pager.webhooks.clear()
    pager.person_acknowledges(link.external_id, BOT)

    assert len(heard(pager, by)) == 1  # nobody can tell yet
    assert asked == []  # not so soon
    monkeypatch.setattr(own_user, "LOOK_AGAIN", 0.0)
    pager.person_reopens(link.external_id)
    heard(pager, by)
    asked.pop()()
    pager.person_resolves(link.external_id, BOT)
    assert heard(pager, by) == []


def test_two_users_of_one_name_are_told_apart_by_nobody(pager):
    pager.users["PCLONE1"] = {"name": "Automation", "email": "other@example.com"}
    by = adapter(pager, user="Automation")

    assert any("PAGERDUTY_USER" in warning for warning in by.preflight())
    assert not by._we.known


def test_the_start_asks_nobody(pager):
    adapter(pager, user="bot@example.com")

    assert pager.requests == []


@pytest.mark.parametrize(
    ("status", "events"),
    [("acknowledged", [EventStatus.ACKNOWLEDGED]), ("triggered", [EventStatus.UNACKNOWLEDGED])],
)
def test_what_is_opened_again_is_taken_only_if_it_is_acknowledged(pager, status, events):
    told = {"event": told_event("incident.reopened", {"id": "Q1", "type": "incident", "status": status})}

    assert [event.status for event in adapter(pager).parse({}, told)] == events


@pytest.mark.parametrize(
    "kind",
    ["incident.triggered", "incident.escalated", "incident.priority_updated", "incident.status_update_published",
     "incident.responder.added", "service.updated", "pagey.ping", "something.new"],
)  # fmt: skip
def test_what_is_none_of_our_business_is_nothing_and_no_error(pager, kind):
    for data in ({"id": "Q1", "type": "incident"}, {"type": "ping", "message": "Hello from your friend Pagey!"}, None):
        assert adapter(pager).parse({}, {"event": told_event(kind, data)}) == []


def test_an_incident_that_carries_somebody_elses_key_is_dropped(pager):
    data = {"id": "Q1", "type": "incident", "status": "acknowledged", "incident_key": "srv01/HTTP"}

    assert adapter(pager).parse({}, {"event": told_event("incident.acknowledged", data)}) == []
    data["incident_key"] = None
    assert len(adapter(pager).parse({}, {"event": told_event("incident.acknowledged", data)})) == 1


def test_a_note_without_words_is_none(pager):
    data = {"id": "PN1", "type": "incident_note", "incident": {"id": "Q1"}, "content": " \n", "trimmed": False}

    assert adapter(pager).parse({}, {"event": told_event("incident.annotated", data)}) == []


def test_a_trimmed_note_says_that_there_is_more(pager):
    data = {"id": "PN1", "type": "incident_note", "incident": {"id": "Q1"}, "content": "a long story", "trimmed": True}

    assert adapter(pager).parse({}, {"event": told_event("incident.annotated", data)})[0].note == "a long story …"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"event": None}, "event"),
        ({"event": []}, "event"),
        ({"event_type": 7}, "event.event_type"),
        ({"data": None}, "event.data"),
        ({"data": {"id": 7}}, "event.data.id"),
        ({"data": {"id": "../users"}}, "event.data.id"),
        ({"data": {"id": "Q" * 10_000_000}}, "event.data.id"),
        ({"event_type": "incident.annotated", "data": {"id": "N", "incident": "Q1"}}, "event.data.incident"),
        ({"event_type": "incident.annotated", "data": {"id": "N", "incident": {"id": "Q"}}}, "event.data.content"),
    ],
)
def test_what_is_no_webhook_is_refused_with_the_place_that_is_wrong(pager, change, where):
    event = {**told_event("incident.acknowledged", {"id": "Q1"}), **change}

    with pytest.raises(InvalidInput) as raised:
        adapter(pager).parse({}, {"event": change["event"]} if "event" in change else {"event": event})

    assert raised.value.where == where
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("agent", [None, "x", 7, [], {}, {"id": None}, {"id": "P1", "summary": None, "type": 7}])
@pytest.mark.parametrize("at", [None, 7, "", "yesterday", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_odd_agents_and_times_of_a_good_event_do_not_lose_it(pager, agent, at):
    event = {**told_event("incident.acknowledged", {"id": "Q1"}), "agent": agent, "occurred_at": at}

    (read,) = adapter(pager).parse({}, {"event": event})

    assert (read.actor, read.at) == ("", None)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("incident.annotated")
NAMES = st.sampled_from(["event", "event_type", "data", "id", "incident", "content", "agent", "occurred_at", "summary"])
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=9)
)
KINDS = st.sampled_from(["incident.acknowledged", "incident.annotated", "incident.reopened", "pagey.ping"]) | JSON


@settings(max_examples=300, deadline=None)
@given(whole=JSON, kind=KINDS, data=JSON, agent=JSON, at=JSON)
def test_any_json_is_read_or_refused_and_nothing_else(whole, kind, data, agent, at):
    by = Adapter("pagerduty", Config(token=TOKEN, email="bot@example.com", user=BOT))
    for payload in (whole, {"event": {"event_type": kind, "data": data, "agent": agent, "occurred_at": at}}):
        try:
            events = by.parse({}, payload)
        except InvalidInput:
            continue
        assert all(event.ref and event.via == "pagerduty" for event in events)


# Who sent it


def test_a_body_is_authentic_with_any_of_the_signatures_while_the_secret_is_changed(pager):
    pager.secrets = ["the next one", SECRET]
    headers, body = pager.sign({"event": {}})

    assert adapter(pager).verify_signature(headers, body) is True
    spaced = {"x-pagerduty-signature": headers["X-PagerDuty-Signature"].replace(",", ", ")}
    assert adapter(pager).verify_signature(spaced, body) is True
    assert adapter(pager, webhook_secret="another").verify_signature(headers, body) is False
    assert adapter(pager, webhook_secret=None).verify_signature(headers, body) is None


@pytest.mark.parametrize(
    "given", [None, "", "v1=", "v1", ",,,", "v0=" + "0" * 64, "\u00e9\ud800", "v1=" + "\u0661" * 64, "v1=" * 9999]
)
def test_a_signature_that_is_none_is_false_and_no_error(pager, given):
    headers = {} if given is None else {"X-PagerDuty-Signature": given}

    assert adapter(pager).verify_signature(headers, b"{}") is False


def test_every_flipped_bit_is_noticed(pager):
    headers, body = pager.sign({"event": {"id": "1"}})
    by, right = adapter(pager), headers["X-PagerDuty-Signature"]
    for bit in range(len(body) * 8):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        assert by.verify_signature(headers, bytes(flipped)) is False
    for place in range(3, len(right)):
        wrong = right[:place] + ("0" if right[place] != "0" else "1") + right[place + 1 :]
        assert by.verify_signature({"X-PagerDuty-Signature": wrong}, body) is False
    assert by.verify_signature(headers, body) is True


def test_the_signature_is_of_the_bytes_and_not_of_their_meaning(pager):
    headers, body = pager.sign({"event": {"id": "1"}})

    assert adapter(pager).verify_signature(headers, json.dumps(json.loads(body), indent=1).encode()) is False


# What a person should mend


def test_a_good_set_up_needs_no_warning(pager):
    pager.subscriptions.append({"delivery_method": {"url": HOOK, "temporarily_disabled": False}})

    assert adapter(pager, user="Automation").preflight() == []
    assert pager.refused == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"service_id": "PNONE01"}, "nobody can be paged"),
        ({"email": "nobody@example.com"}, "PAGERDUTY_EMAIL: no user"),
        ({"user": "Nobody"}, "PAGERDUTY_USER"),
        ({"user": ALICE}, "two users"),
        ({"webhook_secret": None}, "PAGERDUTY_WEBHOOK_SECRET is not set"),
    ],
)
def test_what_is_set_wrongly_is_named(pager, changes, words):
    pager.subscriptions.append({"delivery_method": {"url": HOOK, "temporarily_disabled": False}})

    (warning,) = adapter(pager, **changes).preflight()

    assert words in warning


@pytest.mark.parametrize(("url", "warnings"), [(f"{HOOK}/pagerduty", 0), (f"{HOOK}/", 0), (f"{HOOK}/another", 1)])
def test_a_subscription_may_name_the_receiver(pager, url, warnings):
    pager.subscriptions.append({"delivery_method": {"url": url}})

    assert len(adapter(pager).preflight()) == warnings


def test_a_subscription_that_is_missing_or_disabled_is_named(pager):
    missing = adapter(pager).preflight()
    pager.subscriptions.append({"delivery_method": {"url": HOOK, "temporarily_disabled": True}})
    disabled = adapter(pager).preflight()
    pager.sees_subscriptions = False

    assert ["no webhook subscription" in missing[0], "enable it again" in disabled[0]] == [True, True]
    assert adapter(pager).preflight() == []


@pytest.mark.parametrize("status", ["disabled", "maintenance"])
def test_a_service_that_pages_nobody_is_named(pager, status):
    pager.services[SERVICE]["status"] = status

    assert any("nobody is paged" in warning for warning in adapter(pager).preflight())


# The configuration


def test_a_comment_behind_a_value_in_the_env_file_is_no_part_of_it(tmp_path):
    (tmp_path / ".env").write_text(
        "PAGERDUTY_USER=bot@example.com   # the automation user\n"
        'PAGERDUTY_EMAIL="bot@example.com" # sent as From\n'
        "PAGERDUTY_WEBHOOK_SECRET=a#b\n"
    )

    read = dotenv_values(tmp_path / ".env")

    assert (read["PAGERDUTY_USER"], read["PAGERDUTY_EMAIL"]) == ("bot@example.com", "bot@example.com")
    assert read["PAGERDUTY_WEBHOOK_SECRET"] == "a#b"


def test_without_an_address_to_write_as_it_is_off(pager):
    assert Config(email="", user="Automation").lacks() == "PAGERDUTY_EMAIL is not set"
    assert Config(email="", user="bot@example.com").sender == "bot@example.com"
    assert Config(email="", user="bot@example.com").lacks() == ""


@pytest.mark.parametrize("email", ["Automation", "bot@example.com\r\nX: y", "Bot <bot@example.com>", "bøt@example.com"])
def test_an_address_that_cannot_be_a_header_is_refused_at_the_start(email):
    with pytest.raises(ValidationError):
        Config(email=email)


@pytest.mark.parametrize("url", ["", "api.pagerduty.com", "ftp://api.pagerduty.com", "https://", "https://x:99999"])
def test_an_address_that_is_none_is_refused_at_the_start(url):
    with pytest.raises(ValidationError):
        Config(url=url)


# Recorded payloads and our own examples


def told_event(kind: str, data: Any) -> dict[str, Any]:
    """A V3 event; shape: https://developer.pagerduty.com/docs/webhooks-overview."""
    agent = {"id": BOB, "type": "user_reference", "summary": "Bob Builder", "self": None, "html_url": None}
    return {
        "id": "01CWQ3FZCTOX5GFKRFA7S2YZLB",
        "event_type": kind,
        "resource_type": kind.partition(".")[0],
        "occurred_at": "2026-11-20T03:05:00.123Z",
        "agent": agent,
        "client": None,
        "data": data,
    }


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="SAMPLES_DIR names no folder with recorded payloads")
def test_each_recorded_webhook_is_read_right(pager):
    expected = {
        "v3-incident.acknowledged.json": [(EventStatus.ACKNOWLEDGED, "PQ1K5C8", "PIG 208")],
        "v3-incident.unacknowledged.json": [(EventStatus.UNACKNOWLEDGED, "PQ1K5C8", "PIG 208")],
        "v3-incident.resolved.json": [(EventStatus.RESOLVED, "PCPZE64", "PIG 208")],
        "v3-incident.annotated.json": [(EventStatus.NOTED, "Q3B15VLMF3ASBD", "Harsh Santwani")],
        "v3-incident.triggered.json": [],
        "v3-incident.priority_updated.doc.json": [],
    }
    files = {path.name: path for path in SAMPLES.glob("v3-incident.*.json")}
    read = {name: adapter(pager).parse({}, json.loads(path.read_bytes())) for name, path in files.items()}

    told = {name: [(e.status, (e.ref or ("", ""))[1], e.actor) for e in events] for name, events in read.items()}
    assert told == expected
    for path in (*SAMPLES.glob("create-*.json"), SAMPLES / "v3-data-incident.doc.json"):
        with pytest.raises(InvalidInput):
            adapter(pager).parse({}, json.loads(path.read_bytes()))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="SAMPLES_DIR names no folder with recorded payloads")
def test_the_recorded_signatures_are_right(pager):
    vectors = json.loads((SAMPLES.parent / "signature-test-vectors.json").read_bytes())["pagerduty_v1"]
    body = (SAMPLES.parent / vectors["body_file"].split()[0]).read_bytes()
    by = adapter(pager, webhook_secret=vectors["secret"])

    for name in ("X-PagerDuty-Signature", "X-PagerDuty-Signature during rotation"):
        assert by.verify_signature({"X-PagerDuty-Signature": vectors[name]}, body) is True


@pytest.mark.parametrize(
    ("file", "status"),
    [
        ("pd-webhook-acknowledge.json", EventStatus.ACKNOWLEDGED),
        ("pd-webhook-unacknowledge.json", EventStatus.UNACKNOWLEDGED),
        ("pd-webhook-note.json", EventStatus.NOTED),
    ],
)
def test_our_examples_are_events_of_a_person(pager, file, status):
    (event,) = adapter(pager).parse({}, json.loads((EXAMPLES / file).read_bytes()))

    assert (event.status, event.actor) == (status, "Alice Archer")
    assert event.ref
    assert event.at


def test_an_incident_that_was_merged_is_told_as_that_with_a_link_to_the_other(pager):
    link = pay(pager, alert())
    pager.webhooks.clear()
    pager.person_merges(link.external_id, "[#12] Whole shop is down")
    headers, body = pager.webhooks.pop()

    (heard,) = adapter(pager).parse(headers, json.loads(body))

    assert (heard.status, heard.not_fixed) == (EventStatus.RESOLVED, True)
    assert heard.note.startswith("merged into [#12] Whole shop is down at PagerDuty: https://")


@pytest.mark.parametrize(
    ("reason", "note"),
    [
        ({"type": "merge_resolve_reason"}, "merged into another incident at PagerDuty"),
        (
            {"type": "merge_resolve_reason", "incident": {"html_url": "javascript:alert(1)", "id": "Q1"}},
            "merged into Q1",
        ),
        ({"type": "resolved_by_timeout"}, ""),
        ("merged", ""),
        (None, ""),
    ],
)
def test_any_reason_of_a_resolved_incident_is_read(pager, reason, note):
    event = told_event("incident.resolved", {"id": "Q1", "status": "resolved", "resolve_reason": reason})

    (heard,) = adapter(pager).parse({}, {"event": event})

    assert heard.not_fixed is bool(note)
    assert heard.note.startswith(note)
    assert "javascript" not in heard.note
