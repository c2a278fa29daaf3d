"""Vendors that teams use, and the regions of clouds, as data: what reads a vendor's page, and by what a text names it.

The data are facts that move: where a page has moved, `./outage detect <address>` finds the new one.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from service_event_checker.core.knowledge import Regions

#: the region of each cloud that the others' control planes need
CONTROL_PLANES = frozenset({"us-east-1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """`kind` and `preset` read `url`; `kind` is "" where no checker reads its page. `hosts`: names and `*.domain`.

    `errors`: patterns of its error codes and clients.
    """

    id: str
    name: str
    page: str
    kind: str = ""
    preset: str = ""
    url: str = ""
    hosts: tuple[str, ...] = ()
    errors: tuple[re.Pattern[str], ...] = ()


@cache
def vendors() -> Mapping[str, Vendor]:
    """Return the vendors by id."""
    return {vendor.id: vendor for vendor in map(_vendor, _read("vendors.json"))}


def vendor_called(name: str) -> Vendor | None:
    """Return a vendor by its id or name, however it is written; None where it is not among the data."""
    wanted = _folded(name)
    return next((each for each in vendors().values() if wanted in (_folded(each.id), _folded(each.name))), None)


@cache
def regions() -> Regions:
    """Return the regions by every spelling that means one region alone: id, whole name, and place in brackets."""
    spelt = [(spelling, row["id"]) for row in _read("regions.json") for spelling in _spellings(row)]
    meant = Counter(spelling for spelling, _ in dict.fromkeys(spelt))
    return Regions({spelling: id for spelling, id in spelt if meant[spelling] == 1}, CONTROL_PLANES)


def _vendor(row: Mapping[str, Any]) -> Vendor:
    patterns = tuple(re.compile(pattern, re.IGNORECASE) for pattern in row.get("errors", ()))
    return Vendor(
        id=row["id"],
        name=row["name"],
        page=row["page"],
        kind=row.get("kind", ""),
        preset=row.get("preset", ""),
        url=row.get("url", row["page"]),
        hosts=tuple(row["hosts"]),
        errors=patterns,
    )


def _spellings(row: Mapping[str, str]) -> Iterator[str]:
    name = row["name"].casefold()
    plain = "".join(char for char in unicodedata.normalize("NFD", name) if not unicodedata.combining(char))
    for text in dict.fromkeys((name, plain)):
        yield text
        if bracketed := re.search(r"\((.+)\)", text):
            yield bracketed[1]
    yield row["id"]
    if row["cloud"] == "azure":
        yield re.sub(r"[^a-z0-9]", "-", name)


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _read(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((files("service_checkers") / name).read_text(encoding="utf-8"))
    return found
