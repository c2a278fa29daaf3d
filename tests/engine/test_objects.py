"""The order in which an object is opened, opened again, adopted, made anew, commented on and closed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Link, ObjectRef
from service_event_checker.core.ports import FindableByAlert, ObjectDestination
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.engine.objects import deliver, link_to
from tests.factories import alert, delivery

HOME = "https://jira.example/base"
REFUSED = DeliveryError(Reason.REFUSED, "not back to work", permanent=True)
AWAY = DeliveryError(Reason.TIMEOUT)


@dataclass
class Tracker:
    """Keeps objects as a ticket system does; `calls` are those that changed something, or would have."""

    open: dict[str, bool] = field(default_factory=dict)
    by_alert: dict[str, str] = field(default_factory=dict)
    failure: DeliveryError | None = None
    calls: list[str] = field(default_factory=list)
    homes: tuple[str, ...] = (HOME,)
    family = Family.TICKET
    verbs = frozenset(Verb)

    def create(self, delivery: Delivery, alert: Alert, key: str, previous: str) -> ObjectRef:
        id = str(len(self.open) + 1)
        self.open[id] = True
        self.by_alert.setdefault(alert.key, id)
        self.calls.append(f"create {key == remote_key(alert.key, alert.episode)} after {previous}")
        return ObjectRef(id, f"{HOME}/{id}")

    def reopen(self, delivery: Delivery, alert: Alert, external_id: str) -> bool:
        if self.failure:
            raise self.failure
        was_open, self.open[external_id] = self.open[external_id], True
        self.calls += [] if was_open else [f"reopen {external_id}"]
        return not was_open

    def comment(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        self.calls.append(f"{delivery.verb} comment {external_id}")

    def close(self, delivery: Delivery, alert: Alert, external_id: str) -> None:
        self.open[external_id] = False
        self.calls.append(f"close {external_id}")

    def find_open_for(self, alert_key: str) -> ObjectRef | None:
        id = self.by_alert.get(alert_key, "")
        return ObjectRef(id, f"{HOME}/{id}") if self.open.get(id) else None


def test_the_tracker_of_these_tests_is_an_object_destination() -> None:
    assert isinstance(Tracker(), ObjectDestination)
    assert isinstance(Tracker(), FindableByAlert)


def opened(tracker: Tracker, alert: Alert, link: Link | None = None) -> Link:
    return deliver(tracker, delivery(alert, receiver="jira"), alert, link, "close")


def ended(tracker: Tracker, alert: Alert, link: Link, on_resolve: Any = "close") -> Link:
    return deliver(tracker, delivery(alert, Verb.CLOSE, receiver="jira"), alert, link, on_resolve)


def test_an_open_without_an_object_makes_one_that_names_the_one_before() -> None:
    tracker, outage = Tracker(), alert()
    earlier = Link(key=outage.key, episode=1, receiver="jira", remote_key="ab" * 10, previous="OPS-1")

    link = opened(tracker, outage, earlier)

    assert tracker.calls == ["create True after OPS-1"]
    assert (link.external_id, link.url, link.previous) == ("1", f"{HOME}/1", "OPS-1")
    assert (link.key, link.episode, link.receiver) == (outage.key, 1, "jira")
    assert link.remote_key == remote_key(outage.key, 1)


def test_a_closed_object_is_opened_again_and_says_so_itself() -> None:
    tracker, outage = Tracker(), alert()
    link = ended(tracker, outage, opened(tracker, outage))
    assert link.closed
    tracker.calls.clear()

    again = opened(tracker, replace(outage, episode=2), link)

    assert tracker.calls == ["reopen 1"]
    assert (again.external_id, again.closed) == ("1", False)


def test_an_earlier_episodes_object_that_nobody_closed_is_told_of_the_new_one_once() -> None:
    tracker, outage = Tracker(), alert()
    link = opened(tracker, outage)
    tracker.calls.clear()

    opened(tracker, outage, link)  # a repetition within one episode has nothing to tell
    assert tracker.calls == []
    opened(tracker, replace(outage, episode=2), link)
    assert tracker.calls == ["open comment 1"]


def test_where_reopening_is_refused_the_alerts_open_object_takes_its_place() -> None:
    tracker, outage = Tracker(), alert()
    link = ended(tracker, outage, opened(tracker, outage))
    tracker.by_alert.clear()
    other = opened(tracker, outage)
    tracker.failure, tracker.calls = REFUSED, []

    again = opened(tracker, replace(outage, episode=2), link)

    assert (again.external_id, again.previous) == (other.external_id, f"{HOME}/1")
    assert tracker.calls == []


def test_where_there_is_no_other_a_new_one_names_the_old() -> None:
    tracker, outage = Tracker(), alert()
    link = ended(tracker, outage, opened(tracker, outage))
    tracker.failure, tracker.calls = REFUSED, []

    again = opened(tracker, replace(outage, episode=2), link)

    assert tracker.calls == [f"create True after {HOME}/1"]
    assert (again.external_id, again.remote_key) == ("2", remote_key(outage.key, 2))


def test_a_system_that_is_away_is_no_refusal() -> None:
    tracker, outage = Tracker(), alert()
    link = ended(tracker, outage, opened(tracker, outage))
    tracker.failure, tracker.calls = AWAY, []

    with pytest.raises(DeliveryError) as raised:
        opened(tracker, replace(outage, episode=2), link)

    assert raised.value is AWAY
    assert tracker.calls == []


@pytest.mark.parametrize(
    ("on_resolve", "calls", "closed"),
    [("close", ["close 1"], True), ("comment", ["close comment 1"], False), ("none", [], False)],
)
def test_the_end_does_what_is_configured(on_resolve: str, calls: list[str], closed: bool) -> None:
    tracker, outage = Tracker(), alert()
    link = opened(tracker, outage)
    tracker.calls.clear()

    done = ended(tracker, outage, link, on_resolve)

    assert (tracker.calls, done.closed) == (calls, closed)


@pytest.mark.parametrize("verb", [Verb.NOTE, Verb.UPDATE, Verb.ACK, Verb.UNACK])
def test_every_other_verb_is_told_in_the_object(verb: Verb) -> None:
    tracker, outage = Tracker(), alert()
    link = opened(tracker, outage)
    tracker.calls.clear()

    assert deliver(tracker, delivery(outage, verb), outage, link, "close") is link
    assert tracker.calls == [f"{verb} comment 1"]


@pytest.mark.parametrize("link", [None, Link(key="a", episode=1, receiver="jira", remote_key="b")])
def test_without_an_object_there_is_nothing_to_write_to(link: Link | None) -> None:
    with pytest.raises(DeliveryError, match="no object of this episode") as error:
        deliver(Tracker(), delivery(alert(), Verb.NOTE), alert(), link, "close")

    assert (error.value.reason, error.value.permanent) == (Reason.NOT_FOUND, True)


@pytest.mark.parametrize(
    ("url", "is_there"),
    [
        ("https://jira.example/base/browse/OPS-1", True),
        ("https://JIRA.example:443/Base/browse/OPS-1", True),
        ("https://jira.example/base", True),
        ("", True),
        ("https://jira.example/base2/browse/OPS-1", False),
        ("https://jira.example/browse/OPS-1", False),
        ("http://jira.example/base/browse/OPS-1", False),
        ("https://jira.example:8443/base/browse/OPS-1", False),
        ("https://jira.example.evil.example/base/browse/OPS-1", False),
    ],
)
def test_an_object_is_of_the_system_below_whose_address_it_is(url: str, is_there: bool) -> None:
    tracker, outage = Tracker(homes=("https://bot:secret@jira.example/base",)), alert()
    link = link_to(ObjectRef("7", url), delivery(outage))

    if is_there:
        deliver(tracker, delivery(outage, Verb.NOTE), outage, link, "close")
        assert tracker.calls == ["note comment 7"]
        return
    with pytest.raises(DeliveryError, match="belongs to another address") as raised:
        deliver(tracker, delivery(outage, Verb.NOTE), outage, link, "close")
    assert (raised.value.reason, raised.value.permanent) == (Reason.NOT_FOUND, True)
    assert "secret" not in str(raised.value)
    assert tracker.calls == []


def test_an_object_at_an_address_that_was_left_is_replaced_when_the_alert_fires_again() -> None:
    tracker, outage = Tracker(homes=("https://new.example",)), alert()
    link = link_to(ObjectRef("7", f"{HOME}/7"), delivery(outage))

    again = opened(tracker, replace(outage, episode=2), link)

    assert tracker.calls == [f"create True after {HOME}/7"]
    assert again.external_id == "1"


def test_where_nobody_knows_the_systems_address_nothing_is_compared() -> None:
    tracker, outage = Tracker(homes=()), alert()
    link = link_to(ObjectRef("7", "https://anywhere.example/7"), delivery(outage))

    deliver(tracker, delivery(outage, Verb.NOTE), outage, link, "close")

    assert tracker.calls == ["note comment 7"]
