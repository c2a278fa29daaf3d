"""Which kind of checker reads a page? Asked of pages of every family, and of what is none."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from service_checkers.detect import Found, detect
from service_checkers.json_page.checker import Checker, Config
from service_event_checker.core.errors import Reason, SourceError
from tests.doubles.base import Answer, Double, Fault, Request
from tests.doubles.statuspages import StatusPages
from tests.doubles.vendors import Vendors

PRESETS = Path(__file__).parent / "json_page" / "data"
FEED = (Path(__file__).parent / "feed" / "data" / "history.rss").read_bytes()


class Site(Double):
    """A site that answers what a test wrote, and 404, or the same page of HTML, for all else."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: dict[str, bytes] = {}
        self.otherwise = Answer(404)

    def handle(self, request: Request) -> Answer:
        body = self.pages.get(request.path)
        return self.otherwise if body is None else Answer(200, body)


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as double:
        assert isinstance(double, Site)
        yield double


def test_a_statuspage_is_found_by_its_summary_with_its_components() -> None:
    with StatusPages() as pages:
        pages.add_component("acme", "Databases", "US East")
        base = pages.page("acme").url

        assert detect(base, 2) == Found("statuspage", "", base, ("Databases",))
        assert detect(f"{base}/api/v2/incidents.json", 2).url == base


@pytest.mark.parametrize(
    ("file", "path", "preset"),
    [
        ("instatus.json", "/summary.json", "instatus"),
        ("better_stack.json", "/index.json", "better_stack"),
        ("incident_io_widget.json", "/api/v1/summary", "incident_io"),
        ("cachet_v2.json", "/api/v1/incidents", "cachet_v2"),
        ("cachet_v3.json", "/api/incidents", "cachet_v3"),
    ],
)
@pytest.mark.parametrize("elsewhere", [Answer(404), Answer(200, b"<!doctype html><p>Hello</p>"), Answer(403, b"no")])
def test_each_family_is_found_by_the_address_that_it_answers(
    site: Site, file: str, path: str, preset: str, elsewhere: Answer
) -> None:
    site.pages[path] = (PRESETS / file).read_bytes()
    site.otherwise = elsewhere

    for asked in (site.url, site.url + "/", site.url + path):
        found = detect(asked, 2)

        assert (found.kind, found.preset, found.url) == ("json_page", preset, site.url + path)


def test_what_was_found_can_be_configured_as_it_stands() -> None:
    with Vendors() as vendors:
        vendors.open_instatus("i1", "Slow")
        found = detect(vendors.base("instatus"), 2)

        config = Config.model_validate({"kind": found.kind, "url": found.url, "preset": found.preset})
        assert [event.title for event in Checker("acme", config).check(frozenset()).events] == ["Slow"]


def test_the_components_of_a_page_are_named_where_it_tells_them(site: Site) -> None:
    site.pages["/index.json"] = (PRESETS / "better_stack.json").read_bytes()

    assert detect(site.url, 2).components == ("API", "Web")


@pytest.mark.parametrize("kind", ["rss", "atom"])
def test_a_feed_that_the_page_links_to_is_the_last_resort(site: Site, kind: str) -> None:
    site.pages["/"] = (
        f'<head><link rel=alternate TYPE="application/{kind}+xml" href="/feed?a=1&amp;b=2"></head>'.encode()
    )
    site.pages["/feed"] = FEED

    assert detect(site.url + "/", 2) == Found("feed", "", f"{site.url}/feed?a=1&b=2")


def test_the_address_of_a_feed_is_a_feed(site: Site) -> None:
    site.pages["/all.rss"] = FEED

    assert detect(site.url + "/all.rss", 2) == Found("feed", "", site.url + "/all.rss")


@pytest.mark.parametrize(
    ("url", "kind", "preset"),
    [
        ("https://status.dev.azure.com/", "azure_devops", ""),
        ("https://slack-status.com", "slack", ""),
        ("https://status.salesforce.com/api/incidents/active", "salesforce", ""),
        ("https://status.cloud.google.com/", "json_page", "google_cloud"),
        ("https://www.google.com/appsstatus/dashboard/", "json_page", "google_cloud"),
        ("https://health.aws.amazon.com/health/status", "json_page", "aws"),
        ("https://api.status.io/1.0/status/abc", "json_page", "status_io"),
        ("https://status.heroku.com", "json_page", "heroku"),
    ],
)
def test_a_host_of_its_own_is_known_without_asking(url: str, kind: str, preset: str) -> None:
    found = detect(url, 0.001)

    assert (found.kind, found.preset) == (kind, preset)


def test_a_page_of_no_family_is_not_found(site: Site) -> None:
    site.otherwise = Answer(200, b'<!doctype html><link type="application/rss+xml" href="http://["><p>Hello</p>')

    with pytest.raises(SourceError) as caught:
        detect(site.url, 2)

    assert caught.value.reason is Reason.NOT_FOUND


def test_json_that_is_of_no_family_is_not_taken_for_one(site: Site) -> None:
    site.otherwise = Answer(200, json.dumps({"page": "x", "status": "ok", "data": [], "meta": []}).encode())

    with pytest.raises(SourceError):
        detect(site.url, 2)


@pytest.mark.parametrize("url", ["status.example.com", "http://[", "ftp://h.example", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        detect(url, 1)

    assert caught.value.reason is Reason.NOT_CONFIGURED


def test_a_host_that_does_not_answer_is_told_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(SourceError) as caught:
            detect(url, 2)

    assert caught.value.reason is Reason.UNREACHABLE


def test_all_tries_together_keep_the_time_given(site: Site) -> None:
    site.script.extend([None, Fault.HANG])

    with pytest.raises(SourceError) as caught:
        detect(site.url, 0.4)

    assert caught.value.reason is Reason.TIMEOUT


def test_without_time_nothing_is_asked(site: Site) -> None:
    with pytest.raises(SourceError) as caught:
        detect(site.url, 0)

    assert caught.value.reason is Reason.TIMEOUT
    assert site.requests == []
