"""The console shows what a chat would have been told."""

from __future__ import annotations

from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Link
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.destinations.console import Adapter, Config
from tests.factories import alert, delivery


def test_one_readable_block_is_written_per_delivery(capsys):
    outage = alert()
    link = Adapter("slack", Config()).deliver(delivery(outage), outage, None)

    written = capsys.readouterr().out
    assert written.count("Error · GitHub: Disruption with some GitHub services") == 1
    assert outage.internal_id in written
    assert link == Link(key=outage.key, episode=1, receiver="slack", remote_key=remote_key(outage.key, 1))


def test_a_later_change_keeps_its_link_and_says_what_changed():
    written: list[str] = []
    console = Adapter("slack", Config(), write=written.append)
    link = console.deliver(delivery(alert()), alert(), None)

    assert console.deliver(delivery(alert(), Verb.ACK, actor="alice"), alert(), link) is link
    assert "Acknowledged by alice" in written[1]
    assert console.family is Family.CHAT


def test_control_characters_of_a_vendor_do_not_reach_the_terminal():
    written: list[str] = []
    nasty = alert(title="\x1b]0;owned\x07 \x1b[31mred", description="\u202egnihsihp")

    Adapter("slack", Config(), write=written.append).deliver(delivery(nasty), nasty, None)

    assert not {"\x1b", "\x07", "\u202e"} & set(written[0])
