"""The office365 checker against Graph. Shape: https://learn.microsoft.com/graph/api/resources/servicehealthissue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_checkers.office365.checker import Checker, Config, read_file
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from tests.doubles.base import Fault
from tests.doubles.microsoft import CLIENT, GRAPH, OID, SECRET, TENANT, Microsoft

NONE: frozenset[str] = frozenset()
FULL = "/v1.0/admin/serviceAnnouncement/issues"


@pytest.fixture
def world() -> Iterator[Microsoft]:
    with Microsoft() as double:
        yield double
        assert double.refused == []


def checker(world: Microsoft, path: str = "", **changes: Any) -> Checker:
    entra = {"client_id": CLIENT, "client_secret": SECRET, "tenant_id": TENANT, "authority": world.url}
    fields = {"kind": "office365", "url": world.url + path, "timeout": 1, **entra}
    return Checker("office365", Config.model_validate({**fields, **changes}), clock=lambda: world.clock)


def states(snapshot: Snapshot) -> dict[str, str]:
    return {event.fingerprint: event.status.value for event in snapshot.events}


@pytest.mark.parametrize("path", ["", "/", "/v1.0", FULL])
def test_an_issue_is_told_whichever_address_is_configured(world: Microsoft, path: str) -> None:
    started_at = world.clock - timedelta(hours=1)
    world.post_issue("EX123", "<p>We are <b>looking</b>.</p>", started_at, title="No mail", feature="Mailflow")

    snapshot = checker(world, path).check(NONE)

    assert snapshot.complete
    assert snapshot.events == (
        Event(
            source="office365",
            fingerprint="EX123",
            kind=Kind.OUTAGE,
            status=EventStatus.FIRING,
            title="No mail",
            severity=Severity.ERROR,
            description="We are looking.",
            at=started_at,
            starts_at=started_at,
            url="https://admin.microsoft.com/Adminportal/Home?#/servicehealth/:/alerts/EX123",
            labels={"service": "Exchange Online", "component": "Mailflow", "state": "serviceDegradation"},
        ),
    )
    assert set(world.tokens.values()) == {GRAPH}


def test_all_pages_are_read_whatever_their_size(world: Microsoft) -> None:
    world.page_size = 3
    for number in range(8):
        world.post_issue(f"EX{number}")

    snapshot = checker(world).check(NONE)

    assert len(snapshot.events) == 8
    assert snapshot.complete
    lists = [request for request in world.requests if request.path == FULL]
    assert {request.headers["Prefer"] for request in lists} == {"odata.maxpagesize=200"}


def test_more_pages_than_are_read_leave_the_list_incomplete(world: Microsoft) -> None:
    world.page_size = 1
    for number in range(30):
        world.post_issue(f"EX{number}")

    snapshot = checker(world).check(NONE)

    assert (len(snapshot.events), snapshot.complete) == (25, False)
    assert "more than 25 pages" in snapshot.warnings[0]


def test_no_token_follows_a_next_page_to_another_server(world: Microsoft) -> None:
    world.page_size, world.next_host = 1, "https://graph.example.com"
    world.post_issue("EX1")
    world.post_issue("EX2")

    with pytest.raises(SourceError, match="another server"):
        checker(world).check(NONE)


def test_of_what_is_over_only_the_latest_and_the_tracked_is_told(world: Microsoft) -> None:
    long_ago = world.clock - timedelta(days=40)
    world.post_issue("OLD", at=long_ago, isResolved=True, status="serviceRestored")
    world.post_issue("TRACKED", at=long_ago, isResolved=True, status="serviceRestored")
    world.post_issue("SHORT", isResolved=True, status="falsePositive")
    world.post_issue("QUIET", at=long_ago)

    snapshot = checker(world).check(frozenset({"TRACKED"}))

    assert states(snapshot) == {"TRACKED": "resolved", "SHORT": "resolved", "QUIET": "firing"}


def test_the_end_of_a_tracked_issue_is_confirmed_by_its_id(world: Microsoft) -> None:
    world.post_issue("EX1", isResolved=True, status="serviceRestored")

    checker(world).check(frozenset({"EX1"}))

    assert world.requests[-1].path == f"{FULL}/EX1"


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.HTML, Fault.RESET, Fault.HANG, Fault.RATE_LIMIT, Fault.GARBAGE])
def test_an_end_that_cannot_be_confirmed_is_unknown(world: Microsoft, fault: Fault) -> None:
    world.post_issue("EX1", isResolved=True, status="serviceRestored")
    world.script.extend([None, None, fault])

    snapshot = checker(world).check(frozenset({"EX1"}))

    assert (states(snapshot), snapshot.unknown) == ({}, {"EX1"})


def test_an_issue_in_a_state_that_is_not_known_is_unknown_and_absence_means_nothing(world: Microsoft) -> None:
    world.post_issue("EX1", isResolved=None, status="pondering")

    snapshot = checker(world).check(frozenset({"EX1"}))

    assert (snapshot.events, snapshot.unknown, snapshot.complete) == ((), {"EX1"}, False)


def test_the_word_of_the_issue_itself_counts_more_than_the_lists(world: Microsoft) -> None:
    world.post_issue("EX1", isResolved=True, status="serviceRestored")
    reader = checker(world)
    reader.check(NONE)
    world.post_issue("EX1", isResolved=False, status="serviceDegradation")

    assert states(reader.check(frozenset({"EX1"}))) == {"EX1": "firing"}


def test_an_issue_that_graph_no_longer_knows_is_absent_not_unknown(world: Microsoft) -> None:
    snapshot = checker(world).check(frozenset({"GONE"}))

    assert (snapshot.events, snapshot.unknown, snapshot.complete) == ((), NONE, True)


def test_lookups_are_bounded_and_what_was_not_asked_is_unknown(world: Microsoft) -> None:
    assert len(checker(world).check(frozenset(f"EX{number:02}" for number in range(13))).unknown) == 3


def test_each_tracked_issue_has_its_turn_to_be_looked_up(world: Microsoft) -> None:
    left = tracked = frozenset(f"EX{number:02}" for number in range(13))
    reader = checker(world)
    for _ in range(40):
        left = left & reader.check(tracked).unknown

    assert left == NONE


def test_posts_after_the_end_open_nothing_again(world: Microsoft) -> None:
    world.post_issue("EX1", "Mended.", isResolved=True, status="serviceRestored")
    reader = checker(world)
    (ended,) = reader.check(frozenset({"EX1"})).events
    world.post_issue("EX1", "Our review.", status="postIncidentReviewPublished")

    (later,) = reader.check(NONE).events

    assert (ended.status, ended.description) == (EventStatus.RESOLVED, "Mended.")
    assert later.status is EventStatus.RESOLVED


def test_an_expired_token_is_replaced_once_in_the_middle_of_a_check(world: Microsoft) -> None:
    reader = checker(world)
    reader.check(NONE)
    world.revoke()
    world.post_issue("EX1")

    assert states(reader.check(NONE)) == {"EX1": "firing"}
    assert world.issued == 2


def test_a_missing_consent_is_told_by_the_code_of_the_answer(world: Microsoft) -> None:
    world.roles = False

    with pytest.raises(SourceError, match="HTTP 403, Forbidden") as caught:
        checker(world).check(NONE)

    assert caught.value.reason is Reason.FORBIDDEN


def test_a_throttled_tenant_says_how_long_to_wait(world: Microsoft) -> None:
    world.retry_after = "300"
    world.script.extend([None, Fault.RATE_LIMIT])

    with pytest.raises(SourceError) as caught:
        checker(world).check(NONE)

    assert (caught.value.reason, caught.value.retry_after) == (Reason.RATE_LIMITED, 300.0)


def test_another_identity_than_the_one_expected_is_told_to_people(world: Microsoft) -> None:
    assert OID in checker(world, user_object_id="somebody-else").check(NONE).warnings[0]


def test_whatever_fails_on_the_way_an_open_issue_never_looks_over(world: Microsoft) -> None:
    world.page_size = 1
    world.post_issue("EX1")
    world.post_issue("EX2")
    reader, told = checker(world, timeout=0.2), 0
    world.chaos(0.3, seed=5)

    for _ in range(40):
        with suppress(SourceError):
            snapshot = reader.check(frozenset({"EX1", "EX2"}))
            told += 1
            assert states(snapshot) == {"EX1": "firing", "EX2": "firing"}

    assert told


CONFIG = Config(kind="office365")


def read(*issues: dict[str, Any]) -> Snapshot:
    entries = [{"id": f"EX{number}", **calm(**given)} for number, given in enumerate(issues)]
    return read_file(CONFIG, "office365", json.dumps({"value": entries}).encode())


def calm(**changes: Any) -> dict[str, Any]:
    known = {"title": "Slow", "classification": "incident", "status": "serviceDegradation", "isResolved": False}
    return {**known, **changes}


@pytest.mark.parametrize(
    ("classification", "status", "severity"),
    [
        ("incident", "serviceInterruption", "critical"),
        ("Incident", "ServiceInterruption", "critical"),
        ("incident", "serviceDegradation", "error"),
        ("INCIDENT", "SERVICEDEGRADATION", "error"),
        ("incident", "investigating", "warning"),
        ("incident", "extendedRecovery", "warning"),
        ("advisory", "serviceDegradation", "info"),
        ("Advisory", "serviceInterruption", "info"),
        (None, None, "warning"),
    ],
)
def test_each_class_and_status_has_its_severity(classification: Any, status: Any, severity: str) -> None:
    snapshot = read({"classification": classification, "status": status})

    assert snapshot.events[0].severity == severity


def test_a_high_impact_is_an_error_at_least() -> None:
    assert read({"status": "investigating", "highImpact": True}).events[0].severity is Severity.ERROR
    assert read({"status": "serviceInterruption", "highImpact": True}).events[0].severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("resolved", "status", "told"),
    [
        (True, "serviceDegradation", "resolved"),
        (False, "serviceRestored", "firing"),
        (None, "ServiceRestored", "resolved"),
        (None, "postIncidentReviewPublished", "resolved"),
        (None, "restoringService", "firing"),
        ("true", "investigating", "firing"),
    ],
)
def test_is_resolved_decides_and_without_it_the_status(resolved: Any, status: str, told: str) -> None:
    assert read({"isResolved": resolved, "status": status}).events[0].status == told


def test_words_that_are_not_known_are_told_to_people_and_end_nothing() -> None:
    snapshot = read({"isResolved": None, "status": "pondering"}, {"status": "pondering"}, {"classification": "omen"})

    assert states(snapshot) == {"EX1": "firing", "EX2": "firing"}
    assert not snapshot.complete
    assert snapshot.warnings == (
        'issue EX0 has no isResolved, and the status "pondering"',
        'issue EX1 has an unknown status "pondering"',
        'issue EX2 is of an unknown class "omen"',
    )


def test_the_newest_post_is_told_and_without_posts_the_impact() -> None:
    posts = [
        {"createdDateTime": "2026-11-20T03:00:00.54Z", "description": {"content": "Newest"}},
        {"createdDateTime": "2026-11-20T01:00:00Z", "description": {"content": "Oldest"}},
        {"createdDateTime": "2026-11-20T04:00:00Z", "description": None},
    ]
    with_posts, without = read({"posts": posts}, {"impactDescription": "Some cannot log in."}).events

    assert (with_posts.description, without.description) == ("Newest", "Some cannot log in.")


def test_one_unreadable_issue_hides_no_other_but_absence_means_nothing_then() -> None:
    body = {"value": [{"id": None, **calm()}, 7, {"id": "EX1", **calm()}]}

    snapshot = read_file(CONFIG, "office365", json.dumps(body).encode())

    assert (states(snapshot), snapshot.complete) == ({"EX1": "firing"}, False)


@pytest.mark.parametrize("newest_first", [True, False])
def test_of_two_entries_of_one_id_the_newer_word_counts(newest_first: bool) -> None:
    new = {"id": "EX1", **calm(isResolved=True, lastModifiedDateTime="2026-11-20T02:00:00Z")}
    old = {"id": "EX1", **calm(lastModifiedDateTime="2026-11-20T01:00:00Z")}
    body = {"value": [new, old] if newest_first else [old, new]}

    assert states(read_file(CONFIG, "office365", json.dumps(body).encode())) == {"EX1": "resolved"}


def test_a_page_that_is_not_the_last_is_not_complete() -> None:
    page = {"value": [], "@odata.nextLink": "https://graph.microsoft.com/v1.0/x?$skip=100"}

    assert not read_file(CONFIG, "office365", json.dumps(page).encode()).complete
    assert read_file(CONFIG, "office365", b'{"value": []}').complete


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b'{"value": null}', b'{"value": {}}', b'{"value": [1]}', b'{"value": [{}]}', b"<html>"]
    + [b'{"error": {"code": "UnknownError", "message": ""}}', b'{"value": [', b'{"value": [], "x": NaN}'],
)
def test_a_payload_without_its_list_is_unknown_and_never_quiet(body: bytes) -> None:
    with pytest.raises(SourceError) as caught:
        read_file(CONFIG, "office365", body)

    assert caught.value.reason is Reason.GARBAGE


KEYS = """value id title status classification isResolved highImpact posts description content createdDateTime service
feature featureGroup lastModifiedDateTime startDateTime @odata.nextLink"""
words = st.sampled_from(["advisory", "serviceRestored", "EX1", "2026-11-20T00:00:00Z"]) | st.text(max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=6),
    max_leaves=25,
)


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    with suppress(SourceError):
        snapshot = read_file(CONFIG, "office365", json.dumps(value).encode())
        assert all(event.fingerprint and event.source == "office365" for event in snapshot.events)


@given(st.dictionaries(st.sampled_from(KEYS.split()), json_values, max_size=8))
def test_any_issue_is_read_or_left_out(issue: dict[str, Any]) -> None:
    body = {"value": [{**issue, "id": "odd"}, {"id": "sound", **calm()}]}

    assert "sound" in states(read_file(CONFIG, "office365", json.dumps(body).encode()))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(SourceError):
        read_file(CONFIG, "office365", body)
