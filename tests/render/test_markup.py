"""Markup of chat systems: what a sender wrote is shown as text, and comes back when it is read."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker import plugins
from service_event_checker.render.markup import FULL_WIDTH, Markup, atoms
from service_event_checker.render.message import compose
from service_event_checker.render.text import clean
from tests.factories import NOW, alert, delivery
from tests.strategies import REPEATABLE

KINDS = ("dingtalk", "feishu", "slack_webhook", "teams", "telegram", "wecom")
nasty = st.text(alphabet="*_[]()<>`~#&@!|\\\"'- \n1ax中🔥", max_size=40)


def markup_of(kind: str) -> Markup:
    found: Markup = plugins.adapter_class(kind).dialect.markup
    return found


def shown(kind: str, text: str) -> str:
    """Return what a reader sees of escaped text, by the rules of the system."""
    text = text.replace("\u2060", "")
    if kind == "teams":
        return re.sub(r"\\([\\*_\[\]`~#>])", r"\1", text.replace("\n\n", "\n"))
    if kind in ("feishu", "slack_webhook", "telegram"):
        return html.unescape(text)
    narrow = {wide: sign for sign, wide in FULL_WIDTH.items()} | {"＃": "#"}
    return "".join(narrow.get(char, char) for char in text.replace("  \n", "\n"))


@pytest.mark.parametrize("kind", KINDS)
@REPEATABLE
@given(text=nasty)
def test_a_reader_sees_what_was_written(kind, text):
    escaped = "".join(markup_of(kind).escaped(text))

    assert shown(kind, escaped) == (text.replace("  \n", "\n") if kind == "dingtalk" else text)


@pytest.mark.parametrize("kind", KINDS)
@REPEATABLE
@given(text=nasty)
def test_nothing_of_it_is_markup(kind, text):
    markup = markup_of(kind)
    escaped = "".join(markup.escaped(text))

    assert not re.search(r"(?<![A-Za-z0-9])@\w", escaped)
    signs = {"slack_webhook": "<>", "telegram": "<>", "teams": ""}.get(kind, "<>[]*`~")
    assert not set(escaped) & set(signs)
    if kind == "teams":
        assert not re.search(r"[*_\[\]`~]|<(?!\u2060)", re.sub(r"\\.", "", escaped))


@pytest.mark.parametrize("kind", KINDS)
@REPEATABLE
@given(title=nasty, body=nasty)
def test_a_message_has_its_own_markup_only(kind, title, body):
    about = alert(title=title, description=body, url="https://status.example/a(b)[c]?d=<e>&f=*g*")
    told = compose(delivery(about), about, NOW)

    text = "".join(atoms(told, markup_of(kind)))

    bold = markup_of(kind).bold.partition("{text}")[0]
    assert text.count(bold) == (2 if bold in ("*", "**") else 1) * (1 + len(told.facts)) or kind == "slack_webhook"
    assert clean(body, 100) == "" or "".join(markup_of(kind).escaped(clean(body, 8000))) in text
