"""What an issue and its comments say, in both of Jira's forms: nothing foreign is markup, nothing is too long."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Verb
from service_event_checker.destinations.jira import document
from service_event_checker.remote.ticket import Comment
from service_event_checker.render.notice import notice
from tests.destinations.jira.double import TEXT_MAX, rendered
from tests.factories import NOW, alert
from tests.strategies import REPEATABLE

MARKER = "0123456789abcdef"
WRITERS = [document.adf, document.wiki]


def description(alert: Alert, write: document.Writer, previous: str = "") -> Any:
    return document.description(notice(alert, Verb.OPEN, NOW), previous, write)


def comment(alert: Alert, write: document.Writer, *, note: str = "", full: bool = False) -> Any:
    told = notice(alert, Verb.NOTE, NOW, actor="alice", note=note)
    return document.comment(Comment(told, MARKER, full), write)


def size(body: Any) -> int:
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("{code}x{code}", r"\{code\}x\{code\}"),
        ("[click|https://evil.example]", r"\[click\|https://evil.example\]"),
        ("!image.png!", r"\!image.png\!"),
        (
            "*bold* _em_ -gone- +new+ ^up^ ~down~ ??cite??",
            r"\*bold\* \_em\_ \-gone\- \+new\+ \^up\^ \~down\~ \?\?cite\?\?",
        ),
        ("(x) (!) :)", r"\(x\) \(\!\) :\)"),
        ("|a||b|", r"\|a\|\|b\|"),
        ("----", r"\-\-\-\-"),
        ("C:\\temp\\\\new", "C:&#92;temp&#92;&#92;new"),
        ("&lt;b&gt; & co", "&amp;lt;b&amp;gt; & co"),
        ("h1. Big\n bq. said\n# one\n* two", "\u2060h1. Big\n\u2060 bq. said\n\u2060# one\n\\* two"),
        ("2026-11-20 a_b_c us-east-1 why? 3*4", "2026-11-20 a_b_c us-east-1 why? 3*4"),
    ],
)
def test_wiki_markup_is_escaped_and_plain_words_are_left_alone(text, written):
    assert document.escape_wiki(text) == written


@REPEATABLE
@given(st.text(alphabet="{}[]()|!*_-+^~?\\&;#h1.bq\nlt <>a0 ", max_size=60))
def test_escaped_text_is_read_as_it_was_written(text):
    read = rendered(document.escape_wiki(text)).replace("\u2060", "")

    assert read == html.escape(text, quote=False)


@pytest.mark.parametrize("write", WRITERS)
def test_a_link_cannot_be_broken_out_of(write):
    url = "https://example.com/[a]{b}!c!"

    shown = rendered(write([document.Paragraph("See", url=url)]))

    assert shown.count("<a href=") == 1
    assert "<img" not in shown
    assert "<macro" not in shown


def test_a_document_has_no_empty_text_and_a_break_for_each_line():
    body = document.adf([document.Paragraph("one\n\ntwo", bold=True)])

    (paragraph,) = body["content"]
    strong = {"marks": [{"type": "strong"}]}
    expected = [{"type": "text", "text": "one", **strong}, {"type": "hardBreak"}, {"type": "hardBreak"}]
    assert paragraph["content"] == [*expected, {"type": "text", "text": "two", **strong}]


@pytest.mark.parametrize("write", WRITERS)
def test_a_description_names_the_facts_the_labels_and_what_was_before(write):
    outage = replace(alert(), annotations={"summary": "disk of shop-1"}, links={"slack": "https://slack.example/1"})

    shown = rendered(description(outage, write, previous="https://jira.example/browse/OPS-1"))

    for text in ("Error · GitHub", "Actions", "disk of shop-1", "Labels", "Annotations", "2026-11-20 03:00 UTC"):
        assert text in shown
    for url in (outage.url, "https://slack.example/1", "https://jira.example/browse/OPS-1"):
        assert f">{url}</a>" in shown


@pytest.mark.parametrize("write", WRITERS)
def test_an_earlier_issue_that_has_no_address_is_named_by_its_id(write):
    assert "Previous ticket: 10001" in rendered(description(alert(), write, previous="10001"))


@pytest.mark.parametrize("write", WRITERS)
def test_a_comment_ends_with_the_signature(write):
    shown = rendered(comment(alert(), write, note="looking into it"))

    assert "Note from alice: looking into it" in shown
    assert shown.removesuffix("</p>").endswith(f"Platform Outage Checker {MARKER}")
    assert "Severity" not in shown


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_comment_says_how_things_stand(write):
    shown = rendered(comment(alert(), write, full=True))

    assert "Firing. Severity: error." in shown
    assert alert().description in shown


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("char", ["x", "{", "\n", "a\n", "😀", '"', "\\"])
def test_however_much_there_is_to_say_it_fits_and_is_signed(write, char):
    labels = {f"label-{number}": char * 2000 + "x" for number in range(100)}
    big = replace(alert(), title=char * 900 + "x", description=char * 20_000, labels=labels, annotations=labels)

    whole = description(big, write)
    told = comment(big, write, note=char * 20_000, full=True)

    assert max(size(whole), size(told)) <= TEXT_MAX
    assert big.internal_id in rendered(whole)
    assert MARKER in rendered(told)


@pytest.mark.parametrize("title", ["x" * 900, "😀" * 300, "line one\nline two", "", "GitHub is down"])
def test_a_summary_is_one_line_of_at_most_255_units(title):
    big = replace(alert(), title=title, source="rest:" + "shop" * 20)

    summary = document.summary(notice(big, Verb.OPEN, NOW))

    assert 0 < size(summary) <= 255
    assert "\n" not in summary


def test_a_summary_does_not_name_the_platform_twice():
    named = replace(alert(), title="GitHub is down")

    assert document.summary(notice(named, Verb.OPEN, NOW)) == "GitHub is down"
