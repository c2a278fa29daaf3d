"""The azure checker against ARM's events. Shape: https://learn.microsoft.com/rest/api/resourcehealth/events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_checkers.azure.checker import Checker, Config, read_file
from service_checkers.azure.payload import SENSITIVE
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from tests.doubles.base import Fault
from tests.doubles.microsoft import CLIENT, OID, SECRET, SUBSCRIPTION, TENANT, Microsoft

NONE: frozenset[str] = frozenset()
FULL = "/subscriptions/{subscription_id}/providers/Microsoft.ResourceHealth/events?api-version=2024-02-01"


@pytest.fixture
def world() -> Iterator[Microsoft]:
    with Microsoft() as double:
        yield double
        assert double.refused == []


def checker(world: Microsoft, path: str = "", **changes: Any) -> Checker:
    entra = {"client_id": CLIENT, "client_secret": SECRET, "tenant_id": TENANT, "authority": world.url}
    fields = {"kind": "azure", "url": world.url + path, "subscription_id": SUBSCRIPTION, "timeout": 1, **entra}
    return Checker("azure", Config.model_validate({**fields, **changes}))


@pytest.mark.parametrize("path", ["", "/", FULL, FULL.format(subscription_id=SUBSCRIPTION)])
def test_an_issue_is_told_whichever_address_is_configured(world: Microsoft, path: str) -> None:
    started_at = world.clock - timedelta(hours=1)
    world.post_event("AB1-XYZ", {"West US": "Active"}, started_at, title="Active - Machines are slow", level="Critical")

    snapshot = checker(world, path).check(NONE)

    assert snapshot.complete
    assert snapshot.events == (
        Event(
            source="azure",
            fingerprint="AB1-XYZ",
            kind=Kind.OUTAGE,
            status=EventStatus.FIRING,
            title="Active - Machines are slow",
            severity=Severity.CRITICAL,
            at=started_at,
            starts_at=started_at,
            url="https://portal.azure.com/#view/Microsoft_Azure_Health/AzureHealthBrowseBlade/~/serviceIssues"
            "/trackingId/AB1-XYZ",
            labels={"region": "West US", "service": "Virtual Machines", "state": "active"},
        ),
    )


def test_all_pages_of_the_list_are_read(world: Microsoft) -> None:
    world.page_size = 2
    for number in range(7):
        world.post_event(f"E-{number}", {"West US": "Active"})

    assert len(checker(world).check(NONE).events) == 7


@pytest.mark.parametrize("host", ["http://127.0.0.1:9", "https://management.example.com", "file:///etc"])
def test_no_token_follows_a_next_page_to_another_server(world: Microsoft, host: str) -> None:
    world.page_size, world.next_host = 1, host
    world.post_event("E-1", {})
    world.post_event("E-2", {})

    with pytest.raises(SourceError, match="another server"):
        checker(world).check(NONE)


def test_a_next_page_that_leads_back_is_refused_at_once(world: Microsoft) -> None:
    world.page_size, world.next_is_first = 1, True
    world.post_event("E-1", {})
    world.post_event("E-2", {})

    with pytest.raises(SourceError, match="leads back"):
        checker(world, FULL).check(NONE)

    assert len(world.requests) == 2


def test_a_list_without_end_is_read_in_bounds(world: Microsoft) -> None:
    world.page_size = 1
    for number in range(40):
        world.post_event(f"E-{number}", {})

    snapshot = checker(world).check(NONE)

    assert len(snapshot.events) == 25
    assert "more than 25 pages" in snapshot.warnings[0]


def test_a_quiet_event_that_has_left_the_list_is_asked_for_by_its_id(world: Microsoft) -> None:
    world.post_event("OLD-1", {"West US": "Active"}, world.clock - timedelta(days=5))
    world.post_event("OLD-2", {"West US": "Resolved"}, world.clock - timedelta(days=4), status="Resolved")

    snapshot = checker(world).check(frozenset({"OLD-1", "OLD-2", "GONE"}))

    states = {event.fingerprint: event.status for event in snapshot.events}
    assert states == {"OLD-1": EventStatus.FIRING, "OLD-2": EventStatus.RESOLVED}
    assert snapshot.unknown == NONE


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=5)], ids=["listed", "asked for by its id"])
def test_what_is_tracked_is_followed_whatever_it_turns_into(world: Microsoft, age: timedelta) -> None:
    world.post_event("E-1", {"West US": "Active"}, world.clock - age, eventType="HealthAdvisory")
    world.post_event("E-2", {"West US": "Active"}, world.clock - age)
    for place in world.events["E-2"]["impact"][0]["impactedRegions"]:
        place["impactedSubscriptions"] = ["somebody-else"]

    assert checker(world).check(NONE).events == ()
    told = checker(world).check(frozenset({"E-1", "E-2"})).events
    assert {(event.fingerprint, event.kind) for event in told} == {("E-1", Kind.OUTAGE), ("E-2", Kind.OUTAGE)}
    asked_by_id = [request for request in world.requests if request.path.endswith(("/E-1", "/E-2"))]
    assert len(asked_by_id) == (2 if age else 0)


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=5)], ids=["listed", "asked for by its id"])
def test_a_tracked_event_in_a_state_that_is_not_known_is_unknown(world: Microsoft, age: timedelta) -> None:
    world.post_event("E-1", {"West US": "Active"}, world.clock - age, status="Pondering")

    assert checker(world).check(frozenset({"E-1"})).unknown == {"E-1"}


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.HTML, Fault.RESET, Fault.HANG, Fault.RATE_LIMIT, Fault.GARBAGE])
def test_a_tracked_event_that_cannot_be_read_is_unknown(world: Microsoft, fault: Fault) -> None:
    world.post_event("OLD-1", {"West US": "Active"}, world.clock - timedelta(days=5))
    world.script.extend([None, None, fault])

    snapshot = checker(world).check(frozenset({"OLD-1", "OLD-0"}))

    assert snapshot.unknown == {"OLD-0", "OLD-1"}
    assert "could not be read" in snapshot.warnings[0]


def test_lookups_are_bounded_and_what_was_not_asked_is_unknown(world: Microsoft) -> None:
    assert len(checker(world).check(frozenset(f"E-{number:02}" for number in range(13))).unknown) == 3


def test_each_tracked_event_has_its_turn_to_be_looked_up(world: Microsoft) -> None:
    left = tracked = frozenset(f"E-{number:02}" for number in range(13))
    reader = checker(world)
    for _ in range(40):
        left = left & reader.check(tracked).unknown

    assert left == NONE


def test_an_id_with_odd_characters_stays_inside_its_path(world: Microsoft) -> None:
    checker(world).check(frozenset({"../x?y=#z"}))

    assert world.requests[-1].path.endswith("/events/..%2Fx%3Fy%3D%23z")


def test_only_the_status_ends_an_event_and_it_may_open_again(world: Microsoft) -> None:
    reader = checker(world)
    world.post_event("E-1", {"West US": "Active"}, title="Active - Slow")
    seen = [reader.check(NONE).events[0]]
    world.post_event("E-1", {"West US": "Resolved"}, status="Resolved", title="Slow - Mitigated")
    seen += reader.check(frozenset({"E-1"})).events
    world.post_event("E-1", {"West US": "Active"}, status="Active", impactMitigationTime="2026-11-20T00:00:00Z")
    seen += reader.check(frozenset({"E-1"})).events

    assert [event.status.value for event in seen] == ["firing", "resolved", "firing"]
    times = [event.at for event in seen if event.at]
    assert times == sorted(set(times))
    assert len(times) == 3


def test_an_expired_token_is_replaced_once_in_the_middle_of_a_check(world: Microsoft) -> None:
    reader = checker(world)
    reader.check(NONE)
    world.revoke()
    world.post_event("E-1", {})

    assert len(reader.check(NONE).events) == 1
    assert world.issued == 2


def test_a_missing_role_is_told_by_the_code_of_the_answer(world: Microsoft) -> None:
    world.roles = False

    with pytest.raises(SourceError) as caught:
        checker(world).check(NONE)

    assert caught.value.reason is Reason.FORBIDDEN
    assert "HTTP 403, AuthorizationFailed" in str(caught.value)
    assert "prose" not in str(caught.value)
    assert world.issued == 1


def test_a_rate_limited_list_says_how_long_to_wait(world: Microsoft) -> None:
    world.retry_after = "90"
    world.script.extend([None, Fault.RATE_LIMIT])

    with pytest.raises(SourceError) as caught:
        checker(world).check(NONE)

    assert (caught.value.reason, caught.value.retry_after) == (Reason.RATE_LIMITED, 90.0)


@pytest.mark.parametrize("expected", ["somebody-else", OID])
def test_another_identity_than_the_one_expected_is_told_to_people(world: Microsoft, expected: str) -> None:
    warnings = checker(world, user_object_id=expected).check(NONE).warnings

    assert [OID in warning for warning in warnings] == ([] if expected == OID else [True])


def test_whatever_fails_on_the_way_an_open_event_never_looks_over(world: Microsoft) -> None:
    world.post_event("OLD-1", {"West US": "Active"}, world.clock - timedelta(days=5))
    world.post_event("NEW-1", {"West US": "Active"})
    reader, told = checker(world, timeout=0.2), 0
    world.chaos(0.3, seed=11)

    for _ in range(40):
        with suppress(SourceError):
            snapshot = reader.check(frozenset({"OLD-1", "NEW-1"}))
            told += 1
            states = {event.fingerprint: event.status for event in snapshot.events}
            assert set(states.values()) <= {EventStatus.FIRING}
            assert {"OLD-1", "NEW-1"} <= states.keys() | snapshot.unknown

    assert told


def config(**changes: Any) -> Config:
    return Config.model_validate({"kind": "azure", "subscription_id": SUBSCRIPTION, **changes})


def read(*properties: dict[str, Any], **changes: Any) -> Snapshot:
    entries = [{"name": f"E-{number}", "properties": event(**given)} for number, given in enumerate(properties)]
    return read_file(config(**changes), "azure", json.dumps({"value": entries}).encode())


def event(**changes: Any) -> dict[str, Any]:
    return {"eventType": "ServiceIssue", "status": "Active", "title": "Slow", **changes}


def impact(
    service: str = "Storage", subscriptions: tuple[str, ...] = (SUBSCRIPTION,), **regions: str
) -> dict[str, Any]:
    listed = [
        {"impactedRegion": region.replace("_", " "), "status": status, "impactedSubscriptions": list(subscriptions)}
        for region, status in regions.items()
    ]
    return {"impactedService": service, "impactedRegions": listed}


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("ServiceIssue", Kind.OUTAGE),
        ("serviceissue", Kind.OUTAGE),
        ("PlannedMaintenance", Kind.MAINTENANCE),
        ("SecurityAdvisory", None),
        ("HealthAdvisory", None),
        ("RCA", None),
        ("EmergingIssues", None),
        ("Billing", None),
    ],
)
def test_only_issues_and_planned_works_are_told(kind: str, told: Kind | None) -> None:
    snapshot = read({"eventType": kind})

    assert [event.kind for event in snapshot.events] == ([told] if told else [])
    assert snapshot.warnings == ()


@pytest.mark.parametrize(
    ("kind", "ends"), [("PlannedMaintenance", datetime(2026, 11, 21, tzinfo=UTC)), ("ServiceIssue", None)]
)
def test_the_mitigation_time_of_planned_work_is_its_planned_end(kind: str, ends: datetime | None) -> None:
    (told,) = read({"eventType": kind, "impactMitigationTime": "2026-11-21T00:00:00Z"}).events

    assert told.ends_at == ends


def test_security_advisories_are_told_where_they_are_asked_for() -> None:
    assert read({"eventType": "SecurityAdvisory"}, security_advisories=True).events[0].kind is Kind.OUTAGE


def test_words_of_the_vendor_that_are_not_known_open_nothing_and_are_told_to_people() -> None:
    snapshot = read({"eventType": "Omen"}, {"status": "Pondering"}, {"level": "Dire"})

    assert [event.fingerprint for event in snapshot.events] == ["E-2"]
    assert snapshot.events[0].severity is Severity.WARNING
    assert snapshot.warnings == (
        'event E-0 has an unknown type "Omen"',
        'event E-1 has an unknown status "Pondering"',
        'event E-2 has an unknown level "Dire"',
    )


@pytest.mark.parametrize(
    ("fields", "severity"),
    [
        ({}, "warning"),
        ({"level": "Warning", "eventLevel": "Informational"}, "warning"),
        ({"level": "Warning", "isHIR": True}, "error"),
        ({"level": "Warning", "priority": 0}, "error"),
        ({"level": "Warning", "priority": 14}, "warning"),
        ({"level": "Warning", "eventLevel": "Error"}, "error"),
        ({"level": "Critical", "isHIR": False}, "critical"),
        ({"level": "Warning", "eventLevel": "Critical"}, "critical"),
        ({"level": "Critical", "eventType": "PlannedMaintenance"}, "info"),
    ],
)
def test_the_severity_is_the_most_severe_of_what_is_said(fields: dict[str, Any], severity: str) -> None:
    assert read(fields).events[0].severity == severity


def test_an_event_names_where_it_still_goes_on() -> None:
    (told,) = read({"impact": [impact(West_US="Active", East_US="Resolved"), impact("SQL", West_US="Active")]}).events

    assert told.labels == {"region": "West US", "service": "SQL\nStorage", "state": "active"}


def test_the_order_in_which_places_are_listed_changes_nothing() -> None:
    at, places = "2026-11-20T01:00:00Z", [impact("SQL", West_US="Active"), impact("Storage", East_US="Active")]
    for place in places:
        place["impactedRegions"][0]["updates"] = [{"updateDateTime": at, "summary": place["impactedService"]}]

    assert read({"impact": places}).events == read({"impact": places[::-1]}).events


def test_an_event_that_is_over_in_all_our_regions_is_over_for_us() -> None:
    going_on = {"impact": [impact(West_US="Resolved", East_US="Active")]}

    assert read(going_on, only={"regions": ["west us"]}).events[0].status is EventStatus.RESOLVED
    assert read(going_on, only={"regions": ["East US", "West US"]}).events[0].status is EventStatus.FIRING
    assert read(going_on, only={"regions": ["North Europe"]}).events[0].status is EventStatus.FIRING
    assert read(going_on).events[0].status is EventStatus.FIRING


def test_an_active_event_whose_regions_are_all_over_goes_on() -> None:
    opened_again = {"impact": [impact(West_US="Resolved", East_US="Resolved")]}
    others = impact("SQL", ("somebody-else",), West_US="Active")

    assert read(opened_again).events[0].status is EventStatus.FIRING
    assert read(opened_again, only={"regions": ["West US"]}).events[0].status is EventStatus.FIRING
    assert read({"impact": [*opened_again["impact"], others]}).events[0].status is EventStatus.RESOLVED


def test_what_touches_other_subscriptions_alone_is_not_ours() -> None:
    others, both = impact("SQL", ("somebody-else",), West_US="Active"), impact(East_US="Active")

    assert read({"impact": [others]}).events == ()
    assert read({"impact": [others, both]}).events[0].labels["region"] == "East US"
    assert read({"impact": [impact("SQL", (), West_US="Active")]}).events[0].labels["region"] == "West US"


def test_two_entries_of_one_name_are_one_event_of_both_services() -> None:
    old = event(lastUpdateTime="2026-11-20T01:00:00Z", title="Old", impact=[impact(West_US="Active")])
    new = event(lastUpdateTime="2026-11-20T02:00:00Z", title="New", impact=[impact("SQL", West_US="Active")])
    body = {"value": [{"name": "E-1", "properties": new}, {"name": "E-1", "properties": old}]}

    (told,) = read_file(config(), "azure", json.dumps(body).encode()).events

    assert (told.title, told.labels["service"]) == ("New", "SQL\nStorage")
    assert told.at == datetime(2026, 11, 20, 2, tzinfo=UTC)


def test_the_newest_words_of_our_regions_are_told_as_plain_text() -> None:
    places = impact(West_US="Active", East_US="Active")
    posts = [("2026-11-20T01:00:00Z", "Old"), ("2026-11-20T03:00:00.123Z", "<p>We <b>mend</b> it &amp; more.</p>")]
    places["impactedRegions"][0]["updates"] = [{"updateDateTime": at, "summary": words} for at, words in posts]
    places["impactedRegions"][1]["updates"] = [{"updateDateTime": "2026-11-20T04:00:00Z", "summary": "Elsewhere"}]

    (told,) = read({"impact": [places], "summary": "Short"}, only={"regions": ["West US"]}).events

    assert told.description == "We mend it & more."
    assert told.at == datetime(2026, 11, 20, 4, tzinfo=UTC)
    assert read({"summary": "<p>Short</p>"}).events[0].description == "Short"


def test_the_texts_of_a_sensitive_event_are_not_passed_on() -> None:
    (told,) = read({"isEventSensitive": True, "summary": "Keys were read", "description": "Keys"}).events

    assert told.description == SENSITIVE


def test_a_time_that_means_none_is_none() -> None:
    (told,) = read({"impactStartTime": "0001-01-01T00:00:00", "lastUpdateTime": "soon"}).events

    assert (told.at, told.starts_at) == (None, None)


def test_a_single_event_is_a_payload_too() -> None:
    body = json.dumps({"name": "E-1", "properties": event()}).encode()

    assert [told.fingerprint for told in read_file(config(), "azure", body).events] == ["E-1"]


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b'{"value": null}', b'{"value": {}}', b'{"value": [1]}', b'{"value": [{"name": "x"}]}']
    + [b'{"error": {"code": "AuthorizationFailed"}}', b"<html>", b'{"value": [', b'{"value": [], "x": NaN}'],
)
def test_a_payload_without_its_list_is_unknown_and_never_quiet(body: bytes) -> None:
    with pytest.raises(SourceError) as caught:
        read_file(config(), "azure", body)

    assert caught.value.reason is Reason.GARBAGE


KEYS = """value name properties eventType status title summary level eventLevel isHIR priority impact impactedService
impactedRegions impactedRegion impactedSubscriptions updates updateDateTime lastUpdateTime impactStartTime"""
words = st.sampled_from(["ServiceIssue", "Active", "Resolved", "E-1", "2026-11-20T00:00:00Z"]) | st.text(max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=6),
    max_leaves=25,
)


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    with suppress(SourceError):
        snapshot = read_file(config(), "azure", json.dumps(value).encode())
        assert all(event.fingerprint and event.source == "azure" for event in snapshot.events)


@given(st.dictionaries(st.sampled_from(KEYS.split()), json_values, max_size=8))
def test_any_event_is_read_or_left_out(properties: dict[str, Any]) -> None:
    sound = {"name": "sound", "properties": event(impact=[impact(West_US="Active")])}
    body = {"value": [{"name": "odd", "properties": properties}, sound]}

    snapshot = read_file(config(), "azure", json.dumps(body).encode())

    assert "sound" in {told.fingerprint for told in snapshot.events}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(SourceError):
        read_file(config(), "azure", body)
