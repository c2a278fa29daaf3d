"""Retool's page: its JSON first, its feed while the JSON cannot be read. One identity for both: the incident's code.

Any page on Statuspage with a `history.rss` can be read this way.
"""

from __future__ import annotations

from typing import Literal

from service_checkers.feed import checker as feed
from service_checkers.reading.fetch import WebAddress
from service_checkers.statuspage import checker as statuspage
from service_event_checker.config.models import CheckerConfig
from service_event_checker.core.errors import SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import EventStatus


class Config(CheckerConfig):
    """`url`: the page's address, or that of its feed."""

    kind: Literal["retool"]
    url: WebAddress = "https://status.retool.com/history.rss"


class Checker:
    """Reads one page."""

    def __init__(self, name: str, config: Config) -> None:
        base, _ = statuspage.split_endpoint(config.url)
        shared = config.model_dump(by_alias=True, exclude={"kind", "url"})
        page = statuspage.Config.model_validate({**shared, "kind": "statuspage", "url": base})
        history = feed.Config.model_validate({**shared, "kind": "feed", "url": f"{base}/history.rss"})
        self._page = statuspage.Checker(name, page)
        self._feed = feed.Checker(name, history)

    def check(self, tracked: frozenset[str]) -> Snapshot:
        """Return what the page shows; of its feed only what is new or over. Raises SourceError when both fail."""
        try:
            return self._page.check(tracked)
        except SourceError as trouble:
            return self._from_feed(tracked, trouble)

    def _from_feed(self, tracked: frozenset[str], trouble: SourceError) -> Snapshot:
        """Read the feed. It tells no severity, so what is tracked and goes on keeps what the page said of it."""
        try:
            seen = self._feed.check(tracked)
        except SourceError:
            raise trouble from None
        goes_on = {event.fingerprint for event in seen.events if _goes_on(event, tracked)}
        warning = f"the page's JSON could not be read ({trouble.reason}); this is from its feed, without severities"
        return Snapshot(
            source=seen.source,
            events=tuple(event for event in seen.events if event.fingerprint not in goes_on),
            unknown=seen.unknown | goes_on,
            warnings=(warning, *seen.warnings),
        )


def read_file(config: Config, name: str, body: bytes) -> Snapshot:
    """Read one payload of either form. Raises SourceError."""
    if body.lstrip()[:1] == b"<":
        return feed.read_file(feed.Config(kind="feed", url=config.url), name, body)
    return statuspage.read_file(statuspage.Config(kind="statuspage", url=config.url), name, body)


def _goes_on(event: Event, tracked: frozenset[str]) -> bool:
    return event.status is EventStatus.FIRING and event.fingerprint in tracked
