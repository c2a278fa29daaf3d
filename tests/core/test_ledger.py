"""Receiver by receiver: told, waiting, failed, withheld or not matched, with when, where and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.ledger import Entry, State, entries
from service_event_checker.core.model import Alert, Link, Transition
from service_event_checker.core.vocabulary import Status, Verb, Why
from tests.factories import NOW, alert, delivery

SECOND = timedelta(seconds=1)


def step(why: Why, receiver: str = "slack", verb: Verb | None = Verb.OPEN, **changes: Any) -> Transition:
    base = Transition(
        key=alert().key, episode=1, at=NOW, why=why, before=Status.FIRING, after=Status.FIRING, receiver=receiver
    )
    return replace(base, verb=verb, **changes)


def told(known: Alert, **given: Any) -> list[Entry]:
    nothing: dict[str, Any] = {"steps": (), "waiting": (), "failed": (), "links": (), "receivers": ()}
    return entries(known, **(nothing | given))


def states(found: list[Entry]) -> list[tuple[str, Verb | None, State]]:
    return [(entry.receiver, entry.verb, entry.state) for entry in found]


def test_each_receiver_has_its_answer() -> None:
    known = alert(receivers=("slack", "jira", "mail"), withheld={"redmine": "off: REDMINE_URL is not set"})
    failed = delivery(known, receiver="mail", attempts=4, reason="refused (550)", due_at=None)
    waits = delivery(known, receiver="jira", attempts=2, reason="HTTP 429", due_at=NOW + 120 * SECOND)
    url = "https://acme.slack.com/archives/C1/p1"
    steps = [
        step(Why.DELIVERED, at=NOW + SECOND, tries=1, url=url),
        step(Why.GAVE_UP, "mail", at=NOW + 2 * SECOND, tries=5, note="refused (550)"),
        step(Why.WITHHELD, "redmine", note="off: REDMINE_URL is not set"),
    ]

    found = told(known, steps=steps, waiting=[waits], failed=[failed], receivers=("slack", "jira", "pager"))

    assert found == [
        Entry(receiver="slack", state=State.DELIVERED, verb=Verb.OPEN, at=NOW + SECOND, tries=1, url=url),
        Entry(
            receiver="jira",
            state=State.WAITING,
            verb=Verb.OPEN,
            at=NOW + 120 * SECOND,
            tries=2,
            why="HTTP 429",
        ),
        Entry(
            receiver="mail",
            state=State.FAILED,
            verb=Verb.OPEN,
            at=NOW + 2 * SECOND,
            tries=5,
            why="refused (550)",
            delivery_id=failed.id,
        ),
        Entry(receiver="redmine", state=State.WITHHELD, verb=Verb.OPEN, at=NOW, why="off: REDMINE_URL is not set"),
        Entry(receiver="pager", state=State.NOT_MATCHED, why="no rule sends this alert there"),
    ]


def test_the_last_outcome_of_each_verb_counts() -> None:
    steps = [
        step(Why.DELIVERED, verb=Verb.CLOSE, at=NOW + 9 * SECOND),
        step(Why.WITHHELD, note="silenced by ada: deploy"),
        step(Why.DELIVERED, at=NOW + 5 * SECOND, tries=1),
        step(Why.LINKED, "jira", None, at=NOW + 6 * SECOND),
        step(Why.DELIVERED, episode=7, at=NOW + 7 * SECOND, verb=Verb.NOTE),
    ]

    found = told(alert(receivers=("slack",)), steps=steps)

    assert states(found) == [("slack", Verb.OPEN, State.DELIVERED), ("slack", Verb.CLOSE, State.DELIVERED)]


def test_what_was_not_sent_says_why() -> None:
    steps = [
        step(Why.DRY_RUN, "jira", note="open: a bug in OPS"),
        step(Why.OVER_BEFORE_SENT, "pager", None),
        step(Why.SKIPPED, "slack", Verb.ACK, note="it was changed there since, by a person"),
    ]

    found = told(alert(receivers=("jira", "pager")), steps=steps)

    assert [(entry.receiver, entry.state, entry.why) for entry in found] == [
        ("jira", State.WITHHELD, "dry run: open: a bug in OPS"),
        ("pager", State.WITHHELD, "over before it was sent"),
        ("slack", State.WITHHELD, "it was changed there since, by a person"),
    ]


def test_a_note_that_failed_stays_visible_and_an_update_only_until_a_later_one_arrives() -> None:
    known = alert(receivers=("slack",))
    failed = [delivery(known, verb, attempts=1, reason="refused") for verb in (Verb.NOTE, Verb.UPDATE)]
    steps = [step(Why.DELIVERED, verb=verb, at=NOW + SECOND) for verb in (Verb.OPEN, Verb.NOTE, Verb.UPDATE)]

    found = told(known, steps=steps, failed=failed)

    assert dict((entry.verb, entry.state) for entry in found) == {
        Verb.OPEN: State.DELIVERED,
        Verb.NOTE: State.FAILED,
        Verb.UPDATE: State.DELIVERED,
    }


def test_of_those_that_wait_the_first_counts_and_what_comes_behind_it_says_so() -> None:
    known = alert(receivers=("slack",))
    head = delivery(known, due_at=NOW)
    behind = delivery(known, Verb.NOTE, due_at=None)

    found = told(known, waiting=[head, replace(head, revision=9, due_at=None), behind])

    assert [(entry.at, entry.why) for entry in found] == [(NOW, ""), (None, "an earlier one goes first")]


def test_what_an_earlier_version_did_not_record_is_told_with_its_link() -> None:
    known = alert(receivers=("jira", "mail"))
    link = Link(key=known.key, episode=1, receiver="jira", remote_key="", external_id="OPS-1", url="https://jira/OPS-1")

    found = told(known, links=[link, replace(link, episode=2, url="other")])

    assert [(entry.receiver, entry.state, entry.at, entry.url) for entry in found] == [
        ("jira", State.DELIVERED, None, "https://jira/OPS-1"),
        ("mail", State.DELIVERED, None, ""),
    ]


NAMES = st.sampled_from(["slack", "jira", "pager", "mail"])


@given(
    st.lists(NAMES, unique=True),
    st.lists(NAMES, unique=True),
    st.lists(st.tuples(st.sampled_from(list(Why)), NAMES, st.sampled_from(list(Verb)), st.integers(0, 9))),
    st.lists(st.tuples(NAMES, st.sampled_from(list(Verb)))),
)
def test_every_receiver_is_answered_once_for_each_verb(
    receivers: list[str], withheld: list[str], rows: list[Any], failed: list[Any]
) -> None:
    known = alert(receivers=tuple(receivers), withheld={name: "off" for name in withheld if name not in receivers})
    steps = [step(why, name, verb, at=NOW + number * SECOND) for why, name, verb, number in rows]
    letters = [delivery(known, verb, name, reason="refused") for name, verb in failed]

    found = told(known, steps=steps, failed=letters, receivers=("slack", "jira", "pager", "mail", "console"))

    places = [(entry.receiver, entry.verb) for entry in found]
    assert len(set(places)) == len(places)
    assert {receiver for receiver, _ in places} == {"slack", "jira", "pager", "mail", "console"}
    assert all(
        entry.state is State.WITHHELD
        for entry in found
        if (entry.receiver, entry.verb) in places and entry.receiver in known.withheld and entry.verb is Verb.OPEN
    )
