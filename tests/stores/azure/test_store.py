"""What is particular to Azure Tables: answers that get lost, a half-done archive, the service's limits, no tables."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from azure.data.tables import TableServiceClient
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import LeaseLost, StoreError
from service_event_checker.core.ids import internal_code
from service_event_checker.core.lanes import Lane
from service_event_checker.core.model import HeldItem, Slot
from service_event_checker.core.store import Conflict, Failed, IdTaken, Query, Settled, Write
from service_event_checker.core.vocabulary import Verb, Why
from service_event_checker.stores.azure import client
from service_event_checker.stores.azure import keys as azure_keys
from service_event_checker.stores.azure import rows as azure_rows
from service_event_checker.stores.azure.client import EntityChange, Raced, Table
from service_event_checker.stores.azure.store import AzureTablesStore
from tests.factories import NOW
from tests.real.azurite import Azurite
from tests.stores.steps import (
    claim,
    claim_one,
    commit,
    ending,
    link_of,
    new_alert,
    next_episode,
    opened,
    opening,
    owed,
    pay,
    resolved,
    transition,
    writing,
)

BOUNDED = 5  # seconds that one call may cost when the store hangs
MINUTE = timedelta(minutes=1)


class Died(Exception):
    """The process ends here."""


class DyingTable:
    """A table whose process dies after its writes have been counted down."""

    def __init__(self, table: Table, left: list[int]) -> None:
        self._table, self._left = table, left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def write(self, changes: Sequence[EntityChange]) -> None:
        if self._left[0] == 0:
            raise Died
        self._left[0] -= 1
        self._table.write(changes)


class DeafTable(DyingTable):
    """A table whose first answers get lost, so that each write is sent twice, as the SDK does."""

    def write(self, changes: Sequence[EntityChange]) -> None:
        self._table.write(changes)
        self._table.write(changes)


class MeddledTable(DyingTable):
    """A table in which somebody else is faster once: between our read and our write."""

    def __init__(self, table: Table, meddle: Callable[[], object]) -> None:
        super().__init__(table, [])
        self._meddle: list[Callable[[], object]] = [meddle]

    def write(self, changes: Sequence[EntityChange]) -> None:
        if self._meddle:
            self._meddle.pop()()
        self._table.write(changes)


@pytest.fixture
def store(azurite: Azurite) -> Iterator[AzureTablesStore]:
    made = AzureTablesStore(azurite.new_account())
    yield made
    made.close()


@pytest.fixture
def deaf(azurite: Azurite) -> Iterator[AzureTablesStore]:
    made = AzureTablesStore(azurite.new_account())
    made.active = DeafTable(made.active, [])  # type: ignore[assignment]
    made.resolved = DeafTable(made.resolved, [])  # type: ignore[assignment]
    yield made
    made.close()


@pytest.mark.parametrize("steps", range(8))
def test_an_archive_that_died_at_any_step_is_finished_by_the_next(store: AzureTablesStore, steps: int) -> None:
    first = resolved(store, opened(store, receivers=()))
    store.archive(NOW)
    second = commit(store, opening(next_episode(first, updated_at=NOW + MINUTE), ("jira",)))
    delivery = claim_one(store, "jira")
    store.settle(delivery, Settled(link=link_of(delivery)), NOW)
    second = resolved(store, second, NOW + MINUTE)
    third = resolved(store, commit(store, opening(next_episode(second), ())), NOW + 2 * MINUTE)
    dying = AzureTablesStore.__new__(AzureTablesStore)
    dying.tables, left = store.tables, [steps]
    dying.active = DyingTable(store.active, left)  # type: ignore[assignment]
    dying.resolved = DyingTable(store.resolved, left)  # type: ignore[assignment]

    died = False
    try:
        dying.archive(NOW)
    except Died:
        died = True
    seen_half_done = (store.get([first.key])[first.key], store.page(Query()).alerts)
    store.archive(NOW)

    assert died is (steps < 7)
    assert seen_half_done == (third, (third,))
    assert store.archive(NOW) == 0
    assert store.get([first.key]) == {first.key: third}
    assert store.page(Query()).alerts == (third,)
    for episode in (first, second, third):
        assert store.by_internal_id(internal_code(episode.internal_id)) == episode
    assert store.link_by("jira", "T-1") == link_of(delivery)
    assert rows_of(store, azure_keys.ALERT, azure_keys.EPISODE, azure_keys.LANE) == []


def test_a_commit_whose_answer_was_lost_is_done_once(deaf: AzureTablesStore) -> None:
    alert = opened(deaf, receivers=("slack", "jira"))
    alert = commit(deaf, writing(alert, Verb.NOTE, Why.NOTED))
    alert = commit(deaf, replace(writing(alert, Verb.NOTE), transitions=(), deliveries=()))

    assert (alert.revision, deaf.get([alert.key])) == (3, {alert.key: alert})
    assert deaf.waiting() == 3
    assert deaf.commit([opening(new_alert())], NOW) == [Conflict(alert.key)]


def test_a_commit_of_many_whose_answer_was_lost_is_done_once(deaf: AzureTablesStore) -> None:
    results = deaf.commit([opening(new_alert(f"n{number}")) for number in range(20)], NOW)

    assert [type(result).__name__ for result in results] == ["Done"] * 20
    assert deaf.waiting() == 20


def test_an_id_is_taken_only_by_others_when_the_answer_was_lost(deaf: AzureTablesStore) -> None:
    first, other = opened(deaf), new_alert("other")
    other = replace(other, key=first.key[0] + other.key[1:], internal_id=first.internal_id)

    assert deaf.commit([opening(other)], NOW) == [IdTaken(other.key)]


def test_a_claim_an_intent_and_a_settle_whose_answers_were_lost_are_done_once(deaf: AzureTablesStore) -> None:
    alert = opened(deaf)
    alert = commit(deaf, writing(alert, Verb.NOTE, Why.NOTED))

    held = deaf.intend(claim_one(deaf), NOW)
    linked = writing(replace(alert, links={"slack": "https://s/1"}), Verb.ACK, Why.LINKED)
    deaf.settle(held, Settled(link=link_of(held)), NOW, linked)

    assert deaf.get([alert.key])[alert.key].revision == 3
    assert pay_deaf(deaf) == [Verb.NOTE, Verb.ACK]
    assert deaf.waiting() == 0


def test_a_requeue_whose_answer_was_lost_is_done_once(deaf: AzureTablesStore) -> None:
    opened(deaf)
    dead = claim_one(deaf)
    deaf.settle(dead, Failed(reason="refused"), NOW)

    assert deaf.requeue(dead.id, NOW)
    assert (len(deaf.failed_deliveries()), deaf.waiting()) == (0, 1)


def test_an_add_whose_answer_was_lost_was_the_first(deaf: AzureTablesStore) -> None:
    deaf.holding._active = deaf.active  # type: ignore[attr-defined]
    item = HeldItem(area="seen", id="one", source="slack", at=NOW, doc="mine")

    assert deaf.holding.add(item)
    assert not deaf.holding.add(replace(item, doc="another's"))


def test_slots_and_settings_whose_answers_were_lost_are_ours(deaf: AzureTablesStore) -> None:
    slot = deaf.put_slot(Slot(name="github", due_at=NOW))

    assert slot is not None
    assert deaf.put_slot(slot) is not None
    assert deaf.put_slot(slot) is None
    assert deaf.set_setting("key", "first", only_if_new=True) == "first"
    assert deaf.set_setting("key", "second", only_if_new=True) == "first"


@pytest.mark.parametrize("archived", [False, True])
def test_an_end_between_the_read_and_the_write_of_a_requeue_is_not_overlooked(
    store: AzureTablesStore, archived: bool
) -> None:
    alert = opened(store)
    dead = claim_one(store)
    store.settle(dead, Failed(reason="refused"), NOW)
    if archived:
        alert = resolved(store, alert)
        store.archive(NOW)
    change = opening(next_episode(alert), ()) if archived else ending(alert, ())
    plain = store.active

    def meddle() -> None:
        store.active = plain
        commit(store, change)

    store.active = MeddledTable(plain, meddle)  # type: ignore[assignment]

    assert store.requeue(dead.id, NOW) is not archived
    assert pay(store, Settled()) == ([] if archived else [Verb.OPEN, Verb.CLOSE])


@pytest.mark.parametrize("step", ["claim", "intend", "settle", "commit"])
def test_whoever_is_faster_once_is_taken_into_account(store: AzureTablesStore, step: str) -> None:
    alert = opened(store)
    held = replace(claim_one(store), owner="w1") if step in ("intend", "settle") else None
    plain = store.active

    def meddle() -> None:
        store.active = plain
        claim_one(store, owner="w2") if step == "commit" else commit(store, ending(alert))

    store.active = MeddledTable(plain, meddle)  # type: ignore[assignment]
    if step == "commit":
        commit(store, ending(alert))
    elif held is None:
        assert claim(store) == []
    else:
        held = store.intend(held, NOW) if step == "intend" else held
        store.settle(held, Settled(), NOW)

    later = NOW + MINUTE
    assert pay(store, Settled(), now=later) == ([Verb.OPEN] if held is None else []) + [Verb.CLOSE]


def test_tables_that_vanish_while_it_runs_are_made_again(azurite: Azurite) -> None:
    address = azurite.new_account()
    store = AzureTablesStore(address, active_table="Own", resolved_table="OwnResolved")
    resolved(store, opened(store, receivers=()))
    store.archive(NOW)
    with TableServiceClient.from_connection_string(address) as service:
        assert sorted(table.name for table in service.list_tables()) == ["Own", "OwnResolved"]
        service.delete_table("Own")
        service.delete_table("OwnResolved")

    assert store.get([new_alert().key]) == {}
    assert resolved(store, opened(store, receivers=())).revision == 2
    assert store.archive(NOW) == 1


def test_a_lane_without_a_due_head_is_mended_by_the_sweep(store: AzureTablesStore) -> None:
    alert = opened(store)
    waiting = (owed(alert, Verb.OPEN), owed(alert, Verb.CLOSE, seq=1))
    lane = Lane(key=alert.key, receiver="slack", revision=1)
    store.active.write([client.upsert(azure_rows.lane_entity(lane, waiting, ""))])
    assert claim(store) == []

    assert store.sweep(NOW) == 1
    assert store.sweep(NOW) == 0
    assert pay(store, Settled()) == [Verb.OPEN, Verb.CLOSE]


def test_a_lane_that_waits_for_nothing_leaves_no_row(store: AzureTablesStore) -> None:
    alert = opened(store, receivers=("slack", "pager"))
    store.settle(claim_one(store, "pager"), Failed(reason="refused"), NOW)
    pay(store, Settled())
    assert [row["receiver"] for row in rows_of(store, azure_keys.LANE)] == ["pager"]

    commit(store, opening(next_episode(resolved(store, alert)), ("pager",)))
    pay(store, Settled(), "pager")

    assert rows_of(store, azure_keys.LANE) == []


def test_every_row_says_its_schema(store: AzureTablesStore) -> None:
    first = opened(store, receivers=("jira", "slack"))
    delivery = claim_one(store, "jira")
    store.settle(delivery, Settled(link=link_of(delivery)), NOW)
    store.settle(claim_one(store), Failed(reason="refused"), NOW)
    store.put_slot(Slot(name="github", due_at=NOW))
    store.holding.put([aside()])
    store.ping()
    commit(store, opening(next_episode(resolved(store, first))))
    resolved(store, opened(store, "over", receivers=()))
    store.archive(NOW)

    places = [*azure_keys.PARTITIONS, azure_keys.SLOTS, azure_keys.SETTINGS, azure_keys.RESOLVED]
    places += [azure_keys.area_partition("parked")]
    places += [azure_keys.POINTERS + digit for digit in "0123456789abcdef"]
    rows = [row for table in (store.active, store.resolved) for place in places for row in table.scan(place)]

    assert {row["RowKey"][0] for row in rows} >= set("aeiklntx")
    assert {row["schema"] for row in rows} == {azure_rows.SCHEMA}


def test_what_no_service_could_take_is_shortened_with_a_mark(store: AzureTablesStore) -> None:
    noise = noise_of(250_000)
    alert = new_alert(title=noise, description=noise, labels={noise[n : n + 40]: noise for n in range(60)})

    stored = commit(store, replace(opening(alert), transitions=(transition(alert, Why.OPENED, note=noise),)))

    assert store.get([alert.key]) == {alert.key: stored}
    for text in (stored.description, store.timeline(alert.key)[0].note):
        assert text.endswith(azure_rows.MARK)
        assert noise.startswith(text.removesuffix(azure_rows.MARK))
        assert len(text) > 2000
    again = commit(store, opening(next_episode(resolved(store, stored)), ("slack", "jira")))
    assert again.description == stored.description


def test_an_alert_with_more_copies_than_any_config_names_is_stored(store: AzureTablesStore) -> None:
    noise = noise_of(400_000)
    times = tuple(NOW + timedelta(microseconds=number) for number in range(2000))
    many = {(noise[number : number + 30], noise[number + 30 : number + 60]): times for number in range(300)}
    seen_at = {(receiver, None): NOW for receiver, _ in many}
    alert = new_alert(origin=noise, status_seen_at=seen_at, mirrored_at=many)

    stored = commit(store, opening(alert))

    assert store.get([alert.key]) == {alert.key: stored}
    kept = list(stored.mirrored_at.items())
    assert kept == [(pair, times[-10:]) for pair in list(many)[: len(kept)]]
    assert len(kept) >= 100
    assert stored.origin.endswith(azure_rows.MARK)
    assert noise.startswith(stored.origin.removesuffix(azure_rows.MARK))


def test_a_thing_put_aside_that_no_row_could_hold_is_refused_and_not_shortened(store: AzureTablesStore) -> None:
    with pytest.raises(StoreError, match="bytes") as refused:
        store.holding.put([aside(doc=noise_of(900_000))])

    assert not isinstance(refused.value, Raced)
    assert store.holding.list("parked") == []


def test_a_thing_put_anew_while_the_shelf_is_trimmed_stays(store: AzureTablesStore) -> None:
    store.holding.put([aside(at=NOW - MINUTE), aside(id="two", at=NOW - MINUTE)])
    plain, fresh = store.active, aside(at=NOW + MINUTE, doc="fresh")

    def meddle() -> None:
        store.active = plain
        store.holding.put([fresh])

    store.active = MeddledTable(plain, meddle)  # type: ignore[assignment]

    assert store.holding.prune("parked", before=NOW, per_source=9) == 0
    assert store.holding.prune("parked", before=NOW, per_source=9) == 1
    assert store.holding.list("parked") == [fresh]


def test_a_shelf_is_read_whole_only_as_far_as_it_was_asked_for(store: AzureTablesStore) -> None:
    store.holding.put(aside(id=str(number), at=NOW + number * MINUTE) for number in range(30))
    read: list[int] = []

    class CountedTable(DyingTable):
        def scan(self, *place: Any, **how: Any) -> Any:
            rows = self._table.scan(*place, **how)
            read.append(len([row for row in rows if "doc" in row]))
            return rows

    store.active = CountedTable(store.active, [])  # type: ignore[assignment]

    assert len(store.holding.list("parked", limit=3)) == 3
    assert read == [0, 3]


def test_things_whose_answers_were_lost_are_put_aside_once(deaf: AzureTablesStore) -> None:
    deaf.holding.put([aside()])

    assert deaf.holding.list("parked") == [aside()]


def test_a_queue_that_grows_and_grows_is_kept_whole(store: AzureTablesStore) -> None:
    alert = opened(store, receivers=())
    noise = noise_of(3000)
    many = tuple(owed(alert, Verb.NOTE, seq=n, revision=n + 2, note=noise[n:]) for n in range(1500))

    commit(store, Write(alert=alert, deliveries=many))

    assert store.waiting() == 1500
    assert claim_one(store).note.startswith(noise[:50])


@pytest.mark.parametrize(
    ("entity", "wrong"),
    [
        ({"doc": "x" * 32_769}, "doc has 32769 characters"),
        ({"doc": "\U0001f525" * 16_385}, "doc has 16385 characters"),
        ({"doc": b"x" * 65_537}, "doc has 65537 bytes"),
        ({f"doc{number}": b"x" * 65_536 for number in range(16)}, "bytes"),
        ({f"p{number}": 1 for number in range(253)}, "255 properties"),
        ({"doc": "x" * 32_768, "other": b"x" * 65_536}, ""),
    ],
)
def test_it_knows_the_limits_that_the_emulator_does_not(entity: dict[str, object], wrong: str) -> None:
    said = azure_keys.refusal({"PartitionKey": "0", "RowKey": "1", **entity})

    assert said.endswith(wrong) if wrong else said == ""


def test_a_write_beyond_the_limits_is_not_sent(store: AzureTablesStore) -> None:
    rows = [{"PartitionKey": "0", "RowKey": f"r{number}"} for number in range(100)]

    for wrong in (
        rows,
        [rows[0], rows[0]],
        [{**rows[0], "doc": "x" * 40_000}],
        [{**rows[n], **piece(n)} for n in range(9)],
    ):
        with pytest.raises(StoreError) as refused:
            store.active.write([client.upsert(row) for row in wrong])
        assert not isinstance(refused.value, Raced)
    assert store.active.scan("0") == []


@given(st.text(), st.text(), st.text())
def test_row_keys_hold_digits_and_letters_only(receiver: str, external_id: str, name: str) -> None:
    key = new_alert().key
    keys = [
        azure_keys.lane_row(key, receiver),
        azure_keys.link_row(key, receiver, 1),
        azure_keys.dead_row(key, f"{key}:1:1:{receiver}:open"),
        azure_keys.pointer_partition(receiver, external_id),
        azure_keys.digest(name),
    ]

    assert all(each.isascii() and each.isalnum() for each in keys)


def test_a_store_that_is_gone_says_so_in_bounded_time_and_works_when_it_is_back(breakable_azurite: Azurite) -> None:
    store = AzureTablesStore(breakable_azurite.connection_string)
    delivery = claim_delivery(store)
    breakable_azurite.kill()

    for call in every_call(store, delivery):
        assert refused_within(call) < BOUNDED

    breakable_azurite.start()
    store.ping()
    store.close()


def test_a_store_that_hangs_says_so_in_bounded_time(
    breakable_azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = AzureTablesStore(breakable_azurite.connection_string)
    delivery = claim_delivery(store)
    monkeypatch.setattr(client, "READ_SECONDS", 0.3)
    hasty = AzureTablesStore(breakable_azurite.connection_string)
    breakable_azurite.pause()

    for call in every_call(hasty, delivery):
        assert refused_within(call) < BOUNDED

    breakable_azurite.resume()
    store.ping()
    for each in (store, hasty):
        each.close()


def test_a_store_that_hangs_costs_at_most_its_time_outs(breakable_azurite: Azurite) -> None:
    store = AzureTablesStore(breakable_azurite.connection_string)
    store.ping()
    breakable_azurite.pause()

    assert refused_within(lambda: store.get(f"{number:020x}" for number in range(64))) < BOUNDED

    breakable_azurite.resume()
    store.close()


def test_its_errors_tell_no_secret(breakable_azurite: Azurite) -> None:
    store = AzureTablesStore(breakable_azurite.connection_string.replace("AccountKey=", "AccountKey=c2VjcmV0"))

    with pytest.raises(StoreError, match="status 403") as refused:
        store.ping()
    assert "c2VjcmV0" not in str(refused.value)


def aside(**changes: Any) -> HeldItem:
    return replace(HeldItem(area="parked", id="one", source="pager", at=NOW, doc="{}"), **changes)


def claim_delivery(store: AzureTablesStore) -> Any:
    opened(store)
    return claim_one(store)


def every_call(store: AzureTablesStore, delivery: Any) -> list[Any]:
    alert = new_alert("two")
    return [
        store.ping,
        lambda: store.get([alert.key, delivery.key]),
        lambda: store.commit([opening(alert), opening(new_alert("three"))], NOW),
        lambda: claim(store),
        lambda: store.settle(delivery, Settled(link=link_of(delivery)), NOW),
        lambda: store.page(Query()),
        lambda: store.archive(NOW),
        lambda: store.put_slot(Slot(name="github", due_at=NOW)),
        lambda: store.holding.put([aside()]),
        lambda: store.holding.list("parked"),
        lambda: store.holding.remove("parked", "one"),
        lambda: store.holding.prune("parked", before=NOW, per_source=1),
    ]


def refused_within(call: Any) -> float:
    """Call, expect StoreError, return the seconds it took."""
    started = monotonic()
    with pytest.raises(StoreError) as refused:
        call()
    assert not isinstance(refused.value, LeaseLost)
    return monotonic() - started


def rows_of(store: AzureTablesStore, *kinds: str) -> list[Any]:
    return [row for kind in kinds for part in azure_keys.PARTITIONS for row in store.active.scan(part, kind)]


def piece(number: int) -> dict[str, object]:
    return {f"doc{part}": random.Random(number).randbytes(60_000) for part in range(8)}


def noise_of(length: int) -> str:
    """Text that does not pack well."""
    return "".join(chr(code) for code in random.Random(7).choices(range(0x4E00, 0x9FFF), k=length))


def pay_deaf(store: AzureTablesStore) -> list[Verb]:
    """Claim and settle; the last settle removes the lane's row, so that nobody can tell whose it was."""
    paid = []
    while claimed := claim(store):
        paid += [each.delivery.verb for each in claimed]
        for each in claimed:
            try:
                store.settle(each.delivery, Settled(), NOW)
            except LeaseLost:
                assert store.waiting() == 0
    return paid
