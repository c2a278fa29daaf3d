"""Microsoft 365 service health of our tenant, asked of Graph: what a check asks, and what the answers add up to.

The list holds every issue of a year or so, over or not, and is complete. An issue counts as over when it says so
itself, asked for by its id. What an issue says is read in payload.py. Needs the application permission
ServiceHealth.Read.All with an administrator's consent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal
from urllib.parse import quote

from service_checkers.entra.api import PAGES_MAX, Api, EntraConfig, split_address, values
from service_checkers.office365.payload import IssueReading, read
from service_checkers.reading.fetch import WebAddress, read_json, shuffled
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import EventStatus

# Never $top: with it the answer names no next page. Graph allows 240 calls a minute and 800 an hour:
# https://learn.microsoft.com/graph/throttling-limits
PAGE_SIZE = {"Prefer": "odata.maxpagesize=200"}
PATH = "/v1.0/admin/serviceAnnouncement/issues"
LOOKUPS_MAX = 10  # single issues asked for in one check; the others stay unknown until the next
RECENT = timedelta(days=1)  # what ended before is history; a check must not carry a year of it
_ENDPOINT = re.compile(r"/(?:v1\.0|beta)(?:/admin(?:/serviceAnnouncement(?:/issues)?)?)?/?$", re.IGNORECASE)


class Config(EntraConfig):
    """`url`: that of the issues, or the base (https://graph.microsoft.com, or a sovereign cloud's)."""

    ENV: ClassVar[dict[str, tuple[str, ...]]] = EntraConfig.ENV

    kind: Literal["office365"]
    url: WebAddress = "https://graph.microsoft.com"
    scope: str = "https://graph.microsoft.com/.default"


class Checker:
    """Reads the issues of one tenant."""

    def __init__(self, name: str, config: Config, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._name = name
        self._clock = clock
        base, path, _ = split_address(config.url, _ENDPOINT)
        self._path = path.rstrip("/") if path.lower().rstrip("/").endswith("/issues") else PATH
        self._api = Api(name, base, config)

    def check(self, tracked: frozenset[str]) -> Snapshot:
        """Return what is open or ended lately, and each of `tracked`. Raises SourceError."""
        listing = self._api.listed(self._path, "@odata.nextLink", PAGE_SIZE)
        reading = read(self._name, listing.entries)
        if not listing.whole:
            reading.warnings.append(f"the list has more than {PAGES_MAX} pages; the rest is not read")
        is_open = {name for name, event in reading.events.items() if event.status is EventStatus.FIRING}
        unknown = self._look_up(shuffled(tracked - is_open), reading)
        since = self._clock() - RECENT
        told = [event for name, event in reading.events.items() if name in tracked or _is_news(event, since)]
        return Snapshot(
            source=self._name,
            events=tuple(event for event in told if event.fingerprint not in unknown),
            complete=listing.whole and not reading.flawed,
            unknown=frozenset(unknown),
            warnings=tuple(dict.fromkeys([*reading.warnings, *self._api.warnings()])),
        )

    def _look_up(self, ended: list[str], reading: IssueReading) -> set[str]:
        """Ask for each tracked issue that is not listed as open; return those that could not be read.

        One that Graph does not know by its id is as the list has it: over, or absent.
        """
        unknown = set(ended[LOOKUPS_MAX:])
        for place, fingerprint in enumerate(ended[:LOOKUPS_MAX]):
            try:
                found = read(self._name, [self._api.get(f"{self._path}/{quote(fingerprint, safe='')}")])
            except SourceError as error:
                if error.reason is Reason.NOT_FOUND:
                    continue
                reading.warnings.append(f"issue {fingerprint} could not be read: {error.reason}")
                return unknown | set(ended[place:LOOKUPS_MAX])
            reading.warnings.extend(found.warnings)
            if fingerprint in found.events:
                reading.events[fingerprint] = found.events[fingerprint]
            else:
                unknown.add(fingerprint)
        return unknown


def read_file(config: Config, name: str, body: bytes) -> Snapshot:
    """Read one payload file: a page of issues, or one issue. Raises SourceError."""
    payload = read_json(name, body)
    single = isinstance(payload, dict) and "value" not in payload and "id" in payload
    reading = read(name, [payload] if single else values(name, payload))
    whole = not single and not reading.flawed and not payload.get("@odata.nextLink")
    return Snapshot(
        source=name,
        events=tuple(reading.events.values()),
        complete=whole,
        warnings=tuple(dict.fromkeys(reading.warnings)),
    )


def _is_news(event: Event, since: datetime) -> bool:
    return event.status is EventStatus.FIRING or event.at is None or event.at >= since
