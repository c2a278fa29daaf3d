"""What a request names: one alert (found by `engine.lookup`), or a list of them by the query string."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TypeVar

from werkzeug.datastructures import MultiDict

from service_event_checker.core.model import FINGERPRINT_MAX, Alert
from service_event_checker.core.roles import Alerts
from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Kind, Severity, Status
from service_event_checker.engine import lookup
from service_event_checker.web.api import search
from service_event_checker.web.errors import Refused, invalid

LIMIT_DEFAULT = 50
LIMIT_MAX = 500
# of every store: see Page; or of a search in another order
_CURSOR = re.compile(r"[1-9][0-9]{0,18}-[0-9a-f]{20}|s[0-9]{1,4}", re.ASCII)
_KNOWN = ("status", "severity", "kind", "source", "limit", "cursor", *search.PARAMETERS)
_ACTIVE = frozenset({Status.FIRING, Status.ACKNOWLEDGED})
ValueT = TypeVar("ValueT")
_STATUSES: Mapping[str, frozenset[Status]] = {"active": _ACTIVE} | {one.value: frozenset({one}) for one in Status}


def find_alert(store: Alerts, name: str) -> Alert:
    """Return the alert; for an internal id, the episode that it names. Raises Refused (404, 409) and StoreError."""
    same = lookup.candidates(store, name)
    if not same:
        raise Refused(404, "Unknown alert. Use its ID, its key or its fingerprint.")
    if len(same) > 1:
        details = [{"id": alert.internal_id, "key": alert.key, "source": alert.source} for alert in same]
        raise Refused(409, "Several alerts have this fingerprint. Use the ID of one of them.", details=details)
    return same[0]


def refuse_unknown(arguments: MultiDict[str, str], known: Collection[str] = ()) -> None:
    """Refuse a parameter that a route does not know, a misspelled filter for one. Raises Refused (422)."""
    for name in arguments:
        if name not in known:
            hint = f"Known: {', '.join(known)}" if known else "This list takes none"
            raise invalid(name, f"is not a known parameter. {hint}")


def read_query(arguments: MultiDict[str, str]) -> Query:
    """Return what the query string asks for; values may be repeated or separated by commas. Raises Refused (422)."""
    refuse_unknown(arguments, _KNOWN)
    statuses: frozenset[Status] = frozenset()
    for value in _values(arguments, "status"):
        statuses |= _one_of(_STATUSES, "status", value)
    severities = {severity.value: severity for severity in Severity}
    kinds = {kind.value: kind for kind in Kind}
    is_open = True if statuses and statuses <= _ACTIVE else False if statuses == {Status.RESOLVED} else None
    return Query(
        open=is_open,
        statuses=statuses,
        severities=frozenset(_one_of(severities, "severity", value) for value in _values(arguments, "severity")),
        kinds=frozenset(_one_of(kinds, "kind", value) for value in _values(arguments, "kind")),
        source=_source(arguments),
        limit=read_limit(arguments),
        cursor=read_cursor(arguments),
    )


def _values(arguments: MultiDict[str, str], name: str) -> list[str]:
    parts = [part.strip().lower() for text in arguments.getlist(name) for part in text.split(",")]
    return [part for part in parts if part]


def _one_of(known: Mapping[str, ValueT], name: str, value: str) -> ValueT:
    if value not in known:
        raise invalid(name, f"is not one of {', '.join(known)}")
    return known[value]


def _source(arguments: MultiDict[str, str]) -> str:
    given = arguments.getlist("source")
    if len(given) > 1:
        raise invalid("source", "is given more than once. Give one source")
    source = given[0] if given else ""
    if "\0" in source or len(source) > FINGERPRINT_MAX:
        raise invalid("source", "is not the name of a source")
    return source


def read_limit(arguments: MultiDict[str, str]) -> int:
    """Return how many a page may hold. Raises Refused (422)."""
    text = arguments.get("limit", str(LIMIT_DEFAULT))
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    if not 1 <= number <= LIMIT_MAX:
        raise invalid("limit", f"is not a whole number from 1 to {LIMIT_MAX}")
    return number


def read_cursor(arguments: MultiDict[str, str]) -> str:
    """Return where a page begins, "" for the first. Raises Refused (422)."""
    cursor = arguments.get("cursor", "")
    if cursor and not _CURSOR.fullmatch(cursor):
        raise invalid("cursor", "is not a cursor that we issued")
    return cursor
