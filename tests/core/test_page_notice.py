"""The notice of a page that changed goes once to those who hear of the source's outages, to chat, else by mail."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service_event_checker.core import matchers
from service_event_checker.core.model import Alert, PageChange, Receiver
from service_event_checker.core.page_notice import SAME_WITHIN, page_notice
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.store import Write
from service_event_checker.core.vocabulary import Family, Status, Verb
from tests.factories import NOW, receiver

CHANGE = PageChange(since=NOW, what="it lists no components any more", polls=2)
CHAT, OTHER, MAIL = receiver("chat"), receiver("other"), receiver("mail", Family.MAIL)
TICKETS = receiver("tickets", Family.TICKET)
RULE = Rule("github", matchers.parse('source="github"'), ("tickets", "other", "mail"))


def noticed(
    *receivers: Receiver, rules: tuple[Rule, ...] = (RULE,), known: Alert | None = None, change: PageChange = CHANGE
) -> Write | None:
    book = Rulebook(rules, (), {each.name: each for each in receivers})
    return page_notice(known, "github", change, "Look at it.", book, NOW)


@pytest.mark.parametrize(
    ("receivers", "expected"),
    [
        ((TICKETS, CHAT, OTHER, MAIL), ("other",)),
        ((TICKETS, CHAT, MAIL), ("chat",)),
        ((TICKETS, MAIL, receiver("chat", why_off="no token")), ("mail",)),
        ((TICKETS, MAIL, receiver("chat", shadow=True)), ("mail",)),
    ],
    ids=["the chat of its outages", "else any chat", "else mail", "a shadow is nobody"],
)
def test_who_is_told(receivers: tuple[Receiver, ...], expected: tuple[str, ...]) -> None:
    write = noticed(*receivers)

    assert write is not None
    assert [(each.receiver, each.verb) for each in write.deliveries] == [(name, Verb.OPEN) for name in expected]
    assert (write.alert.receivers, write.alert.status) == (expected, Status.RESOLVED)
    assert write.alert.description == "It lists no components any more. Look at it."


def test_nobody_is_told_where_there_is_neither_chat_nor_mail() -> None:
    assert noticed(TICKETS) is None


def test_the_same_change_is_told_once_and_the_same_sign_again_after_a_day() -> None:
    first = noticed(CHAT)
    assert first is not None
    known = first.alert
    later = PageChange(since=NOW + timedelta(hours=1), what=CHANGE.what, polls=2)
    other = PageChange(since=NOW + timedelta(hours=1), what="it redirects", polls=2)

    book = Rulebook((), (), {"chat": CHAT})
    assert page_notice(known, "github", later, "Look at it.", book, NOW + SAME_WITHIN) is not None
    assert noticed(CHAT, known=known) is None
    assert noticed(CHAT, known=known, change=later) is None
    again = noticed(CHAT, known=known, change=other)
    assert again is not None
    assert again.alert.episode == 2
