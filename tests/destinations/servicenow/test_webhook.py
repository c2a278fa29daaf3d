"""What people do to an incident comes back by our business rule; what we did, and what is nobody's, does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus, Verb
from service_event_checker.destinations.servicenow.adapter import Adapter, Config
from tests.destinations.deliver import deliver
from tests.destinations.servicenow.double import PASSWORD, USER, ServiceNow
from tests.factories import alert, delivery
from tests.strategies import REPEATABLE, json_values

SYS_ID = "ef43c6d40a0a0b5700c77f9bf387afe3"
ACKNOWLEDGED, UNACKNOWLEDGED = EventStatus.ACKNOWLEDGED, EventStatus.UNACKNOWLEDGED
RESOLVED, NOTED = EventStatus.RESOLVED, EventStatus.NOTED


@pytest.fixture
def context() -> Iterator[ServiceNow]:
    with ServiceNow() as running:
        yield running


def adapter(context: ServiceNow | None = None) -> Adapter:
    url = context.url if context else "http://127.0.0.1:1"
    return Adapter("servicenow", Config(url=url, username=USER, password=PASSWORD, timeout=1))


def parsed(hook: tuple[dict[str, str], bytes]) -> list[Event]:
    headers, body = hook
    return adapter().parse(headers, json.loads(body))


def update(**changes: Any) -> dict[str, Any]:
    base = {"event": "incident.updated", "sys_id": SYS_ID, "state": "1", "previous_state": "1", "user": "ada"}
    return {**base, "correlation_display": "poc-3518c69b3ca23c9bcc46", "comment_id": f"{SYS_ID}:7", **changes}


def made(context: ServiceNow) -> str:
    link = deliver(adapter(context), delivery(alert()), alert(), None)
    assert link
    return link.external_id


def test_a_person_who_takes_it_is_told_by_name_with_the_time_of_servicenow(context):
    sys_id = made(context)

    (event,) = parsed(context.hook_of_change(sys_id, by="ada", state="2"))

    assert (event.status, event.actor) == (ACKNOWLEDGED, "Ada")
    assert (event.ref, event.via, event.intake) == (("servicenow", sys_id), "servicenow", "/hooks/servicenow")
    assert event.at == datetime(2026, 11, 20, 3, 0, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        ("1", "2", ACKNOWLEDGED),
        ("1", "3", ACKNOWLEDGED),
        ("6", "2", ACKNOWLEDGED),
        ("2", "1", UNACKNOWLEDGED),
        ("6", "1", UNACKNOWLEDGED),
        ("2", "6", RESOLVED),
        ("1", "7", RESOLVED),
        ("3", "8", RESOLVED),
        ("", "2", ACKNOWLEDGED),
        ("99", "2", ACKNOWLEDGED),
    ],
)
def test_each_state_means_what_it_says(before, after, status):
    (event,) = adapter().parse({}, update(previous_state=before, state=after))

    assert event.status is status


@pytest.mark.parametrize(("before", "after"), [("1", "1"), ("2", "3"), ("6", "7"), ("1", "99"), ("1", "")])
def test_a_move_that_means_nothing_to_an_alert_is_none(before, after):
    assert adapter().parse({}, update(previous_state=before, state=after)) == []


def test_a_move_with_two_notes_is_told_in_this_order(context):
    sys_id = made(context)

    events = parsed(context.hook_of_change(sys_id, state="2", work_notes="for us", comments="for all"))

    assert [(event.status, event.note) for event in events] == [
        (NOTED, "for us"),
        (NOTED, "for all"),
        (ACKNOWLEDGED, ""),
    ]
    assert len({event.note_id for event in events}) == 3


def test_a_repeated_hook_carries_the_same_note_id(context):
    sys_id = made(context)
    hook = context.hook_of_change(sys_id, work_notes="hello")
    (one,), (other,) = parsed(hook), parsed(hook)
    (later,) = parsed(context.hook_of_change(sys_id, work_notes="hello"))

    assert one.note_id == other.note_id != later.note_id


def test_what_our_own_user_did_comes_back_as_nothing():
    assert adapter().parse({}, update(user=USER.upper(), state="6", work_notes="hello")) == []


def test_a_note_of_ours_that_another_user_carries_comes_back_as_nothing(context):
    sys_id = made(context)
    link = adapter(context).find_open_for(alert().key)
    deliver(adapter(context), delivery(alert(), Verb.ACK, actor="alice"), alert(), link)
    (note,) = context.incidents[sys_id].work_notes

    assert adapter().parse({}, update(work_notes=f"2026-11-20 - Somebody (Work notes)\n{note}")) == []


def test_another_incident_is_none_of_ours():
    assert adapter().parse({}, update(state="2", correlation_display="")) == []
    assert adapter().parse({}, update(state="2", correlation_display="pagerduty")) == []


@pytest.mark.parametrize("event", ["incident.deleted", "incident.created", ""])
def test_other_events_are_nothing(event):
    assert adapter().parse({}, update(event=event, state="2")) == []


@pytest.mark.parametrize(
    ("payload", "where"),
    [
        ([], "body"),
        (None, "body"),
        ({}, "event"),
        ({"event": 1}, "event"),
        ({"event": "incident.updated"}, "sys_id"),
        (update(sys_id="../x"), "sys_id"),
        (update(sys_id=7), "sys_id"),
        (update(state=2), "state"),
        (update(work_notes=["x"]), "work_notes"),
        (update(at={"x": 1}), "at"),
    ],
)
def test_what_has_another_shape_is_refused_with_its_place(payload, where):
    with pytest.raises(InvalidInput) as raised:
        adapter().parse({}, payload)

    assert raised.value.where == where


names = st.sampled_from(["state", "previous_state", "work_notes", "comments", "comment_id", "user", "user_name", "at"])


@REPEATABLE
@given(st.dictionaries(names, json_values | st.text(max_size=30)) | st.dictionaries(names, st.text(max_size=30)))
def test_no_payload_whatever_is_more_than_refused(changes):
    try:
        found = adapter().parse({}, update(**changes))
    except InvalidInput:
        return
    assert all(isinstance(each, Event) for each in found)


def test_ten_megabytes_are_kept_short():
    text = "é" * 10_000_000

    (event,) = adapter().parse({}, update(work_notes=text, user_name=text, comment_id=text, at=text))

    assert (len(event.note), len(event.actor), len(event.note_id), event.at) == (20_000, 200, 200, None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "8"}, "canceled in ServiceNow"),
        ({"state": "6", "close_code": "Duplicate"}, "resolved as Duplicate in ServiceNow"),
        ({"state": "6", "close_code": "Solution provided"}, ""),
        ({"state": "7"}, ""),
    ],
)
def test_an_incident_that_is_canceled_or_a_duplicate_is_not_fixed(changes, said):
    (event,) = adapter().parse({}, update(**changes))

    assert (event.status, event.not_fixed, event.note) == (RESOLVED, bool(said), said)
