"""The statuspage checker against pages that open, change, break and heal."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from service_checkers.statuspage.checker import Checker, Config
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import Snapshot
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from tests.doubles.base import Answer, Double, Fault, Request
from tests.doubles.statuspages import StatusPages

NONE: frozenset[str] = frozenset()


@pytest.fixture
def world() -> Iterator[StatusPages]:
    with StatusPages() as pages:
        pages.page("github")
        yield pages
        assert pages.refused == []


def checker(world: StatusPages, endpoint: str = "", page: str = "github") -> Checker:
    url = f"{world.page(page).url}{endpoint}"
    return Checker(page, Config(kind="statuspage", url=url, timeout=timedelta(seconds=1)))


def asked(world: StatusPages) -> list[str]:
    return [request.path.removeprefix("/page/github/api/v2/") for request in world.requests]


ENDPOINTS = [
    "",
    "/api/v2/summary.json",
    "/api/v2/incidents/unresolved.json",
    "/api/v2/incidents.json",
    "/api/v2/status.json",
]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_any_address_of_a_page_gives_the_whole_picture(world: StatusPages, endpoint: str) -> None:
    world.open_incident("github", "i1", "Actions is slow", "major", ("Runtime / Actions", "Pages"))
    world.open_incident("github", "i2", "Over at once")
    world.resolve_incident("github", "i2")
    world.schedule_maintenance("github", "m1", "Upgrade", world.clock + timedelta(days=1))

    snapshot = checker(world, endpoint).check(NONE)

    by_id = {event.fingerprint: event for event in snapshot.events}
    assert snapshot.complete
    assert (by_id["i1"].status, by_id["i1"].severity) == (EventStatus.FIRING, Severity.ERROR)
    assert by_id["i1"].labels["component"] == "Actions\nPages"
    assert by_id["i1"].labels["group"] == "Runtime"
    assert by_id["i2"].status is EventStatus.RESOLVED
    assert by_id["m1"].kind is Kind.MAINTENANCE
    assert snapshot.warnings == ()


def test_a_tracked_incident_that_is_over_brings_its_last_words(world: StatusPages) -> None:
    world.open_incident("github", "i1", "Actions is slow")
    world.resolve_incident("github", "i1", "<p>All queues are <b>empty</b>.</p>")

    (event,) = checker(world).check(frozenset({"i1"})).events

    assert (event.status, event.description) == (EventStatus.RESOLVED, "All queues are empty.")


def test_a_tracked_incident_older_than_the_list_is_asked_for_by_its_id(world: StatusPages) -> None:
    world.open_incident("github", "old", "Long ago")
    world.resolve_incident("github", "old")
    for number in range(50):
        world.open_incident("github", f"i{number}", "Newer")
        world.resolve_incident("github", f"i{number}")

    snapshot = checker(world).check(frozenset({"old"}))

    assert {event.status for event in snapshot.events if event.fingerprint == "old"} == {EventStatus.RESOLVED}
    assert "incidents/old.json" in asked(world)


def test_a_finished_maintenance_is_found_in_its_own_list(world: StatusPages) -> None:
    world.schedule_maintenance("github", "m1", "Upgrade", world.clock)
    world.update_incident("github", "m1", "in_progress", "We began.")
    world.update_incident("github", "m1", "completed", "All done.")

    snapshot = checker(world).check(frozenset({"m1"}))

    assert [(event.kind, event.status) for event in snapshot.events] == [(Kind.MAINTENANCE, EventStatus.RESOLVED)]


def test_an_incident_that_the_page_no_longer_knows_is_absent_not_unknown(world: StatusPages) -> None:
    snapshot = checker(world).check(frozenset({"deleted"}))

    assert (snapshot.events, snapshot.unknown, snapshot.complete) == ((), NONE, True)


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.HTML, Fault.RESET, Fault.HANG, Fault.RATE_LIMIT])
@pytest.mark.parametrize("good_before", [2, 3], ids=["list of planned work", "single incident"])
def test_a_tracked_incident_that_cannot_be_read_is_unknown(world: StatusPages, fault: Fault, good_before: int) -> None:
    world.script.extend([*[None] * good_before, fault])

    assert checker(world).check(frozenset({"gone"})).unknown == {"gone"}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_whatever_fails_on_the_way_an_open_incident_never_looks_over(world: StatusPages, endpoint: str) -> None:
    world.open_incident("github", "i1", "Actions is slow")
    reader, told = checker(world, endpoint), 0
    world.chaos(0.5, seed=7)

    for _ in range(40):
        with suppress(SourceError):
            snapshot = reader.check(frozenset({"i1"}))
            told += 1
            firing = {event.fingerprint for event in snapshot.events if event.status is EventStatus.FIRING}
            assert "i1" in firing | snapshot.unknown or not snapshot.complete

    assert told


def test_an_incident_on_a_whole_group_names_the_group(world: StatusPages) -> None:
    world.add_component("github", "Databases", "US East")
    world.open_incident("github", "i1", "All is slow", components=("US East",))

    (event,) = checker(world).check(NONE).events

    assert (event.labels["component"], event.labels["group"]) == ("US East", "US East")


def test_lookups_are_bounded_and_what_was_not_asked_is_unknown(world: StatusPages) -> None:
    tracked = frozenset(f"i{number:02}" for number in range(14))

    snapshot = checker(world).check(tracked)

    assert len(snapshot.unknown) == 4
    assert snapshot.unknown < tracked
    assert len(world.requests) == 13


def test_each_tracked_incident_has_its_turn_to_be_looked_up(world: StatusPages) -> None:
    tracked = frozenset(f"i{number:02}" for number in range(14))
    page = checker(world)
    left = tracked
    for _ in range(40):
        left = left & page.check(tracked).unknown

    assert left == frozenset()


BREAKAGES = {
    "html": Reason.GARBAGE,
    "500": Reason.SERVER_ERROR,
    "truncated": Reason.GARBAGE,
    "empty": Reason.GARBAGE,
    "hang": Reason.TIMEOUT,
    "missing key": Reason.GARBAGE,
}


@pytest.mark.parametrize("endpoint", ["", "/api/v2/incidents/unresolved.json", "/api/v2/incidents.json"])
@pytest.mark.parametrize("how", BREAKAGES)
def test_a_page_that_it_cannot_read_is_unknown_not_quiet(world: StatusPages, how: str, endpoint: str) -> None:
    world.open_incident("github", "i1", "Actions is slow")
    reader = checker(world, endpoint)
    reader.check(NONE)
    world.broken["github"] = how  # type: ignore[assignment]

    with pytest.raises(SourceError) as caught:
        reader.check(frozenset({"i1"}))

    assert caught.value.reason is BREAKAGES[how]
    del world.broken["github"]
    assert reader.check(frozenset({"i1"})).complete


def test_one_broken_page_does_not_disturb_another(world: StatusPages) -> None:
    world.page("retool")
    world.broken["retool"] = "hang"
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(checker(world, page="retool").check, NONE)

        assert checker(world).check(NONE).complete
        assert not hanging.done()
        assert isinstance(hanging.exception(), SourceError)


class Recorded(Double):
    """A page that answers each endpoint with what a test wrote for it."""

    def __init__(self, **payloads: dict[str, Any]) -> None:
        super().__init__()
        self.payloads = payloads

    def handle(self, request: Request) -> Answer:
        payload = self.payloads.get(request.path.rpartition("/")[2].removesuffix(".json"))
        return Answer.json(payload) if payload else Answer(404)

    def check(self) -> Snapshot:
        return Checker("acme", Config(kind="statuspage", url=self.url, timeout=timedelta(seconds=1))).check(NONE)


def incident(status: str, updated_at: str) -> dict[str, Any]:
    return {"incidents": [{"id": "i1", "name": "Slow", "status": status, "impact": "minor", "updated_at": updated_at}]}


@pytest.mark.parametrize(
    ("present", "past", "status"),
    [("03:00", "03:05", EventStatus.RESOLVED), ("03:05", "03:00", EventStatus.FIRING)],
    ids=["the present is stale", "the past is stale"],
)
def test_of_two_lists_that_disagree_the_newer_word_counts(present: str, past: str, status: EventStatus) -> None:
    now, then = incident("monitoring", f"2026-11-20T{present}:00Z"), incident("resolved", f"2026-11-20T{past}:00Z")

    with Recorded(summary=now, incidents=then) as page:
        assert isinstance(page, Recorded)
        assert [event.status for event in page.check().events] == [status]


def test_a_summary_without_its_list_is_unknown_although_its_level_is_good() -> None:
    calm = {"page": {"id": "p1"}, "status": {"indicator": "none", "description": "All Systems Operational"}}

    with Recorded(summary=calm, incidents={"incidents": []}) as page:
        assert isinstance(page, Recorded)
        with pytest.raises(SourceError, match="missing"):
            page.check()


def test_without_the_list_of_the_past_the_present_is_still_told(world: StatusPages) -> None:
    world.open_incident("github", "i1", "Actions is slow")
    world.script.extend([None, Fault.ERROR])

    snapshot = checker(world).check(NONE)

    assert [event.fingerprint for event in snapshot.events] == ["i1"]
    assert snapshot.complete
    assert "server error" in snapshot.warnings[0]


def test_a_summary_that_fails_once_takes_no_group_from_an_incident(world: StatusPages) -> None:
    world.open_incident("github", "i1", "Slow", components=("US East / Databases",))
    reader = checker(world, "/api/v2/incidents/unresolved.json")
    first = reader.check(NONE)
    world.script.append(Fault.ERROR)

    second = reader.check(NONE)

    assert second.events == first.events
    assert second.events[0].labels["group"] == "US East"


def test_the_level_of_the_page_counts_while_the_summary_is_stale_or_fails() -> None:
    old, new = incident("monitoring", "2026-11-20T03:00:00Z"), incident("monitoring", "2026-11-20T03:05:00Z")
    critical = {**old, "status": {"indicator": "critical"}}

    with Recorded(summary=critical, unresolved=new, incidents=new) as page:
        assert isinstance(page, Recorded)
        reader = Checker("acme", Config(kind="statuspage", url=f"{page.url}/api/v2/incidents/unresolved.json"))
        stale = reader.check(NONE).events
        page.payloads["summary"] = {"no": "list"}
        page.payloads["unresolved"] = {"incidents": [*new["incidents"], {**new["incidents"][0], "id": "i2"}]}
        failed = {event.fingerprint: event.severity for event in reader.check(NONE).events}
        page.payloads["summary"] = {**new, "status": {"indicator": "minor"}}
        eased = {event.severity for event in reader.check(NONE).events}

    assert [event.severity for event in stale] == [Severity.CRITICAL]
    assert failed == {"i1": Severity.CRITICAL, "i2": Severity.WARNING}
    assert eased == {Severity.WARNING}


def test_an_unchanged_page_gives_the_same_snapshot_from_a_304(world: StatusPages) -> None:
    world.open_incident("github", "i1", "Actions is slow")
    reader = checker(world)

    first, second = reader.check(NONE), reader.check(NONE)

    assert first == second
    assert all("If-None-Match" in request.headers for request in world.requests[2:])


def test_a_rate_limited_page_says_how_long_to_wait(world: StatusPages) -> None:
    world.retry_after = "90"
    world.script.append(Fault.RATE_LIMIT)

    with pytest.raises(SourceError) as caught:
        checker(world).check(NONE)

    assert (caught.value.reason, caught.value.retry_after) == (Reason.RATE_LIMITED, 90.0)


def test_a_page_without_a_summary_is_read_by_its_other_lists(world: StatusPages) -> None:
    world.open_incident("github", "i1", "Actions is slow")
    world.missing = {"summary"}

    snapshot = checker(world).check(NONE)

    assert snapshot.complete
    assert [event.fingerprint for event in snapshot.events] == ["i1"]


def test_a_page_with_nothing_but_its_past_is_never_complete(world: StatusPages) -> None:
    world.open_incident("github", "i1", "Actions is slow")
    world.missing = {"summary", "incidents/unresolved"}

    snapshot = checker(world).check(NONE)

    assert not snapshot.complete
    assert [event.fingerprint for event in snapshot.events] == ["i1"]


def test_an_address_without_any_list_is_not_found(world: StatusPages) -> None:
    with pytest.raises(SourceError) as caught:
        checker(world, "/elsewhere").check(NONE)

    assert caught.value.reason is Reason.NOT_FOUND


def test_an_id_with_odd_characters_stays_inside_its_path(world: StatusPages) -> None:
    checker(world).check(frozenset({"../../x?y=#z"}))

    assert world.requests[-1].path == "/page/github/api/v2/incidents/..%2F..%2Fx%3Fy%3D%23z.json"


@pytest.mark.parametrize("url", ["status.example.com", "ftp://h.example", "https://", ""])
def test_a_configured_address_that_is_none_is_refused_at_start(url: str) -> None:
    with pytest.raises(ValidationError):
        Config(kind="statuspage", url=url)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_it_lists_all_components_and_groups(world: StatusPages, endpoint: str) -> None:
    world.add_component("github", "Actions", group="Runtime")
    world.add_component("github", "Pages")

    listed = checker(world, endpoint).check(NONE).listed

    assert {"Actions", "Pages"} <= listed["component"]
    assert listed["group"] == {"Runtime"}


def test_it_remembers_them_while_the_summary_cannot_be_read(world: StatusPages) -> None:
    world.add_component("github", "Actions")
    page = checker(world, "/api/v2/incidents/unresolved.json")
    before = page.check(NONE).listed
    world.broken["github"] = "500"
    with suppress(SourceError):
        page.check(NONE)
    world.broken.clear()

    assert page.check(NONE).listed == before
