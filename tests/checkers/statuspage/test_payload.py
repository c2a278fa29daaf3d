"""What a Statuspage payload says, field by field. Shapes: https://www.githubstatus.com/api (any page has it)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_checkers.statuspage.checker import Config, read_file, split_endpoint
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import Event, Post, Snapshot
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity

DATA = Path(__file__).parent / "data"
CONFIG = Config(kind="statuspage", url="https://status.acme.example")


def read(payload: Any) -> Snapshot:
    return read_file(CONFIG, "acme", payload if isinstance(payload, bytes) else json.dumps(payload).encode())


def incident(**changes: Any) -> dict[str, Any]:
    return {"id": "i1", "name": "Slow", "status": "investigating", "impact": "minor", **changes}


def only_event(**changes: Any) -> Event:
    (event,) = read({"incidents": [incident(**changes)]}).events
    return event


def test_a_summary_tells_all_that_an_event_holds() -> None:
    outage, _, _ = read((DATA / "summary_two_open.json").read_bytes()).events

    assert outage == Event(
        source="acme",
        fingerprint="inc-1",
        kind=Kind.OUTAGE,
        status=EventStatus.FIRING,
        title="Databases unreachable",
        severity=Severity.CRITICAL,  # the page's level is above the impact of its worst incident
        description="Cause: a switch\nWe're replacing it & more.",
        at=datetime(2026, 11, 20, 3, 5, tzinfo=UTC),
        starts_at=datetime(2026, 11, 20, 2, 20, tzinfo=UTC),
        url="https://stspg.example/inc-1",
        labels={"component": "Databases", "group": "US East", "state": "identified"},
        posted_at=datetime(2026, 11, 20, 2, 30, tzinfo=UTC),  # the start is dated back
        posts=(
            Post(at=datetime(2026, 11, 20, 2, 30, tzinfo=UTC), state="investigating", text="Looking."),
            Post(
                at=datetime(2026, 11, 20, 3, 0, tzinfo=UTC),
                state="identified",
                text="Cause: a switch\nWe're replacing it & more.",
            ),
        ),
        states={"Databases": "major_outage"},
    )


def test_an_incident_that_is_dated_back_was_posted_when_it_was_created() -> None:
    dated_back = only_event(started_at="2026-11-20T01:00:00Z", created_at="2026-11-20T03:00:00Z")

    assert dated_back.starts_at == datetime(2026, 11, 20, 1, tzinfo=UTC)
    assert dated_back.posted_at == datetime(2026, 11, 20, 3, tzinfo=UTC)
    assert only_event().posted_at is None


def test_planned_work_tells_when_it_is_to_begin_and_to_end() -> None:
    _, slow, planned = read((DATA / "summary_two_open.json").read_bytes()).events

    assert planned.starts_at == datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
    assert planned.ends_at == datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
    assert slow.ends_at is None


@pytest.mark.parametrize("until", [None, "", "soon", 7, "0001-01-01T00:00:00Z"])
def test_planned_work_may_lack_its_end(until: Any) -> None:
    assert only_event(scheduled_for="2026-11-25T02:00:00Z", scheduled_until=until).ends_at is None


def test_what_an_incident_leaves_out_is_filled_from_its_updates_and_the_page() -> None:
    snapshot = read((DATA / "summary_two_open.json").read_bytes())
    _, slow, planned = snapshot.events

    assert snapshot.complete
    assert (slow.severity, slow.url) == (Severity.WARNING, "https://status.acme.example/incidents/inc-2")
    assert slow.labels == {"component": "Databases", "group": "US West", "state": "monitoring"}
    assert (planned.kind, planned.severity) == (Kind.MAINTENANCE, Severity.INFO)
    assert planned.starts_at == datetime(2026, 11, 25, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("impact", "severity"),
    [
        ("critical", "critical"),
        ("major", "error"),
        ("minor", "warning"),
        ("none", "info"),
        (None, "warning"),
        ("dire", "warning"),
    ],
)
def test_each_impact_has_its_severity(impact: str | None, severity: str) -> None:
    assert only_event(impact=impact).severity == severity


def test_an_unknown_word_of_the_vendor_is_told_to_people() -> None:
    snapshot = read({"incidents": [incident(impact="dire"), incident(id="i2", status="pondering")]})

    assert [event.fingerprint for event in snapshot.events] == ["i1"]
    assert 'incident i1 has an unknown impact "dire"' in snapshot.warnings
    assert 'incident i2 has an unknown status "pondering"' in snapshot.warnings
    assert not snapshot.complete


@pytest.mark.parametrize(
    ("indicator", "severity"), [("none", "warning"), ("major", "error"), ("critical", "critical"), ("odd", "warning")]
)
def test_the_severity_is_the_greater_of_impact_and_indicator(indicator: str, severity: str) -> None:
    payload = {
        "status": {"indicator": indicator},
        "components": [],
        "incidents": [incident()],
        "scheduled_maintenances": [],
    }

    assert read(payload).events[0].severity == severity


@pytest.mark.parametrize("state", ["resolved", "postmortem", "completed"])
def test_an_incident_that_is_over_stays_over_whatever_is_added_later(state: str) -> None:
    updates = [
        {"status": "postmortem", "body": "Our review.", "created_at": "2026-11-25T00:00:00Z"},
        {
            "status": "investigating",
            "body": "?",
            "created_at": "2026-11-20T00:00:00Z",
            "display_at": "2026-11-26T00:00:00Z",
        },
    ]
    event = only_event(status=state, updated_at="2026-11-20T01:00:00Z", incident_updates=updates)

    assert (event.status, event.description) == (EventStatus.RESOLVED, "Our review.")
    assert event.at == datetime(2026, 11, 25, tzinfo=UTC)


def test_incident_io_says_null_for_an_empty_list_and_leaves_keys_out() -> None:
    quiet = {
        "page": {},
        "status": {"indicator": "none"},
        "components": [],
        "incidents": None,
        "scheduled_maintenances": None,
    }
    ulid = incident(id="01KY7SX5MYJ2BP51X5MXAPYX71", created_at="2026-07-23T15:36:02Z")

    assert (read(quiet).events, read(quiet).complete) == ((), True)
    assert read({**quiet, "incidents": [ulid]}).events[0].labels == {"state": "investigating"}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b'"ok"',
        b"<html></html>",
        b'{"page": {}}',
        b'{"page": {}, "components": []}',
        b'{"page": {}, "status": {"indicator": "none"}, "components": []}',
        b'{"page": {}, "status": {"indicator": "none"}, "scheduled_maintenances": []}',
        b'{"incidents": {}}',
        b'{"incidents": "none"}',
        b'{"incidents": [], "status": [{"system": "Apps", "status": "green"}]}',
        b'{"incidents": [{"title": "another family", "state": "open"}]}',
        b'{"incidents": [1, 2]}',
        b'{"incidents": [], "x": NaN}',
        b'{"incidents": [',
        b'{"meta": {}, "page": {}, "incident": {"id": "i1", "status": "resolved"}}',
    ],
)
def test_a_payload_without_its_list_is_unknown_and_never_quiet(payload: bytes) -> None:
    with pytest.raises(SourceError) as caught:
        read(payload)

    assert caught.value.reason is Reason.GARBAGE


def test_one_unreadable_incident_hides_no_other_but_absence_means_nothing_then() -> None:
    payload = {"status": {"indicator": "minor"}, "components": [], "incidents": [incident(), {"id": None}]}

    snapshot = read({**payload, "scheduled_maintenances": []})

    assert [event.fingerprint for event in snapshot.events] == ["i1"]
    assert not snapshot.complete


KEYS = """incidents scheduled_maintenances status components page id name impact incident_updates body group group_id
created_at updated_at started_at indicator shortlink affected_components code incident"""
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS.split()),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    try:
        snapshot = read(value)
    except SourceError:
        return
    assert all(event.fingerprint and event.source == "acme" for event in snapshot.events)


@given(
    st.lists(
        st.fixed_dictionaries({}, optional={key: json_values for key in incident()} | {"components": json_values}),
        max_size=3,
    )
)
def test_any_incident_is_read_or_left_out(incidents: list[dict[str, Any]]) -> None:
    try:
        read({"incidents": [*incidents, incident(id="sound")]})
    except SourceError as error:
        pytest.fail(str(error))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(SourceError):
        read(body)


@pytest.mark.parametrize(
    ("url", "base", "endpoint"),
    [
        ("https://www.githubstatus.com", "https://www.githubstatus.com", ""),
        ("https://h.example/", "https://h.example", "/"),
        ("https://h.example/api/v2/incidents.json", "https://h.example", "/api/v2/incidents.json"),
        ("http://127.0.0.1:8/page/x/api/v2", "http://127.0.0.1:8/page/x", "/api/v2"),
        ("https://h.example/sub/history.rss", "https://h.example/sub", "/history.rss"),
    ],
)
def test_the_base_is_found_in_any_address_of_a_page(url: str, base: str, endpoint: str) -> None:
    assert split_endpoint(url) == (base, endpoint)
