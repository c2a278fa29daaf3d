"""Numbers about alerts and how they were handled, over a window of days. Reads within the bounds of a search.

An alert counts with its newest episode; test alerts and groups (whose members count) do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from service_event_checker.core.model import Alert
from service_event_checker.core.roles import Store
from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Why
from service_event_checker.engine.search import Search, read_all

NOISIEST_MAX = 10
SOURCES_MAX = 50
TIMELINES_MAX = 200  # that are read for the times to acknowledge


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """`open` counts open alerts by name and value; `times` are in seconds. `complete`: no bound was met.

    `to_acknowledge`: of the first acknowledgement since the opening; `to_resolve`: of the end since the start. Both of
    alerts that were opened, or that ended, in the window.
    """

    since: datetime
    until: datetime
    open: dict[str, Counter[str]]
    open_total: int
    opened: dict[date, int]
    to_acknowledge: list[float]
    to_resolve: list[float]
    noisiest: list[Alert]
    complete: bool


def read(store: Store, window: timedelta, now: datetime) -> Statistics:
    """Count. Raises StoreError."""
    since = now - window
    unresolved, all_open = read_all(store, Search(query=Query(open=True)))
    changed, all_changed = read_all(store, Search(query=Query(), since=since))
    changed = [alert for alert in changed if alert.updated_at >= since]
    opened = Counter(alert.opened_at.astimezone(UTC).date() for alert in changed if alert.opened_at >= since)
    days = [(since + timedelta(days=number)).date() for number in range(window.days + 1)]
    return Statistics(
        since=since,
        until=now,
        open=_by_name(unresolved),
        open_total=len(unresolved),
        opened={day: opened[day] for day in days},
        to_acknowledge=_times_to_acknowledge(store, [alert for alert in changed if alert.opened_at >= since]),
        to_resolve=[_seconds(alert) for alert in changed if alert.ended_at and alert.ended_at >= since],
        noisiest=sorted(changed, key=_noise, reverse=True)[:NOISIEST_MAX],
        complete=all_open and all_changed,
    )


def _by_name(alerts: Iterable[Alert]) -> dict[str, Counter[str]]:
    counts = {name: Counter[str]() for name in ("status", "severity", "kind", "source")}
    for alert in alerts:
        for name, counter in counts.items():
            counter[str(getattr(alert, name))] += 1
    counts["source"] = Counter(dict(counts["source"].most_common(SOURCES_MAX)))
    return counts


def _times_to_acknowledge(store: Store, alerts: Sequence[Alert]) -> list[float]:
    found = []
    for alert in [alert for alert in alerts if alert.owner][:TIMELINES_MAX]:
        at = next(
            (
                step.at
                for step in store.timeline(alert.key)
                if step.episode == alert.episode and step.why is Why.ACKNOWLEDGED
            ),
            None,
        )
        found += [(at - alert.opened_at).total_seconds()] if at else []
    return found


def _seconds(alert: Alert) -> float:
    end = alert.ended_at or alert.updated_at
    return max(0.0, (end - alert.started_at).total_seconds())


def _noise(alert: Alert) -> tuple[int, datetime]:
    return alert.episode + alert.repeats, alert.updated_at
