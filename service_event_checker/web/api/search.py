"""The part of the query string of GET /api/v1/alerts that the store has no index for; `engine.search` answers it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from werkzeug.datastructures import MultiDict

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.matchers import Matcher
from service_event_checker.core.roles import Alerts
from service_event_checker.core.store import Query
from service_event_checker.engine import search
from service_event_checker.engine.search import SORTS, TIMES, Search
from service_event_checker.render.shapes import Total
from service_event_checker.web.errors import invalid

PARAMETERS = ("filter", "q", "from", "to", "time", "sort", "total")
TEXT_MAX = 200  # characters


def read(arguments: MultiDict[str, str], query: Query) -> Search:
    """Return the search that the query string asks for. Raises Refused (422)."""
    text = arguments.get("q", "").strip()
    if len(text) > TEXT_MAX:
        raise invalid("q", f"has more than {TEXT_MAX} characters")
    sort = _one_of(SORTS, "sort", arguments.get("sort", search.NEWEST_FIRST))
    if query.cursor and search.is_offset(query.cursor) == (sort == search.NEWEST_FIRST):
        raise invalid("cursor", "is not a cursor that we issued for this order")
    return Search(
        query=query,
        matchers=_matchers(arguments.getlist("filter")),
        text=text,
        since=_time(arguments, "from"),
        until=_time(arguments, "to"),
        by=_one_of(TIMES, "time", arguments.get("time", "updated")),
        sort=sort,
    )


def total(store: Alerts, arguments: MultiDict[str, str], wanted: Search) -> Total | None:
    """Return the count, None where it is not asked for. Raises Refused (422) and StoreError."""
    if _one_of(("true", "false"), "total", arguments.get("total", "false")) == "false":
        return None
    number, more = search.count(store, wanted)
    return Total(count=number, more=more)


def _matchers(texts: list[str]) -> tuple[Matcher, ...]:
    try:
        return search.read_filters(texts)
    except InvalidInput as error:
        raise invalid("filter", f"{error.problem}. {error.hint}") from None


def _time(arguments: MultiDict[str, str], name: str) -> datetime | None:
    """Return a time with a zone; the plus of an offset reaches us as a blank where it was not encoded."""
    text = arguments.get(name, "").strip()
    if not text:
        return None
    try:
        at = datetime.fromisoformat(re.sub(r" (?=\d\d:?\d\d$)", "+", text) if "T" in text else text)
        utc = at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):
        utc = None
    if utc is None:
        raise invalid(name, "is not a time with a zone. Write it like 2026-11-20T17:00:00Z")
    return utc


def _one_of(known: tuple[str, ...], name: str, value: str) -> str:
    if value not in known:
        raise invalid(name, f"is not one of {', '.join(known)}")
    return value
