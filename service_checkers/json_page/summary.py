"""What a JSON page says of itself and of its components, besides its incidents, by the mapping; no I/O."""

from __future__ import annotations

from typing import Any

from service_checkers.json_page.mapping import Mapping, evaluate, word
from service_checkers.reading.places import Place, Summary, component, page
from service_checkers.reading.text import one_line
from service_checkers.reading.values import identity

PLACES_MAX = 1000  # an expression may look through the whole page for each


def summary_of(mapping: Mapping, url: str, payload: Any) -> Summary:
    """Read the page's level and its components; nothing where the mapping names none."""
    found = evaluate(mapping.places, payload)
    entries = found[:PLACES_MAX] if isinstance(found, list) else []
    shown = [_component(mapping, entry, payload) for entry in entries]
    level = page("", _state(evaluate(mapping.level, payload)), mapping.severities)
    return Summary(url=url, page=level, components=tuple(place for place in shown if place))


def _component(mapping: Mapping, entry: Any, payload: Any) -> Place | None:
    if not isinstance(entry, dict):
        return None
    found = evaluate(mapping.place, {**entry, "_page": payload})
    if not isinstance(found, dict) or not (state := _state(found.get("state"))):
        return None
    name, group = one_line(found.get("name")), one_line(found.get("group"))
    return component(identity(found.get("id")), name, state, mapping.severities, group)


def _state(value: Any) -> str:
    """Return the vendor's word as it is written; numbers as text."""
    return one_line(value if isinstance(value, str) else word(value), 40)
