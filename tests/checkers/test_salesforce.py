"""Salesforce: incidents on our instances, on others', and how they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_checkers.salesforce import Checker, Config, api_address, read_file
from service_event_checker.core.clean import clean
from service_event_checker.core.errors import SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import Affects, EventStatus, Severity
from service_event_checker.engine.selection import affects_us
from tests.checkers.payloads import hostile, json_values
from tests.doubles.base import Fault
from tests.doubles.vendors import Vendors

NONE: frozenset[str] = frozenset()
CONFIG = Config(kind="salesforce", instances=("NA137", "CS5"))
ONE = (Path(__file__).parent / "data" / "salesforce_active.json").read_bytes()


@pytest.fixture
def world() -> Iterator[Vendors]:
    with Vendors() as vendors:
        yield vendors
        assert vendors.refused == []


def check(world: Vendors, *tracked: str) -> Snapshot:
    url = world.base("salesforce") + "/v1/incidents/active"
    config = Config(kind="salesforce", url=url, instances=("NA137",), timeout=timedelta(seconds=1))
    return Checker("sf", config).check(frozenset(tracked))


def read(payload: Any) -> Snapshot:
    return read_file(CONFIG, "sf", payload if isinstance(payload, bytes) else json.dumps(payload).encode())


def incident(**changes: Any) -> dict[str, Any]:
    return {"id": 1, "instanceKeys": ["NA137"], "IncidentImpacts": [impact()], **changes}


def impact(**changes: Any) -> dict[str, Any]:
    return {"startTime": "2026-11-20T02:00:00Z", "endTime": None, "severity": "minor", **changes}


def only_event(**changes: Any) -> Event:
    (event,) = read([incident(**changes)]).events
    return event


def affects(event: Event, config: Config = CONFIG) -> Affects:
    return affects_us(clean(event), config.only, config.except_, config.when_unknown)


def test_an_incident_has_a_title_of_what_and_where() -> None:
    (event,) = read(ONE).events

    assert event.title == "Performance degradation: NA137"
    assert (event.fingerprint, event.severity) == ("5968", Severity.ERROR)
    assert event.description == "Engineers found it.\nA database"
    assert event.starts_at == datetime(2026, 11, 18, 1, tzinfo=UTC)  # before it was posted
    assert event.at == datetime(2026, 11, 20, 4, tzinfo=UTC)
    assert event.url == "https://status.salesforce.com/incidents/5968"
    assert event.labels == {"instance": "NA137", "service": "coreService"}


def test_only_what_is_on_our_instances_affects_us(world: Vendors) -> None:
    world.open_salesforce(1, ("NA99", "na137"))
    world.open_salesforce("2", ("EU9",))

    ours, other = check(world).events

    assert (affects(ours), affects(other)) == (Affects.YES, Affects.NO)


def test_the_order_in_which_instances_and_impacts_are_listed_changes_nothing() -> None:
    impacts = [{"type": kind, "severity": "major", "endTime": None} for kind in ("outage", "slowness")]
    one = {"id": 1, "instanceKeys": ["NA1", "NA2"], "serviceKeys": ["a", "b"], "IncidentImpacts": impacts}
    other = {name: value[::-1] if isinstance(value, list) else value for name, value in one.items()}

    assert read([one]).events == read([other]).events


def test_ours_is_found_among_hundreds_of_instances() -> None:
    assert affects(only_event(instanceKeys=[f"NA{number}" for number in range(900)])) is Affects.YES


def test_an_incident_that_names_no_instance_may_be_ours() -> None:
    assert affects(only_event(instanceKeys=[])) is Affects.UNKNOWN


def test_an_incident_that_ended_is_asked_for_and_brings_its_cause(world: Vendors) -> None:
    world.open_salesforce(5968, ("NA137",))
    world.end_salesforce(5968, "A switch failed.")

    snapshot = check(world, "5968")

    assert [(event.status, event.description) for event in snapshot.events] == [
        (EventStatus.RESOLVED, "A switch failed.")
    ]
    assert snapshot.complete


def test_an_incident_that_nobody_knows_any_more_is_absent(world: Vendors) -> None:
    snapshot = check(world, "gone")

    assert (snapshot.events, snapshot.unknown, snapshot.complete) == ((), NONE, True)


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.HTML, Fault.RESET, Fault.RATE_LIMIT])
def test_an_incident_whose_end_cannot_be_read_is_unknown(world: Vendors, fault: Fault) -> None:
    world.script.extend([None, fault])

    assert check(world, "1", "2").unknown == {"1", "2"}


def test_lookups_are_bounded_and_what_was_not_asked_is_unknown(world: Vendors) -> None:
    snapshot = check(world, *(f"i{number:02}" for number in range(12)))

    assert len(snapshot.unknown) == 2
    assert len(world.requests) == 12  # the list of open incidents, that of all instances, and ten lookups


def test_each_tracked_incident_has_its_turn_to_be_looked_up(world: Vendors) -> None:
    left = tracked = frozenset(f"i{number:02}" for number in range(12))
    for _ in range(40):
        left = left & check(world, *tracked).unknown

    assert left == NONE


def test_whatever_fails_on_the_way_an_open_incident_never_looks_over(world: Vendors) -> None:
    world.open_salesforce(1, ("NA137",))
    world.chaos(0.5, seed=7)
    told = 0

    for _ in range(40):
        with suppress(SourceError):
            snapshot = check(world, "1", "2")
            told += 1
            firing = {event.fingerprint for event in snapshot.events if event.status is EventStatus.FIRING}
            assert "1" in firing | snapshot.unknown or not snapshot.complete

    assert told


@pytest.mark.parametrize("how", ["html", "500", "truncated", "empty", "missing key"])
def test_a_page_that_it_cannot_read_is_unknown_not_quiet(world: Vendors, how: Any) -> None:
    world.broken["salesforce"] = how

    with pytest.raises(SourceError):
        check(world, "1")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"IncidentImpacts": [impact(endTime="")]}, EventStatus.FIRING),
        ({"IncidentImpacts": [impact(endTime="2026-11-20T03:00:00Z"), impact()]}, EventStatus.FIRING),
        ({"IncidentImpacts": [impact(endTime="2026-11-20T03:00:00Z")]}, EventStatus.RESOLVED),
        ({"IncidentImpacts": []}, EventStatus.FIRING),
        ({"status": "Resolved"}, EventStatus.RESOLVED),
        ({"status": "Active"}, EventStatus.FIRING),
        ({"status": "Active", "IncidentImpacts": [impact(endTime="2026-11-20T03:00:00Z")]}, EventStatus.FIRING),
    ],
)
def test_it_is_over_when_it_says_so_or_every_impact_has_an_end(changes: Any, status: EventStatus) -> None:
    assert only_event(**changes).status is status


def test_the_worst_impact_that_is_still_open_gives_the_severity() -> None:
    ended = impact(severity="major", endTime="2026-11-20T03:00:00Z")

    assert only_event(IncidentImpacts=[impact(), impact(severity="major")]).severity is Severity.ERROR
    assert only_event(IncidentImpacts=[impact(), ended]).severity is Severity.WARNING


def test_an_unknown_word_is_told_to_people() -> None:
    snapshot = read([incident(status="Pondering", IncidentImpacts=[impact(severity="dire")])])

    assert [event.severity for event in snapshot.events] == [Severity.WARNING]
    assert snapshot.warnings == (
        'incident 1 has an unknown status "pondering"',
        'incident 1 has an unknown severity "dire"',
    )


def test_an_incident_without_state_and_impacts_makes_the_list_incomplete(world: Vendors) -> None:
    world.salesforce["1"] = {"id": 1, "IncidentImpacts": [{"endTime": ""}]}
    world.salesforce["2"] = {"IncidentImpacts": [{"endTime": ""}]}

    assert not check(world).complete


def test_the_page_of_people_is_mapped_to_the_api_with_a_warning() -> None:
    address, warnings = api_address("https://status.salesforce.com/api/incidents/active")

    assert address == "https://api.status.salesforce.com/v1"
    assert "is asked instead" in warnings[0]


@pytest.mark.parametrize("url", ["http://h.example/v1/incidents/active", "http://h.example/v1/", "http://h.example"])
def test_any_address_of_the_api_will_do(url: str) -> None:
    assert api_address(url) == ("http://h.example/v1", ())


def test_instances_may_stand_in_one_text_as_a_variable_holds_them() -> None:
    config = Config.model_validate({"kind": "salesforce", "instances": "NA137, CS5"})

    assert config.instances == config.only.instances == ("NA137", "CS5")


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    hostile(read, value)


@given(
    st.lists(
        st.fixed_dictionaries(
            {}, optional={key: json_values for key in (*incident(), "status", "message", "IncidentEvents")}
        ),
        max_size=3,
    )
)
def test_any_incident_is_read_or_left_out(incidents: list[Any]) -> None:
    assert "sound" in {event.fingerprint for event in read([*incidents, incident(id="sound")]).events}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    hostile(read, body)


def test_it_lists_all_instances_and_asks_for_them_rarely(world: Vendors) -> None:
    config = Config(kind="salesforce", url=world.base("salesforce") + "/v1", instances=("NA137",))
    checker = Checker("sf", config)
    listed = [checker.check(NONE).listed for _ in range(3)]

    assert listed == [{"instance": frozenset({"NA137", "CS5"})}] * 3
    assert [request.path for request in world.requests].count("/salesforce/v1/instances/status") == 1


def test_what_is_open_is_told_also_where_the_instances_are_not(world: Vendors) -> None:
    world.instances = None

    assert check(world).listed == {"instance": NONE}
