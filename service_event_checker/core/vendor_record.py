"""A vendor's record: how long its outages lasted, how late it posted, and which of them touched us. Pure.

Times are the vendor's own. An alert counts for an outage where its verdict says that the outage explains it. Each alert
counts with its newest episode; what was retracted counts as that, and as nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Affects, Kind, ResolvedBy


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """One outage as its vendor posted it. `ended_at` None: not over. `explained`: how many alerts it explains.

    `first_symptom_at`: when the first of these began. `posted_at` None: the vendor does not tell.
    """

    id: str
    title: str
    severity: str
    started_at: datetime
    posted_at: datetime | None
    ended_at: datetime | None
    explained: int = 0
    first_symptom_at: datetime | None = None

    @property
    def lag(self) -> timedelta | None:
        """How long after its own start the vendor posted; never less than nothing."""
        return max(self.posted_at - self.started_at, timedelta(0)) if self.posted_at else None

    @property
    def symptom_lag(self) -> timedelta | None:
        """How long after our first symptom the vendor posted; negative where it was faster."""
        return self.posted_at - self.first_symptom_at if self.posted_at and self.first_symptom_at else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A vendor from `since` to `until`. `lost`: the time in which it had an outage, each minute once.

    `without_impact`: posts that explain no alert of ours. The lags are medians and maxima, None where none is known.
    `complete`: no bound was met when the alerts were read.
    """

    name: str
    since: datetime
    until: datetime
    outages: tuple[Posted, ...]
    lost: timedelta
    days: int
    retracted: int
    complete: bool = True

    @property
    def without_impact(self) -> int:
        return sum(not each.explained for each in self.outages)

    @property
    def explained(self) -> int:
        """How many alerts its outages explain; one that two explain counts twice."""
        return sum(each.explained for each in self.outages)

    @property
    def lags(self) -> tuple[timedelta | None, timedelta | None]:
        return _middle_and_most(each.lag for each in self.outages)

    @property
    def symptom_lags(self) -> tuple[timedelta | None, timedelta | None]:
        return _middle_and_most(each.symptom_lag for each in self.outages)


def record(name: str, alerts: Iterable[Alert], since: datetime, until: datetime, *, complete: bool = True) -> Record:
    """Return the record of the source `name`. `alerts`: of all sources; those that do not belong here are left out."""
    known = [alert for alert in alerts if not alert.test]
    mine = [alert for alert in known if alert.source == name and _is_posted(alert) and _touches(alert, since, until)]
    kept = [alert for alert in mine if alert.resolved_by is not ResolvedBy.RETRACTED]
    symptoms = _symptoms(known)
    outages = tuple(_posted(alert, symptoms.get(alert.internal_id, ())) for alert in sorted(kept, key=_place))
    spans = _merged((max(each.started_at, since), min(each.ended_at or until, until)) for each in outages)
    return Record(
        name=name,
        since=since,
        until=until,
        outages=outages,
        lost=sum((end - start for start, end in spans), timedelta(0)),
        days=len({day for start, end in spans for day in _days(start, end)}),
        retracted=len(mine) - len(kept),
        complete=complete,
    )


def _is_posted(alert: Alert) -> bool:
    return alert.kind is Kind.OUTAGE and alert.affects_us is not Affects.NO


def _touches(alert: Alert, since: datetime, until: datetime) -> bool:
    return alert.started_at <= until and (alert.ended_at is None or alert.ended_at >= since)


def _place(alert: Alert) -> tuple[datetime, str]:
    return alert.started_at, alert.key


def _symptoms(alerts: Iterable[Alert]) -> Mapping[str, tuple[datetime, ...]]:
    """Return by outage's internal id when the alerts began that it explains."""
    found: dict[str, tuple[datetime, ...]] = {}
    for alert in alerts:
        for id in alert.verdict.explained_by if alert.verdict else ():
            found[id] = (*found.get(id, ()), alert.started_at)
    return found


def _posted(outage: Alert, begun: tuple[datetime, ...]) -> Posted:
    return Posted(
        id=outage.internal_id,
        title=outage.title,
        severity=outage.severity.value,
        started_at=outage.started_at,
        posted_at=outage.posted_at,
        ended_at=None if outage.open else outage.ended_at,
        explained=len(begun),
        first_symptom_at=min(begun, default=None),
    )


def _merged(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return spans of time that do not overlap; of an end before its start nothing is left."""
    found: list[tuple[datetime, datetime]] = []
    for start, end in sorted(span for span in spans if span[0] <= span[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _days(start: datetime, end: datetime) -> Iterable[object]:
    """Return the days, in UTC, that a span touches."""
    return (start.date() + timedelta(days=number) for number in range((end.date() - start.date()).days + 1))


def _middle_and_most(lags: Iterable[timedelta | None]) -> tuple[timedelta | None, timedelta | None]:
    known = [lag for lag in lags if lag is not None]
    seconds = [lag.total_seconds() for lag in known]
    return (timedelta(seconds=median(seconds)), max(known)) if known else (None, None)
