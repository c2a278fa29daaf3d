"""Which kind of checker reads a status page? Asks the addresses that each family answers, the surest first.

Used by people when they write config.json; no checker calls it.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from service_checkers.feed import payload as _feed_payload
from service_checkers.json_page.mapping import evaluate
from service_checkers.reading.values import names
from service_checkers.statuspage import checker as statuspage
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.http.answer import HttpError, Response, parse_json
from service_event_checker.http.client import Http

MAX_BYTES = 8 * 1024 * 1024
HEAD_MAX = 200_000  # bytes of a page in which its feeds are looked for
_LINK_TAG = re.compile(r"<link\b[^<>]{1,2000}>", re.IGNORECASE)
_FEED_TYPE = re.compile(r"application/(?:rss|atom)\+xml", re.IGNORECASE)
_HREF = re.compile(r"""\bhref\s*=\s*["']?([^"'\s<>]+)""", re.IGNORECASE)
FEED_AGE = timedelta(days=14)
_NAME = "detect"


@dataclass(frozen=True, slots=True)
class Found:
    """What to write into config.json: `kind`, `url`, and for `json_page` the `preset`.

    `components`: the names that `only.components` can select by; empty where the page tells none.
    """

    kind: str
    preset: str
    url: str
    components: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Family:
    """`path` is asked for; where `tells` finds something in the JSON, the page is of this family."""

    path: str
    kind: str
    preset: str
    tells: str
    components: str = ""


_HOSTS = {
    "status.dev.azure.com": Found("azure_devops", "", "https://status.dev.azure.com/_apis/status/health"),
    "slack-status.com": Found("slack", "", "https://slack-status.com/api/v2.0.0/current"),
    "status.slack.com": Found("slack", "", "https://slack-status.com/api/v2.0.0/current"),
    "status.salesforce.com": Found("salesforce", "", "https://api.status.salesforce.com/v1/incidents/active"),
    "api.status.salesforce.com": Found("salesforce", "", "https://api.status.salesforce.com/v1/incidents/active"),
    "status.retool.com": Found("retool", "", "https://status.retool.com/history.rss"),
    "management.azure.com": Found("azure", "", "https://management.azure.com"),
    "graph.microsoft.com": Found("office365", "", "https://graph.microsoft.com"),
    "azure.status.microsoft": Found("feed", "", "https://azure.status.microsoft/en-us/status/feed/"),
    "status.cloud.google.com": Found("json_page", "google_cloud", "https://status.cloud.google.com/incidents.json"),
    "health.aws.amazon.com": Found("json_page", "aws", "https://health.aws.amazon.com/public/currentevents"),
    "status.heroku.com": Found("json_page", "heroku", "https://status.heroku.com/api/v4/current-status"),
}
_WORKSPACE = "https://www.google.com/appsstatus/dashboard/incidents.json"
_FAMILIES = (
    _Family("/api/v2/summary.json", "statuspage", "", "page.id && status.indicator", "components[?!group].name"),
    _Family("/summary.json", "json_page", "instatus", "page.status", "components[].name"),
    _Family(
        "/index.json",
        "json_page",
        "better_stack",
        "data.type == 'status_page' && data.id",
        "included[?type == 'status_page_resource'].attributes.public_name",
    ),
    _Family("/api/v1/summary", "json_page", "incident_io", "page_url || summary.public_url"),
    _Family("/api/v1/incidents", "json_page", "cachet_v2", "meta.pagination"),
    _Family("/api/incidents", "json_page", "cachet_v3", "data && meta.path"),
)


def detect(url: str, timeout: float) -> Found:
    """Return how to read the page at `url`, its address or that of one of its endpoints, within `timeout` seconds.

    Raises SourceError: NOT_FOUND where it is of no family that we know, else why the page cannot be asked.
    """
    try:
        known, base = _known_host(url), base_of(url)
    except ValueError:
        raise SourceError(_NAME, Reason.NOT_CONFIGURED, "not an http or https address") from None
    if known:
        return known
    user = _Asker(base, time.monotonic() + timeout)
    for family in _FAMILIES:
        found = _as_family(user, base, family)
        if found:
            return found
    found = _as_feed(user, url)
    if found:
        return found
    raise SourceError(_NAME, Reason.NOT_FOUND, "no status page of a family that is known")


def detect_new(url: str, timeout: float) -> Found | None:
    """Return how to read the page at `url`, or where it redirects to; None where there is not exactly one answer.

    Raises SourceError where it cannot be asked, within `timeout` seconds.
    """
    try:
        base = base_of(url)
    except ValueError:
        return None
    user = _Asker(base, time.monotonic() + timeout)
    page = user.get(base)
    for address in _candidates(base, page.url if page else base):
        if known := _known_host(address):
            return known
        if found := _all_families(user, address):
            return found[0] if len(found) == 1 else None
    return None


def _candidates(base: str, final: str) -> tuple[str, ...]:
    """Return where the page may be: where its address leads, and the root of that host."""
    if final.rstrip("/") == base:
        return (base,)
    return tuple(dict.fromkeys((base_of(final), urlunsplit((*urlsplit(final)[:2], "", "", "")))))


def _all_families(user: _Asker, base: str) -> list[Found]:
    """Return what reads the page, a feed only where nothing else does."""
    found = [each for family in _FAMILIES if (each := _as_family(user, base, family))]
    if any(each.kind == "statuspage" for each in found):
        return [each for each in found if each.preset != "incident_io"]  # one page with two APIs
    feed = None if found else _as_feed(user, base)
    return [feed] if feed else found


def _known_host(url: str) -> Found | None:
    """Return what needs no asking; None for a host that may be of any family."""
    parts = urlsplit(url)
    if parts.hostname == "api.status.io":
        return Found("json_page", "status_io", url)
    if parts.hostname in ("www.google.com", "google.com") and parts.path.startswith("/appsstatus"):
        return Found("json_page", "google_cloud", _WORKSPACE)
    return _HOSTS.get((parts.hostname or "").removeprefix("www."))


def base_of(url: str) -> str:
    """Return the page's address that an address of the page or of one of its endpoints stands for.

    Raises ValueError for what is not an address.
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ValueError("not an http or https address")
    base = statuspage.split_endpoint(url)[0]
    for family in _FAMILIES:
        base = base.removesuffix(family.path)
    return base.rstrip("/")


class _Asker:
    """Asks one page until a deadline. An answer in another format is not a failure; an unreachable host is one."""

    def __init__(self, base: str, deadline: float) -> None:
        self._base = base
        self._deadline = deadline

    def get(self, url: str) -> Response | None:
        """Return the answer, None where the page has none there. Raises SourceError."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise SourceError(_NAME, Reason.TIMEOUT, "not all families could be tried")
        try:
            return Http(self._base, timeout=left, max_bytes=MAX_BYTES).get(url)
        except HttpError as error:
            if error.status is None and error.reason is not Reason.RESET:
                raise SourceError(_NAME, error.reason, error.detail) from error
            return None

    def get_json(self, url: str) -> Any:
        """Return the JSON at an address; None if there is none. Raises SourceError."""
        answer = self.get(url)
        try:
            return parse_json(answer.body) if answer else None
        except HttpError:
            return None


def _as_family(user: _Asker, base: str, family: _Family) -> Found | None:
    payload = user.get_json(base + family.path)
    if payload is None or not evaluate(family.tells, payload):
        return None
    address = base if family.kind == "statuspage" else base + family.path
    components = tuple(dict.fromkeys(names(evaluate(family.components, payload) or [])))
    return Found(family.kind, family.preset, address, components)


def _as_feed(user: _Asker, url: str) -> Found | None:
    """Look for a feed: the address itself, or one that its page links to."""
    page = user.get(url)
    if page is None:
        return None
    if _is_feed(page.body):
        return Found("feed", "", url)
    for address in _feeds_of(page):
        feed = user.get(address)
        if feed and _is_feed(feed.body):
            return Found("feed", "", address)
    return None


def _is_feed(body: bytes) -> bool:
    try:
        _feed_payload.parse(_NAME, body, datetime.now(UTC), FEED_AGE)
    except SourceError:
        return False
    return True


def _feeds_of(page: Response) -> Iterator[str]:
    """Yield the addresses of the feeds that a page's head names, three at most."""
    head = page.body[:HEAD_MAX].decode("utf-8", "replace")
    tags = [tag for tag in _LINK_TAG.findall(head) if _FEED_TYPE.search(tag)]
    for address in [found[1] for tag in tags if (found := _HREF.search(tag))][:3]:
        try:
            parts = urlsplit(urljoin(page.url, html.unescape(address)))
        except ValueError:
            continue
        if parts.scheme in ("http", "https"):
            yield urlunsplit(parts)
