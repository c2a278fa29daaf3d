"""The feed checker: Statuspage's and incident.io's feeds, feeds of updates, plain ones, and what is no feed at all.

`data/history.rss` has the shape of any Statuspage page's /history.rss.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service_checkers.feed.checker import Checker, Config, read_file
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from tests.doubles.base import Answer, Double, Fault, Request
from tests.doubles.statuspages import StatusPages

HISTORY = (Path(__file__).parent / "data" / "history.rss").read_bytes()
CONFIG = Config(kind="feed", url="https://status.acme.example/history.rss")
NONE: frozenset[str] = frozenset()


@pytest.fixture
def world() -> Iterator[StatusPages]:
    with StatusPages() as pages:
        pages.page("retool")
        yield pages
        assert pages.refused == []


def checker(world: StatusPages, now: datetime | None = None) -> Checker:
    config = Config(kind="feed", url=f"{world.page('retool').url}/history.rss", timeout=timedelta(seconds=1))
    return Checker("retool", config, clock=lambda: now or datetime.now(UTC))


def rss(*entries: str) -> bytes:
    return f'<rss version="2.0"><channel><title>S</title>{"".join(entries)}</channel></rss>'.encode()


def entry(title: str, content: str = "", guid: str = "g1", at: str = "Fri, 20 Nov 2026 03:00:00 +0000") -> str:
    return (
        f"<item><title>{escape(title)}</title><description>{escape(content)}</description>"
        f"<guid>{guid}</guid><pubDate>{at}</pubDate></item>"
    )


def read(*entries: str) -> tuple[Event, ...]:
    return read_file(CONFIG, "acme", rss(*entries)).events


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def test_a_history_feed_tells_state_and_times_although_it_names_no_year() -> None:
    planned, logins, search = read_file(CONFIG, "acme", HISTORY).events

    assert (planned.kind, planned.status, planned.starts_at) == (
        Kind.MAINTENANCE,
        EventStatus.FIRING,
        at(2027, 1, 20, 2),
    )
    assert (logins.fingerprint, logins.status, logins.title) == ("login1", EventStatus.FIRING, "Logins & sessions fail")
    assert (logins.starts_at, logins.at) == (at(2026, 12, 31, 23, 40), at(2027, 1, 2, 0, 40))
    assert (logins.labels, logins.description) == ({"state": "identified"}, "The fix is not yet resolved everywhere.")
    assert (search.status, search.starts_at) == (EventStatus.RESOLVED, at(2026, 12, 29, 11))
    assert search.at == at(2026, 12, 30, 12)


def test_an_open_entry_without_news_for_long_is_not_believed() -> None:
    snapshot = read_file(CONFIG, "acme", HISTORY)

    assert "stale1" not in {event.fingerprint for event in snapshot.events}
    assert any("Forgotten entry" in warning for warning in snapshot.warnings)
    patient = Config(kind="feed", url=CONFIG.url, max_age=timedelta(days=100))
    assert "stale1" in {event.fingerprint for event in read_file(patient, "acme", HISTORY).events}


def test_an_incident_is_followed_from_opening_to_end(world: StatusPages) -> None:
    reader = checker(world)
    world.open_incident("retool", "a", "Apps fail")
    world.open_incident("retool", "b", "Logins fail")
    world.update_incident("retool", "a", "update", "Still looking.")
    opened = {event.fingerprint: event for event in reader.check(NONE).events}
    world.resolve_incident("retool", "a")
    ended = {event.fingerprint: event for event in reader.check(frozenset({"a", "b"})).events}

    assert {event.status for event in opened.values()} == {EventStatus.FIRING}
    assert (opened["a"].labels["state"], opened["a"].severity) == ("investigating", Severity.WARNING)
    assert (ended["a"].status, ended["b"].status) == (EventStatus.RESOLVED, EventStatus.FIRING)


def test_what_a_feed_no_longer_names_is_unknown_and_a_feed_is_never_complete(world: StatusPages) -> None:
    snapshot = checker(world).check(frozenset({"gone"}))

    assert (snapshot.events, snapshot.complete, snapshot.unknown) == ((), False, {"gone"})


@pytest.mark.parametrize(
    ("plan", "starts", "ends"),
    [
        ("Jan 20, 02:00 - 03:00 UTC", "20 Jan 2027 02:00", at(2027, 1, 20, 3)),
        ("Jan 20, 22:00 - Jan 21, 04:00 UTC", "20 Jan 2027 22:00", at(2027, 1, 21, 4)),
        ("Dec 31, 23:00 - 01:00 UTC", "31 Dec 2026 23:00", at(2027, 1, 1, 1)),
        ("Jan 20, 18:00 - 19:00 PST", "21 Jan 2027 02:00", at(2027, 1, 21, 3)),
        ("Jan 20, 02:00 UTC", "20 Jan 2027 02:00", None),
        ("Jan 20, 02:00 - 99:00 UTC", "20 Jan 2027 02:00", None),
        ("", "20 Jan 2027 02:00", None),
    ],
)
def test_the_banner_of_planned_work_tells_its_end(plan: str, starts: str, ends: datetime | None) -> None:
    banner = f"<p><strong>THIS IS A SCHEDULED EVENT {plan}</strong></p>"
    posted = "<small>Dec 10, 10:00 UTC</small><br><strong>Scheduled</strong> - We move disks."

    (event,) = read(entry("Storage move", banner + posted, at=f"{starts}:00 +0000"))

    assert event.ends_at == ends


def test_a_maintenance_is_none_of_the_outages(world: StatusPages) -> None:
    world.schedule_maintenance("retool", "m", "Upgrade", world.clock + timedelta(days=30))

    (event,) = checker(world, world.clock + timedelta(days=20)).check(NONE).events

    assert (event.kind, event.status, event.severity) == (Kind.MAINTENANCE, EventStatus.FIRING, Severity.INFO)


@pytest.mark.parametrize("how", ["html", "500", "truncated", "empty", "hang"])
def test_a_feed_that_it_cannot_read_is_unknown_not_quiet(world: StatusPages, how: str) -> None:
    world.open_incident("retool", "a", "Apps fail")
    world.broken["retool"] = how  # type: ignore[assignment]

    with pytest.raises(SourceError):
        checker(world).check(frozenset({"a"}))


def test_a_feed_of_more_than_a_mebibyte_is_refused(world: StatusPages) -> None:
    world.open_incident("retool", "a", "Apps fail")
    world.update_incident("retool", "a", "update", "x" * 1_100_000)

    with pytest.raises(SourceError) as caught:
        checker(world).check(NONE)

    assert caught.value.reason is Reason.TOO_LARGE


def test_an_unchanged_feed_is_read_from_what_was_kept(world: StatusPages) -> None:
    world.open_incident("retool", "a", "Apps fail")
    reader = checker(world)

    assert reader.check(NONE).events == reader.check(NONE).events
    assert "If-None-Match" in world.requests[-1].headers


def test_trouble_on_the_way_keeps_its_reason(world: StatusPages) -> None:
    world.script.append(Fault.RATE_LIMIT)

    with pytest.raises(SourceError) as caught:
        checker(world).check(NONE)

    assert (caught.value.reason, caught.value.retry_after) == (Reason.RATE_LIMITED, 1.0)


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    b'<rss version="2.0"><channel><title>Acme</title></channel></rss>'
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"version": "https://jsonfeed.org/version/1.1", "items": "none"}',
        b"<html><body>Sign in</body></html>",
        b"<rss/>",
        HISTORY[:-30],
        BOMB,
        BOMB.decode().encode("utf-16"),
        b'<?xml version="1.0" encoding="utf-7"?><rss version="2.0"><channel><title>A</title></channel></rss>',
        b'<?xml version="1.0" encoding="cp037"?><rss version="2.0"><channel><title>A</title></channel></rss>',
    ],
)
def test_what_is_no_whole_feed_is_refused(body: bytes) -> None:
    with pytest.raises(SourceError) as caught:
        read_file(CONFIG, "acme", body)

    assert caught.value.reason is Reason.GARBAGE


@pytest.mark.parametrize(
    ("status", "expected"), [("Resolved", EventStatus.RESOLVED), ("Monitoring", EventStatus.FIRING)]
)
def test_incident_io_says_the_status_first_and_the_components_last(status: str, expected: EventStatus) -> None:
    content = (
        f"<b>Status: {status}</b><br/><br/>Logins work again.<br/><br/><b>Affected components</b>"
        "<ul><li>Login (Operational)</li><li>API (Degraded performance)</li></ul>"
    )

    (event,) = read(entry("Logins fail", content))

    assert (event.status, event.labels["component"]) == (expected, "Login\nAPI")
    assert event.description == "Logins work again."


@pytest.mark.parametrize(
    ("title", "content", "expected"),
    [
        ("Login errors", "We are investigating.", EventStatus.FIRING),
        ("[Resolved] Login errors", "", EventStatus.RESOLVED),
        ("Login errors", "This incident has been resolved.", EventStatus.RESOLVED),
        ("Login errors", "This has not yet been resolved.", EventStatus.FIRING),
        ("Login errors", "Service is partially restored.", EventStatus.FIRING),
        ("Login errors", "We hope that it will be fixed soon.", EventStatus.FIRING),
        ("Login errors", "The issue is unresolved.", EventStatus.FIRING),
        ("Logins partially restored", "", EventStatus.FIRING),
        ("Login errors", "The database is restored, but logins are still affected.", EventStatus.FIRING),
        ("Everything is back to normal", "", EventStatus.RESOLVED),
    ],
)
def test_a_plain_feed_is_read_by_its_words_and_said_to_be_a_guess(
    title: str, content: str, expected: EventStatus
) -> None:
    (event,) = read(entry(title, content))

    assert (event.status, event.annotations["confidence"]) == (expected, "low")


def test_a_text_that_says_nothing_opens_nothing_and_ends_nothing(world: StatusPages) -> None:
    snapshot = read_file(CONFIG, "acme", rss(entry("A new office", "We moved.")))

    assert snapshot.events == ()
    assert "cannot be told" in snapshot.warnings[0]


def test_a_feed_of_updates_is_one_incident_for_each_service_and_region() -> None:
    place = "https://status.aws.example/#compute-eu-west-1_"
    newest = entry(
        "Service is operating normally: [RESOLVED] Packet loss", "We still saw loss on Monday.", place + "1795143600"
    )
    middle = entry("Service impact: Packet loss", "x", place + "1795140000", "Fri, 20 Nov 2026 02:00:00 +0000")
    oldest = entry("Service disruption: Fire", "x", place + "1794000000", "Fri, 06 Nov 2026 02:00:00 +0000")

    (event,) = read(newest, middle, oldest)

    assert (event.fingerprint, event.status, event.title) == ("compute-eu-west-1", EventStatus.RESOLVED, "Packet loss")
    assert (event.labels["service"], event.labels["region"]) == ("compute", "eu-west-1")
    assert (event.starts_at, event.at) == (at(2026, 11, 20, 2), at(2026, 11, 20, 3))


def test_of_two_entries_for_one_incident_the_newer_counts_whatever_the_order() -> None:
    old = entry("Login errors", "We are investigating.", at="Fri, 20 Nov 2026 02:00:00 +0000")
    new = entry("Login errors", "This incident has been resolved.")

    assert [event.status for event in read(old, new)] == [EventStatus.RESOLVED]
    assert [event.status for event in read(new, old)] == [EventStatus.RESOLVED]


def test_no_more_than_500_entries_are_read() -> None:
    snapshot = read_file(CONFIG, "acme", rss(*(entry("Errors", "", f"g{number}") for number in range(501))))

    assert len(snapshot.events) == 500
    assert "500" in snapshot.warnings[0]


fragments = st.sampled_from(
    [
        "<small>",
        "Nov 20, 03:00 UTC",
        "Feb 29, 03:00 XYZ",
        "<strong>",
        "Resolved",
        "Update",
        "</strong>",
        "<b>Status: ",
        "&#0;",
    ]
    + [
        "THIS IS A SCHEDULED EVENT",
        "Affected components",
        "<li>",
        "]]>",
        "<item>",
        "</item>",
        "<link>http://[::1</link>",
    ]
)


@settings(max_examples=60)
@given(st.lists(fragments | st.text(max_size=8), max_size=12), st.lists(fragments, max_size=4))
def test_any_feed_is_read_or_refused(inner: list[str], raw: list[str]) -> None:
    assert sound(rss(entry("T", "".join(inner)), "".join(raw)))


@settings(max_examples=60)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"<rss version='2.0'>", b"<feed xmlns='http://www.w3.org/2005/Atom'>"]),
)
def test_any_bytes_are_read_or_refused(body: bytes, head: bytes) -> None:
    assert sound(head + body)


def sound(body: bytes) -> bool:
    """Whether the reader gives sound events or refuses with the reason; any other exception comes through."""
    try:
        return all(event.fingerprint for event in read_file(CONFIG, "acme", body).events)
    except SourceError as error:
        return error.reason is Reason.GARBAGE


class TestWhatItTakesToOpen:
    """As much as to end: a headline that names trouble, or a sentence in the present."""

    AWS = "https://status.aws.example/#storage-eu-west-1_1795143600"

    @pytest.mark.parametrize(
        ("title", "content", "guid"),
        [
            ("Informational message: Elevated latencies", "From 3 to 4 it was slow. The issue has been resolved.", AWS),
            ("Elevated latencies", "The issue is now fully resolved. We apologise for the errors.", AWS),
            ("Elevated latencies", "Errors were seen. The service is operating normally.", AWS),
            ("Queue errors", "We were not yet able to see why. The incident has been resolved.", "g1"),
            ("Checkout is back online", "", "g1"),
        ],
    )
    def test_what_says_that_it_has_ended_does_not_open(self, title: str, content: str, guid: str) -> None:
        assert [found.status for found in read(entry(title, content, guid))] == [EventStatus.RESOLVED]

    @pytest.mark.parametrize(
        ("title", "content"),
        [
            ("A word on last week", "Between 8:02 and 8:21 there were errors and delays."),
            ("Increased errors", "Between 8:02 AM and 8:21 AM PST requests were slower than usual."),
            ("Our new dashboard", "It shows errors, delays and the impact of an outage."),
        ],
    )
    def test_a_text_in_the_past_or_of_something_else_does_not_open(self, title: str, content: str) -> None:
        snapshot = read_file(CONFIG, "acme", rss(entry(title, content)))

        assert snapshot.events == ()
        assert "cannot be told" in snapshot.warnings[0]

    @pytest.mark.parametrize(
        ("title", "content", "guid"),
        [
            ("Service impact: Packet loss", "The first issue has been resolved. We are still seeing loss.", AWS),
            ("Logins", "Logins are currently unavailable.", "g1"),
            ("Checkout", "Checkout has been down since 2026-11-28 14:20:00", "g1"),
            ("Uploads are off", "They stay so until the issue with the disks has been resolved.", "g1"),
        ],
    )
    def test_what_goes_on_now_opens(self, title: str, content: str, guid: str) -> None:
        assert [found.status for found in read(entry(title, content, guid))] == [EventStatus.FIRING]

    def test_what_is_over_by_its_words_is_told_of_only_what_was_open(self, world: StatusPages) -> None:
        config = Config(kind="feed", url="https://status.acme.example/rss")
        body = rss(entry("Login errors", "The issue has been resolved."))

        assert checked(config, body) == ((), NONE)
        assert checked(config, body, "g1") == ((EventStatus.RESOLVED,), NONE)


def checked(config: Config, body: bytes, *tracked: str) -> tuple[tuple[EventStatus, ...], frozenset[str]]:
    """Check a feed of this body; return the states of the events, and what is unknown."""
    with Served(body) as server:
        snapshot = Checker("acme", config.model_copy(update={"url": server.url})).check(frozenset(tracked))
    return tuple(event.status for event in snapshot.events), snapshot.unknown


class Served(Double):
    """A server that answers each request with one body."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.body = body

    def handle(self, _: Request) -> Answer:
        return Answer(200, self.body, {"Content-Type": "application/rss+xml"})


class TestHowItEnds:
    OPEN_ONLY = Config(kind="feed", url="https://status.acme.example/rss", complete=True)

    def test_a_feed_of_what_is_open_ends_what_has_vanished(self) -> None:
        snapshot = read_file(self.OPEN_ONLY, "acme", rss())

        assert (snapshot.complete, snapshot.events) == (True, ())
        assert checked(self.OPEN_ONLY, rss(), "gone") == ((), NONE)

    def test_an_entry_that_says_nothing_is_unknown_also_in_a_feed_of_what_is_open(self) -> None:
        assert checked(self.OPEN_ONLY, rss(entry("Hello", "World")), "g1") == ((), {"g1"})

    def test_a_feed_of_what_is_open_that_cannot_be_read_whole_is_not_complete(self) -> None:
        nameless = "<item><title>Errors</title></item>"

        assert not read_file(self.OPEN_ONLY, "acme", rss(nameless)).complete

    @pytest.mark.parametrize(
        "title",
        ["Checkout API is up", "Checkout API has recovered", "[Resolved] Checkout API", "Checkout API: resolved"],
    )
    def test_a_newer_entry_that_the_same_subject_works_again_ends_the_older(self, title: str) -> None:
        down = entry("Checkout API is down", "", "g1", "Fri, 20 Nov 2026 02:00:00 +0000")
        other = entry("Billing API is down", "", "g2", "Fri, 20 Nov 2026 02:00:00 +0000")
        up = entry(title, "", "g3")

        found = {event.fingerprint: event.status for event in read(up, down, other)}

        assert (found["g1"], found["g2"]) == (EventStatus.RESOLVED, EventStatus.FIRING)

    def test_an_older_recovery_does_not_end_newer_trouble(self) -> None:
        up = entry("Checkout API is up", "", "g1", "Fri, 20 Nov 2026 02:00:00 +0000")
        down = entry("Checkout API is down", "", "g2")

        assert {event.fingerprint: event.status for event in read(down, up)}["g2"] is EventStatus.FIRING

    def test_how_long_an_entry_is_believed_is_told_with_what_was_read(self) -> None:
        assert read_file(CONFIG, "acme", HISTORY).max_age == timedelta(days=14)


class TestTheShape:
    @pytest.mark.parametrize(
        "raw",
        [
            "<item " + " ".join(f'a{number}="x"' for number in range(60_000)) + "/>",
            "<item>" + '<z a="1" b="2"/>' * 16_000 + "</item>",
            "<a/>" * 31_000,
            "<a>" * 200 + "</a>" * 200,
        ],
        ids=["attributes of one element", "attributes", "elements", "depth"],
    )
    def test_a_feed_of_an_odd_shape_is_refused_before_it_costs_anything(self, raw: str) -> None:
        began = time.process_time()

        with pytest.raises(SourceError, match="no feed of a status page has") as caught:
            read_file(CONFIG, "acme", rss(raw))

        assert caught.value.reason is Reason.TOO_LARGE
        assert time.process_time() - began < 5  # feedparser takes minutes for the first

    @pytest.mark.parametrize("end", ["</item>", "", "<item "])
    def test_html_in_an_entry_costs_little_whatever_its_shape(self, end: str) -> None:
        attributes = " ".join(f'a{number}="x"' for number in range(20_000))
        began = time.process_time()

        sound(f"<rss version='2.0'><channel><item><description><![CDATA[<b {attributes}]]>".encode() + end.encode())

        assert time.process_time() - began < 5

    def test_a_feed_in_another_encoding_than_it_says_is_still_read(self) -> None:
        body = rss(entry("Störung: errors", "")).decode().encode("cp1252")

        assert [event.title for event in read_file(CONFIG, "acme", body).events] == ["Störung: errors"]

    def test_a_long_address_is_whole_or_absent_and_a_long_id_is_no_other_entrys(self) -> None:
        long = "https://status.acme.example/" + "x" * 3000
        one = entry("Errors", "", long + "1").replace("<item>", f"<item><link>{long}</link>")
        other = entry("Errors", "", long + "2")

        first, second = read(one, other)

        assert first.url == ""
        assert first.fingerprint != second.fingerprint
