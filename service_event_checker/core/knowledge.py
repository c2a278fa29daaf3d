"""What is known of vendors beside their outages: who depends on whom, and by what a text names a vendor. Values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from service_event_checker.core.matchers import Matcher


@dataclass(frozen=True, slots=True)
class Tie:
    """What an alert may hang on: a vendor (a checker's name), and a component or region of it where that is known."""

    vendor: str
    component: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class Dependency:
    """`depends` of the configuration: alerts that meet the matchers hang on these."""

    matchers: tuple[Matcher, ...]
    on: tuple[Tie, ...]


class ChangeKind(StrEnum):
    DEPLOY = "deploy"
    FLAG = "flag"
    CONFIG = "config"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of our own. It counts for the service that it names, and for no other."""

    service: str
    at: datetime
    title: str
    kind: ChangeKind = ChangeKind.DEPLOY
    url: str = ""
    who: str = ""


@dataclass(frozen=True, slots=True)
class Regions:
    """Names of cloud regions: `ids` maps each spelling, in lower case, to the region's id.

    `control_planes`: regions whose outage reaches others, as a cloud's own control plane is there.
    """

    ids: Mapping[str, str] = field(default_factory=dict)
    control_planes: frozenset[str] = frozenset()

    def known(self, name: str) -> str:
        """Return the id of a region by any of its names, or by one of its zones; "" for what is none."""
        folded = " ".join(name.casefold().replace("_", "-").split())
        found = self.ids.get(folded)
        if found is None:  # us-east-1b, europe-west1-b, westeurope-1
            found = self.ids.get(_ZONE.sub("", folded), "")
        return found

    def named(self, texts: Iterable[str]) -> frozenset[str]:
        """Return the ids of the regions that texts are, or that they hold in brackets or as words with a digit."""
        return frozenset(id for text in texts for part in _parts(text) if (id := self.known(part)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What the verdict is judged by, apart from alerts and outages.

    `hosts`: host name or `*.domain` -> what it belongs to. `errors`: patterns of clients and error codes. `vendors`:
    checker -> how people call it. `unreadable`: checkers whose page cannot be read now. `rejected`, `confirmed`: (key
    of the alert, key of the outage) -> who said so. `learned`: (vendor, service) -> log-odds from what people said.
    """

    dependencies: tuple[Dependency, ...] = ()
    hosts: Mapping[str, Tie] = field(default_factory=dict)
    errors: tuple[tuple[re.Pattern[str], Tie], ...] = ()
    regions: Regions = Regions()
    vendors: Mapping[str, str] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()
    changes: tuple[Change, ...] = ()
    rejected: Mapping[tuple[str, str], str] = field(default_factory=dict)
    confirmed: Mapping[tuple[str, str], str] = field(default_factory=dict)
    learned: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def call(self, vendor: str) -> str:
        return self.vendors.get(vendor, vendor)

    def host(self, name: str) -> Tie | None:
        """Return what a host belongs to: by its own name, else by the longest `*.domain` that covers it."""
        found = self.hosts.get(name)
        while found is None and "." in name:
            name = name.partition(".")[2]
            found = self.hosts.get(f"*.{name}")
        return found


@lru_cache(maxsize=4096)  # outages are read once for each alert
def _parts(text: str) -> tuple[str, ...]:
    return (text, *_BRACKETED.findall(text), *_REGION_WORD.findall(text))


_ZONE = re.compile(r"(?<=\d)[a-z]$|-[a-z]$|-[1-3]$")
_BRACKETED = re.compile(r"\(([^()]{3,40})\)")
_REGION_WORD = re.compile(
    r"\b[a-z]{2,}(?:-[a-z]+)*-?\d+[a-z]?\b|\b[a-z]{4,}(?:us|europe|asia|india)\d?\b", re.IGNORECASE
)
