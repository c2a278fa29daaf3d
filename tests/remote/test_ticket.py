"""What ticket systems and pagers share, and the values that such systems write."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.vocabulary import EventStatus, Status, Verb
from service_event_checker.remote.ticket import RemoteChange, comment_of, moved, unless_gone, without_copies
from service_event_checker.remote.values import moment, objects, text
from tests.factories import NOW, alert, delivery


def kept(*objects: tuple[int, str, str], us: str = "") -> list[int]:
    """Return the ids of what is kept of objects (id, key, creator)."""

    def names(name: str) -> frozenset[str]:
        return frozenset(filter(None, [name]))

    left = without_copies(objects, lambda each: each[1], lambda each: names(each[2]), names(us))
    return [each[0] for each in left]


def test_a_later_one_of_a_key_by_somebody_else_is_a_copy():
    assert kept((1, "a", "bot"), (2, "a", "ann"), (3, "b", "ann"), (4, "a", "bot"), (5, "a", "")) == [1, 3, 4, 5]
    assert kept((1, "", "bot"), (2, "", "ann")) == [1, 2]


def test_once_it_is_known_who_we_are_what_another_made_is_a_copy():
    assert kept((1, "a", "ann"), (2, "a", "bot"), (3, "b", "ann"), (4, "c", ""), us="bot") == [2, 4]


def test_a_change_is_known_by_its_object_and_never_carried_back():
    change = RemoteChange(external_id="7", actor="Ann", at=NOW, status=EventStatus.ACKNOWLEDGED, notes=[("5", "mine")])

    note, status = change.events("jira", "/hooks/jira")

    for event in (note, status):
        assert (event.ref, event.via, event.source, event.fingerprint) == (("jira", "7"), "jira", "", "")
        assert (event.actor, event.at, event.intake) == ("Ann", NOW, "/hooks/jira")
    assert (note.status, note.note, note.note_id) == (EventStatus.NOTED, "mine", "5")
    assert (status.status, status.note) == (EventStatus.ACKNOWLEDGED, "")


def test_an_object_that_is_opened_again_always_has_something_to_tell():
    assert comment_of(delivery(alert(), Verb.OPEN), alert()).told.change == "Opened again"
    assert comment_of(delivery(alert(), Verb.NOTE, note="look"), alert()).told.change.endswith("look")
    assert [verb for verb in Verb if comment_of(delivery(alert(), verb), alert()).full] == [Verb.OPEN, Verb.UPDATE]


def test_only_another_status_that_is_known_is_a_change():
    assert moved(Status.FIRING, Status.RESOLVED) is EventStatus.RESOLVED
    assert moved(None, Status.FIRING) is EventStatus.UNACKNOWLEDGED
    assert moved(Status.RESOLVED, Status.RESOLVED) is moved(Status.FIRING, None) is None


@pytest.mark.parametrize("reason", [Reason.NOT_FOUND, Reason.REFUSED])
def test_only_what_is_gone_is_none(reason):
    def call() -> str:
        raise DeliveryError(reason, permanent=True)

    if reason is Reason.NOT_FOUND:
        assert unless_gone(call) is None
        return
    with pytest.raises(DeliveryError):
        unless_gone(call)


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-20T03:00:00Z",
        "2026-11-20T04:00:00.000+0100",
        "2026-11-20T03:00:00",
        "2026-11-20 03:00:00",
        "2026-11-19T22:00:00-05:00",
    ],
)
def test_a_time_is_utc_however_it_is_written(written):
    assert moment(written) == NOW
    assert moment(written).utcoffset() == UTC.utcoffset(None)


@pytest.mark.parametrize("value", [None, "", "soon", 1763600400, True, [], {}, "0001-01-01T00:00:00+14:00"])
def test_what_is_no_time_is_none(value):
    assert moment(value) is None


@given(st.text() | st.datetimes().map(datetime.isoformat))
def test_no_text_is_too_odd_for_a_time(value):
    found = moment(value)

    assert found is None or found.tzinfo is not None


def test_of_a_list_the_objects_count():
    assert objects({"values": [{"id": 1}, None, "x", [], {}]}, "values") == [{"id": 1}, {}]


@pytest.mark.parametrize("answer", [{}, {"values": None}, {"values": {}}, {"values": "x"}])
def test_an_answer_without_its_list_is_garbage_and_not_an_empty_one(answer):
    with pytest.raises(DeliveryError, match="lists no values") as error:
        objects(answer, "values")

    assert (error.value.reason, error.value.permanent) == (Reason.GARBAGE, False)


@pytest.mark.parametrize(("value", "wanted"), [("a", "a"), ("", ""), (None, ""), (7, ""), (["a"], ""), ({}, "")])
def test_only_text_is_text(value, wanted):
    assert text(value) == wanted
