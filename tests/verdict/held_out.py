"""Reads the scenarios that were transcribed by hand from public post-mortems; nothing is tuned on them.

Times are those of the reports, alerts are what a customer's rules would have said, in our words. `read` is false where
a time is from memory of the report and was not read again; where something was set or moved, `source` says so.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from service_event_checker.core.knowledge import Change
from service_event_checker.core.verdict import Answer
from tests.verdict.scenario import Scenario, knowing, outage, told

FILE = Path(__file__).parent / "held_out.json"


def scenarios() -> list[Scenario]:
    return [_scenario(row) for row in json.loads(FILE.read_text(encoding="utf-8"))]


def _scenario(row: dict[str, Any]) -> Scenario:
    name, service = row["name"], row["service"]
    outages = [_outage(f"{name}-{number}", each) for number, each in enumerate(row["outages"])]
    want = Answer(row["want"])
    known = knowing(
        {service: row["depends"]} if row["depends"] else {},
        unreadable=row.get("unreadable", ()),
        changes=[Change(of, _at(at), title) for of, at, title in row.get("changes", ())],
        hosts=row.get("hosts", {}),
    )
    return Scenario(
        name=name,
        kind=row.get("kind", want.value),
        want=want,
        alert=told(name, _at(row["at"]), row["title"], row["text"], {"service": service, **row.get("labels", {})}),
        outages=tuple(outages),
        truth=frozenset(each.key for each in outages) if want in (Answer.VENDOR, Answer.BOTH) else frozenset(),
        known=known,
        source=row["source"],
    )


def _outage(name: str, row: list[str]) -> Any:
    vendor, title, start, posted, end, component, region = row
    return outage(
        name,
        vendor,
        title,
        start=_at(start),
        posted=_at(posted),
        end=_at(end) if end else None,
        component=component,
        region=region,
    )


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
