"""Copying a store to another one: every read answers the same there, and life goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.core.errors import StoreError
from service_event_checker.core.ids import internal_code
from service_event_checker.core.model import Alert, HeldItem, Slot
from service_event_checker.core.roles import Store
from service_event_checker.core.store import Again, Failed, Query, Settled
from service_event_checker.core.vocabulary import EventStatus, Severity, Verb, Why
from service_event_checker.stores.azure.store import AzureTablesStore
from service_event_checker.stores.copy import CopyRefused, copy, side_of
from service_event_checker.stores.sql.address import database_address
from service_event_checker.stores.sql.store import SqlStore
from tests.factories import NIGHTS, NOW, silence
from tests.stores.conftest import azure_store, sqlite_store
from tests.stores.steps import (
    claim,
    commit,
    ending,
    link_of,
    new_alert,
    next_episode,
    opened,
    opening,
    resolved,
    transition,
    writing,
)

LATER = NOW + timedelta(hours=1)
NAMES = ("waiting", "linked", "failed", "again", "over", "silenced", "leased", "rich")
RECEIVERS = ("slack", "azure_devops", "mail")
GROUP = "e" * 20
MANY = 120  # more than are copied together

Stored = SqlStore | AzureTablesStore
Make = Callable[[str], Stored]


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Make empty stores by the names of their kinds."""
    made: list[Stored] = []

    def build(kind: str) -> Stored:
        if kind == "sqlite":
            store: Stored = sqlite_store(tmp_path / f"{len(made)}.db")
        elif kind == "azure":
            store = azure_store(request)
        else:
            store = SqlStore(database_address(request.getfixturevalue(kind).new_database()))
        store.prepare()
        made.append(store)
        return store

    yield build
    for store in made:
        store.close()


def rich(store: Store) -> None:
    """Let a store hold something of every kind."""
    opened(store, "waiting", ("slack", "mail"), withheld={"azure_devops": "no rule"}, groups={"rule": GROUP})
    linked(store, "linked")
    failed = opened(store, "failed")
    store.settle(claim_key(store, failed.key), Failed(reason="refused"), NOW)
    again = resolved(store, linked(store, "again"), NOW - timedelta(days=2))
    resolved(store, opened(store, "over", ()), NOW - timedelta(days=1))
    store.archive(NOW)
    second = commit(store, opening(next_episode(again), ("azure_devops",)))
    commit(store, writing(second, Verb.UPDATE, receiver="azure_devops"))
    store.silences.put(silence("S-1", repeat=NIGHTS))
    store.silences.put(silence("S-2", ends_at=NOW - timedelta(days=1)))
    silenced = replace(opening(new_alert("silenced")), silenced_by="S-1")
    commit(store, silenced)
    leased = opened(store, "leased", severity=Severity.CRITICAL)
    store.intend(claim_key(store, leased.key), NOW)
    seen = {("slack", EventStatus.FIRING): NOW, ("mail", None): NOW}
    content = {"labels": {"pod": 'a"[,]\\ü', "b": "ß"}, "description": "x" * 20_000}
    opened(store, "rich", (), status_seen_at=seen, mirrored_at={("mail", "slack"): (NOW, LATER)}, **content)
    store.commit([opening(new_alert(f"many-{number}"), ()) for number in range(MANY)], NOW)
    store.set_setting("secret_key", "s" * 40)
    store.set_setting("long", "ü" * 40_000)
    store.put_slot(Slot(name="github", due_at=LATER, warnings=("slow",)))
    store.holding.put(
        HeldItem(area=area, id=f"{area}-{number}", source="opsgenie", at=NOW, doc=json.dumps({"n": number}))
        for area in ("quarantine", "parked")
        for number in range(3)
    )
    for number in range(MANY):
        store.audit.append(f"person {number}", {"step": "ü" * number * 40}, NOW + timedelta(seconds=number))


def linked(store: Store, name: str) -> Alert:
    """Open an alert whose ticket is made and whose change waits for it."""
    alert = opened(store, name, ("azure_devops",))
    delivery = claim_key(store, alert.key, "azure_devops")
    told = transition(
        alert, Why.DELIVERED, receiver="azure_devops", verb=Verb.OPEN, tries=1, url="https://tickets.example"
    )
    store.settle(delivery, Settled(link=link_of(delivery, f"T-{name}")), NOW, step=told)
    alert = commit(store, writing(alert, Verb.UPDATE, Why.CHANGED, "azure_devops"))
    told = transition(alert, Why.DELIVERED, receiver="azure_devops", verb=Verb.UPDATE, tries=2, at=LATER)
    store.settle(claim_key(store, alert.key, "azure_devops"), Settled(), NOW, step=told)
    return commit(store, replace(writing(alert, Verb.UPDATE, Why.CHANGED), deliveries=()))


def claim_key(store: Store, key: str, receiver: str = "slack") -> Any:
    """Claim the delivery of one alert; what else was due is due again at once."""
    found = [each.delivery for each in claim(store, receiver)]
    for other in found:
        if other.key != key:
            store.settle(other, Again(due_at=NOW, reason=""), NOW)
    return next(delivery for delivery in found if delivery.key == key)


def reads(store: Store) -> dict[str, Any]:
    """What the store answers to everything that it can be asked."""
    alerts = {name: new_alert(name) for name in (*NAMES, *(f"many-{number}" for number in range(MANY)))}
    keys = sorted(alert.key for alert in alerts.values())
    newest = store.get(keys)
    codes = [internal_code(next_or_same.internal_id) for key in keys for next_or_same in episodes(newest.get(key))]
    pages = [store.page(Query(limit=7)), store.page(Query(open=False)), store.page(Query(open=True, limit=500))]
    return {
        "get": newest,
        "by_internal_id": {code: store.by_internal_id(code) for code in codes},
        "by_fingerprint": [store.by_fingerprint(name) for name in NAMES],
        "open": sorted(store.open_alerts(), key=lambda one: one.key),
        "of a source": sorted(store.open_alerts(alerts["rich"].source), key=lambda one: one.key),
        "withheld": store.withheld_alerts(),
        "pages": pages,
        "next page": store.page(Query(limit=7, cursor=pages[0].cursor)),
        "members": [store.members(), store.member_keys(GROUP, 10)],
        "links": store.links(keys),
        "link_by": [store.link_by("azure_devops", f"T-{name}") for name in NAMES],
        "outcomes": {key: [store.outcomes(key, number) for number in (1, 2)] for key in keys},
        "timeline": {key: store.timeline(key) for key in keys},
        "due": [store.due(RECEIVERS, at) for at in (NOW, LATER)],
        "waiting": [store.waiting(), *(store.waiting(name) for name in RECEIVERS)],
        "waiting_by_receiver": store.waiting_by_receiver(),
        "keys_with_pending": [store.keys_with_pending(name) for name in RECEIVERS],
        "oldest_waiting": store.oldest_waiting(),
        "waiting_deliveries": sorted(store.waiting_deliveries(), key=lambda one: one.id),
        "failed_deliveries": sorted(store.failed_deliveries(), key=lambda one: one.id),
        "failed_counts": store.failed_counts(),
        "slots": store.slots(),
        "settings": [store.setting(name) for name in ("secret_key", "long", "missing")],
        "audit": [store.audit.head(), *store.audit.list(limit=MANY)],
        "held": [store.holding.list(area) for area in ("quarantine", "parked")],
        "silences": [list(store.silences.list()), list(store.silences.live(NOW))],
    }


def episodes(alert: Alert | None) -> list[Alert]:
    """The newest episode and the ones before it, as far as their ids go."""
    if alert is None:
        return []
    first = [replace(alert, episode=1, internal_id=new_alert(alert.fingerprint).internal_id)]
    return [alert, *first]


def live_on(store: Store, now: datetime = LATER) -> list[Any]:
    """Go on with the alerts of a store; return what is to be seen of it."""
    told: list[str] = []
    while claimed := claim(store, "azure_devops", now, limit=50):
        told += [each.delivery.id for each in claimed]
        for each in claimed:
            store.settle(each.delivery, Settled(link=link_of(each.delivery, "T-later")), now)
    again = store.get([new_alert("over").key])[new_alert("over").key]
    reopened = commit(store, opening(next_episode(again)))
    closed = commit(store, ending(store.get([new_alert("linked").key])[new_alert("linked").key], ()))
    requeued = [store.requeue(delivery.id, now) for delivery in store.failed_deliveries()]
    archived = store.archive(now)
    forgotten = store.retain(NOW - timedelta(days=1, hours=12))
    slot = store.put_slot(replace(store.slots()["github"], owner="w2"))
    appended = store.audit.append("ann", {}, now)
    return [sorted(told), reopened, closed, requeued, archived, forgotten, slot, appended]


TARGETS = [pytest.param(name, marks=pytest.mark.real) for name in ("postgresql", "mariadb", "azure")]


@pytest.mark.parametrize("target", ["sqlite", *TARGETS])
def test_every_read_answers_the_same_after_a_copy_there_and_back(make: Make, target: str) -> None:
    source, middle, back = make("sqlite"), make(target), make("sqlite")
    rich(source)
    before = reads(source)

    there = copy(source, middle)
    again = copy(source, middle)
    copy(middle, back)

    assert reads(middle) == before
    assert reads(back) == before
    assert reads(source) == before
    assert (there.checksum, there.held) == (again.checksum, again.held)
    assert (there.written, again.written) == (len(NAMES) + MANY, 0)
    assert (there.held["failed deliveries"], there.held["audit rows"]) == (1, MANY)
    assert live_on(middle) == live_on(source)
    assert reads(middle) == reads(source)


@pytest.mark.parametrize("target", ["sqlite", *TARGETS])
def test_an_interrupted_copy_goes_on_also_when_the_source_has_changed(make: Make, target: str) -> None:
    source, other = make("sqlite"), make(target)
    rich(source)
    with pytest.raises(ConnectionError):
        copy(source, other, progress=interrupt)
    live_on(source)

    assert copy(source, other).written > 0
    assert reads(other) == reads(source)


def interrupt(done: int, total: int) -> None:
    """Break off after the first alerts."""
    if done:
        raise ConnectionError


def test_a_target_with_other_data_is_refused_and_stays_as_it_is(make: Make) -> None:
    source, other = make("sqlite"), make("sqlite")
    opened(source, "one")
    opened(other, "two")

    with pytest.raises(CopyRefused, match="TO holds other data"):
        copy(source, other)
    assert [alert.fingerprint for alert in other.open_alerts()] == ["two"]


def test_a_target_with_a_copy_of_another_store_is_refused(make: Make) -> None:
    source, other, target = make("sqlite"), make("sqlite"), make("sqlite")
    copy(other, target)

    with pytest.raises(CopyRefused, match="a copy of another store"):
        copy(source, target)


def test_a_store_is_not_copied_to_itself(make: Make) -> None:
    source = make("sqlite")

    with pytest.raises(CopyRefused, match="the same store"):
        copy(source, source)


def test_what_the_app_did_in_the_target_since_is_not_undone(make: Make) -> None:
    source, target = make("sqlite"), make("sqlite")
    alert = opened(source, "one")
    copy(source, target)
    commit(target, writing(alert, Verb.UPDATE))

    with pytest.raises(CopyRefused, match="was changed in TO since"):
        copy(source, target)
    target.set_setting("heartbeat", LATER.isoformat())
    with pytest.raises(CopyRefused, match="the app has worked on TO"):
        copy(source, target)


def test_a_copy_that_does_not_arrive_whole_is_reported(make: Make) -> None:
    source, target = make("sqlite"), make("sqlite")
    opened(source, "one")
    assert isinstance(target, SqlStore)
    with target.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TRIGGER lose AFTER INSERT ON timeline BEGIN DELETE FROM timeline; END")

    with pytest.raises(CopyRefused, match="the stores differ after the copy: alert"):
        copy(source, target)


def test_a_store_that_is_away_is_a_store_error_without_its_statement(make: Make) -> None:
    source = make("sqlite")
    opened(source, "one")
    assert isinstance(source, SqlStore)
    with source.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE links")

    with pytest.raises(StoreError) as raised:
        side_of(source).read([new_alert("one").key])
    assert "SELECT" not in str(raised.value)
