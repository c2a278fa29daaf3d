"""What Opsgenie's webhooks tell, from whom we take them, and what becomes of hostile ones.

Bodies in the shape of https://docs.opsgenie.com/docs/opsgenie-edge-connector-alert-action-data; JSM's are the same.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.destinations.opsgenie.adapter import Adapter, Config
from service_event_checker.destinations.opsgenie.payload import moment
from service_event_checker.destinations.opsgenie.webhook import note_id
from tests.strategies import REPEATABLE

INTEGRATION = "37c8f316-17c6-49d7-899b-9c7e540c048d"
ALERT: dict[str, Any] = {
    "alertId": "052652ac-5d1c-464a-812a-7dd18bbfba8c",
    "tinyId": "23",
    "alias": "disk-full",
    "message": "Disk full",
    "tags": ["db", "eu"],
    "teams": ["web"],
    "entity": "db-1",
    "source": "monitor",
    "username": "carol@example.com",
    "userId": "daed1180",
    "createdAt": 1420452191104,
    "updatedAt": 1420452224764002246,
}
SAMPLES = Path(os.environ.get("SAMPLES_DIR", "/nonexistent"))

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def adapter(**changes: Any) -> Adapter:
    return Adapter("opsgenie", Config(**{"token": "key", "integration_id": INTEGRATION, **changes}))


def body(action: str, **alert: Any) -> dict[str, Any]:
    return {"action": action, "alert": {**ALERT, **alert}, "integrationId": INTEGRATION, "source": {"type": "web"}}


def heard(payload: Any, **config: Any) -> Event:
    (event,) = adapter(**config).parse({}, payload)
    return event


def test_a_create_opens_an_alert_of_opsgenies_own():
    event = heard(body("Create", priority="P1", description="92 %", details={"host": "db-1", "free": 8}))

    assert (event.source, event.fingerprint, event.ref) == ("opsgenie", ALERT["alertId"], None)
    assert (event.kind, event.status, event.via, event.intake) == (
        Kind.ALERT,
        EventStatus.FIRING,
        "opsgenie",
        "/ops-webhook",
    )
    assert (event.title, event.description, event.severity) == ("Disk full", "92 %", Severity.CRITICAL)
    assert event.at == event.starts_at == datetime(2015, 1, 5, 10, 3, 11, 104000, tzinfo=UTC)
    assert event.labels == {"host": "db-1", "tag": "db\neu", "team": "web", "entity": "db-1", "reported_by": "monitor"}
    assert event.url == f"https://app.opsgenie.com/alert/detail/{ALERT['alertId']}/details"


@pytest.mark.parametrize(
    ("priority", "severity"),
    [
        ("P1", Severity.CRITICAL),
        ("P2", Severity.ERROR),
        ("P3", Severity.WARNING),
        ("P4", Severity.INFO),
        ("p5", Severity.INFO),
        ("P9", Severity.WARNING),
        (None, Severity.WARNING),
        (1, Severity.WARNING),
    ],
)
def test_a_priority_is_a_severity_and_none_is_a_warning(priority, severity):
    assert heard(body("Create", priority=priority)).severity is severity


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("Acknowledge", EventStatus.ACKNOWLEDGED),
        ("UnAcknowledge", EventStatus.UNACKNOWLEDGED),
        ("Close", EventStatus.RESOLVED),
        ("close", EventStatus.RESOLVED),
        ("Delete", EventStatus.RESOLVED),
    ],
)
def test_what_a_person_did_is_an_event_of_the_alert_with_that_id(action, status):
    event = heard(body(action))

    assert (event.status, event.ref, event.via) == (status, ("opsgenie", ALERT["alertId"]), "opsgenie")
    assert event.actor == "carol@example.com"
    assert event.at == datetime(2015, 1, 5, 10, 3, 44, 764002, tzinfo=UTC)
    assert (event.note == "deleted there by carol@example.com") is (action == "Delete")


def test_a_note_stands_in_the_alert_or_beside_it():
    inside = heard(body("AddNote", note="looking"))
    beside = heard({**body("AddNote"), "note": "looking"})

    assert (inside.status, inside.note) == (EventStatus.NOTED, "looking")
    assert beside == inside
    assert inside.note_id


def test_the_examples_of_the_documentation_work_as_they_stand():
    create, *others = [
        {"action": "Create", "alert": {"alertId": "test-123", "message": "Test alert"}},
        {
            "action": "AddNote",
            "alert": {"alertId": "test-123", "username": "test-user"},
            "note": "This is a test note",
        },
        {"action": "Acknowledge", "alert": {"alertId": "test-123", "username": "test-user"}},
        {"action": "UnAcknowledge", "alert": {"alertId": "test-123", "username": "test-user"}},
    ]

    opened = heard({**create, "integrationId": INTEGRATION})
    events = [heard({**each, "integrationId": INTEGRATION}) for each in others]

    assert (opened.fingerprint, opened.title, opened.at) == ("test-123", "Test alert", None)
    assert [event.status for event in events] == [
        EventStatus.NOTED,
        EventStatus.ACKNOWLEDGED,
        EventStatus.UNACKNOWLEDGED,
    ]
    assert all((event.ref, event.actor, event.at) == (("opsgenie", "test-123"), "test-user", None) for event in events)
    assert (events[0].note, events[0].note_id) == ("This is a test note", "")


@pytest.mark.parametrize(
    "payload",
    [
        body("Create", alias="poc-0123456789abcdef0123"),
        body("Create", username="platform-outage-checker"),
        body("Acknowledge", username="Platform-Outage-Checker"),
        body("AddNote", username="somebody", note="Note\n(Platform Outage Checker 0123456789abcdef)"),
        body("AddNote", note=""),
        body("AddNote"),
        body("Escalate"),
        body("AssignOwnership"),
        body("TestAction"),
        body("\N{SNOWMAN}" * 200),
    ],
)
def test_our_own_doings_and_what_is_no_business_of_ours_tell_nothing(payload):
    assert adapter().parse({}, payload) == []


def test_with_jsms_rest_api_the_account_that_we_use_is_us():
    rest = {"url": "https://api.atlassian.com/jsm/ops/api/c-1", "email": "bot@example.com"}

    assert adapter(**rest).parse({}, body("Acknowledge", username="Bot@Example.com")) == []
    assert heard(body("Acknowledge", username="bot@example.com")).actor == "bot@example.com"


@pytest.mark.parametrize(
    ("payload", "where"),
    [
        (None, "body"),
        ([], "body"),
        ("Create", "body"),
        ({}, "action"),
        ({"action": 5, "alert": ALERT}, "action"),
        ({"action": "Create"}, "alert"),
        ({"action": "Create", "alert": "x"}, "alert"),
        ({"action": "Create", "alert": {}}, "alert.alertId"),
        ({"action": "Create", "alert": {"alertId": 5}}, "alert.alertId"),
        ({"action": "Create", "alert": {"alertId": "x" * 256}}, "alert.alertId"),
        ({"action": "x" * 10_000_000, "alert": ALERT}, "action"),
    ],
)
def test_a_body_of_another_shape_is_refused_with_the_place(payload, where):
    with pytest.raises(InvalidInput) as raised:
        adapter().parse({}, payload)

    assert raised.value.where == where


@REPEATABLE
@given(
    anything
    | st.fixed_dictionaries({"action": st.sampled_from(["Create", "AddNote", "Close"]) | anything})
    | st.fixed_dictionaries(
        {
            "action": st.sampled_from(["Create", "AddNote", "Acknowledge", "Delete"]),
            "note": anything,
            "integrationId": anything,
            "alert": st.fixed_dictionaries(
                {"alertId": st.text(min_size=1, max_size=9)},
                optional={name: anything for name in (*ALERT, "details", "priority", "note") if name != "alertId"},
            ),
        }
    )
)
def test_no_body_breaks_the_reading(payload):
    pinned = adapter()
    pinned.accepts(payload)
    try:
        events = pinned.parse({}, payload)
    except InvalidInput:
        return
    for event in events:
        assert event.via == "opsgenie"
        assert all(isinstance(value, str) for value in event.labels.values())
        assert event.at is None or event.at.tzinfo is UTC


@pytest.mark.parametrize(
    ("integration", "payload", "admitted"),
    [
        (INTEGRATION, {"integrationId": INTEGRATION}, True),
        (INTEGRATION, {"integrationId": INTEGRATION.upper()}, False),
        (INTEGRATION, {"integrationId": ""}, False),
        (INTEGRATION, {"integrationId": None}, False),
        (INTEGRATION, {"integrationId": "\ud800\u00e9"}, False),
        (INTEGRATION, {}, False),
        (INTEGRATION, [INTEGRATION], False),
        ("", {}, True),
        ("", "anything", True),
    ],
)
def test_only_the_configured_integration_is_admitted(integration, payload, admitted):
    assert adapter(integration_id=integration).accepts(payload) is admitted


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1420452191, "2015-01-05T10:03:11+00:00"),
        (1420452191104, "2015-01-05T10:03:11.104000+00:00"),
        (1420452224764002, "2015-01-05T10:03:44.764002+00:00"),
        (1420452224764002246, "2015-01-05T10:03:44.764002+00:00"),
        (1420452191104.0, "2015-01-05T10:03:11.104000+00:00"),
        ("2015-01-05T10:03:11.104Z", "2015-01-05T10:03:11.104000+00:00"),
        ("2015-01-05T12:03:11+02:00", "2015-01-05T10:03:11+00:00"),
        ("2015-01-05T10:03:11", "2015-01-05T10:03:11+00:00"),
    ],
)
def test_a_time_is_understood_in_every_unit_that_they_use(value, expected):
    at = moment(value)

    assert at
    assert at.isoformat() == expected


@pytest.mark.parametrize(
    "value", [None, True, 0, -5, 10**40, float("inf"), float("nan"), "", "soon", [], "9999-12-31T23:59:59-23:00"]
)
def test_what_is_no_time_is_none(value):
    assert moment(value) is None


def test_the_same_words_an_hour_later_are_another_note():
    at = datetime(2026, 11, 20, 3, 10, tzinfo=UTC)

    assert note_id("a", at, "looking ") == note_id("a", at.replace(minute=59), "looking")
    others = {note_id("a", at.replace(hour=4), "looking"), note_id("b", at, "looking"), note_id("a", at, "fixed")}
    assert note_id("a", at, "looking") not in others
    assert len(others) == 3


@pytest.mark.skipif(not (SAMPLES / "opsgenie").is_dir(), reason="SAMPLES_DIR names no folder with recorded payloads")
def test_recorded_webhooks_are_read_as_what_they_are():
    named = {
        "opsgenie/create.json": EventStatus.FIRING,
        "opsgenie/acknowledge.json": EventStatus.ACKNOWLEDGED,
        "opsgenie/unacknowledge.json": EventStatus.UNACKNOWLEDGED,
        "opsgenie/addnote.json": EventStatus.NOTED,
        "opsgenie/close.json": EventStatus.RESOLVED,
        "jsm-ops/webhook-create.same-shape-as-opsgenie.json": EventStatus.FIRING,
    }
    read = {name: heard(json.loads((SAMPLES / name).read_bytes())) for name in named}

    assert {name: event.status for name, event in read.items()} == named
    assert read["opsgenie/create.json"].labels["tag"] == "tag1\ntag2"
    assert read["opsgenie/addnote.json"].note == "note to test alert"
    assert all(event.at and event.at.year == 2015 for event in read.values())


@pytest.mark.parametrize(
    ("action", "told", "changed"),
    [
        ("UpdatePriority", {"priority": "P1"}, {"severity": Severity.CRITICAL, "severity_told": True}),
        ("UpdateMessage", {"message": "Disk almost full"}, {"title": "Disk almost full", "severity_told": False}),
        ("UpdateDescription", {"description": "99 %"}, {"description": "99 %", "severity_told": False}),
    ],
)
def test_new_content_of_an_alert_that_was_born_there_is_told(action, told, changed):
    event = heard(body(action, **told))

    assert (event.status, event.fingerprint, event.content_only) == (EventStatus.FIRING, ALERT["alertId"], True)
    assert {name: getattr(event, name) for name in changed} == changed
    assert event.at == datetime(2015, 1, 5, 10, 3, 44, 764002, tzinfo=UTC)
    assert event.labels == {}


@pytest.mark.parametrize("action", ["UpdatePriority", "UpdateMessage", "UpdateDescription"])
def test_new_content_of_an_alert_of_ours_is_no_news(action):
    assert adapter().parse({}, body(action, alias=f"poc-{'ab' * 10}", priority="P1")) == []


def test_an_alert_of_ours_that_was_deleted_there_is_not_fixed():
    ours, theirs = heard(body("Delete", alias=f"poc-{'ab' * 10}")), heard(body("Delete"))

    assert (ours.status, ours.not_fixed, theirs.not_fixed) == (EventStatus.RESOLVED, True, False)
