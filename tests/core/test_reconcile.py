"""What a difference between our view and a destination's means, case by case."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Link, Remote
from service_event_checker.core.reconcile import LEFT, Fix, LocalView, ended, repairs
from service_event_checker.core.vocabulary import Family, ResolvedBy, Status, Verb
from tests.factories import NOW, alert, event, receiver

LATER = NOW + timedelta(hours=1)
FIRING = alert(source="alertmanager", receivers=("pager",))
ACKED = replace(FIRING, status=Status.ACKNOWLEDGED)
OVER = replace(FIRING, status=Status.RESOLVED, resolved_by=ResolvedBy.SOURCE)
LINK = Link(key=FIRING.key, episode=1, receiver="pager", remote_key=remote_key(FIRING.key, 1), external_id="7")
SHOWN = Remote(external_id="7", remote_key=LINK.remote_key, status=Status.FIRING, created_at=NOW)


def found(known: Alert, shown: Remote = SHOWN, link: Link = LINK, **view: Any) -> list[Fix]:
    view = {"receiver": receiver("pager", Family.PAGER), **view}
    whole = LocalView(links={link.external_id: link}, alerts={known.key: known}, **view)
    return [repair.fix for repair in repairs([shown], whole, LATER)]


def test_what_is_open_of_an_earlier_episode_is_closed() -> None:
    assert found(replace(FIRING, episode=2)) == [Fix.CLOSE]


def test_but_not_while_something_is_on_its_way_there() -> None:
    assert found(replace(FIRING, episode=2), pending=frozenset({FIRING.key})) == []


def test_where_an_end_is_only_a_comment_nothing_is_closed() -> None:
    assert found(OVER, receiver=receiver("pager", Family.PAGER, on_resolve="comment")) == []


def test_what_was_born_there_is_its_own_to_end() -> None:
    born = replace(OVER, source="pager")

    assert found(born) == []
    assert found(born, replace(SHOWN, event=event())) == [Fix.RELISTED]
    assert found(replace(born, episode=2), replace(SHOWN, event=event())) == []
    assert found(replace(born, resolved_by=ResolvedBy.PERSON)) == [Fix.CLOSE]


def test_a_list_that_lags_behind_what_was_told_says_nothing() -> None:
    told = replace(ACKED, status_seen_at={("pager", None): LATER})

    assert found(told, replace(SHOWN, at=NOW)) == []


@pytest.mark.parametrize(("sent", "fixes"), [({}, [Fix.ACKED]), ({Status.ACKNOWLEDGED: NOW}, [Fix.ACK_AGAIN])])
def test_an_ack_without_a_time_is_news_unless_we_wrote_one(sent: dict[Status, Any], fixes: list[Fix]) -> None:
    taken = replace(SHOWN, status=Status.ACKNOWLEDGED)
    expected = fixes if not sent else [Fix.UNACK_AGAIN]

    assert found(FIRING, taken, replace(LINK, sent=sent)) == expected


def test_an_ack_of_the_receiver_that_last_told_the_status_is_news_when_it_is_later() -> None:
    taken = replace(SHOWN, status=Status.ACKNOWLEDGED, at=LATER)
    known = replace(FIRING, status_seen_at={("pager", None): NOW})

    assert found(known, taken, status_from={FIRING.key: "pager"}) == [Fix.ACKED]


def test_what_was_given_up_is_not_owed_again() -> None:
    dead = frozenset({(FIRING.key, 1, Verb.ACK), (FIRING.key, 1, Verb.CLOSE)})

    assert found(ACKED, dead=dead) == [Fix.GIVEN_UP]
    assert found(OVER, dead=dead) == [Fix.GIVEN_UP]
    assert {Fix.GIVEN_UP} <= LEFT


def test_what_was_merged_or_deleted_there_is_told_as_not_fixed() -> None:
    view = LocalView(receiver=receiver("pager", Family.PAGER))
    merged = replace(SHOWN, status=Status.RESOLVED, not_fixed="merged into Q2 at PagerDuty")
    looks = [ended(FIRING, LINK, remote, view)[-1] for remote in (merged, None, replace(merged, not_fixed=""))]

    assert [look.fix for look in looks] == [Fix.NOT_FIXED, Fix.GONE, Fix.ENDED]
    assert [look.event and look.event.not_fixed for look in looks] == [True, True, False]
    assert [look.event and look.event.note for look in looks][0] == "merged into Q2 at PagerDuty"


def test_an_object_of_the_same_id_at_another_address_is_not_ours() -> None:
    view = LocalView(receiver=receiver("pager", Family.PAGER))
    link = replace(LINK, url="https://old.example.com/7")
    gone = replace(SHOWN, status=Status.RESOLVED)

    assert ended(FIRING, link, replace(gone, url="https://new.example.com/7"), view) == []
    assert [each.fix for each in ended(FIRING, link, replace(gone, url="https://old.example.com/x"), view)] == [
        Fix.ENDED
    ]


@given(
    status=st.sampled_from(list(Status)),
    shown=st.sampled_from([Status.FIRING, Status.ACKNOWLEDGED]),
    closed=st.booleans(),
    pending=st.booleans(),
    at=st.sampled_from([None, NOW, LATER]),
    family=st.sampled_from([Family.TICKET, Family.PAGER]),
)
def test_nothing_in_motion_is_judged_and_what_agrees_is_left_alone(
    status: Status, shown: Status, closed: bool, pending: bool, at: Any, family: Family
) -> None:
    known = replace(FIRING, status=status, resolved_by=ResolvedBy.SOURCE if status is Status.RESOLVED else None)
    remote = replace(SHOWN, status=shown, at=at)
    view = {"receiver": receiver("pager", family), "pending": frozenset({known.key} if pending else ())}

    fixes = found(known, remote, replace(LINK, closed=closed), **view)

    assert len(fixes) <= 1
    if pending or (status is shown and not closed):
        assert fixes == []
