"""The neutral text of an alert: what it says, and that nothing foreign gets through it."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.vocabulary import Affects, Kind, ResolvedBy, Severity, Status, Verb
from service_event_checker.destinations.slack.mrkdwn import escape_mrkdwn
from service_event_checker.render.names import platform_name
from service_event_checker.render.notice import notice
from service_event_checker.render.templates import render
from service_event_checker.render.text import clean, cut, duration, line, web_address
from tests.factories import NOW, alert

LATER = NOW + timedelta(minutes=42)
FOREIGN = st.text() | st.text(alphabet="<>&!@#|hereCHANNEL{}%\"'`\n\x00\x1b\u202e")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (45, "45 s"),
        (60, "1 min"),
        (42 * 60 + 59, "42 min"),
        (3600, "1 h"),
        (3 * 3600 + 5 * 60, "3 h 5 min"),
        (86400, "1 d"),
        (2 * 86400 + 4 * 3600, "2 d 4 h"),
    ],
)
def test_a_duration_is_said_as_people_say_it(seconds, said):
    assert duration(timedelta(seconds=seconds)) == said


def test_the_headline_names_severity_platform_and_event():
    said = notice(alert(severity=Severity.CRITICAL, title="Actions are slow"), Verb.OPEN, NOW)

    assert said.headline == "Critical · GitHub: Actions are slow"
    assert said.change == ""


def test_a_platform_that_stands_in_the_title_is_not_said_twice():
    assert notice(alert(title="GitHub is slow"), Verb.OPEN, NOW).headline == "Error · GitHub is slow"


def test_an_alert_of_our_own_is_called_by_its_title_alone_and_names_its_source_below():
    full = alert(source="alertmanager", kind=Kind.ALERT, title="DiskFull: /var is 92 % full")
    said = notice(full, Verb.OPEN, NOW)

    assert said.subject == "DiskFull: /var is 92 % full"
    assert said.headline == "Error · DiskFull: /var is 92 % full"
    assert said.fields[0] == ("Source", "Alertmanager")


@pytest.mark.parametrize("kind", [Kind.OUTAGE, Kind.MAINTENANCE])
def test_what_a_vendor_announces_is_named_after_its_platform(kind):
    said = notice(alert(kind=kind, title="Actions are slow"), Verb.OPEN, NOW)

    assert said.subject == "GitHub: Actions are slow"
    assert said.fields[0] == ("Platform", "GitHub")


@pytest.mark.parametrize("status", list(Status))
def test_a_test_alert_says_so_whatever_its_state(status):
    assert notice(alert(test=True, status=status), Verb.OPEN, NOW).headline.startswith("[TEST] ")


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (ResolvedBy.SOURCE, "Resolved after 42 min, at 2026-11-20 03:42 UTC: reported by the source"),
        (ResolvedBy.ABSENCE, "Resolved after 42 min, at 2026-11-20 03:42 UTC: no longer listed by the source"),
        (ResolvedBy.PERSON, "Resolved by alice after 42 min, at 2026-11-20 03:42 UTC: patience"),
    ],
)
def test_the_end_says_how_long_and_by_whom(by, said):
    over = alert(status=Status.RESOLVED, ended_at=LATER, resolved_by=by)
    note = "patience" if by is ResolvedBy.PERSON else ""

    assert notice(over, Verb.CLOSE, LATER, actor="alice", note=note).change == said


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (Verb.ACK, "Acknowledged by alice: on it"),
        (Verb.UNACK, "Acknowledgement taken back by alice: on it"),
        (Verb.NOTE, "Note from alice: on it"),
        (Verb.UPDATE, "Updated by alice: on it"),
    ],
)
def test_a_change_names_who_made_it(verb, said):
    assert notice(alert(), verb, NOW, actor="alice", note="on it").change == said


def test_that_nobody_knows_whether_it_affects_us_is_said():
    assert ("Affects us", "unknown") in notice(alert(affects_us=Affects.UNKNOWN), Verb.OPEN, NOW).fields
    assert "Affects us" not in dict(notice(alert(), Verb.OPEN, NOW).fields)


def test_what_was_opened_elsewhere_is_told_if_a_browser_may_go_there():
    said = notice(
        alert(links={"tracker": "https://tracker.example/OPS-1", "x": "javascript:1", "y": ""}), Verb.OPEN, NOW
    )

    assert said.tickets == (("Ticket", "tracker", "https://tracker.example/OPS-1"),)


def test_an_open_alert_reads_the_same_whenever_it_is_told():
    assert notice(alert(), Verb.OPEN, NOW) == notice(alert(), Verb.OPEN, LATER)


@pytest.mark.parametrize(
    ("source", "name"), [("github", "GitHub"), ("rest:shop", "shop"), ("my-vendor", "my-vendor"), ("rest:", "rest:")]
)
def test_a_source_is_called_as_people_call_it(source, name):
    assert platform_name(source) == name


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "https://x/<b>", "https://x|y", "ftp://x", "", "https://x y"]
)
def test_an_address_that_is_none_is_not_linked(address):
    assert web_address(address) == ""


def test_an_address_is_linked_as_it_is():
    assert web_address(" https://status.example/a?b=1&c=2#d ") == "https://status.example/a?b=1&c=2#d"


@given(FOREIGN)
def test_no_text_escapes_into_slack_markup(text):
    escaped = escape_mrkdwn(text)

    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", escaped)
    assert not re.search(r"@(here|channel|everyone|group)", escaped, re.IGNORECASE)
    assert html.unescape(escaped).replace("\u2060", "") == html.unescape(html.escape(text, quote=False)).replace(
        "\u2060", ""
    )


@given(FOREIGN, st.integers(min_value=1, max_value=40))
def test_a_cut_never_leaves_half_an_escape(text, limit):
    escaped = escape_mrkdwn(text, limit)

    assert len(escaped) <= limit
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", escaped)


@given(FOREIGN)
def test_no_text_becomes_a_tag_in_a_ticket(text):
    said = notice(
        alert(title=text, description=text, labels={text: text}, url=text), Verb.NOTE, NOW, actor=text, note=text
    )
    plain = notice(alert(), Verb.NOTE, NOW, actor="a", note="n")

    for template, more in (("ticket.html.j2", {"previous": text}), ("comment.html.j2", {"marker": text, "full": True})):
        tags = set(re.findall(r"<[^>]*>", render(template, said, **more)))
        assert {tag for tag in tags if not tag.startswith("<a href=")} <= {
            *re.findall(r"<[^>]*>", render(template, plain, **more)),
            *("<br>", "<table>", "</table>", "<tr>", "<td>", "</td>", "</tr>", "<p>", "<b>", "</b>", "</a>"),
        }


@given(FOREIGN)
def test_what_cannot_be_seen_is_dropped_and_length_is_kept(text):
    cleaned = clean(text, 50)

    assert len(cleaned) <= 50
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ud800-\udfff]", cleaned)
    assert "\n" not in line(text, 50)


def test_a_cut_text_ends_with_an_ellipsis():
    assert cut("a" * 10, 5) == "aaaa…"
    assert cut("a" * 5, 5) == "aaaaa"


def test_vendor_text_is_no_template():
    said = notice(alert(title="{{ 7*7 }} {% raw %}"), Verb.OPEN, NOW)

    assert "{{ 7*7 }} {% raw %}" in render("alert.txt.j2", said)
