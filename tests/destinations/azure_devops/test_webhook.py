"""What people do to a work item comes back by a service hook; what we did, and what is nobody's, does not.

Payloads as the double makes them, in the shape of https://learn.microsoft.com/azure/devops/service-hooks/events.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus, Status, Verb
from service_event_checker.destinations.azure_devops.adapter import Adapter, Config
from tests.destinations.azure_devops.double import AzureDevOps
from tests.destinations.deliver import deliver
from tests.factories import NOW, alert, delivery
from tests.strategies import REPEATABLE, json_values

SAMPLES = Path(os.environ.get("SAMPLES_DIR", "/nonexistent")) / "azure-devops"
ACKNOWLEDGED, UNACKNOWLEDGED = EventStatus.ACKNOWLEDGED, EventStatus.UNACKNOWLEDGED
RESOLVED, NOTED = EventStatus.RESOLVED, EventStatus.NOTED
OURS = {"System.Tags": "platform-outage-checker; poc-ab", "System.WorkItemType": "Bug"}


@pytest.fixture
def boards() -> Iterator[AzureDevOps]:
    with AzureDevOps() as running:
        yield running


def adapter(boards: AzureDevOps | None = None) -> Adapter:
    url, project = (boards.org_url, boards.project) if boards else ("http://127.0.0.1:1/example", "Outages")
    return Adapter("azure_devops", Config(url=url, project=project, token="canary-pat-0123456789", timeout=1))


def parsed(hook: tuple[dict[str, str], bytes], destination: Adapter | None = None) -> list[Event]:
    headers, body = hook
    return (destination or adapter()).parse(headers, json.loads(body))


def updated(**resource: Any) -> dict[str, Any]:
    base = {"id": 2, "workItemId": 13, "rev": 2, "revision": {"id": 13, "fields": OURS}}
    return {"id": "4c19", "eventType": "workitem.updated", "resource": {**base, **resource}}


def moved(before: str, after: str) -> dict[str, Any]:
    return updated(fields={"System.State": {"oldValue": before, "newValue": after}})


def commented(text: str, **fields: Any) -> dict[str, Any]:
    resource = {"id": 13, "rev": 3, "fields": {**OURS, "System.History": text, **fields}}
    return {"id": "4c19", "eventType": "workitem.commented", "resource": resource}


def said(text: str) -> str:
    (event,) = adapter().parse({}, commented(text))
    return event.note


def test_a_person_who_takes_it_is_told_by_name_with_the_time_of_azure_devops(boards):
    opened = alert()
    deliver(adapter(boards), delivery(opened), opened, None)

    (event,) = parsed(boards.hook_of_change(1, by="Ada L.", State="Active"))

    assert (event.status, event.actor) == (ACKNOWLEDGED, "Ada L.")
    assert (event.ref, event.via, event.intake) == (("azure_devops", "1"), "azure_devops", "/hooks/azure-devops")
    assert event.at
    assert event.at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        ("New", "Active", ACKNOWLEDGED),
        ("To Do", "Doing", ACKNOWLEDGED),
        ("Approved", "Committed", ACKNOWLEDGED),
        ("Closed", "Active", ACKNOWLEDGED),
        ("Active", "New", UNACKNOWLEDGED),
        ("Committed", "Approved", UNACKNOWLEDGED),
        ("Doing", "To Do", UNACKNOWLEDGED),
        ("Closed", "New", UNACKNOWLEDGED),
        ("Active", "Resolved", RESOLVED),
        ("Committed", "Done", RESOLVED),
        ("New", "Removed", RESOLVED),
        ("Proposed", "Closed", RESOLVED),
    ],
)
def test_the_states_of_the_stock_processes_are_known_without_asking(before, after, status):
    (event,) = adapter().parse({}, moved(before, after))

    assert event.status is status


@pytest.mark.parametrize(
    ("before", "after"), [("New", "Approved"), ("Resolved", "Closed"), ("Active", "Our own state"), ("New", "New")]
)
def test_a_move_that_means_nothing_to_an_alert_is_none(before, after):
    assert adapter().parse({}, moved(before, after)) == []


def test_a_state_of_a_process_of_ones_own_is_known_once_the_process_was_asked():
    with AzureDevOps() as boards:
        boards.types = {"Bug": (("New", "Proposed"), ("On the bench", "InProgress"), ("Closed", "Completed"))}
        destination = adapter(boards)
        destination.preflight()

    (event,) = destination.parse({}, moved("New", "On the bench"))

    assert event.status is ACKNOWLEDGED


def test_a_comment_is_a_note_in_plain_text(boards):
    opened = alert()
    deliver(adapter(boards), delivery(opened), opened, None)

    html = "<div>We see it&nbsp;too &amp; look.<br>See <a href='https://x.example'>here</a></div><div>Bob</div>"
    (event,) = parsed(boards.hook_of_comment(1, html, by="Bob"))

    assert (event.status, event.note, event.actor) == (NOTED, "We see it too & look.\nSee here\nBob", "Bob")
    assert event.ref == ("azure_devops", "1")


def test_the_two_events_of_one_comment_carry_the_same_id(boards):
    opened = alert()
    deliver(adapter(boards), delivery(opened), opened, None)

    (one,) = parsed(boards.hook_of_comment(1, "<div>hello</div>"))
    (other,) = parsed(boards.hook_of_update(1))
    (later,) = parsed(boards.hook_of_comment(1, "<div>hello</div>"))

    assert one.note_id == other.note_id != later.note_id


def test_a_move_with_a_comment_is_told_in_this_order(boards):
    opened = alert()
    deliver(adapter(boards), delivery(opened), opened, None)

    first, second = parsed(boards.hook_of_change(1, State="Active", History="<div>mine</div>"))

    assert (first.status, first.note, second.status) == (NOTED, "mine", ACKNOWLEDGED)


@pytest.mark.parametrize("verb", [Verb.NOTE, Verb.ACK, Verb.UPDATE, Verb.CLOSE])
def test_our_own_writes_come_back_as_nothing(boards, verb):
    opened = alert()
    destination = adapter(boards)
    link = deliver(destination, delivery(opened), opened, None)
    over = replace(opened, status=Status.RESOLVED, ended_at=NOW)

    deliver(destination, delivery(over, verb, actor="alice", note="hello"), over, link)

    assert boards.items[1].comments
    assert parsed(boards.hook_of_update(1)) == []


def test_our_own_reopening_and_retiring_come_back_as_nothing(boards):
    opened = alert()
    destination = adapter(boards)
    link = deliver(destination, delivery(opened), opened, None)
    (kept,) = destination.open_objects()
    destination.close_duplicate(kept, kept)
    retired = parsed(boards.hook_of_update(1))

    deliver(destination, delivery(replace(opened, episode=2)), replace(opened, episode=2), link)

    assert (boards.items[1].state, retired, parsed(boards.hook_of_update(1))) == ("New", [], [])


def test_another_work_item_is_none_of_ours():
    strange = updated(fields=moved("New", "Active")["resource"]["fields"], revision={"fields": {"System.Title": "x"}})

    assert adapter().parse({}, strange) == []
    assert adapter().parse({}, commented("hello", **{"System.Tags": "platform"})) == []


def test_a_payload_that_does_not_show_the_tags_is_not_thrown_away():
    (event,) = adapter().parse(
        {}, {**moved("New", "Active"), "resource": {**moved("New", "Active")["resource"], "revision": None}}
    )

    assert event.ref == ("azure_devops", "13")


@pytest.mark.parametrize("event", ["workitem.created", "workitem.restored", "git.push", ""])
def test_other_events_are_nothing(event):
    assert adapter().parse({}, {**moved("New", "Active"), "eventType": event}) == []


@pytest.mark.parametrize(
    ("payload", "where"),
    [
        ([], "body"),
        (None, "body"),
        ({}, "eventType"),
        ({"eventType": 7}, "eventType"),
        ({"eventType": "workitem.updated"}, "resource"),
        ({"eventType": "workitem.updated", "resource": {"id": 2}}, "resource.workItemId"),
        ({"eventType": "workitem.commented", "resource": {"id": "../x"}}, "resource.id"),
        ({"eventType": "workitem.commented", "resource": {"id": True}}, "resource.id"),
        ({"eventType": "workitem.commented", "resource": {"id": 10**400}}, "resource.id"),
        (updated(fields=["System.State"]), "resource.fields"),
        (updated(fields={"System.State": "Active"}), "resource.fields['System.State']"),
    ],
)
def test_what_has_another_shape_is_refused_with_its_place(payload, where):
    with pytest.raises(InvalidInput) as raised:
        adapter().parse({}, payload)

    assert raised.value.where == where


keys = st.sampled_from(
    ["id", "workItemId", "rev", "fields", "revision", "revisedBy", "System.State", "System.History", "System.Tags"]
    + ["System.ChangedBy", "System.ChangedDate", "oldValue", "newValue", "displayName", "name"]
)
likely = st.recursive(
    json_values | st.sampled_from(["Active", "New", "platform-outage-checker", "2021-08-07T15:41:56.59Z", 13]),
    lambda children: st.dictionaries(keys, children, max_size=6),
    max_leaves=20,
)


@REPEATABLE
@given(st.sampled_from(["workitem.updated", "workitem.commented"]), likely | json_values)
def test_no_json_whatever_is_more_than_refused(event, resource):
    try:
        found = adapter().parse({}, {"eventType": event, "resource": resource, "createdDate": resource})
    except InvalidInput:
        return
    assert all(isinstance(each, Event) for each in found)


@pytest.mark.parametrize("piece", ["<", "<a", "<!--", "&", "<br>", "é" * 9])
def test_ten_megabytes_are_read_at_once_and_kept_short(piece):
    text = piece * (10_000_000 // len(piece))

    events = adapter().parse({}, commented(text, **{"System.ChangedBy": text, "System.ChangedDate": text}))

    assert all(len(event.note) <= 40_000 and len(event.actor) <= 200 for event in events)


@pytest.mark.parametrize(
    ("name", "actor"),
    [
        ("Ada L. <ada@example.com>", "Ada L."),
        ({"displayName": "Ada L.", "uniqueName": "ada@example.com"}, "Ada L."),
        ("<ada@example.com>", "<ada@example.com>"),
        (None, ""),
        (7, ""),
    ],
)
def test_who_it_was_is_read_in_both_shapes(name, actor):
    (event,) = adapter().parse({}, commented("hello", **{"System.ChangedBy": name}))

    assert event.actor == actor


def test_the_text_of_a_comment_is_what_a_person_reads():
    assert said("<p>a</p><ul><li>b</li><li>c</li></ul>") == "a\nb\nc"
    assert said("1 &lt; 2 <b>bold</b>") == "1 < 2 bold"
    assert adapter().parse({}, commented("<div><img src='x'></div>")) == []


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="SAMPLES_DIR names no folder with recorded payloads")
def test_the_recorded_payloads_are_read_as_what_they_are():
    for path in sorted(SAMPLES.glob("*.json")):
        payload = json.loads(path.read_text())
        fields = payload["resource"].get("revision", payload["resource"])["fields"]
        assert adapter().parse({}, payload) == [], path.name  # somebody else's
        fields["System.Tags"] = "platform-outage-checker"
        (told,) = adapter().parse({}, payload) or [None]
        if path.name == "servicehook-workitem.updated.json":
            assert told is None  # New to Approved: nobody has begun
            payload["resource"]["fields"]["System.State"]["newValue"] = "Committed"
            (told,) = adapter().parse({}, payload)
            assert (told.status, told.ref, told.actor) == (ACKNOWLEDGED, ("azure_devops", "13"), "Example User")
        else:
            assert (told.status, told.note, told.actor) == (NOTED, "comment", "Example User")
            assert told.at.isoformat() == "2021-08-07T15:41:50.230000+00:00"


@pytest.mark.parametrize(
    ("after", "reason", "said"),
    [
        ("Removed", "Removed from the backlog", "Removed in Azure DevOps: Removed from the backlog"),
        ("Closed", "Duplicate", "Closed in Azure DevOps: Duplicate"),
        ("Closed", "Fixed and verified", ""),
    ],
)
def test_a_work_item_that_is_removed_or_a_duplicate_is_not_fixed(after, reason, said):
    fields = {"System.State": {"oldValue": "Active", "newValue": after}}
    payload = updated(fields=fields, revision={"id": 13, "fields": {**OURS, "System.Reason": reason}})

    (event,) = adapter().parse({}, payload)

    assert (event.status, event.not_fixed, event.note) == (RESOLVED, bool(said), said)


def test_a_work_item_that_was_deleted_is_over_there_and_not_fixed():
    payload = {"id": "4c19", "eventType": "workitem.deleted", "resource": {"id": 13, "rev": 4, "fields": OURS}}

    (event,) = adapter().parse({}, payload)

    assert (event.status, event.not_fixed, event.note) == (RESOLVED, True, "deleted in Azure DevOps")
    assert event.ref == ("azure_devops", "13")
