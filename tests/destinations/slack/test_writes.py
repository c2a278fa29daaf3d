"""The turns to write to one message, and what it shows."""

from __future__ import annotations

import threading

from service_event_checker.core.vocabulary import Status, Verb
from service_event_checker.destinations.slack import writes
from service_event_checker.destinations.slack.adapter import Adapter, Config
from service_event_checker.destinations.slack.writes import MessageWrites
from tests.destinations.slack.double import Slack
from tests.factories import alert, delivery


def test_one_writes_at_a_time_to_a_message_and_others_go_on() -> None:
    turns = MessageWrites()

    with turns.turn("C1:1", 0) as first, turns.turn("C1:1", 0.01) as second, turns.turn("C1:2", 0) as other:
        assert (first, second, other) == (True, False, True)
    with turns.turn("C1:1", 0) as again:
        assert again


def test_who_waits_gets_the_turn_when_the_write_has_ended() -> None:
    turns, got = MessageWrites(), list[bool]()

    def wait() -> None:
        with turns.turn("C1:1", 10) as alone:
            got.append(alone)

    waiting = threading.Thread(target=wait)
    with turns.turn("C1:1", 0):
        waiting.start()
        assert got == []
    waiting.join(10)

    assert got == [True]


def test_it_remembers_the_latest_messages_alone() -> None:
    turns = MessageWrites()
    for number in range(writes.REMEMBERED_MAX + 1):
        turns.record(f"C1:{number}", 7)

    assert (turns.shown("C1:0"), turns.shown("C1:1"), turns.shown("C1:10000")) == (0, 7, 7)
    turns.record("C1:1", 0)
    assert turns.shown("C1:1") == 0


def test_an_edit_that_is_older_than_what_a_press_has_shown_is_left_out() -> None:
    with Slack() as slack:
        adapter = Adapter("slack", Config(token=slack.token, url=slack.api_url))
        known = alert(revision=1)
        link = adapter.deliver(delivery(known, Verb.OPEN), known, None)
        assert link is not None
        adapter.writes.record(link.external_id, 3)

        adapter.deliver(delivery(known, Verb.UPDATE), alert(revision=2, title="older"), link)
        assert "older" not in slack.roots()[0].shown
        later = alert(revision=3, status=Status.ACKNOWLEDGED, owner="ada")
        adapter.deliver(delivery(later, Verb.ACK, actor="ada"), later, link)

        assert "Acknowledged by ada" in slack.roots()[0].shown
        assert slack.roots()[0].blocks[0]["block_id"] == f"{known.key}:1:3"
