"""Azure Service Health of one subscription: what a check asks, and what the answers add up to.

The list holds what had news in the last three days, so it is never complete: a quiet event that goes on drops out
of it. Each tracked event that it does not name is asked for by its id. What an event says is read in
payload.py. Needs the role Reader on the subscription.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal
from urllib.parse import parse_qs, quote

from service_checkers.azure.payload import HealthReading, OwnPlaces, read
from service_checkers.entra.api import PAGES_MAX, Api, EntraConfig, split_address, values
from service_checkers.reading.fetch import WebAddress, read_json, shuffled
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import Snapshot

API_VERSION = "2024-02-01"
LOOKUPS_MAX = 10  # single events asked for in one check; the others stay unknown until the next
_ENDPOINT = re.compile(r"/subscriptions/[^/]*(?:/providers/Microsoft\.ResourceHealth(?:/events)?)?/?$", re.IGNORECASE)
_SUBSCRIPTION = re.compile(r"/subscriptions/([0-9A-Za-z-]+)", re.IGNORECASE)


class Config(EntraConfig):
    """`url`: that of the events, or the base (https://management.azure.com, or a sovereign cloud's)."""

    ENV: ClassVar[dict[str, tuple[str, ...]]] = {**EntraConfig.ENV, "subscription_id": ("AZURE_SUBSCRIPTION_ID",)}
    NEEDS: ClassVar[tuple[str, ...]] = ("subscription_id",)

    kind: Literal["azure"]
    url: WebAddress = "https://management.azure.com"
    scope: str = "https://management.azure.com/.default"
    subscription_id: str = ""
    security_advisories: bool = False
    portal_url: WebAddress = "https://portal.azure.com"


class Checker:
    """Reads the events of one subscription."""

    def __init__(self, name: str, config: Config) -> None:
        self._name = name
        base, path, query = split_address(config.url, _ENDPOINT)
        named = _SUBSCRIPTION.match(path)  # `{subscription_id}` does not match
        subscription = named.group(1) if named else config.subscription_id
        version = parse_qs(query).get("api-version", [API_VERSION])[-1]
        self._path = f"/subscriptions/{quote(subscription, safe='')}/providers/Microsoft.ResourceHealth/events"
        self._query = f"?api-version={quote(version, safe='')}"
        self._ours = ours(config, subscription)
        self._api = Api(name, base, config)

    def check(self, tracked: frozenset[str]) -> Snapshot:
        """Return what had news in three days, and each of `tracked`. Raises SourceError.

        The list is a window; with the look-ups it is complete for what is tracked: that is in the events, unknown,
        or no longer known to Azure, which is absence.
        """
        listing = self._api.listed(self._path + self._query, "nextLink")
        reading = read(self._name, listing.entries, self._ours, tracked)
        if not listing.whole:
            reading.warnings.append(f"the list has more than {PAGES_MAX} pages; the rest is not read")
        unknown = self._look_up(shuffled(tracked - reading.events.keys()), reading)
        return Snapshot(
            source=self._name,
            events=tuple(reading.events.values()),
            complete=listing.whole,
            unknown=frozenset(unknown),
            warnings=tuple(dict.fromkeys([*reading.warnings, *self._api.warnings()])),
        )

    def _look_up(self, absent: list[str], reading: HealthReading) -> set[str]:
        """Add each event that the list did not tell; return those that could not be read."""
        unknown = set(absent[LOOKUPS_MAX:])
        for place, fingerprint in enumerate(absent[:LOOKUPS_MAX]):
            try:
                entry = self._api.get(f"{self._path}/{quote(fingerprint, safe='')}{self._query}")
                found = read(self._name, [entry], self._ours, frozenset({fingerprint}))
            except SourceError as error:
                if error.reason is Reason.NOT_FOUND:
                    continue
                reading.warnings.append(f"event {fingerprint} could not be read: {error.reason}")
                return unknown | set(absent[place:LOOKUPS_MAX])
            reading.warnings.extend(found.warnings)
            if fingerprint in found.events:
                reading.events[fingerprint] = found.events[fingerprint]
            else:
                unknown.add(fingerprint)
        return unknown


def read_file(config: Config, name: str, body: bytes) -> Snapshot:
    """Read one payload file: a page of events, or one event. Raises SourceError."""
    payload = read_json(name, body)
    single = isinstance(payload, dict) and "value" not in payload and isinstance(payload.get("properties"), dict)
    reading = read(name, [payload] if single else values(name, payload), ours(config, config.subscription_id))
    return Snapshot(source=name, events=tuple(reading.events.values()), warnings=tuple(dict.fromkeys(reading.warnings)))


def ours(config: Config, subscription: str) -> OwnPlaces:
    """Return what of an event counts as ours, as the configuration has it."""
    return OwnPlaces(
        subscription=subscription.strip().lower(),
        regions=frozenset(name.strip().casefold() for name in config.only.regions),
        services=frozenset(name.strip().casefold() for name in config.only.services),
        security=config.security_advisories,
        portal=config.portal_url,
    )
