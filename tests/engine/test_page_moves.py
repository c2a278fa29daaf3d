"""Status pages that move, replayed: nothing is resolved and nothing is opened by a move, and people are told once.

The truth is that of the chat and of the ticket system.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service_event_checker import wiring
from service_event_checker.config.settings import Settings
from service_event_checker.core.model import Slot
from service_event_checker.core.store import Query
from service_event_checker.engine.polling import Poller
from service_event_checker.engine.throttle import Throttle
from tests.destinations.azure_devops.double import PAT, AzureDevOps
from tests.destinations.slack.double import TOKEN, Slack
from tests.doubles.base import Answer
from tests.doubles.statuspages import StatusPages

OUTAGE = "Sign-in does not work"
EVERY = timedelta(seconds=60)
HTML = Answer(200, b"<!doctype html><title>Status</title>", {"Content-Type": "text/html"})
INSTATUS = {"page": {"name": "Acme", "url": "https://acme.example", "status": "UP"}}


class World:
    """A page that is polled once a minute, a chat and a ticket system, all on loopback."""

    def __init__(self, folder: Path, pages: StatusPages, slack: Slack, tickets: AzureDevOps) -> None:
        self.pages, self.slack, self.tickets = pages, slack, tickets
        self.now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
        for name in ("API", "Web"):
            pages.add_component("acme", name)
        self.file = folder / "config.json"
        self.entry: dict[str, Any] = {"kind": "statuspage", "url": pages.page("acme").url, "timeout": "2s"}
        self.folder = folder
        self.start()

    def start(self) -> None:
        """Start a process with the entry as it is now."""
        tickets = {"kind": "azure_devops", "url": "env:ADO_ORG_URL", "project": "env:ADO_PROJECT"}
        rule = {"name": "all", "send": ["slack", "tickets"]}
        config = {
            "checkers": {"acme": self.entry},
            "destinations": {"slack": {"kind": "slack"}, "tickets": tickets},
            "rules": [rule],
        }
        self.file.write_text(json.dumps(config))
        environ = {
            "CONFIG_FILE": str(self.file),
            "DATABASE_URL": f"sqlite:///{self.folder}/store.db",
            "SLACK_BOT_TOKEN": TOKEN,
            "SLACK_API_URL": self.slack.api_url,
            "ADO_ORG_URL": self.tickets.org_url,
            "ADO_PROJECT": self.tickets.project,
            "ADO_PAT": PAT,
        }
        self.services = wiring.build(Settings.read(environ))
        self.services.store.prepare()
        for name in self.services.outbox.throttles:
            self.services.outbox.throttles[name] = Throttle(1000, 1000)

    def poll(self, times: int = 1) -> None:
        """Let so many polls pass, and deliver what follows from each."""
        built = self.services
        poller = Poller(built.store, built.pipeline, built.poller.watches, clock=lambda: self.now, jitter=lambda: 0.0)
        for _ in range(times):
            self.now = max(self.now + EVERY, self.slot.due_at if "acme" in built.store.slots() else self.now)
            (slot,) = poller.take_due()
            poller.poll(slot)
            while any([built.outbox.drain(name) for name in built.outbox.destinations]):
                pass

    @property
    def slot(self) -> Slot:
        return self.services.store.slots()["acme"]

    @property
    def state(self) -> str:
        return self.slot.unknown_reason

    def begin_outage(self, components: tuple[str, ...] = ("API",)) -> None:
        self.pages.open_incident("acme", "inc1", OUTAGE, "major", components, at=self.now)

    def told(self) -> tuple[int, int, int]:
        """Return how many messages there are of outages, how many notices of a changed page, how many tickets."""
        shown = [message.shown for message in self.slack.roots()]
        notices = sum("status page changed" in text for text in shown)
        return len(shown) - notices, notices, len(self.tickets.items)

    def ended(self) -> bool:
        """Whether chat or tickets say that something is over."""
        over = [
            each.shown for each in self.slack.roots() if OUTAGE in each.shown and "resolved" in each.shown.casefold()
        ]
        return bool(over) or any(item.state == "Closed" for item in self.tickets.items.values())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with StatusPages() as pages, Slack() as slack, AzureDevOps() as tickets:
        made = World(tmp_path, pages, slack, tickets)
        yield made
        made.services.store.close()


def engine_changed(world: World) -> None:
    """Everything redirects (301) to the root of a page of another engine."""
    world.pages.others["/new"] = HTML
    world.pages.others["/new/summary.json"] = Answer.json(INSTATUS)
    world.pages.moved["acme"] = "/new"


def emptied(world: World) -> None:
    world.pages.emptied.add("acme")


def renamed(world: World) -> None:
    for component in world.pages.page("acme").components.values():
        if component["name"] == "API":
            component["name"] = "Public API"


def dropped(world: World) -> None:
    """The selected component is gone, so that the filter matches nothing."""
    known = world.pages.page("acme").components
    for code in [code for code, each in known.items() if each["name"] == "API"]:
        del known[code]


def gone(world: World) -> None:
    world.pages.gone["acme"] = 410


def unreadable(world: World) -> None:
    world.pages.broken["acme"] = "html"


def back(world: World) -> None:
    """The page is again as it was."""
    world.pages.moved.clear()
    world.pages.gone.clear()
    world.pages.broken.clear()
    world.pages.emptied.clear()
    for component in world.pages.page("acme").components.values():
        component["name"] = component["name"].removeprefix("Public ")
    world.pages.add_component("acme", "API")


@dataclass(frozen=True)
class Move:
    act: Callable[[World], None]
    says: str


MOVES = [
    Move(engine_changed, "HTML instead of JSON"),
    Move(emptied, "it lists no components any more"),
    Move(renamed, 'a component was renamed: "API" is now "Public API"'),
    Move(dropped, "only.components of this checker no longer matches anything"),
    Move(gone, "not found"),
    Move(unreadable, "HTML instead of JSON"),
]
each_move = pytest.mark.parametrize("move", MOVES, ids=lambda move: move.act.__name__)


@each_move
def test_a_page_that_moves_in_calm_is_unknown_within_two_polls_and_told_once(world: World, move: Move) -> None:
    world.entry["only"] = {"components": ["API"]}
    world.start()
    world.poll(2)

    move.act(world)
    world.poll(2)

    assert world.state.startswith("the page changed: ")
    assert move.says in world.state
    world.poll(4)
    assert world.told() == (0, 1, 0)
    assert move.says.casefold() in json.dumps(world.slack.roots()[0].shown).replace("\\", "").casefold()


@each_move
def test_a_page_that_moves_during_an_outage_ends_nothing_and_opens_nothing(world: World, move: Move) -> None:
    world.entry["only"] = {"components": ["API"]}
    world.start()
    world.poll()
    world.begin_outage()
    world.poll()
    assert world.told() == (1, 0, 1)

    move.act(world)
    world.poll(6)

    assert (world.told(), world.ended()) == ((1, 1, 1), False)
    assert world.state.startswith("the page changed: ")
    back(world)
    world.pages.resolve_incident("acme", "inc1", at=world.now)
    world.poll(3)
    assert (world.told(), world.ended(), world.state) == ((1, 1, 1), True, "")


def test_new_ids_of_the_same_components_are_noticed_told_once_and_bound_by_name(world: World) -> None:
    world.poll(2)
    world.begin_outage()
    world.poll()
    world.pages.resolve_incident("acme", "inc1", at=world.now)
    world.poll(2)

    world.pages.rotate_ids("acme")
    world.poll()
    first = world.state
    world.poll(4)

    assert first == "the page changed: all its components have new IDs"
    assert (world.told(), world.state) == ((1, 1, 1), "")
    known = world.services.store.page(Query(source="acme")).alerts
    assert [each.fingerprint for each in known] == ["inc1"]  # what is over is no outage of its own under its new id


def test_an_outage_whose_ids_rotate_goes_on_as_the_same_alert_to_its_end(world: World) -> None:
    world.poll()
    world.begin_outage()
    world.poll()

    world.pages.rotate_ids("acme")
    world.poll(6)
    assert (world.told(), world.ended()) == ((1, 1, 1), False)

    (new,) = world.pages.page("acme").incidents
    world.pages.resolve_incident("acme", new, at=world.now)
    world.poll(3)
    assert (world.told(), world.ended()) == ((1, 1, 1), True)


def test_a_component_in_trouble_whose_id_rotates_goes_on_as_the_same_alert(world: World) -> None:
    api = world.pages.add_component("acme", "API")
    world.poll()
    api["status"] = "major_outage"
    world.poll()

    world.pages.rotate_ids("acme")
    world.poll(4)
    assert world.told() == (1, 1, 1)

    api["status"] = "operational"
    world.poll(3)
    assert [item.state for item in world.tickets.items.values()] == ["Closed"]
    assert world.told() == (1, 1, 1)


def test_two_incidents_of_one_name_whose_ids_rotate_are_neither_ended_nor_opened_again(world: World) -> None:
    world.poll()
    for id in ("inc1", "inc2"):
        world.pages.open_incident("acme", id, OUTAGE, "major", ("API",), at=world.now)
    world.poll()

    world.pages.rotate_ids("acme")
    world.poll(6)

    assert (world.told(), world.ended()) == ((2, 1, 2), False)
    assert sum("not on the page since it changed" in warning for warning in world.slot.warnings) == 2


def test_a_summary_that_lists_its_components_by_turns_is_no_move(world: World) -> None:
    world.pages.in_part.add("acme")
    world.entry["only"] = {"components": ["API"]}
    world.start()
    world.poll(4)
    assert (world.told(), world.state, world.slot.warnings) == ((0, 0, 0), "", ())

    world.pages.add_component("acme", "API")["status"] = "major_outage"
    world.poll(4)
    assert (world.told(), world.ended()) == ((1, 0, 1), False)

    world.pages.add_component("acme", "API")["status"] = "operational"
    world.poll(2)
    assert [item.state for item in world.tickets.items.values()] == ["Closed"]


def test_by_turns_without_the_whole_list_an_open_component_is_neither_over_nor_opened_again(world: World) -> None:
    world.pages.in_part.add("acme")
    for name in ("Mail", "Search", "Files"):
        world.pages.add_component("acme", name)
    world.poll()
    world.pages.add_component("acme", "API")["status"] = "major_outage"
    world.poll(2)

    world.pages.missing.add("components")
    world.poll(6)

    assert (world.told(), [item.state for item in world.tickets.items.values()]) == ((1, 0, 1), ["New"])


def test_the_page_of_another_engine_that_is_found_is_named_and_goes_on_with_the_open_alert(world: World) -> None:
    world.poll()
    world.begin_outage()
    world.poll()
    engine_changed(world)
    world.poll(3)
    url = f"{world.pages.url}/new/summary.json"
    assert '"preset": "instatus"' in world.state
    assert url in world.state

    incident = {"id": "n1", "name": OUTAGE, "started": world.now.isoformat(), "status": "INVESTIGATING"}
    open_now = {**INSTATUS, "activeIncidents": [{**incident, "impact": "MAJOROUTAGE"}]}
    world.pages.others["/new/summary.json"] = Answer.json(open_now)
    world.entry = {"kind": "json_page", "preset": "instatus", "url": url}
    world.start()
    world.poll(4)

    assert (world.told(), world.ended(), world.state) == ((1, 1, 1), False, "")
    world.pages.others["/new/summary.json"] = Answer.json(INSTATUS)
    world.poll(3)
    assert (world.told(), world.ended()) == ((1, 1, 1), True)


def test_a_page_that_could_never_be_read_has_not_changed(world: World) -> None:
    unreadable(world)
    world.poll(4)

    assert (world.told(), world.state) == ((0, 0, 0), "unreadable answer: HTML instead of JSON")


def test_a_page_that_is_down_for_long_has_not_changed(world: World) -> None:
    world.poll()
    world.pages.broken["acme"] = "500"
    world.poll(5)

    assert (world.told()[1], world.state[:12]) == (0, "server error")


def test_a_page_that_changes_and_changes_back_is_told_once_a_day(world: World) -> None:
    world.poll()
    for _ in range(3):
        unreadable(world)
        world.poll(2)
        back(world)
        world.poll(2)

    assert world.told() == (0, 1, 0)


def test_a_page_that_alternates_between_old_and_new_ids_ends_and_opens_nothing(world: World) -> None:
    world.poll()
    world.begin_outage()
    world.poll()
    old = dict(world.pages.page("acme").incidents)
    shown = {id: dict(each) for id, each in world.pages.page("acme").components.items()}

    for _ in range(2):
        world.pages.rotate_ids("acme")
        world.poll(3)
        world.pages.page("acme").components = {id: dict(each) for id, each in shown.items()}
        world.pages.page("acme").incidents = {id: {**each, "id": id} for id, each in old.items()}
        world.poll(3)

    assert (world.told(), world.ended(), world.state) == ((1, 1, 1), False, "")


def test_a_page_whose_name_no_longer_resolves_is_gone(world: World) -> None:
    world.poll()

    world.entry["url"] = "http://nowhere.invalid"
    world.start()
    world.poll(3)

    assert world.told()[1] == 1
    assert "DNS lookup failed" in world.state


def test_an_incident_whose_own_address_is_gone_is_told_as_retracted_once(world: World) -> None:
    world.poll()
    world.begin_outage()
    world.poll()

    del world.pages.page("acme").incidents["inc1"]
    world.poll(5)

    (message,) = world.slack.roots()
    shown = [message.shown, *(reply.shown for reply in world.slack.replies(message.ts))]
    assert sum("retracted" in text for text in shown) == len([text for text in shown if "Resolved" in text])
    assert world.told() == (1, 0, 1)
    (item,) = world.tickets.items.values()
    assert item.state == "Closed"
    assert sum("retracted" in comment for comment in item.comments) == 1
