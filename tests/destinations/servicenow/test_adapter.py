"""What is special about ServiceNow: states and policies, what it ignores or cuts in silence, journals, keys."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Link
from service_event_checker.core.vocabulary import Kind, ResolvedBy, Severity, Status, Verb
from service_event_checker.destinations.servicenow.adapter import Adapter, Config
from service_event_checker.destinations.servicenow.client import PAGE
from service_event_checker.remote.marks import is_signed
from tests.destinations.deliver import deliver
from tests.destinations.servicenow.double import CANCELED, CLOSED, PASSWORD, RESOLVED, USER, ServiceNow
from tests.doubles.base import Fault
from tests.factories import NOW, alert, delivery

GROUP = "8a5055c9c61122780043563ef53438e3"


@pytest.fixture
def context() -> Iterator[ServiceNow]:
    with ServiceNow() as running:
        yield running


def adapter(context: ServiceNow, **changes: Any) -> Adapter:
    settings = {"url": context.url, "username": USER, "password": PASSWORD, "timeout": 5}
    return Adapter("servicenow", Config(**{**settings, **changes}))


def pay(context: ServiceNow, alert: Alert, verb: Verb, link: Link | None, note: str = "", **changes: Any) -> Link:
    owed = delivery(alert, verb, receiver="servicenow", note=note)
    paid = deliver(adapter(context, **changes), owed, alert, link)
    assert paid
    return paid


def opened(context: ServiceNow, alert: Alert, link: Link | None = None, **changes: Any) -> Link:
    return pay(context, alert, Verb.OPEN, link, **changes)


def closed(context: ServiceNow, alert: Alert, link: Link, **changes: Any) -> Link:
    return pay(context, resolved(alert), Verb.CLOSE, link, **changes)


def resolved(alert: Alert) -> Alert:
    ended = {"ended_at": NOW + timedelta(minutes=42), "resolved_by": ResolvedBy.SOURCE}
    return replace(alert, status=Status.RESOLVED, revision=alert.revision + 1, **ended)


def only(context: ServiceNow) -> Any:
    (incident,) = context.incidents.values()
    return incident


def test_an_incident_says_what_a_person_needs(context):
    labels = {"alertname": "DiskFull", "pod": "shop-1"}
    annotations = {"summary": "disk of shop-1", "runbook_url": "https://wiki.example/disk"}
    full = alert(source="alertmanager", kind=Kind.ALERT, labels=labels, annotations=annotations)
    link = opened(context, full, assignment_group=GROUP, fields={"category": "software", "caller_id": GROUP})

    fields = only(context).fields
    assert fields["short_description"] == "Disruption with some GitHub services · shop-1"
    assert (fields["correlation_id"], fields["correlation_display"]) == (remote_key(full.key, 1), f"poc-{full.key}")
    assert (fields["assignment_group"], fields["category"], fields["caller_id"]) == (GROUP, "software", GROUP)
    for text in (*labels, *labels.values(), *annotations.values(), full.internal_id, full.url, "2026-11-20 03:00 UTC"):
        assert text in fields["description"]
    assert link.url == f"{context.url}/nav_to.do?uri=incident.do%3Fsys_id%3D{link.external_id}"
    assert context.refused == []


@pytest.mark.parametrize(
    ("severity", "levels"),
    [
        (Severity.CRITICAL, ("1", "1")),
        (Severity.ERROR, ("2", "1")),
        (Severity.WARNING, ("2", "2")),
        (Severity.INFO, ("3", "3")),
    ],
)
def test_impact_and_urgency_go_by_severity_and_the_priority_is_left_to_servicenow(context, severity, levels):
    opened(context, alert(severity=severity))

    assert (only(context).fields["impact"], only(context).fields["urgency"]) == levels
    assert context.refused == []


def test_the_end_resolves_with_code_and_notes(context):
    outage = alert()
    link = closed(context, outage, opened(context, outage), close_code="Duplicate")

    fields = only(context).fields
    assert link.closed
    assert (fields["state"], fields["close_code"]) == (RESOLVED, "Duplicate")
    assert "Resolved after 42 min" in fields["close_notes"]
    assert "Resolved after 42 min" in only(context).work_notes[-1]


def test_the_end_says_what_the_configuration_says(context):
    outage = alert()
    closed(context, outage, opened(context, outage), close_notes="See the outage channel.")

    assert only(context).fields["close_notes"] == "See the outage channel."


@pytest.mark.parametrize("state", [RESOLVED, CLOSED, CANCELED])
def test_what_a_person_ended_is_left_as_it_is(context, state):
    outage = alert()
    link = opened(context, outage)
    context.change(link.external_id, state=state)

    assert closed(context, outage, link).closed

    assert (only(context).state, only(context).work_notes) == (state, [])


@pytest.mark.parametrize(
    ("trouble", "words"),
    [({"rule": "Only the caller resolves"}, "aborted by Business Rule"), ({"keeps_state": True}, "back to state 1")],
)
def test_a_resolution_that_the_instance_refuses_is_final_and_says_what_to_mend(context, trouble, words):
    outage = alert()
    link = opened(context, outage)
    for name, value in trouble.items():
        setattr(context, name, value)

    with pytest.raises(DeliveryError) as raised:
        closed(context, outage, link)

    assert (raised.value.reason, raised.value.permanent) == (Reason.REFUSED, True)
    assert words in str(raised.value)
    assert "close_code" in str(raised.value)


def test_a_policy_that_wants_more_is_told_in_its_own_words(context):
    outage = alert()
    link = opened(context, outage)

    with pytest.raises(DeliveryError) as raised:
        closed(context, outage, link, close_code="")

    assert raised.value.permanent
    assert "Data Policy Exception" in str(raised.value)


def test_what_was_resolved_opens_again(context):
    outage = alert()
    link = closed(context, outage, opened(context, outage))

    again = opened(context, replace(outage, episode=2, revision=3), link)

    assert (again.external_id, again.closed, only(context).state) == (link.external_id, False, "1")
    assert "Opened again (episode 2)" in only(context).work_notes[-1]
    assert context.refused == []


@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE])
def test_nothing_is_done_to_an_incident_of_another_instance(context, verb):
    link = opened(context, alert())
    elsewhere = replace(link, url=f"https://other.example/nav_to.do?uri=incident.do%3Fsys_id%3D{link.external_id}")
    before = len(context.requests)

    with pytest.raises(DeliveryError, match="belongs to another address: https://other.example/") as raised:
        pay(context, alert(revision=2), verb, elsewhere)

    assert (raised.value.reason, raised.value.permanent) == (Reason.NOT_FOUND, True)
    assert len(context.requests) == before


def test_what_was_resolved_in_another_instance_gets_one_new_that_names_it(context):
    stranger = opened(context, alert(fingerprint="another"))
    address = "https://other.example/nav_to.do?uri=incident.do%3Fsys_id%3D1"
    elsewhere = replace(stranger, key=alert().key, remote_key=remote_key(alert().key, 1), url=address)
    again = alert(episode=2, revision=3)

    first, second = opened(context, again, elsewhere), opened(context, again, elsewhere)

    assert first.external_id == second.external_id != stranger.external_id
    assert first.previous == address
    assert context.incidents[stranger.external_id].work_notes == []


@pytest.mark.parametrize("how", ["closed", "canceled", "deleted", "kept"])
def test_where_it_cannot_be_opened_again_one_new_names_the_old(context, how):
    outage = alert()
    link = closed(context, outage, opened(context, outage))
    if how in ("closed", "canceled"):
        context.change(link.external_id, state={"closed": CLOSED, "canceled": CANCELED}[how])
    elif how == "deleted":
        context.hidden.add(link.external_id)
    else:
        context.keeps_state = True
    again = replace(outage, episode=2, revision=3)

    first, second = opened(context, again, link), opened(context, again, link)

    assert first == second
    assert (len(context.incidents), first.remote_key) == (2, remote_key(outage.key, 2))
    assert link.url in context.incidents[first.external_id].fields["description"]


def test_a_later_episode_names_the_incident_of_the_one_before(context):
    key = remote_key(alert().key, 2)
    link = Link(key=alert().key, episode=2, receiver="servicenow", remote_key=key, previous="https://sn.example/old")

    opened(context, alert(episode=2), link)

    assert "Previous ticket: https://sn.example/old" in only(context).fields["description"]


def test_after_its_notes_the_alert_is_still_known_by_its_key(context):
    outage = alert()
    link = opened(context, outage)
    pay(context, outage, Verb.ACK, link)

    found = adapter(context).find_open_for(outage.key)

    assert found
    assert found.external_id == link.external_id


def test_no_text_of_a_vendor_turns_html_on_in_a_journal(context):
    evil = "[code]<script>alert(1)</script>[/code] [CODE]<b>[/CODE]"
    outage = alert(description=evil, title=evil)
    link = opened(context, outage)
    pay(context, outage, Verb.UPDATE, link)
    pay(context, replace(outage, revision=2), Verb.NOTE, link, note=evil)

    assert len(only(context).work_notes) == 2
    assert "<script" not in only(context).shown
    assert "<b>" not in only(context).shown


def test_endless_words_of_a_source_leave_room_for_the_labels_and_for_our_mark(context):
    addresses = {f"tracker-{number}": "https://x.example/" + "a" * 1900 for number in range(3)}
    outage = alert(description="words " * 2000, labels={"pod": "shop-1"})
    link = opened(context, outage)
    pay(context, replace(outage, links=addresses), Verb.UPDATE, link, note="more " * 2000)

    assert "pod: shop-1" in only(context).fields["description"]
    assert (len(only(context).work_notes[0]) <= 4000, is_signed(only(context).work_notes[0])) == (True, True)


def test_the_oldest_with_a_key_is_found(context):
    outage = alert()
    first = opened(context, outage)
    opened(context, outage)

    found = adapter(context).find(remote_key(outage.key, 1))

    assert found
    assert found.external_id == first.external_id


@pytest.mark.parametrize("column", ["correlation_id", "correlation_display"])
def test_a_search_that_servicenow_ignores_finds_nobody_elses_incident(context, column):
    context.add(short_description="somebody's")
    context.columns.discard(column)
    search = adapter(context).find if column == "correlation_id" else adapter(context).find_open_for

    with pytest.raises(DeliveryError) as raised:
        search(alert().key)

    assert (raised.value.reason, raised.value.permanent) == (Reason.NOT_CONFIGURED, False)
    assert "ignored the search" in str(raised.value)


@pytest.mark.parametrize("total", [0, 1, PAGE, PAGE + 1, 2 * PAGE + 7])
def test_what_is_open_is_listed_whole(context, total):
    for number in range(total):
        context.add(correlation_id=f"{number:020x}", correlation_display=f"poc-{number:020x}")
    context.add(short_description="somebody's")
    context.add(correlation_display="poc-ab", state=RESOLVED)

    listed = adapter(context).open_objects()

    assert {each.remote_key for each in listed} == {f"{number:020x}" for number in range(total)}
    assert context.refused == []


def test_a_page_with_what_we_may_not_see_is_not_taken_for_the_last(context):
    for number in range(PAGE + 1):
        made = context.add(correlation_id=f"{number:020x}", correlation_display=f"poc-{number:020x}")
        if number < PAGE:
            context.hidden.add(made.fields["sys_id"])

    assert [each.remote_key for each in adapter(context).open_objects()] == [f"{PAGE:020x}"]


def test_a_list_that_changes_while_it_is_read_is_no_list(context):
    for number in range(PAGE + 1):
        made = context.add(correlation_id=f"{number:020x}", correlation_display=f"poc-{number:020x}")
    context.resolved_while_listed = made.fields["sys_id"]

    with pytest.raises(DeliveryError) as raised:
        adapter(context).open_objects()

    assert not raised.value.permanent


def test_a_list_that_was_broken_off_with_200_is_no_list(context):
    opened(context, alert())
    context.cancelled = True

    with pytest.raises(DeliveryError) as raised:
        adapter(context).open_objects()

    assert raised.value.reason is Reason.SERVER_ERROR


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("1", Status.FIRING),
        ("2", Status.ACKNOWLEDGED),
        ("3", Status.ACKNOWLEDGED),
        ("17", Status.FIRING),
        ("6", Status.RESOLVED),
        ("7", Status.RESOLVED),
        ("8", Status.RESOLVED),
    ],
)
def test_a_look_tells_how_it_stands_and_who_did_it(context, state, status):
    outage = alert()
    link = opened(context, outage)
    before = adapter(context).get_remote(link.external_id)
    context.change(link.external_id, by="ada", state=state)

    seen = adapter(context).get_remote(link.external_id)

    assert before
    assert seen
    assert (before.status, before.actor) == (Status.FIRING, "")
    assert (seen.status, seen.actor, seen.remote_key) == (status, "ada", remote_key(outage.key, 1))
    assert seen.created_at == datetime(2026, 11, 20, 3, 0, 1, tzinfo=UTC)
    assert seen.at == datetime(2026, 11, 20, 3, 0, 2, tzinfo=UTC)


def test_what_we_wrote_last_is_nobodys_change_of_state_and_no_later_than_it_can_be(context):
    outage = alert()
    link = opened(context, outage)
    context.change(link.external_id, by="ada", state="2")
    pay(context, outage, Verb.UPDATE, link)

    (seen,) = adapter(context).open_objects()

    assert (seen.status, seen.actor, seen.at) == (Status.ACKNOWLEDGED, "", seen.created_at)


def test_an_incident_whose_key_somebody_overwrote_has_none(context):
    context.add(correlation_display=f"poc-{alert().key}", correlation_id="JIRA-7")

    assert [each.remote_key for each in adapter(context).open_objects()] == [""]


def test_a_look_at_what_is_gone_is_none(context):
    assert adapter(context).get_remote("f" * 32) is None
    assert adapter(context).get_remote("../../sys_user") is None


def test_an_instance_that_was_moved_is_not_an_incident_that_is_gone(context):
    with pytest.raises(DeliveryError):
        adapter(context, url=f"{context.url}/moved").get_remote("f" * 32)


def test_what_was_made_twice_is_resolved_once_and_names_the_one_that_goes_on(context):
    outage = alert()
    opened(context, outage)
    opened(context, outage)
    destination = adapter(context)
    kept, duplicate = destination.open_objects()

    for _ in range(2):
        destination.close_duplicate(duplicate, kept)
    destination.close_duplicate(replace(duplicate, external_id="f" * 32), kept)

    one, other = context.incidents.values()
    assert (one.state, other.state, one.work_notes, len(other.work_notes)) == ("1", RESOLVED, [], 1)
    assert kept.url in other.fields["close_notes"]
    assert is_signed(other.work_notes[0])
    assert context.refused == []


def test_fields_that_the_instance_does_not_have_are_named_in_the_log(context, capsys):
    link = opened(context, alert(), fields={"u_team": "web", "category": "software"})

    assert link.external_id
    said = capsys.readouterr().out
    assert "servicenow_fields_ignored" in said
    assert "u_team" in said
    assert "category" not in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"close_code": "Solved"}, ["close_code 'Solved' is none of this instance's: Solution provided, Duplicate"]),
        ({"close_code": "Solved", "on_resolve": "comment"}, []),
    ],
)
def test_a_close_code_that_is_none_is_told_at_the_start(context, changes, words):
    told = adapter(context, **changes).preflight()

    assert [text[: len(word)] for word, text in zip(words, told, strict=True)] == words


@pytest.mark.parametrize("answer", ["nothing", "forbidden"])
def test_choices_that_we_may_not_read_are_no_reason_to_warn(context, answer):
    context.choices_are = answer

    assert adapter(context, close_code="Solved").preflight() == []


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"columns": {"sys_id", "state", "sys_created_on"}}, Reason.NOT_CONFIGURED),
        ({"token": "another"}, Reason.UNAUTHORIZED),
    ],
)
def test_a_search_that_will_not_work_is_found_at_the_start(context, trouble, reason):
    context.add(short_description="somebody's")
    for name, value in trouble.items():
        setattr(context, name, value)

    with pytest.raises(DeliveryError) as raised:
        adapter(context).preflight()

    assert raised.value.reason is reason


def test_a_delivery_of_many_slow_calls_ends_in_time(context):
    outage = alert()
    link = closed(context, outage, opened(context, outage))
    context.keeps_state, context.slowness = True, 0.6
    asked = len(context.requests)

    with pytest.raises(DeliveryError) as raised:
        opened(context, replace(outage, episode=2, revision=3), link, timeout=1.0)

    assert raised.value.reason is Reason.TIMEOUT
    assert len(context.requests) - asked <= 4


def test_a_dry_run_names_impact_and_urgency(context):
    said = adapter(context).dry_run(delivery(alert()), alert())

    assert said == "incident, impact 2, urgency 1: GitHub: Disruption with some GitHub services"
    assert context.requests == []


def test_a_limit_is_kept_until_its_reset(context):
    context.retry_after, context.limits = (
        "",
        {"X-RateLimit-Limit": "500", "X-RateLimit-Reset": str(int(time.time()) + 90)},
    )
    context.script.append(Fault.RATE_LIMIT)
    polite = adapter(context)

    with pytest.raises(DeliveryError) as refused:
        polite.find(remote_key(alert().key, 1))
    calls = len(context.requests)
    with pytest.raises(DeliveryError) as waiting:
        deliver(polite, delivery(alert()), alert(), None)

    assert [each.value.reason for each in (refused, waiting)] == [Reason.RATE_LIMITED] * 2
    assert [each.value.retry_after for each in (refused, waiting)] == pytest.approx([90, 90], abs=2)
    assert len(context.requests) == calls


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("dev12345", "https://dev12345.service-now.com"),
        ("https://acme.service-now.com/", "https://acme.service-now.com"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
    ],
)
def test_an_instance_is_an_address_or_a_name(given, address):
    assert Config(url=given).url == address


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "acme.service-now.com"},
        {"assignment_group": "Network"},
        {"fields": {"priority": 1}},
        {"fields": {"correlation_id": "x"}},
        {"fields": {"state^active": "x"}},
        {"impact": {"critical": 4}},
    ],
)
def test_what_cannot_work_is_refused_at_the_start(wrong):
    with pytest.raises(ValidationError):
        Config(**wrong)


def test_a_policy_of_the_instance_is_met_by_the_fields_that_are_set_at_the_close(context):
    context.demanded = "category"
    link = opened(context, alert())
    with pytest.raises(DeliveryError, match="Data Policy Exception"):
        closed(context, alert(), link)

    closed(context, alert(), link, close_fields={"category": "software"})

    assert (only(context).state, only(context).fields["category"]) == (RESOLVED, "software")
    assert sum("Resolved after" in note for note in only(context).work_notes) == 1
    assert context.refused == []


@pytest.mark.parametrize("name", ["state", "close_code", "close_notes", "work_notes", "Category!"])
def test_what_cannot_be_set_at_the_close_is_not_a_close_field(name):
    with pytest.raises(ValidationError):
        Config(close_fields={name: "x"})
