"""Which receivers' messages do not hold all alerts: theirs are taken from the API. One setting of the store."""

from __future__ import annotations

import json
from collections.abc import Sequence

from service_event_checker.core.roles import Settings

TRUNCATED = "alertmanager:truncated"  # setting: {intake: [receivers]} whose messages did not hold all alerts
TRUNCATED_MAX = 100  # receivers of an intake; an Alertmanager has a few


def remember(store: Settings, intake: str, receiver: str) -> None:
    """Note durably that this receiver's messages do not hold all alerts; its alerts are taken from the API from now on.

    Raises StoreError.
    """
    known = remembered(store)
    if receiver not in known.get(intake, ()) and len(known.get(intake, ())) < TRUNCATED_MAX:
        known[intake] = sorted({*known.get(intake, ()), receiver})
        store.set_setting(TRUNCATED, json.dumps(known))


def remembered(store: Settings) -> dict[str, Sequence[str]]:
    """Return the receivers by way in. Raises StoreError."""
    return dict(json.loads(store.setting(TRUNCATED) or "{}"))
