"""Links and events of objects in other systems, and the values that such systems write."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Link
from service_event_checker.core.vocabulary import EventStatus, Verb
from service_event_checker.remote import links
from service_event_checker.remote.values import moment, objects, text
from tests.factories import NOW, alert, delivery


def test_what_was_made_is_the_deliverys_and_names_the_one_before():
    owed = delivery(alert(), Verb.OPEN, receiver="jira")

    assert links.made(owed, "ab" * 10, "7", "https://x/7", "https://x/6") == Link(
        key=owed.key,
        episode=owed.episode,
        receiver="jira",
        remote_key="ab" * 10,
        external_id="7",
        url="https://x/7",
        previous="https://x/6",
    )


HOME = "https://jira.example/base"


@pytest.mark.parametrize(
    ("url", "is_ours"),
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
def test_an_object_is_of_the_system_below_whose_address_it_is(url, is_ours):
    link = links.found("jira", "ab" * 10, "7", url)

    assert links.known(link, "issue") is link
    assert links.known(link, "issue", ["", "https://elsewhere.example", url or HOME]) is link
    if is_ours:
        assert links.known(link, "issue", [f"{HOME}/"]) is link
        return
    with pytest.raises(DeliveryError, match="belongs to another address") as raised:
        links.known(link, "issue", ["https://bot:secret@jira.example/base"])
    assert (raised.value.reason, raised.value.permanent) == (Reason.NOT_FOUND, True)
    assert "secret" not in str(raised.value)


def kept(*objects: tuple[int, str, str], us: str = "") -> list[int]:
    """Return the ids of what is kept of objects (id, key, creator)."""

    def names(name: str) -> frozenset[str]:
        return frozenset(filter(None, [name]))

    left = links.without_copies(objects, lambda each: each[1], lambda each: names(each[2]), names(us))
    return [each[0] for each in left]


def test_a_later_one_of_a_key_by_somebody_else_is_a_copy():
    assert kept((1, "a", "bot"), (2, "a", "ann"), (3, "b", "ann"), (4, "a", "bot"), (5, "a", "")) == [1, 3, 4, 5]
    assert kept((1, "", "bot"), (2, "", "ann")) == [1, 2]


def test_once_it_is_known_who_we_are_what_another_made_is_a_copy():
    assert kept((1, "a", "ann"), (2, "a", "bot"), (3, "b", "ann"), (4, "c", ""), us="bot") == [2, 4]


def test_what_was_found_is_nobodys_yet():
    found = links.found("jira", "ab" * 10, "7", "https://x/7")

    assert (found.key, found.episode) == ("", 0)
    assert (found.receiver, found.remote_key, found.external_id, found.url) == ("jira", "ab" * 10, "7", "https://x/7")


def test_a_change_is_known_by_its_object_and_never_carried_back():
    event = links.change("jira", "7", EventStatus.ACKNOWLEDGED, intake="/hooks/jira", actor="Ann", at=NOW)

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
        links.known(link, "issue")

    assert (error.value.reason, error.value.permanent) == (Reason.NOT_FOUND, True)


def test_an_episode_that_has_a_link_keeps_its_key():
    owed = delivery(alert(), Verb.OPEN, receiver="jira")

    assert links.key_of(owed, None) == remote_key(owed.key, owed.episode)
    assert links.key_of(owed, Link(key=owed.key, episode=2, receiver="jira", remote_key="ab")) == "ab"


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
