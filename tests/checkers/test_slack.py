"""Slack's own page: incidents that open, change, end, and are opened again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_checkers.slack import Checker, Config, api_address, read_file
from service_event_checker.core.errors import SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.tracker import track
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity, Status
from tests.checkers.payloads import hostile, json_values
from tests.doubles.base import Fault
from tests.doubles.vendors import Vendors

NONE: frozenset[str] = frozenset()
CONFIG = Config(kind="slack", url="https://slack-status.com")


@pytest.fixture
def world() -> Iterator[Vendors]:
    with Vendors() as vendors:
        yield vendors
        assert vendors.refused == []


def check(world: Vendors, *tracked: str) -> Snapshot:
    url = world.base("slack") + "/api/v2.0.0/current"
    return Checker("slack", Config(kind="slack", url=url, timeout=timedelta(seconds=1))).check(frozenset(tracked))


def read(payload: Any, config: Config = CONFIG) -> Snapshot:
    return read_file(config, "slack", payload if isinstance(payload, bytes) else json.dumps(payload).encode())


def incident(**changes: Any) -> dict[str, Any]:
    return {"id": 1, "title": "Slow", "type": "incident", "status": "active", **changes}


def only_event(**changes: Any) -> Event:
    (event,) = read({"status": "active", "active_incidents": [incident(**changes)]}).events
    return event


def test_every_open_incident_is_told_with_its_newest_note(world: Vendors) -> None:
    world.open_slack(878, "Notifications are late", services=("Notifications", "Messaging"))
    world.open_slack("546", "All is down", "outage")
    world.update_slack(878, "active", "<p>We found the <b>cause</b> &amp; fix it.</p>")

    snapshot = check(world)

    by_id = {event.fingerprint: event for event in snapshot.events}
    late = by_id["878"]
    assert snapshot.complete
    assert (late.kind, late.status, late.severity) == (Kind.OUTAGE, EventStatus.FIRING, Severity.WARNING)
    assert late.description == "We found the cause & fix it."
    assert late.labels["service"] == "Notifications\nMessaging"
    assert late.at is not None
    assert late.starts_at is not None
    assert late.at > late.starts_at
    assert by_id["546"].severity is Severity.ERROR


def test_an_incident_that_is_over_brings_its_last_words_from_the_history(world: Vendors) -> None:
    world.open_slack(1, "Slow")
    world.update_slack(1, "resolved", "<p>All is well.</p>")

    snapshot = check(world, "1")

    assert [(event.status, event.description) for event in snapshot.events] == [(EventStatus.RESOLVED, "All is well.")]
    assert snapshot.complete


def test_an_incident_that_was_ended_too_early_opens_again_under_its_id(world: Vendors) -> None:
    world.open_slack(1576, "History is gone")
    world.update_slack(1576, "resolved", "Restored.")
    (ended,) = check(world, "1576").events
    world.update_slack(1576, "active", "It was not.")

    (again,) = check(world).events

    alert = track(None, replace(again, at=again.starts_at), world.clock).alert
    for event in (ended, again):
        alert = track(alert, event, world.clock).alert
    assert alert is not None
    assert (alert.status, alert.episode) == (Status.FIRING, 2)


def test_the_history_is_asked_for_only_when_a_tracked_incident_is_gone(world: Vendors) -> None:
    world.open_slack(1, "Slow")

    check(world, "1")

    assert [request.path for request in world.requests] == ["/slack/api/v2.0.0/current"]


def test_an_incident_that_the_history_does_not_know_is_absent(world: Vendors) -> None:
    snapshot = check(world, "old")

    assert (snapshot.events, snapshot.unknown, snapshot.complete) == ((), NONE, True)


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.HTML, Fault.RESET, Fault.RATE_LIMIT])
def test_an_incident_whose_end_cannot_be_read_is_unknown(world: Vendors, fault: Fault) -> None:
    world.script.extend([None, fault])

    assert check(world, "1").unknown == {"1"}


@pytest.mark.parametrize("how", ["html", "500", "truncated", "empty", "missing key"])
def test_a_page_that_it_cannot_read_is_unknown_not_quiet(world: Vendors, how: Any) -> None:
    world.broken["slack"] = how

    with pytest.raises(SourceError):
        check(world, "1")


@pytest.mark.parametrize(
    ("type_", "severity"), [("outage", "error"), ("incident", "warning"), ("notice", "info"), ("flood", "warning")]
)
def test_each_type_has_its_severity(type_: str, severity: str) -> None:
    assert only_event(type=type_).severity == severity


def test_an_unknown_word_is_told_to_people() -> None:
    snapshot = read({"status": "active", "active_incidents": [incident(type="flood", status="pondering")]})

    assert [event.status for event in snapshot.events] == [EventStatus.FIRING]
    assert snapshot.warnings == (
        'incident 1 has an unknown status "pondering"',
        'incident 1 has an unknown type "flood"',
    )


@pytest.mark.parametrize(
    ("status", "kind", "is_"),
    [
        ("scheduled", Kind.MAINTENANCE, EventStatus.FIRING),
        ("completed", Kind.MAINTENANCE, EventStatus.RESOLVED),
        ("cancelled", Kind.OUTAGE, EventStatus.RESOLVED),
        ("canceled", Kind.OUTAGE, EventStatus.RESOLVED),
    ],
)
def test_planned_work_is_no_outage(status: str, kind: Kind, is_: EventStatus) -> None:
    event = only_event(status=status)

    assert (event.kind, event.status) == (kind, is_)


def test_the_newest_note_is_told_whatever_their_order() -> None:
    old = {"date_created": "2026-08-13T14:21:41-07:00", "body": "We look."}
    new = {"date_created": "2026-08-13T21:30:00Z", "body": "Found it."}

    assert only_event(notes=[new, old]).description == only_event(notes=[old, new]).description == "Found it."


def test_whatever_fails_on_the_way_an_open_incident_never_looks_over(world: Vendors) -> None:
    world.open_slack(1, "Slow")
    world.chaos(0.5, seed=7)
    told = 0

    for _ in range(40):
        with suppress(SourceError):
            snapshot = check(world, "1", "2")
            told += 1
            firing = {event.fingerprint for event in snapshot.events if event.status is EventStatus.FIRING}
            assert "1" in firing | snapshot.unknown or not snapshot.complete

    assert told


def test_times_of_any_zone_are_utc() -> None:
    assert only_event(date_created="2026-08-13T14:21:41-07:00").starts_at == datetime(
        2026, 8, 13, 21, 21, 41, tzinfo=UTC
    )


def test_a_page_that_claims_an_incident_but_names_none_is_not_complete() -> None:
    snapshot = read({"status": "active", "active_incidents": []})

    assert not snapshot.complete
    assert snapshot.warnings


def test_version_1_with_its_single_incident_is_read_and_never_complete() -> None:
    snapshot = read(incident())

    assert [event.fingerprint for event in snapshot.events] == ["1"]
    assert not snapshot.complete
    assert "version 1" in snapshot.warnings[0]


def test_only_version_1_may_say_that_all_is_well_without_a_list() -> None:
    calm = {"status": "ok", "date_created": "2026-11-01T10:00:00-07:00"}

    assert read(calm, Config(kind="slack", url="https://slack-status.com/api/v1.0.0/current")).complete
    with pytest.raises(SourceError, match="missing"):
        read(calm)


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("https://slack-status.com", "https://slack-status.com/api/v2.0.0"),
        ("https://slack-status.com/", "https://slack-status.com/api/v2.0.0"),
        ("https://slack-status.com/api/v2.0.0/current", "https://slack-status.com/api/v2.0.0"),
        ("https://slack-status.com/api/v2.0.0/history/", "https://slack-status.com/api/v2.0.0"),
        ("https://slack-status.com/api/v1.0.0/current", "https://slack-status.com/api/v1.0.0"),
        ("https://slack-status.com/api/current", "https://slack-status.com/api"),
        ("http://127.0.0.1:8/slack", "http://127.0.0.1:8/slack/api/v2.0.0"),
    ],
)
def test_any_address_of_the_page_will_do(url: str, api: str) -> None:
    assert api_address(url) == api


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    hostile(read, value)


@given(st.lists(st.fixed_dictionaries({}, optional={key: json_values for key in (*incident(), "notes")}), max_size=3))
def test_any_incident_is_read_or_left_out(incidents: list[Any]) -> None:
    snapshot = read({"status": "active", "active_incidents": [*incidents, incident(id="sound")]})

    assert "sound" in {event.fingerprint for event in snapshot.events}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    hostile(read, body)
