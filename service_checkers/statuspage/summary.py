"""What a Statuspage summary says of the page and of its components, besides the incidents; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service_checkers.reading.places import Place, Summary, component, page
from service_checkers.reading.text import one_line
from service_checkers.reading.values import identity, objects
from service_checkers.statuspage.payload import SEVERITIES, Places
from service_event_checker.core.vocabulary import Severity

COMPONENTS = {
    "major_outage": Severity.CRITICAL,
    "full_outage": Severity.CRITICAL,
    "partial_outage": Severity.ERROR,
    "degraded_performance": Severity.WARNING,
    "under_maintenance": Severity.INFO,
    "operational": Severity.INFO,
}


def summary_of(base: str, payload: Mapping[str, Any], places: Places) -> Summary:
    """Read the page's level and its components; a group stands for nothing beside its components."""
    status = next(iter(objects([payload.get("status")])), {})
    shown = [_component(entry, places) for entry in objects(payload.get("components"))]
    return Summary(
        url=base,
        page=page(one_line(status.get("description")), one_line(status.get("indicator"), 40), SEVERITIES),
        components=tuple(place for place in shown if place),
    )


def _component(entry: Mapping[str, Any], places: Places) -> Place | None:
    code, state = identity(entry.get("id")), one_line(entry.get("status"), 40)
    if code in places.children or not state:
        return None
    name, group = places.named(entry)
    return component(code, name, state, COMPONENTS, group)
