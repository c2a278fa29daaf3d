"""The page's JSON is believed first; while it cannot be read, its feed tells what is new and what is over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service_checkers.retool import Checker, Config, read_file
from service_event_checker.core.errors import SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import EventStatus, Severity
from tests.doubles.statuspages import StatusPages

JSON = {"summary", "incidents", "incidents/unresolved", "scheduled-maintenances"}


@pytest.fixture
def pages() -> Iterator[StatusPages]:
    with StatusPages() as pages:
        pages.page("retool")
        pages.open_incident("retool", "abc123def456", "Queries are slow", impact="critical")
        yield pages


def check(pages: StatusPages, *tracked: str) -> Snapshot:
    url = f"{pages.url}/page/retool/history.rss"
    return Checker("retool", Config(kind="retool", url=url, timeout="1s")).check(frozenset(tracked))  # type: ignore[arg-type]


def only(snapshot: Snapshot) -> Event:
    (event,) = snapshot.events
    return event


def test_the_json_is_asked_first_though_the_feed_is_named(pages: StatusPages) -> None:
    snapshot = check(pages)

    assert (only(snapshot).severity, snapshot.complete) == (Severity.CRITICAL, True)


def test_the_feed_tells_a_new_incident_under_the_same_identity(pages: StatusPages) -> None:
    by_json = only(check(pages))
    pages.missing |= JSON

    snapshot = check(pages)

    assert only(snapshot).fingerprint == by_json.fingerprint
    assert not snapshot.complete
    assert "this is from its feed" in snapshot.warnings[0]


def test_what_is_tracked_and_goes_on_keeps_what_the_json_said(pages: StatusPages) -> None:
    pages.missing |= JSON

    snapshot = check(pages, "abc123def456")

    assert (snapshot.events, snapshot.unknown) == ((), {"abc123def456"})


def test_the_feed_tells_the_end_too(pages: StatusPages) -> None:
    pages.resolve_incident("retool", "abc123def456")
    pages.missing |= JSON

    assert only(check(pages, "abc123def456")).status is EventStatus.RESOLVED


def test_a_page_of_which_nothing_can_be_read_is_unknown(pages: StatusPages) -> None:
    pages.broken["retool"] = "html"

    with pytest.raises(SourceError):
        check(pages)


def test_a_saved_answer_of_either_form_is_read(pages: StatusPages) -> None:
    config = Config(kind="retool")
    feed = b'<?xml version="1.0"?><rss version="2.0"><channel><title>Retool</title></channel></rss>'

    assert read_file(config, "retool", feed).events == ()
    assert read_file(config, "retool", b'{"page": {"id": "x"}, "incidents": []}').events == ()
