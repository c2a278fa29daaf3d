"""What became of deliveries that are done with, by alert: read from the timelines, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from service_event_checker.core.model import Alert, Transition
from service_event_checker.core.roles import Alerts, History
from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Why
from service_event_checker.engine import search

ALERTS_MAX = 500  # read for one page
_SETTLED = frozenset({Why.DELIVERED, Why.DELIVERED_OTHERWISE, Why.DRY_RUN, Why.SKIPPED})


class AlertsAndHistory(Alerts, History, Protocol):
    """What the list is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledPage:
    """`steps`: with their alert, the latest of an alert first. `cursor`: of the next page, "" on the last."""

    steps: tuple[tuple[Alert, Transition], ...]
    cursor: str


def page(store: AlertsAndHistory, *, limit: int, cursor: str) -> SettledPage:
    """Return what is settled of the newest episodes, the latest changed alert first.

    A page ends with an alert, so that it may hold some more than `limit`; it holds fewer, with a cursor, where few
    alerts were told to anybody. `cursor` is a store's. Raises StoreError, and ValueError for another cursor.
    """
    found: list[tuple[Alert, Transition]] = []
    alerts = store.page(Query(limit=ALERTS_MAX, cursor=cursor))
    for place, alert in enumerate(alerts.alerts):
        steps = store.outcomes(alert.key, alert.episode)
        found += [(alert, step) for step in reversed(steps) if step.why in _SETTLED]
        if len(found) >= limit:
            return SettledPage(steps=tuple(found), cursor=search.cursor_after(alerts, place))
    return SettledPage(steps=tuple(found), cursor=alerts.cursor)
