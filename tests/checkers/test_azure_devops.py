"""Azure DevOps: places that are unwell, well again, or beyond anybody's knowledge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_checkers.azure_devops import Checker, Config, health_address, read_file
from service_event_checker.core.errors import SourceError
from service_event_checker.core.model import Snapshot
from service_event_checker.core.tracker import absent, track
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity, Status
from tests.checkers.payloads import hostile, json_values
from tests.doubles.base import Answer, Double, Request
from tests.doubles.vendors import Vendors

NONE: frozenset[str] = frozenset()
CONFIG = Config(kind="azure_devops", url="https://status.dev.azure.com")
US = "/_apis/status/health?geographies=US&api-version=7.2-preview.1"


@pytest.fixture
def world() -> Iterator[Vendors]:
    with Vendors() as vendors:
        yield vendors
        assert vendors.refused == []


class Stub(Double):
    """A page with the services that a test wrote for it."""

    def __init__(self, services: list[Any]) -> None:
        super().__init__()
        self.services = services

    def handle(self, request: Request) -> Answer:
        return Answer.json({"services": self.services})


def check(world: Vendors, *tracked: str, endpoint: str = US, **config: Any) -> Snapshot:
    url = world.base("azure_devops") + endpoint
    made = Config(kind="azure_devops", url=url, timeout=timedelta(seconds=1), **config)
    return Checker("ado", made).check(frozenset(tracked))


def read(payload: Any) -> Snapshot:
    return read_file(CONFIG, "ado", payload if isinstance(payload, bytes) else json.dumps(payload).encode())


def place(health: Any, service: str = "Pipelines", **more: Any) -> dict[str, Any]:
    geographies = [{"id": "US", "name": "United States", "health": health}]
    return {"status": {"health": "healthy"}, "services": [{"id": service, "geographies": geographies}], **more}


def test_a_place_that_is_unwell_is_an_event_of_its_own(world: Vendors) -> None:
    world.set_health("Pipelines", "degraded")
    world.set_health("Boards", "unhealthy")
    world.message = "Some <b>builds</b> wait"

    snapshot = check(world)

    boards, pipelines = sorted(snapshot.events, key=lambda event: event.fingerprint)
    assert (boards.fingerprint, boards.severity) == ("Boards:US", Severity.CRITICAL)
    assert (pipelines.fingerprint, pipelines.severity) == ("Pipelines:US", Severity.ERROR)
    assert (pipelines.kind, pipelines.status) == (Kind.OUTAGE, EventStatus.FIRING)
    assert pipelines.title == "Pipelines: degraded in United States"
    assert pipelines.description == "Some builds wait"
    assert pipelines.labels == {"service": "Pipelines", "region": "US", "state": "degraded"}
    assert (pipelines.url, pipelines.starts_at) == ("https://status.dev.azure.com/", None)
    assert snapshot.complete


def test_the_state_of_other_geographies_is_no_event(world: Vendors) -> None:
    world.set_health("Pipelines", "unhealthy", region="EU")

    assert check(world).events == ()
    assert [event.fingerprint for event in check(world, endpoint="").events] == ["Pipelines:EU"]


def test_a_place_that_is_well_again_is_absent_from_a_complete_list(world: Vendors) -> None:
    snapshot = check(world, "Pipelines:US")

    assert (snapshot.events, snapshot.unknown, snapshot.complete) == ((), NONE, True)


@pytest.mark.parametrize("health", ["unknown", "poorly", ""])
def test_a_tracked_place_that_nobody_judges_is_unknown_never_over(world: Vendors, health: str) -> None:
    world.set_health("Pipelines", health)

    snapshot = check(world, "Pipelines:US", "Repos:US")

    assert (snapshot.events, snapshot.unknown) == ((), {"Pipelines:US"})
    assert "Pipelines" in snapshot.warnings[0]


def test_a_service_that_names_no_place_keeps_no_other_open() -> None:
    well = place("healthy")["services"][0]

    with Stub([well, {"id": "Boards", "geographies": []}, {"id": "Repos"}]) as page:
        url = f"{page.url}/?geographies=US"
        made = Config(kind="azure_devops", url=url, timeout=timedelta(seconds=1))
        snapshot = Checker("ado", made).check(frozenset({"Pipelines:US", "Boards:US", "Repos:US"}))

    assert snapshot.complete
    assert snapshot.unknown == {"Boards:US", "Repos:US"}


def test_a_place_that_the_address_no_longer_asks_for_is_not_unknown_for_ever(world: Vendors) -> None:
    assert check(world, "Pipelines:EU").unknown == NONE


def test_an_advisory_is_information_and_an_event_only_where_wished_for(world: Vendors) -> None:
    world.set_health("Repos", "advisory")

    assert check(world, "Repos:US").events == ()
    assert check(world, "Repos:US").unknown == NONE
    assert [event.severity for event in check(world, advisories=True).events] == [Severity.INFO]


@pytest.mark.parametrize("how", ["html", "500", "truncated", "empty", "missing key"])
def test_a_page_that_it_cannot_read_is_unknown_not_quiet(world: Vendors, how: Any) -> None:
    world.broken["azure_devops"] = how

    with pytest.raises(SourceError):
        check(world, "Pipelines:US")


def test_one_bad_period_is_one_episode_and_an_unknown_poll_does_not_end_it(world: Vendors) -> None:
    alert, now = None, world.clock
    for health, status, episode in [
        ("unhealthy", Status.FIRING, 1),
        ("healthy", Status.FIRING, 1),
        ("degraded", Status.FIRING, 1),
        ("healthy", Status.FIRING, 1),
        ("unknown", Status.FIRING, 1),
        ("advisory", Status.RESOLVED, 1),
        ("degraded", Status.FIRING, 2),
    ]:
        world.set_health("Pipelines", health)
        snapshot = check(world, "Pipelines:US")
        for event in snapshot.events:
            alert = track(alert, event, now).alert
        for change in absent([alert] if alert else [], snapshot, 2, now):
            alert = change.alert

        assert alert is not None
        assert (alert.status, alert.episode) == (status, episode), health


def test_the_time_of_the_page_is_taken_where_it_tells_one() -> None:
    (event,) = read(place("degraded", lastUpdated="2026-11-18T08:10:32.1230000Z")).events

    assert event.at == datetime(2026, 11, 18, 8, 10, 32, 123000, tzinfo=UTC)


@pytest.mark.parametrize(
    "broken", [{"services": []}, {"services": None}, {"services": [7]}, {"services": [{"id": "Boards"}]}, []]
)
def test_an_answer_without_services_is_refused(broken: Any) -> None:
    with pytest.raises(SourceError):
        read(broken)


def test_a_list_with_an_entry_that_cannot_be_read_is_not_complete() -> None:
    payload = place("healthy")
    payload["services"].append({"id": "Boards", "geographies": None})

    assert not read(payload).complete


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://h.example", "https://h.example/_apis/status/health?api-version=7.2-preview.1"),
        (
            "https://h.example/?geographies=EU",
            "https://h.example/_apis/status/health?geographies=EU&api-version=7.2-preview.1",
        ),
        (f"https://h.example{US}", f"https://h.example{US}"),
    ],
)
def test_any_address_of_the_page_will_do(url: str, asked: str) -> None:
    assert health_address(url) == asked


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    hostile(read, value)


@given(st.lists(st.fixed_dictionaries({}, optional={"id": json_values, "geographies": json_values}), max_size=3))
def test_any_list_of_services_is_read_or_refused(services: list[Any]) -> None:
    hostile(read, {"services": services})
    assert [event.fingerprint for event in read(with_sound(services)).events if event.fingerprint == "Sound:US"]


def with_sound(services: list[Any]) -> dict[str, Any]:
    return {"services": [*services, *place("degraded", "Sound")["services"]]}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    hostile(read, body)


def test_it_lists_the_services_and_geographies_that_the_address_asks_for(world: Vendors) -> None:
    listed = check(world).listed

    assert listed["region"] == {"US"}
    assert {"Pipelines", "Boards"} <= listed["service"]
