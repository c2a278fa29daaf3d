"""A page's own word and the incident that is posted for it later are one alert, told once and closed once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_checkers.json_page.checker import Checker as JsonChecker
from service_checkers.json_page.checker import Config as JsonConfig
from service_checkers.statuspage.checker import Checker, Config
from service_event_checker.core import matchers
from service_event_checker.core.model import Alert, Snapshot
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Affects, EventStatus, Kind, Severity, Status, Why
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.places import MERGED_MAX, join
from service_event_checker.engine.polling import Poller, Watch
from service_event_checker.stores.sql.store import SqlStore
from tests.doubles.base import Answer, Double, Request
from tests.doubles.statuspages import StatusPages
from tests.factories import NOW, alert, event, receiver

PLACE = "place:api"
BOOK = Rulebook((Rule("all", matchers.parse(""), ("slack",)),), (), {"slack": receiver()})


class World:
    """A page, and a process that polls it once a minute."""

    def __init__(self, pages: StatusPages, store: SqlStore) -> None:
        self.pages = pages
        self.store = store
        self.now = datetime.now(UTC) - timedelta(minutes=10)
        self.component = pages.add_component("acme", "API")
        self.checker: Any = Checker("acme", Config(kind="statuspage", url=pages.page("acme").url))

    def poll(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += timedelta(seconds=60)
            watch = Watch(
                name="acme",
                checker=self.checker,
                every=timedelta(seconds=60),
                lease=timedelta(seconds=90),
                resolve_after=2,
                affects=lambda _event: Affects.YES,
            )
            poller = Poller(
                self.store, Pipeline(self.store, BOOK), {"acme": watch}, clock=lambda: self.now, jitter=lambda: 0.0
            )
            (slot,) = poller.take_due()
            assert isinstance(poller.poll(slot), Snapshot)

    def alerts(self) -> list[Alert]:
        return [*self.store.page(Query(open=True)).alerts, *self.store.page(Query(open=False)).alerts]

    def whys(self, found: Alert) -> list[Why]:
        return [row.why for row in self.store.timeline(found.key)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = SqlStore(f"sqlite:///{tmp_path}/places.db")
    store.prepare()
    with StatusPages() as pages:
        yield World(pages, store)
    store.close()


def test_the_incident_that_is_posted_later_goes_on_as_the_alert_of_its_component(world: World) -> None:
    world.component["status"] = "major_outage"
    world.poll()
    (first,) = world.alerts()
    world.pages.open_incident("acme", "b1", "API requests fail", "major", ("API",))
    world.poll()
    (second,) = world.alerts()
    world.component["status"] = "operational"
    world.poll()
    (third,) = world.alerts()
    world.pages.resolve_incident("acme", "b1", "All is well.")
    world.poll(3)
    (last,) = world.alerts()

    assert (first.title, first.severity) == ("API: major outage (no incident posted)", Severity.CRITICAL)
    assert (second.key, second.title, second.status) == (first.key, "API requests fail", Status.FIRING)
    assert third.status is Status.FIRING
    assert (last.key, last.episode, last.status, last.description) == (first.key, 1, Status.RESOLVED, "All is well.")


def test_an_incident_that_ends_before_its_component_works_does_not_end_the_alert(world: World) -> None:
    world.component["status"] = "major_outage"
    world.poll()
    world.pages.open_incident("acme", "b1", "API requests fail", "major", ("API",))
    world.poll()
    world.pages.resolve_incident("acme", "b1")
    world.poll()
    (still,) = world.alerts()
    world.component["status"] = "operational"
    world.poll()
    (over,) = world.alerts()

    assert (still.status, over.status, over.episode) == (Status.FIRING, Status.RESOLVED, 1)


def test_the_next_trouble_of_a_component_is_a_new_episode_that_the_old_incident_does_not_end(world: World) -> None:
    world.component["status"] = "major_outage"
    world.poll()
    world.pages.open_incident("acme", "b1", "API requests fail", "major", ("API",))
    world.poll()
    world.component["status"] = "operational"
    world.pages.resolve_incident("acme", "b1")
    world.poll(2)
    world.component["status"] = "partial_outage"
    world.poll(2)
    (again,) = world.alerts()

    assert (again.status, again.episode) == (Status.FIRING, 2)


def test_the_alerts_of_other_components_stay_open_until_these_work(world: World) -> None:
    web = world.pages.add_component("acme", "Web")
    world.component["status"] = web["status"] = "major_outage"
    world.poll()
    world.pages.open_incident("acme", "b1", "All requests fail", "major", ("API", "Web"))
    world.poll(3)
    during = {found.title: found.status for found in world.alerts()}
    world.component["status"] = web["status"] = "operational"
    world.pages.resolve_incident("acme", "b1")
    world.poll()

    assert during == {"All requests fail": Status.FIRING, "Web: major outage": Status.FIRING} or during == {
        "All requests fail": Status.FIRING,
        "API: major outage": Status.FIRING,
    }
    assert [found.status for found in world.alerts()] == [Status.RESOLVED, Status.RESOLVED]


def test_an_incident_that_was_there_first_keeps_its_own_alert(world: World) -> None:
    world.pages.open_incident("acme", "b1", "API requests fail", "major", ("API",))
    world.poll()
    world.component["status"] = "major_outage"
    world.poll(3)

    (only,) = world.alerts()
    assert only.fingerprint == "b1"


def test_what_is_unexplained_when_an_incident_ends_is_an_alert_of_its_own(world: World) -> None:
    world.pages.open_incident("acme", "b1", "API requests fail", "major", ("API",))
    world.component["status"] = "major_outage"
    world.poll()
    world.pages.resolve_incident("acme", "b1")
    world.poll()

    now, before = world.alerts()
    assert (now.status, before.fingerprint, before.status) == (Status.FIRING, "b1", Status.RESOLVED)


class InstatusPage(Double):
    """An Instatus page that answers with what a test lets it say."""

    answer = Answer(404)

    def says(self, status: str, *incidents: str) -> None:
        listed = [{"id": id, "name": id, "status": "INVESTIGATING", "impact": "MAJOROUTAGE"} for id in incidents]
        self.answer = Answer.json({"page": {"status": status}, "activeIncidents": listed})

    def handle(self, _: Request) -> Answer:
        return self.answer


@pytest.fixture
def page(world: World) -> Iterator[InstatusPage]:
    with InstatusPage() as page:
        assert isinstance(page, InstatusPage)
        world.checker = JsonChecker("acme", JsonConfig(kind="json_page", url=page.url, preset="instatus"))
        yield page


def test_a_red_page_that_lists_nothing_ends_nothing_and_tells_nothing_twice(world: World, page: InstatusPage) -> None:
    """The open alert is what the page's word is about; it ends when the page is well."""
    page.says("HASISSUES", "i1")
    world.poll()
    page.says("HASISSUES")
    world.poll(4)
    (held,) = world.alerts()
    page.says("UP")
    world.poll(2)
    (over,) = world.alerts()

    assert (held.fingerprint, held.status, over.status) == ("i1", Status.FIRING, Status.RESOLVED)


def test_a_red_page_without_a_list_is_an_alert_that_the_incident_takes_over(world: World, page: InstatusPage) -> None:
    page.says("HASISSUES")
    world.poll()
    (first,) = world.alerts()
    page.says("HASISSUES", "i1")
    world.poll()
    (second,) = world.alerts()
    page.says("UP")
    world.poll()
    (over,) = world.alerts()

    assert (first.severity, second.severity) == (Severity.WARNING, Severity.CRITICAL)
    assert (second.key, second.title) == (first.key, "i1")
    assert (over.status, world.whys(over)[-1]) == (Status.RESOLVED, Why.RESOLVED_BY_SOURCE)


def shown(*events: Any, **more: Any) -> Snapshot:
    return Snapshot(source="github", events=events, **more)


def own(**changes: Any) -> Any:
    return event(fingerprint=PLACE, at=None, starts_at=None, labels={"component": "API"}, **changes)


PLACE_ALERT = alert(fingerprint=PLACE, labels={"component": "API"})


def test_an_incident_that_is_not_ours_takes_over_nothing() -> None:
    stranger = event(fingerprint="b1", affects_us=Affects.NO)
    explains = {"b1": (PLACE,)}

    snapshot, merged = join(shown(stranger, explains=explains), [PLACE_ALERT], {})

    assert ([seen.fingerprint for seen in snapshot.events], merged) == (["b1"], {})


def test_of_two_incidents_at_one_place_one_takes_over_and_one_is_its_own() -> None:
    explains = {"b1": (PLACE,), "b2": (PLACE,)}

    snapshot, merged = join(
        shown(event(fingerprint="b1"), event(fingerprint="b2"), explains=explains), [PLACE_ALERT], {}
    )

    assert {seen.fingerprint for seen in snapshot.events} == {PLACE, "b2"}
    assert merged == {"b1": PLACE}


def test_while_the_incident_cannot_be_read_its_place_does_not_end() -> None:
    well = event(fingerprint=PLACE, status=EventStatus.RESOLVED, at=None)

    snapshot, _ = join(shown(well, unknown=frozenset({"b1"})), [PLACE_ALERT], {"b1": PLACE})

    assert (snapshot.events, snapshot.unknown) == ((), {PLACE})


@pytest.mark.parametrize(
    ("unlisted", "told"),
    [
        (alert(labels={"component": "API\nWeb"}), False),
        (alert(labels={}), False),
        (alert(labels={"component": "Web"}), True),
        (alert(labels={"component": "API"}, kind=Kind.MAINTENANCE), True),
    ],
    ids=["the same component", "any component", "another component", "planned work"],
)
def test_a_places_word_opens_nothing_beside_the_alert_that_it_may_be_about(unlisted: Alert, *, told: bool) -> None:
    snapshot, _ = join(shown(own(), own=frozenset({PLACE})), [unlisted], {})

    assert bool(snapshot.events) is told


def test_what_is_remembered_of_incidents_is_bounded() -> None:
    many = {f"b{number}": PLACE for number in range(MERGED_MAX + 5)}

    _, merged = join(shown(), [], many)

    assert len(merged) == MERGED_MAX
    assert "b0" not in merged


NAMES = ("b1", "b2", PLACE, "place:web")
names = st.sampled_from(NAMES)
seen_events = st.builds(
    lambda name, status, hours: event(fingerprint=name, status=status, at=NOW + timedelta(hours=hours)),
    names,
    st.sampled_from([EventStatus.FIRING, EventStatus.RESOLVED]),
    st.integers(-2, 2),
)
snapshots = st.builds(
    lambda events, unknown, explains, own: shown(*events, unknown=unknown, explains=explains, own=own),
    st.lists(seen_events, max_size=4, unique_by=lambda found: found.fingerprint),
    st.frozensets(names),
    st.dictionaries(names, st.lists(st.sampled_from(NAMES[2:]), max_size=2).map(tuple), max_size=4),
    st.frozensets(st.sampled_from(NAMES[2:])),
)


@given(snapshots, st.sets(names), st.dictionaries(st.sampled_from(["b1", "b2"]), st.sampled_from(NAMES[2:])))
def test_an_open_alert_ends_only_when_nothing_that_goes_on_as_it_is_open(
    snapshot: Snapshot, tracked: set[str], before: dict[str, str]
) -> None:
    joined, merged = join(snapshot, [alert(fingerprint=name) for name in sorted(tracked)], before)

    after = {found.fingerprint: found.status for found in joined.events}
    open_now = {
        merged.get(found.fingerprint, found.fingerprint)
        for found in snapshot.events
        if found.status is EventStatus.FIRING
    }
    assert len(after) == len(joined.events)
    for name in tracked & open_now:
        assert after[name] is EventStatus.FIRING
    assert before.items() <= merged.items()
