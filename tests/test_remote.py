"""Links and events of objects in other systems, and the values that such systems write."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker import remote
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import EventStatus, Link, Verb, remote_key
from service_event_checker.foreign import moment, objects, text
from tests.factories import NOW, alert, delivery


def test_what_was_made_is_the_deliverys_and_names_the_one_before():
    owed = delivery(alert(), Verb.OPEN, receiver="jira")

    assert remote.made(owed, "ab" * 10, "7", "https://x/7", "https://x/6") == Link(
        key=owed.key,
        episode=owed.episode,
        receiver="jira",
        remote_key="ab" * 10,
        external_id="7",
        url="https://x/7",
        previous="https://x/6",
    )


def test_what_was_found_is_nobodys_yet():
    found = remote.found("jira", "ab" * 10, "7", "https://x/7")

    assert (found.key, found.episode) == ("", 0)
    assert (found.receiver, found.remote_key, found.external_id, found.url) == ("jira", "ab" * 10, "7", "https://x/7")


def test_a_change_is_known_by_its_object_and_never_carried_back():
    event = remote.change("jira", "7", EventStatus.ACKNOWLEDGED, intake="/hooks/jira", actor="Ann", at=NOW)

    assert (event.ref, event.via, event.source, event.fingerprint) == (("jira", "7"), "jira", "", "")
    assert (event.status, event.actor, event.at, event.intake) == (EventStatus.ACKNOWLEDGED, "Ann", NOW, "/hooks/jira")


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


@pytest.mark.parametrize("link", [None, Link(key="a", episode=1, receiver="jira", remote_key="b")])
def test_without_an_object_there_is_nothing_to_write_to(link):
    with pytest.raises(DeliveryError, match="no issue of this episode") as error:
        remote.known(link, "issue")

    assert (error.value.reason, error.value.permanent) == (Reason.NOT_FOUND, True)


def test_an_episode_that_has_a_link_keeps_its_key():
    owed = delivery(alert(), Verb.OPEN, receiver="jira")

    assert remote.key_of(owed, None) == remote_key(owed.key, owed.episode)
    assert remote.key_of(owed, Link(key=owed.key, episode=2, receiver="jira", remote_key="ab")) == "ab"


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
