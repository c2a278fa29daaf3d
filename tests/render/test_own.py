"""Templates of users: where they lie, what they see, what stops the start; and one that fails at night harms nobody."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.vocabulary import Kind, Severity, Verb
from service_event_checker.destinations.slack.mrkdwn import escape_mrkdwn
from service_event_checker.metrics import REGISTRY
from service_event_checker.render import own, own_check, sandbox
from service_event_checker.render.notice import notice, with_own
from service_event_checker.render.own import Form
from service_event_checker.render.own_check import Target
from service_event_checker.render.own_values import FILTERS
from service_event_checker.render.voice import Voice
from tests.factories import NOW, alert, delivery
from tests.strategies import REPEATABLE

FORMS = {
    "subject.txt": Form(line=True, limit=80),
    "txt": Form(),
    "html": Form(escape=html.escape, html=True),
    "mrkdwn": Form(escape=escape_mrkdwn),
    own.TITLE: Form(line=True),
}
MAIL = Target(name="oncall", kind="smtp", forms=FORMS)


@pytest.fixture(autouse=True)
def _none_left() -> Iterator[None]:
    yield
    own.use({})


def read(folder: Path, files: dict[str, str], *targets: Target) -> list[str]:
    """Write the files, read them, use what was read, and return what is wrong."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    named = {each.name: each for each in targets or (MAIL,)}
    owns, problems = own_check.read(folder, named, frozenset({"smtp", "slack"}))
    own.use(owns)
    return [each.replace(f"{folder}/", "") for each in problems]


def texts(verb: Verb = Verb.OPEN, receiver: str = "oncall", **changes: Any) -> dict[str, str]:
    shown = alert(**changes)
    sent = delivery(shown, verb, receiver, actor="ada", note="on it")
    return dict(with_own(notice(shown, verb, NOW, actor="ada", note="on it"), sent, shown).own)


def test_the_nearest_template_is_taken_destination_before_kind_and_verb_before_any(tmp_path: Path) -> None:
    order = ["oncall/open.txt", "oncall/any.txt", "smtp/open.txt", "smtp/any.txt"]
    assert read(tmp_path, {name: f"from {name}" for name in order}) == []

    for name in order:
        assert texts()["txt"] == f"from {name}"
        (tmp_path / name).unlink()
        read(tmp_path, {})

    assert texts() == {}


def test_a_template_sees_the_alert_the_change_and_the_filters(tmp_path: Path) -> None:
    text = (
        "{{ alert.severity | emoji }} {{ alert.severity | word }} {{ alert.title }} {{ alert.labels.component }} "
        "[{{ alert.labels.nothing }}] {{ notice.change }} {{ actor }} {{ verb }} {{ destination }} "
        "{{ alert.started_at }} {{ alert.started_at | local('%H:%M') }} "
        "{{ alert.started_at | duration(alert.updated_at) }} {{ 'javascript:alert(1)' | link }}{{ alert.link | link }}"
    )
    assert read(tmp_path, {"smtp/ack.txt": text}) == []

    assert texts(Verb.ACK)["txt"] == (
        "🟠 Error Disruption with some GitHub services Actions [] Acknowledged by ada: on it ada ack oncall "
        "2026-11-20 03:00 UTC 03:00 0 s https://www.githubstatus.com/incidents/8zc63m64hy36"
    )


def test_a_title_is_that_of_the_opening_whatever_is_told_later(tmp_path: Path) -> None:
    assert read(tmp_path, {f"oncall/open.{own.TITLE}": "A: {{ alert.title }}"}) == []

    assert texts(Verb.UPDATE)[own.TITLE] == texts(Verb.OPEN)[own.TITLE] == "A: Disruption with some GitHub services"


def test_an_include_lies_in_a_folder_or_file_with_an_underscore(tmp_path: Path) -> None:
    files = {"_shared/footer.txt": "-- {{ alert.id }}", "oncall/any.txt": 'x{% include "_shared/footer.txt" %}'}

    assert read(tmp_path, files) == []
    assert texts()["txt"].startswith("x-- GITHUB-")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("smtp/open.txt", "a\n{% if %}", "smtp/open.txt:2: "),
        ("smtp/open.txt", "a\n\n{{ alert.titel }}", "smtp/open.txt:3: "),
        ("smtp/open.txt", "{{ nobody }}", "smtp/open.txt:1: 'nobody' is undefined. Names that there are: alert, "),
        ("smtp/open.txt", "{{ alert.title | safe }}", "smtp/open.txt:1: No filter named 'safe'"),
        ("smtp/open.txt", "{{ alert.__class__.__mro__ }}", "smtp/open.txt:1: "),
        ("smtp/open.txt", "{% include 'gone.txt' %}", "smtp/open.txt:1: gone.txt"),
        ("smtp/open.txt", " \n", "smtp/open.txt:?: it writes nothing"),
        ("smtp/open.txt", "{{ 1 / 0 }}", "smtp/open.txt:1: ZeroDivisionError: "),
        ("smtp/close.txt", "{{ alert.ended_at.nope }}", "smtp/close.txt:1: "),
        ("smtp/opne.txt", "x", "smtp/opne.txt: opne is not a verb"),
        ("smtp/open.md", "x", "smtp/open.md: smtp has no part md. It has: html, mrkdwn, subject.txt, title.txt, txt"),
        ("smpt/open.txt", "x", "smpt/open.txt: no destination and no kind is called smpt. Destinations: oncall"),
        ("smtp/open.html", "<a href={{ alert.link }}>x</a>", "smtp/open.html:1: an attribute takes a value without"),
        ("smtp/open.html", '<a href="{{ alert.link }}">x</a>', "smtp/open.html:1: an address is not checked. Write"),
        ("smtp/open.html", "<script>1</script>", "smtp/open.html:1: scripts are not allowed"),
        ("smtp/open.html", '<p onclick="x">1</p>', "smtp/open.html:1: scripts are not allowed"),
    ],
)
def test_a_wrong_template_is_named_with_path_line_and_remedy(
    name: str, text: str, problem: str, tmp_path: Path
) -> None:
    problems = read(tmp_path, {name: text})

    assert [each for each in problems if each.startswith(problem)], problems
    assert texts() == {}


def test_a_file_that_is_no_text_or_too_large_and_a_folder_that_is_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "smtp").mkdir()
    (tmp_path / "smtp/open.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "smtp/close.txt").write_text("x" * (own_check.FILE_MAX + 1))

    wrong = read(tmp_path, {})
    _, gone = own_check.read(tmp_path / "gone", {}, frozenset())

    assert [each.partition(":")[0] for each in wrong] == ["smtp/close.txt", "smtp/open.txt"]
    assert "Set TEMPLATES_DIR to a folder" in gone[0]


def test_a_loop_in_one_language_is_checked_in_that_language(tmp_path: Path) -> None:
    chinese = Target(name="wecom", kind="wecom", forms={"txt": Form()}, voice=Voice(language="zh"))

    assert read(tmp_path, {"wecom/any.txt": "{{ {'严重': 1, '提示': 2}[alert.severity | word] }}"}, chinese) == []


NEVER_ENDING = {
    "nested loops": "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "loops over a list": (
        "{% set n = range(9999) | list %}{% for a in n %}{% for b in n %}{% for c in n %}{% endfor %}{% endfor %}"
        "{% endfor %}"
    ),
    "recursion": "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
    "a long text": "{{ 'a' * 100000000 }}",
    "a long list": "{{ [1] * 100000000 }}",
    "a doubled text": "{% set n = namespace(x='aaaa') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "a doubled sum": "{% set n = namespace(x='aaaa') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "a wide text": "{{ 'a' | center(100000000) }}",
    "a wide method": "{{ 'a'.ljust(100000000) }}",
    "a wide format": "{{ '%100000000d' | format(1) }}",
    "a power": "{{ 9 ** 99999999 }}",
    "much output": "{% for i in range(9999) %}" + "x" * 100 + "{% endfor %}",
}


@pytest.mark.parametrize("name", NEVER_ENDING)
@pytest.mark.parametrize("html_", [False, True], ids=["text", "html"])
def test_a_template_that_would_not_end_is_stopped(name: str, html_: bool) -> None:
    made = sandbox.environment({"a": NEVER_ENDING[name]}, html.escape, FILTERS, html=html_)
    began = time.monotonic()

    with pytest.raises((sandbox.OverBudget, RecursionError)):
        sandbox.render(made.get_template("a"), {})

    assert time.monotonic() - began < sandbox.SECONDS_MAX + 2


def test_a_template_that_fails_at_night_leaves_the_built_in_text_and_says_so(tmp_path: Path) -> None:
    text = "{% if alert.source == 'github' %}{{ alert.labels.a.b.c }}{% else %}fine{% endif %}"
    assert read(tmp_path, {"oncall/any.txt": text}) == []
    counted = {"receiver": "oncall"}
    before = REGISTRY.get_sample_value("poc_template_failures_total", counted) or 0

    assert texts() == {}

    (failure,) = own.failures()
    assert (failure.receiver, failure.path) == ("oncall", str(tmp_path / "oncall/any.txt"))
    assert failure.why.startswith("1: ")
    assert REGISTRY.get_sample_value("poc_template_failures_total", counted) == before + 1
    assert texts(source="gitlab")["txt"] == "fine"
    assert own.failures() == ()


def test_a_test_alert_is_marked_even_if_the_template_leaves_it_out(tmp_path: Path) -> None:
    assert read(tmp_path, {"smtp/any.txt": "{{ alert.id }}", "smtp/any.html": "<p>{{ alert.id }}</p>"}) == []

    found = texts(test=True)

    assert found["txt"].startswith("[TEST] ")
    assert found["html"].startswith("<p><b>TEST</b></p>")
    assert "TEST" not in texts()["txt"]


def test_a_subject_is_one_short_line(tmp_path: Path) -> None:
    assert read(tmp_path, {"smtp/any.subject.txt": "a\nb {{ alert.title }}"}) == []

    found = texts(kind=Kind.ALERT, title="x\r\nBcc: evil@example.com " * 20)["subject.txt"]

    assert "\n" not in found
    assert "\r" not in found
    assert len(found) == 80


HOLES = [
    "{{ alert.title }}",
    "{% autoescape false %}{{ alert.title }}{% endautoescape %}",
    "{% macro m(x) %}<b>{{ x }}</b>{% endmacro %}{{ m(alert.title) }}",
    "{% set x %}{{ alert.title }}{% endset %}{{ x }}",
    "{{ alert.title ~ '' }}{{ [alert.title] | join(',') }}",
    "{% for c in [alert.title] %}{{ c | upper }}{{ c | replace('a', 'b') }}{% endfor %}",
    "{{ alert.title | e }}{{ alert.labels.component | trim }}{{ notice.headline }}{{ notice.fields | first | last }}",
    '<p title="{{ alert.title }}">x</p><a href="{{ alert.title | link }}">y</a>',
]


class Tags(HTMLParser):
    """What a browser would make of a text: the tags, and the names of their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("hole", HOLES)
def test_what_an_alert_says_never_becomes_html(hole: str, tmp_path: Path) -> None:
    assert read(tmp_path, {"smtp/any.html": hole}) == []
    hostile = (
        """<script>alert(1)</script><img src=x onerror=alert(1)> " onclick="x" '><b style=x> &lt;i&gt; {{ 7*7 }}"""
    )

    found = texts(title=hostile, labels={"component": hostile}, kind=Kind.ALERT)["html"]

    seen = Tags(found)
    assert seen.tags <= {"b", "p", "a"}
    assert seen.attributes <= {"title", "href"}
    assert "49" not in found


@REPEATABLE
@given(st.text(max_size=60))
def test_no_text_becomes_html_or_a_mention(text: str) -> None:
    for escape, is_html in ((html.escape, True), (escape_mrkdwn, False)):
        for hole in HOLES[:6]:
            made = sandbox.environment({"a": hole}, escape, FILTERS, html=is_html)
            values = {"alert": {"title": text, "labels": {}}}
            found = sandbox.render(made.get_template("a"), values).replace("<b>", "").replace("</b>", "")
            assert "<" not in found
            assert not re.search(r"@(here|channel|everyone)", found) or is_html


def test_slack_shows_a_users_template_as_sections_and_keeps_its_buttons(tmp_path: Path) -> None:
    from service_event_checker.destinations.slack import message as text_slack

    slack = Target(name="slack", kind="slack", forms=text_slack.FORMS)
    files = {
        "slack/any.mrkdwn": "*{{ alert.title }}*\n---\n<{{ alert.link }}|open>",
        "slack/open.txt": "{{ alert.id }}",
    }
    assert read(tmp_path, files, slack) == []
    shown = alert(title="<!channel> @here down", kind=Kind.ALERT, labels={}, severity=Severity.CRITICAL)

    made = text_slack.content(shown, delivery(shown), button_key=b"k" * 32, ticket_receivers=frozenset())

    first, second, buttons = made["blocks"]
    assert first["text"]["text"] == "*&lt;!channel&gt; @\u2060here down*"
    assert second["text"]["text"] == "<https://www.githubstatus.com/incidents/8zc63m64hy36|open>"
    assert (first["block_id"], buttons["type"]) == (f"{shown.key}:1:1", "actions")
    assert (made["text"], made["attachments"]) == (shown.internal_id, [])
