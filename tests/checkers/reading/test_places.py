"""What a page says of itself counts: a list that does not explain it is not complete, and the place is in trouble."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_checkers import slack
from service_checkers.json_page import checker as json_page
from service_checkers.reading.places import APART_MAX, PAGE, checked
from service_checkers.statuspage import checker as statuspage
from service_checkers.statuspage.payload import Places, parse, raised
from service_checkers.statuspage.summary import summary_of
from service_event_checker.core.errors import SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from tests.checkers.payloads import json_values

URL = "https://status.acme.example"
PAGE_CONFIG = statuspage.Config(kind="statuspage", url=URL)


def summary(indicator: str = "none", *states: str, **more: Any) -> dict[str, Any]:
    """A Statuspage summary, of components `c0`, `c1`, … in these states."""
    components = [{"id": f"c{number}", "name": f"C{number}", "status": state} for number, state in enumerate(states)]
    status = {"indicator": indicator, "description": "Partial System Outage"}
    return {"status": status, "components": components, "incidents": [], "scheduled_maintenances": [], **more}


def incident(*components: str, **more: Any) -> dict[str, Any]:
    named = [{"id": code, "name": code.upper(), "status": "operational"} for code in components]
    return {"id": "i1", "name": "Slow", "status": "investigating", "impact": "minor", "components": named, **more}


def read(payload: dict[str, Any]) -> Snapshot:
    return statuspage.read_file(PAGE_CONFIG, "acme", json.dumps(payload).encode())


def preset(name: str, payload: Any) -> Snapshot:
    config = json_page.Config(kind="json_page", url=URL, preset=name)
    return json_page.read_file(config, "acme", json.dumps(payload).encode())


def outages(snapshot: Snapshot) -> dict[str, Severity]:
    open_now = (event for event in snapshot.events if event.status is EventStatus.FIRING and event.kind is Kind.OUTAGE)
    return {event.fingerprint: event.severity for event in open_now}


def test_a_component_in_trouble_without_an_incident_is_an_outage_of_its_own() -> None:
    snapshot = read(summary("major", "operational", "major_outage", "degraded_performance"))

    assert outages(snapshot) == {"place:c1": Severity.CRITICAL, "place:c2": Severity.WARNING}
    assert snapshot.events[0] == Event(
        source="acme",
        fingerprint="place:c1",
        kind=Kind.OUTAGE,
        status=EventStatus.FIRING,
        title="C1: major outage (no incident posted)",
        severity=Severity.CRITICAL,
        description='The status page says "major outage" and lists no incident that explains it.',
        url=URL,
        labels={"component": "C1", "state": "major_outage"},
    )
    assert not snapshot.complete
    assert "lists no incident that explains: C1" in snapshot.warnings[0]


def test_a_red_page_whose_components_all_work_is_an_outage_of_the_page() -> None:
    snapshot = read(summary("critical", "operational"))

    assert outages(snapshot) == {PAGE: Severity.CRITICAL}
    assert snapshot.events[0].title == "Partial System Outage: critical (no incident posted)"
    assert not snapshot.complete


@pytest.mark.parametrize(
    ("indicator", "states"),
    [("none", ["operational"]), ("maintenance", ["under_maintenance"]), ("none", ["under_maintenance", "operational"])],
)
def test_a_page_that_is_well_or_under_maintenance_is_quiet_and_complete(indicator: str, states: list[str]) -> None:
    snapshot = read(summary(indicator, *states))

    assert (snapshot.events, snapshot.complete, snapshot.warnings) == ((), True, ())


@pytest.mark.parametrize("components", [("c0",), ("c0", "c1"), ()], ids=["it names", "among others", "names none"])
def test_an_incident_explains_the_components_that_it_names_or_any_if_it_names_none(components: tuple[str, ...]) -> None:
    snapshot = read(summary("major", "major_outage", "operational", incidents=[incident(*components)]))

    assert outages(snapshot) == {"i1": Severity.ERROR}
    assert snapshot.complete
    assert PAGE in snapshot.explains["i1"]
    assert "place:c0" in snapshot.explains["i1"]


def test_an_incident_on_another_component_explains_nothing_here() -> None:
    snapshot = read(summary("major", "major_outage", "degraded_performance", incidents=[incident("c1")]))

    assert set(outages(snapshot)) == {"i1", "place:c0"}
    assert not snapshot.complete


def test_an_incident_on_a_group_explains_the_components_in_it_and_the_group_is_not_told_twice() -> None:
    page = summary("major", "major_outage", "major_outage")
    page["components"][0] |= {"group": True, "components": ["c1"]}

    assert set(outages(read(page))) == {"place:c1"}
    assert set(outages(read({**page, "incidents": [incident("c0")]}))) == {"i1"}


def test_planned_work_explains_no_outage() -> None:
    work = incident("c0", id="m1", status="in_progress", impact="maintenance")

    assert set(outages(read(summary("major", "major_outage", scheduled_maintenances=[work])))) == {"place:c0"}


def test_an_incident_that_names_no_component_tells_which_are_in_trouble() -> None:
    (event,) = read(summary("major", "major_outage", "operational", incidents=[incident()])).events

    assert event.labels["impaired"] == "C0"


def test_an_incident_on_all_components_tells_which_of_them_work() -> None:
    (event,) = read(summary("minor", "operational", "degraded_performance", incidents=[incident("c0", "c1")])).events

    assert (event.labels["component"], event.labels["operational"]) == ("C0\nC1", "C0")


def test_a_page_on_which_all_components_of_an_incident_work_says_nothing_of_any() -> None:
    (event,) = read(summary("minor", "operational", "operational", incidents=[incident("c0", "c1")])).events

    assert "operational" not in event.labels


def test_many_components_in_trouble_are_one_outage_that_names_them_all() -> None:
    snapshot = read(summary("major", *["partial_outage"] * (APART_MAX + 1)))

    (event,) = snapshot.events
    assert (event.fingerprint, event.severity) == (PAGE, Severity.ERROR)
    assert len(event.labels["component"].split("\n")) == APART_MAX + 1
    assert not snapshot.complete


def test_an_unknown_word_of_the_page_is_not_good_news() -> None:
    snapshot = read(summary("dire", "pondering"))

    assert (snapshot.events, snapshot.complete) == ((), False)
    assert 'C0 has an unknown state "pondering"' in snapshot.warnings


RED: list[tuple[str, Any, dict[str, Severity]]] = [
    (
        "better_stack",
        {
            "data": {"attributes": {"aggregate_state": "degraded"}},
            "included": [
                {"type": "status_page_resource", "id": "5", "attributes": {"public_name": "A", "status": "degraded"}},
                {
                    "type": "status_page_resource",
                    "id": "6",
                    "attributes": {"public_name": "B", "status": "maintenance"},
                },
            ],
        },
        {"place:5": Severity.WARNING},
    ),
    (
        "better_stack",
        {"data": {"attributes": {"aggregate_state": "downtime"}}, "included": []},
        {PAGE: Severity.CRITICAL},
    ),
    ("instatus", {"page": {"status": "HASISSUES"}, "activeIncidents": []}, {PAGE: Severity.WARNING}),
    (
        "instatus",
        {
            "page": {"status": "HASISSUES"},
            "activeIncidents": [],
            "components": [{"id": "x", "name": "Web", "status": "PARTIALOUTAGE"}],
        },
        {"place:x": Severity.ERROR},
    ),
    (
        "status_io",
        {
            "result": {
                "status_overall": {"status_code": 500},
                "status": [{"id": "b", "name": "Builds", "status_code": 500}, {"id": "w", "status_code": 100}],
                "incidents": [],
                "maintenance": {"active": [], "upcoming": []},
            }
        },
        {"place:b": Severity.CRITICAL},
    ),
    (
        "incident_io",
        {
            "summary": {
                "public_url": URL,
                "components": [{"id": "g", "name": "Gov"}],
                "affected_components": [{"component_id": "g", "status": "full_outage"}],
                "ongoing_incidents": [],
            }
        },
        {"place:g": Severity.CRITICAL},
    ),
    (
        "heroku",
        {"status": [{"system": "Apps", "status": "red"}, {"system": "Data", "status": "green"}], "incidents": []},
        {"place:Apps": Severity.CRITICAL},
    ),
]


@pytest.mark.parametrize(("name", "payload", "expected"), RED, ids=[name for name, _, _ in RED])
def test_each_preset_believes_the_page_rather_than_its_empty_list(
    name: str, payload: Any, expected: dict[str, Severity]
) -> None:
    snapshot = preset(name, payload)

    assert outages(snapshot) == expected
    assert not snapshot.complete
    assert snapshot.own == set(expected)


def test_a_page_in_json_is_explained_by_an_incident_that_names_the_component() -> None:
    name, payload, _ = RED[4]
    builds = {"_id": "n1", "name": "Stuck", "components_affected": [{"name": "Builds"}]}
    payload = {"result": {**payload["result"], "incidents": [builds]}}

    assert set(outages(preset(name, payload))) == {"n1"}
    assert preset(name, payload).complete


def test_slack_that_says_active_and_lists_nothing_is_an_outage() -> None:
    config = slack.Config(kind="slack", url="https://slack-status.com")
    snapshot = slack.read_file(config, "slack", b'{"status": "active", "active_incidents": []}')

    assert outages(snapshot) == {PAGE: Severity.WARNING}
    assert not snapshot.complete


lists = st.lists(json_values | st.builds(incident, st.sampled_from(["c0", "c1", "c2", "x"])), max_size=4)
states = st.lists(st.sampled_from(["operational", "under_maintenance", "major_outage", "odd"]), max_size=4)


@given(st.sampled_from(["minor", "major", "critical"]), states, lists, lists)
def test_whatever_the_list_a_red_page_is_never_complete_and_empty(
    indicator: str, states: list[str], incidents: list[Any], planned: list[Any]
) -> None:
    try:
        snapshot = read(summary(indicator, *states, incidents=incidents, scheduled_maintenances=planned))
    except SourceError:
        return
    assert outages(snapshot) or not snapshot.complete


@given(st.sampled_from(RED), st.lists(json_values, max_size=3))
def test_whatever_the_list_a_red_page_in_json_is_never_complete_and_empty(
    red: tuple[str, Any, dict[str, Severity]], entries: list[Any]
) -> None:
    name, payload, _ = red
    key = {"better_stack": "included", "instatus": "activeIncidents", "heroku": "incidents"}.get(name)
    if key is None:
        return
    try:
        snapshot = preset(name, {**payload, key: entries})
    except SourceError:
        return
    assert outages(snapshot) or not snapshot.complete


class TestTheEndOfAPlacesOutage:
    def check(self, payload: dict[str, Any], *tracked: str) -> Snapshot:

        reading = parse("acme", URL, payload)
        read = Snapshot(source="acme", events=raised(reading.events, reading.level), complete=True)
        return checked(read, summary_of(URL, payload, Places.of(payload)), frozenset(tracked), reading.named)

    def test_it_ends_when_the_page_shows_the_component_as_working(self) -> None:
        snapshot = self.check(summary("major", "operational", "major_outage"), "place:c0", "place:c1")

        assert {event.fingerprint: event.status for event in snapshot.events} == {
            "place:c0": EventStatus.RESOLVED,
            "place:c1": EventStatus.FIRING,
        }

    def test_that_of_the_page_ends_when_the_page_is_well(self) -> None:
        (event,) = self.check(summary("none", "operational"), PAGE).events

        assert (event.fingerprint, event.status) == (PAGE, EventStatus.RESOLVED)

    def test_it_goes_on_while_the_component_is_in_trouble_although_an_incident_explains_it_by_now(self) -> None:
        page = summary("major", "major_outage", "operational", incidents=[incident("c0")])

        snapshot = self.check(page, "place:c0", PAGE)

        assert outages(snapshot) == {"i1": Severity.ERROR, "place:c0": Severity.CRITICAL, PAGE: Severity.ERROR}
        assert snapshot.events[-1].title == "C0: major outage"
        assert snapshot.complete

    def test_a_word_that_nobody_knows_ends_nothing(self) -> None:
        snapshot = self.check(summary("dire", "pondering"), "place:c0", PAGE)

        assert (snapshot.events, snapshot.unknown) == ((), {"place:c0", PAGE})

    def test_without_the_summary_it_is_unknown(self) -> None:

        snapshot = checked(Snapshot(source="acme", complete=True), None, frozenset({"place:c0", "i1"}))

        assert snapshot.unknown == {"place:c0"}
