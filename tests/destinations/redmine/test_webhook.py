"""What Redmine's webhooks tell: those of Redmine 7, and those of the plugin redmine_webhook for 5 and 6.

Shapes: app/models/webhook_payload.rb and app/views/issues/show.api.rsb of redmine/redmine (0b802d2); *_wrapper.rb of
suer/redmine_webhook (121b4a3).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus, Verb
from service_event_checker.destinations.redmine.adapter import Adapter, Config
from tests.destinations.deliver import deliver
from tests.destinations.redmine.case import RedmineProxy, config
from tests.factories import alert, delivery
from tests.real.redmine import Redmine

KEY, ALERT_KEY = "ab" * 10, "cd" * 10
SECRET = "hook-secret"
NEW, IN_PROGRESS, CLOSED = 1, 2, 5
FIELD = {"id": 3, "name": "Alert fingerprint", "value": f"{KEY} {ALERT_KEY}"}
SAMPLES = Path(os.environ.get("SAMPLES_DIR", "/nonexistent")) / "redmine"


def adapter(**changes: Any) -> Adapter:
    settings: dict[str, Any] = {"url": "http://127.0.0.1:9", "project": "ops", "token": "k", "close_status_id": CLOSED}
    return Adapter("redmine", Config(**{**settings, **changes}))


def status_change(before: int, after: int) -> dict[str, Any]:
    return {"property": "attr", "prop_key": "status_id", "old_value": str(before), "value": str(after)}


def core(status: int = NEW, notes: str | None = "", details: Any = (), **issue: Any) -> dict[str, Any]:
    """Return an issue.updated of Redmine 7, as a person's change."""
    closed = status == CLOSED
    body = {
        "id": 42,
        "project": {"id": 1, "name": "Ops"},
        "tracker": {"id": 1, "name": "Bug"},
        "status": {"id": status, "name": "Closed" if closed else "New", "is_closed": closed},
        "priority": {"id": 4, "name": "Urgent"},
        "author": {"id": 7, "name": "Outage Checker"},
        "subject": "GitHub: Disruption",
        "description": "...",
        "custom_fields": [FIELD],
        "created_on": "2026-11-20T10:01:00Z",
        "updated_on": "2026-11-20T10:15:00Z",
        "closed_on": None,
    }
    journal = {
        "id": 101,
        "created_on": "2026-11-20T10:15:00Z",
        "notes": notes,
        "user": {"id": 9, "name": "Jane Doe"},
        "details": list(details),
    }
    data = {"issue": {**body, **issue}, "journal": journal}
    return {"type": "issue.updated", "timestamp": "2026-11-20T10:15:00Z", "data": data}


def plugin(status: int = NEW, notes: str = "", details: Any = (), action: str = "updated") -> dict[str, Any]:
    """Return what the plugin posts, as a person's change."""
    person = {"id": 9, "login": "jane", "mail": "jane@example.com", "firstname": "Jane", "lastname": "Doe"}
    issue = {
        "id": 42,
        "subject": "GitHub: Disruption",
        "description": "...",
        "created_on": "2026-11-20T10:01:00.000Z",
        "updated_on": "2026-11-20T10:15:00.000Z",
        "closed_on": None,
        "custom_field_values": [{"custom_field_id": 3, "custom_field_name": "", "value": FIELD["value"]}],
        "project": {"id": 1, "identifier": "ops", "name": "Ops"},
        "status": {"id": status, "name": "whatever"},
        "tracker": {"id": 1, "name": "Bug"},
        "priority": {"id": 4, "name": "Urgent"},
        "author": person,
        "assignee": None,
        "watchers": [],
    }
    journal = {
        "id": 101,
        "notes": notes,
        "created_on": "2026-11-20T10:15:00.000Z",
        "private_notes": False,
        "author": person,
        "details": [{"id": 1, **each} for each in details],
    }
    return {
        "payload": {"action": action, "issue": issue, "journal": journal, "url": "https://redmine.example/issues/42"}
    }


def told(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.status.value, event.note) for event in events]


@pytest.mark.parametrize("body", [core, plugin])
def test_a_note_and_a_status_are_two_events_in_this_order(body):
    events = adapter().parse({}, body(CLOSED, "mended", [status_change(NEW, CLOSED)]))

    assert told(events) == [("noted", "mended"), ("resolved", "")]
    for event in events:
        assert event.ref == ("redmine", "42")
        assert (event.via, event.intake, event.actor) == ("redmine", "/hooks/redmine", "Jane Doe")
        assert event.at == datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
    assert events[0].note_id == "101"


@pytest.mark.parametrize("body", [core, plugin])
@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (NEW, IN_PROGRESS, EventStatus.ACKNOWLEDGED),
        (IN_PROGRESS, NEW, EventStatus.UNACKNOWLEDGED),
        (IN_PROGRESS, CLOSED, EventStatus.RESOLVED),
        (CLOSED, IN_PROGRESS, EventStatus.ACKNOWLEDGED),
    ],
)
def test_what_a_status_means(body, before, after, status):
    (event,) = adapter().parse({}, body(after, "", [status_change(before, after)]))

    assert event.status is status


@pytest.mark.parametrize(
    "payload",
    [
        core(notes="hello", custom_fields=[{**FIELD, "value": "9266ef3da838ad95"}]),
        core(notes="hello", custom_fields=None),
        core(notes=None),
        core(details=[{"property": "attr", "prop_key": "priority_id", "old_value": "1", "value": "5"}]),
        core(details=[{"property": "cf", "prop_key": "status_id", "old_value": "1", "value": "5"}]),
        core(notes="Resolved\n\nPlatform Outage Checker 0123456789abcdef", details=[status_change(NEW, CLOSED)]),
        {**core(), "type": "issue.created"},
        {**core(), "type": "wiki_page.updated", "data": {"wiki_page": {}}},
        plugin(notes="hello", action="opened"),
        {"type": "issue.updated", "timestamp": "", "data": {"issue": core()["data"]["issue"]}},
    ],
)
def test_what_is_not_ours_no_news_or_our_own_doing_is_dropped(payload):
    assert adapter().parse({}, payload) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"custom_fields": [], "subject": f"GitHub: Disruption [poc-{KEY}]"},
        {"custom_fields": [], "description": f"GITHUB-7F3KQ · poc-{ALERT_KEY}"},
    ],
)
def test_an_issue_without_the_field_is_known_by_its_text(changes):
    assert told(adapter().parse({}, core(notes="hello", **changes))) == [("noted", "hello")]


def test_a_private_note_goes_nowhere():
    payload = plugin(notes="psst")
    payload["payload"]["journal"]["private_notes"] = True

    assert adapter().parse({}, payload) == []


def test_an_endless_note_is_cut():
    (event,) = adapter().parse({}, core(notes="x" * 10_000_000))

    assert len(event.note) == 4000


@pytest.fixture
def proxy(redmine: Redmine) -> Iterator[RedmineProxy]:
    with RedmineProxy(redmine) as running:
        yield running


def test_what_our_own_user_did_is_no_news_as_soon_as_redmine_said_who_that_is(proxy):
    tickets = Adapter("redmine", config(proxy))
    deliver(tickets, delivery(alert(), receiver="redmine"), alert(), None)
    payload = core(IN_PROGRESS, "", [status_change(NEW, IN_PROGRESS)])
    payload["data"]["journal"]["user"] = proxy.made[0]["author"]

    before = tickets.parse({}, payload)
    tickets.preflight()

    assert told(before) == [("acknowledged", "")]
    assert tickets.parse({}, payload) == []


def test_after_a_look_at_redmine_every_closing_status_is_known(proxy):
    tickets = Adapter("redmine", config(proxy))
    rejected = plugin(6, "", [status_change(NEW, 6)])

    assert told(tickets.parse({}, rejected)) == [("acknowledged", "")]  # the plugin does not say what it means
    tickets.preflight()
    assert told(tickets.parse({}, rejected)) == [("resolved", "")]


def test_our_notes_as_redmine_keeps_them_are_dropped(proxy):
    tickets = Adapter("redmine", config(proxy))
    link = deliver(tickets, delivery(alert(), receiver="redmine"), alert(), None)
    deliver(tickets, delivery(alert(), Verb.NOTE, receiver="redmine", note="hello"), alert(), link)
    (issue,) = proxy.made
    whole = proxy.server.issue(issue["id"])
    payload = {"type": "issue.updated", "timestamp": "", "data": {"issue": whole, "journal": whole["journals"][0]}}
    payload["data"]["journal"]["user"]["id"] = 9

    assert Adapter("redmine", config(proxy)).parse({}, payload) == []
    payload["data"]["journal"]["notes"] = "a person's"
    assert told(Adapter("redmine", config(proxy)).parse({}, payload)) == [("noted", "a person's")]


@pytest.mark.parametrize(
    ("payload", "where"),
    [
        ([], "body"),
        (None, "body"),
        ({}, "type"),
        ({"type": 7}, "type"),
        ({"payload": "x"}, "payload"),
        ({"type": "issue.updated"}, "data"),
        ({"type": "issue.updated", "data": {"journal": {}, "issue": 7}}, "data.issue"),
        ({"type": "issue.updated", "data": {"journal": {}, "issue": {"id": True}}}, "data.issue.id"),
        (core(id="42"), "data.issue.id"),
        ({"payload": {"action": "updated", "journal": 7, "issue": core()["data"]["issue"]}}, "payload.journal"),
        (core(tracker=None, allowed_statuses=7), "data.issue.allowed_statuses"),
        (core(custom_fields={"id": 3}), "data.issue.custom_fields"),
        (core(custom_fields=["x"]), "data.issue.custom_fields[0]"),
        (core(details=["x"]), "data.journal.details[0]"),
    ],
)
def test_a_wrong_shape_is_refused_with_its_place(payload, where):
    with pytest.raises(InvalidInput) as raised:
        adapter().parse({}, payload)

    assert raised.value.where == where
    assert raised.value.hint


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(str(FIELD["value"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
PLACES = [
    ["data"],
    ["data", "issue"],
    ["data", "journal"],
    *(["data", "issue", name] for name in ("id", "subject", "status", "tracker", "custom_fields", "description")),
    *(["data", "journal", name] for name in ("id", "user", "notes", "details", "created_on")),
    ["data", "issue", "status", "id"],
    ["data", "issue", "custom_fields", 0],
    ["data", "journal", "details", 0],
    ["data", "journal", "details", 0, "value"],
    ["data", "journal", "user", "name"],
]


@given(st.sampled_from(PLACES), JSON)
def test_whatever_is_sent_is_read_or_refused(place, value):
    payload: Any = json.loads(json.dumps(core(CLOSED, "mended", [status_change(NEW, CLOSED)])))
    inner = payload
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value

    for body in (payload, value, {"payload": value}, {"type": "issue.updated", "data": value}):
        with suppress(InvalidInput):
            assert all(isinstance(event, Event) for event in adapter().parse({}, body))


def signed(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("name", ["X-Redmine-Signature-256", "x-redmine-signature-256", "X-REDMINE-SIGNATURE-256"])
def test_a_signed_body_is_authentic(name):
    assert adapter(webhook_secret=SECRET).verify_signature({name: signed(b"{}")}, b"{}") is True


@given(st.binary(min_size=1, max_size=50), st.integers(0, 10_000))
def test_one_changed_bit_is_not(body, place):
    bits = bytearray(body)
    bits[place // 8 % len(bits)] ^= 1 << place % 8

    assert (
        adapter(webhook_secret=SECRET).verify_signature({"X-Redmine-Signature-256": signed(body)}, bytes(bits)) is False
    )


@pytest.mark.parametrize("sent", ["", "sha256=", "é" * 64, "\ud800", signed(b"{}")[7:], signed(b"{}", "another")])
def test_garbage_is_no_signature(sent):
    headers = {"X-Redmine-Signature-256": sent} if sent else {}

    assert adapter(webhook_secret=SECRET).verify_signature(headers, b"{}") is False


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="SAMPLES_DIR names no folder with recorded payloads")
@pytest.mark.parametrize(
    "file", sorted(SAMPLES.glob("webhook-*.json")) if SAMPLES.is_dir() else [], ids=lambda f: f.name
)
def test_recorded_payloads_are_read(file):
    payload = json.loads(file.read_text())
    assert adapter().parse({}, payload) == []  # another's key
    payload["data"]["issue"]["custom_fields"] = [FIELD]

    assert [event.status for event in adapter().parse({}, payload)] == [EventStatus.NOTED, EventStatus.RESOLVED]
