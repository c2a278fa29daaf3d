"""What every store promises of writing and reading alerts. Runs on each of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from service_event_checker.core.ids import internal_code, internal_id
from service_event_checker.core.model import Escalation, Recent, Slot
from service_event_checker.core.roles import Store
from service_event_checker.core.store import Conflict, Done, IdTaken, Query, Settled, Write
from service_event_checker.core.vocabulary import Kind, Severity, Status, Verb, Why
from service_event_checker.stores import codec
from tests.factories import NOW
from tests.stores.steps import (
    at_once,
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

HOUR = timedelta(hours=1)


def test_a_new_alert_is_read_back_as_it_was_written(store: Store) -> None:
    written = new_alert(labels={"component": "Actions", "region": "eu\nus"}, withheld={"sms": "off: no key"})

    stored = commit(store, opening(written))

    assert stored == replace(written, revision=1)
    assert store.get([written.key, "0" * 20]) == {written.key: stored}


def test_an_empty_store_answers_every_question(store: Store) -> None:
    key = new_alert().key

    assert store.get([]) == {}
    assert store.get([key]) == {}
    assert store.page(Query()).alerts == ()
    assert (store.open_alerts(), store.withheld_alerts(), store.by_fingerprint("x")) == ([], [], [])
    assert store.open_counts() == {}
    assert (store.by_internal_id("7F3KQ"), store.by_internal_id("no id"), store.link_by("slack", "1")) == (None,) * 3
    assert (store.links([key]), store.timeline(key), store.failed_deliveries()) == ({}, [], [])
    assert (claim(store), store.waiting(), store.oldest_waiting(), store.sweep(NOW)) == ([], 0, None, 0)
    assert (store.archive(NOW), store.retain(NOW), store.slots(), store.setting("x")) == (0, 0, {}, None)
    store.ping()


def test_a_write_of_an_alert_that_is_there_already_is_a_conflict(store: Store) -> None:
    stored = opened(store)

    (again,) = store.commit([opening(new_alert(title="late"), ("slack", "pager"))], NOW)

    assert again == Conflict(stored.key)
    assert store.get([stored.key])[stored.key] == stored
    assert store.waiting() == 1


def test_a_write_of_an_alert_that_was_changed_since_it_was_read_is_a_conflict(store: Store) -> None:
    read = opened(store)
    changed = commit(store, writing(replace(read, title="first"), Verb.UPDATE))

    (late,) = store.commit([writing(replace(read, title="late"), Verb.NOTE, Why.NOTED)], NOW)

    assert late == Conflict(read.key)
    assert store.get([read.key])[read.key] == changed
    assert [row.why for row in store.timeline(read.key)] == [Why.OPENED, Why.CHANGED]
    assert store.waiting() == 2


def test_a_conflict_of_one_alert_does_not_hinder_the_others(store: Store) -> None:
    held = opened(store, "held")
    names = [f"storm-{number}" for number in range(40)]
    writes = [opening(new_alert(name)) for name in names]
    writes.insert(20, opening(new_alert("held", title="late")))

    results = store.commit(writes, NOW)

    assert results[20] == Conflict(held.key)
    assert [type(result) for result in results].count(Done) == 40
    assert len(store.get(write.alert.key for write in writes)) == 41
    assert store.waiting() == 41


def test_two_writes_of_one_alert_in_a_commit_do_not_both_hold(store: Store) -> None:
    first, second = store.commit([opening(new_alert(title="a")), opening(new_alert(title="b"))], NOW)

    assert isinstance(first, Done)
    assert second == Conflict(first.alert.key)
    assert store.waiting() == 1


def test_of_eight_that_write_the_same_new_alert_one_is_done(store: Store) -> None:
    results = at_once(lambda n: store.commit([opening(new_alert(title=f"by {n}"))], NOW)[0], range(8))

    done = [result for result in results if isinstance(result, Done)]
    assert len(done) == 1
    assert store.get([done[0].alert.key]) == {done[0].alert.key: done[0].alert}
    assert store.waiting() == 1


@pytest.mark.parametrize("owes", [True, False])
def test_of_eight_that_change_the_same_alert_one_is_done(store: Store, owes: bool) -> None:
    read = opened(store)
    named = [replace(read, title=f"by {number}") for number in range(8)]
    changes = [writing(alert, Verb.UPDATE) if owes else Write(alert=alert) for alert in named]

    results = at_once(lambda write: store.commit([write], NOW)[0], changes)

    done = [result.alert for result in results if isinstance(result, Done)]
    assert len(done) == 1
    assert store.get([read.key]) == {read.key: done[0]}


def test_an_internal_id_belongs_to_one_episode(store: Store) -> None:
    first = opened(store)
    other = new_alert("other-8")
    other = replace(other, key=first.key[0] + other.key[1:], internal_id=first.internal_id)

    (taken,) = store.commit([opening(other)], NOW)
    longer = replace(other, internal_id=internal_id(other.source, other.key, 1, length=6))

    assert taken == IdTaken(other.key)
    assert store.get([other.key]) == {}
    assert store.waiting() == 1
    assert store.by_internal_id(internal_code(commit(store, opening(longer)).internal_id)) is not None


def test_two_alerts_of_one_commit_do_not_get_the_same_internal_id(store: Store) -> None:
    first, other = new_alert(), new_alert("other-8")
    other = replace(other, key=first.key[0] + other.key[1:], internal_id=first.internal_id)

    results = store.commit([opening(first), opening(other)], NOW)

    assert sorted(type(result).__name__ for result in results) == ["Done", "IdTaken"]


def test_an_alert_is_found_by_its_internal_id_in_every_episode(store: Store) -> None:
    first = resolved(store, opened(store, receivers=()))
    second = commit(store, opening(next_episode(first), ()))

    found = store.by_internal_id(internal_code(first.internal_id))

    assert found is not None
    assert (found.episode, found.status) == (1, Status.RESOLVED)
    assert store.by_internal_id(internal_code(second.internal_id)) == second


def test_alerts_are_found_by_fingerprint_whoever_their_source_is(store: Store) -> None:
    github = opened(store, "same")
    azure = opened(store, "same", source="azure")
    resolved(store, azure)
    store_all(store)
    opened(store, "another")

    assert sorted(alert.source for alert in store.by_fingerprint("same")) == ["azure", "github"]
    assert github in store.by_fingerprint("same")


def test_the_timeline_is_told_oldest_first_and_cut_at_the_old_end(store: Store) -> None:
    alert = opened(store)
    for number in range(4):
        noted = (transition(alert, Why.NOTED, note=f"{number}a"), transition(alert, Why.NOTED, note=f"{number}b"))
        alert = commit(store, Write(alert=alert, transitions=noted))

    assert [row.note for row in store.timeline(alert.key)] == ["", "0a", "0b", "1a", "1b", "2a", "2b", "3a", "3b"]
    assert [row.note for row in store.timeline(alert.key, limit=3)] == ["2b", "3a", "3b"]


def test_open_alerts_are_those_that_are_not_resolved(store: Store) -> None:
    github, azure = opened(store, "one"), opened(store, "two", source="azure")
    resolved(store, opened(store, "three"))

    assert {alert.key for alert in store.open_alerts()} == {github.key, azure.key}
    assert store.open_alerts("azure") == [azure]
    assert store.open_alerts("slack") == []


def test_open_alerts_are_counted_by_source_and_severity_without_tests(store: Store) -> None:
    for fingerprint in ("one", "two"):
        opened(store, fingerprint, severity=Severity.CRITICAL, labels={"said": '"test":true', "test": "true"})
    opened(store, "three", source="azure", severity=Severity.INFO)
    opened(store, "four", test=True)
    resolved(store, opened(store, "five"))

    assert store.open_counts() == {("github", Severity.CRITICAL): 2, ("azure", Severity.INFO): 1}


def test_withheld_alerts_are_those_of_which_time_may_change_what_is_told(store: Store) -> None:
    opened(store, "told", escalations={"last step made": Escalation(None, 1)})
    silenced = opened(store, "silenced", withheld={"pager": "silenced by eva: deploy"})
    escalates = opened(store, "escalates", escalations={"oncall": Escalation(NOW, 1)})
    resolved(store, opened(store, "over", withheld={"pager": "off: no key"}))
    recent = Recent(fired_at=(NOW,), changed_at=(NOW, NOW), flapping_since=NOW, held=("jira",), carried=("jira",))
    flaps = resolved(store, opened(store, "flaps", recent=recent))

    found = {alert.key: alert for alert in store.withheld_alerts()}

    assert found == {alert.key: alert for alert in (silenced, escalates, flaps)}


def test_a_page_goes_from_the_latest_change_to_the_oldest_without_gap_or_repetition(store: Store) -> None:
    writes = [opening(new_alert(f"n{n}", updated_at=NOW + timedelta(minutes=n // 2)), ()) for n in range(23)]
    done = [result.alert for result in store.commit(writes, NOW) if isinstance(result, Done)]
    for alert in done[::3]:
        resolved(store, alert, alert.updated_at)
    store.archive(NOW)
    for alert in done[1::6]:
        resolved(store, alert, alert.updated_at)  # over, but not archived

    for wanted, limit in ((None, 5), (True, 4), (False, 3)):
        pages, cursor = [], ""
        while True:
            page = store.page(Query(open=wanted, limit=limit, cursor=cursor))
            pages.append([(alert.updated_at, alert.key) for alert in page.alerts])
            cursor = page.cursor
            assert not cursor or cursor == f"{codec.micros(page.alerts[-1].updated_at)}-{page.alerts[-1].key}"
            if not cursor:
                break

        told = [place for page in pages for place in page]
        held = store.get(alert.key for alert in done).values()
        assert told == sorted(
            ((alert.updated_at, alert.key) for alert in held if wanted in (None, alert.open)), reverse=True
        )
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (Query(severities=frozenset({Severity.CRITICAL, Severity.INFO})), {"critical", "over"}),
        (Query(kinds=frozenset({Kind.MAINTENANCE})), {"planned"}),
        (Query(source="azure"), {"azure"}),
        (Query(statuses=frozenset({Status.ACKNOWLEDGED})), {"acked"}),
        (Query(statuses=frozenset({Status.RESOLVED})), {"over"}),
        (Query(statuses=frozenset({Status.RESOLVED}), open=True), set()),
        (Query(open=True, severities=frozenset({Severity.INFO, Severity.ERROR})), {"planned", "azure", "acked"}),
        (Query(open=False), {"over"}),
    ],
)
def test_a_page_shows_what_was_asked_for(store: Store, query: Query, wanted: set[str]) -> None:
    over = new_alert("over", severity=Severity.INFO)
    made = store.commit(
        [
            opening(new_alert("critical", severity=Severity.CRITICAL), ()),
            opening(new_alert("planned", kind=Kind.MAINTENANCE), ()),
            opening(new_alert("azure", source="azure"), ()),
            opening(new_alert("acked", status=Status.ACKNOWLEDGED), ()),
            opening(over, ()),
        ],
        NOW,
    )
    assert all(isinstance(result, Done) for result in made)
    resolved(store, store.get([over.key])[over.key])
    store.archive(NOW)

    assert {alert.fingerprint for alert in store.page(query).alerts} == wanted


def test_a_cursor_that_makes_no_sense_does_no_harm(store: Store) -> None:
    opened(store)

    assert len(store.page(Query(cursor="nonsense")).alerts) <= 1


def test_links_are_told_oldest_episode_first_and_found_by_the_remote_id(store: Store) -> None:
    first = opened(store, receivers=("jira", "slack"))
    jira = claim_one(store, "jira")
    store.settle(jira, Settled(link=link_of(jira, "T-1", closed=True)), NOW)
    second = commit(store, opening(next_episode(resolved(store, first)), ("jira",)))
    again = claim_one(store, "jira")
    carried = link_of(again, "T-1", remote_key=link_of(jira).remote_key)
    store.settle(again, Settled(link=carried), NOW)

    assert [link.episode for link in store.links([first.key])[first.key]] == [1, 2]
    assert store.link_by("jira", "T-1") == carried
    assert store.link_by("slack", "T-1") is None
    assert second.episode == 2


def test_links_of_a_commit_are_there_with_the_alert(store: Store) -> None:
    alert = new_alert("opsgenie", source="opsgenie")
    link = link_of(owed(alert, Verb.OPEN, "opsgenie"), "O-1")

    commit(store, replace(opening(alert, ()), links=(link,)))

    assert store.links([alert.key]) == {alert.key: [link]}
    assert store.link_by("opsgenie", "O-1") == link


def test_links_of_a_write_in_conflict_are_not_there(store: Store) -> None:
    alert = opened(store)
    link = link_of(owed(alert, Verb.OPEN, "jira"), "T-9")

    (result,) = store.commit([replace(opening(new_alert(), ()), links=(link,))], NOW)

    assert isinstance(result, Conflict)
    assert store.links([alert.key]) == {}
    assert store.link_by("jira", "T-9") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "t" * 100_000, "description": "d" * 100_000},
        {"title": "Störung 東京 \U0001f525 ‮ \t\r\n'\"\\/#?", "fingerprint": "a/b\\c#d?e\tf'\"%🔥"},
        {"description": "\U0001f525" * 100_000, "note": "東" * 100_000},
        {"labels": {f"label {number}/#?": f"value {number}" for number in range(3000)}},
        {"labels": {"": "", "RowKey": "x", "PartitionKey": "y", "odata.etag": "z"}},
    ],
)
def test_it_keeps_what_naive_senders_send(store: Store, changes: dict[str, object]) -> None:
    alert = replace(new_alert(), **changes)

    commit(store, opening(alert))

    assert store.get([alert.key])[alert.key] == replace(alert, revision=1)
    assert [claimed.alert.title for claimed in claim(store)] == [alert.title]
    assert store.by_fingerprint(alert.fingerprint) == [replace(alert, revision=1)]


def test_a_note_of_any_length_is_delivered(store: Store) -> None:
    alert = opened(store, receivers=())

    commit(store, writing(alert, Verb.NOTE, Why.NOTED, note="n" * 100_000 + "東🔥"))

    assert claim_one(store).note == "n" * 100_000 + "東🔥"


def test_of_eight_that_take_a_slot_one_has_it(store: Store) -> None:
    slot = store.put_slot(Slot(name="github/eu", due_at=NOW))
    assert slot is not None
    assert store.put_slot(Slot(name="github/eu", due_at=NOW)) is None

    taken = at_once(lambda n: store.put_slot(replace(slot, owner=f"w{n}", lease_until=NOW + HOUR)), range(8))

    winners = [each for each in taken if each]
    assert len(winners) == 1
    assert store.slots() == {"github/eu": winners[0]}
    assert winners[0].revision == 2


def test_of_eight_that_make_a_slot_one_has_made_it(store: Store) -> None:
    made = at_once(lambda n: store.put_slot(Slot(name="github", due_at=NOW, owner=f"w{n}")), range(8))

    assert len([each for each in made if each]) == 1


def test_a_slot_that_is_not_there_cannot_be_changed(store: Store) -> None:
    assert store.put_slot(Slot(name="gone", due_at=NOW, revision=3)) is None
    assert store.slots() == {}


def test_of_eight_that_set_a_new_setting_all_get_the_first_value(store: Store) -> None:
    values = at_once(lambda n: store.set_setting("secret/key", f"v{n}", only_if_new=True), range(8))

    assert len(set(values)) == 1
    assert store.setting("secret/key") == values[0]
    assert store.set_setting("secret/key", "x" * 200_000) == "x" * 200_000
    assert store.setting("secret/key") == "x" * 200_000


def store_all(store: Store) -> None:
    """Pay what is owed and archive what is over."""
    pay(store, Settled())
    store.archive(NOW)


def test_ending_is_seen_by_every_reader(store: Store) -> None:
    over = commit(store, ending(opened(store)))

    assert store.open_alerts() == []
    assert store.get([over.key])[over.key] == over
    assert store.page(Query(open=False)).alerts == (over,)


def test_names_that_differ_in_case_alone_are_different(store: Store) -> None:
    lower, upper = opened(store, "disk-full"), opened(store, "DISK-FULL")

    store.set_setting("name", "lower")

    assert store.by_fingerprint("disk-full") == [lower]
    assert store.by_fingerprint("DISK-FULL") == [upper]
    assert store.setting("NAME") is None


def test_a_text_of_any_script_and_length_is_kept_as_it_is(store: Store) -> None:
    text = "東京 👍 \U0001f525 ' \" %s \\ " * 4000

    store.set_setting("long", text)

    assert store.setting("long") == text


def test_very_many_keys_are_read_at_once(store: Store) -> None:
    """More than one statement holds."""
    last = opened(store, "last")

    found = store.get([*(f"{number:020x}" for number in range(1200)), last.key])

    assert found == {last.key: last}
