"""Finds the alert that a person or program names: by internal id, by key, or by a fingerprint that only one has."""

from __future__ import annotations

import difflib
import re

from service_event_checker.core.ids import internal_code
from service_event_checker.core.model import FINGERPRINT_MAX, Alert
from service_event_checker.core.roles import Alerts
from service_event_checker.core.store import Query

NEAR_MAX = 3
_KEY = re.compile(r"[0-9a-f]{20}")
_COMPARED_MAX = 500  # alerts, those that changed last


def candidates(store: Alerts, name: str) -> list[Alert]:
    """Return the alerts that a name may mean: none, one, or several with one fingerprint. Raises StoreError.

    An internal id means the episode that it names, all else the newest.
    """
    key = name.lower()
    if _KEY.fullmatch(key) and (found := store.get([key]).get(key)):
        return [found]
    if (named := _by_internal_id(store, name)) is not None:
        return [named]
    return store.by_fingerprint(name) if 0 < len(name) <= FINGERPRINT_MAX and "\0" not in name else []


def near(store: Alerts, name: str) -> list[str]:
    """Return the internal ids that look most like a wrong one, the nearest first. Raises StoreError."""
    ids = [alert.internal_id for alert in store.page(Query(limit=_COMPARED_MAX)).alerts]
    spelled = {id: id for id in ids} | {id.rpartition("-")[2]: id for id in ids}
    found = difflib.get_close_matches(name.strip().upper(), spelled, n=NEAR_MAX, cutoff=0.6)
    return list(dict.fromkeys(spelled[each] for each in found))


def _by_internal_id(store: Alerts, name: str) -> Alert | None:
    code = internal_code(name)
    found = store.by_internal_id(code) if code else None
    if found is None or ("-" in name and found.internal_id != name.strip().upper()):
        return None  # a fingerprint whose end happens to read like somebody's code
    return found
