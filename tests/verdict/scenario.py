"""A labelled scenario: an alert, what vendors posted around it, and what the verdict ought to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

from service_checkers.vendors import regions, vendors
from service_event_checker.core import correlate
from service_event_checker.core.clues import read
from service_event_checker.core.correlate import Siblings, judge
from service_event_checker.core.ids import alert_key
from service_event_checker.core.knowledge import Change, Dependency, Knowledge, Tie
from service_event_checker.core.matchers import parse
from service_event_checker.core.model import Alert
from service_event_checker.core.verdict import Answer, Verdict
from service_event_checker.core.vocabulary import Kind, Status
from tests.factories import alert

#: the kinds whose alert is our own fault while a vendor that it hangs on has an outage
MASKED, MUTE = "masked", "masked, mute"
OURS = frozenset({Answer.US, Answer.BOTH})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`kind`: how it came about. `truth`: the keys of the outages that explain it. `source`: where it is told of."""

    name: str
    kind: str
    want: Answer
    alert: Alert
    outages: tuple[Alert, ...] = ()
    truth: frozenset[str] = frozenset()
    siblings: tuple[Alert, ...] = ()
    known: Knowledge
    source: str = ""

    @property
    def is_theirs(self) -> bool:
        return self.want in (Answer.VENDOR, Answer.BOTH)

    def verdict(self) -> Verdict:
        """Judge it as the engine does when it looks back."""
        readings = [(each, read(each, self.known)) for each in (self.alert, *self.siblings)]
        siblings = Siblings(readings)
        told, reading = readings[0]
        now = max([told.started_at, *(each.opened_at for each in self.outages)]) + timedelta(minutes=1)
        return judge(told, reading, self.outages, self.known, now, siblings.of(told, reading))


@cache
def known_vendors() -> Knowledge:
    """Return what is known of every vendor of the data, as if each had a checker of its own name."""
    rows = vendors().values()
    return Knowledge(
        hosts={host: Tie(row.id) for row in rows for host in row.hosts},
        errors=tuple((pattern, Tie(row.id)) for row in rows for pattern in row.errors),
        regions=regions(),
        vendors={row.id: row.name for row in rows},
    )


def knowing(
    depends: Mapping[str, Iterable[str]],
    *,
    unreadable: Iterable[str] = (),
    changes: Iterable[Change] = (),
    hosts: Mapping[str, str] = {},
) -> Knowledge:
    """Return that knowledge with dependencies (service -> "vendor" or "vendor:place"), and what else is known."""
    base = known_vendors()
    return replace(
        base,
        dependencies=tuple(
            Dependency(parse(f'service="{service}"'), tuple(_tie(text) for text in on))
            for service, on in depends.items()
        ),
        unreadable=frozenset(unreadable),
        changes=tuple(changes),
        hosts={**base.hosts, **{host: Tie(vendor) for host, vendor in hosts.items()}},
    )


def told(name: str, at: datetime, title: str, description: str, labels: Mapping[str, str]) -> Alert:
    """Return an alert of ours as Alertmanager sends it."""
    return alert(
        key=alert_key("alertmanager", name),
        source="alertmanager",
        fingerprint=name,
        internal_id=name.upper(),
        kind=Kind.ALERT,
        title=title,
        description=description,
        labels={"alertname": title, **labels},
        annotations={"summary": title, "description": description, "runbook_url": "https://github.com/us/runbooks"},
        started_at=at,
        opened_at=at,
        url="https://grafana.example.com/alerting",
    )


def outage(
    name: str,
    vendor: str,
    title: str,
    *,
    start: datetime,
    posted: datetime,
    end: datetime | None = None,
    component: str = "",
    region: str = "",
) -> Alert:
    """Return an outage as its checker opened it when it was posted. `start` is the one that the page gives."""
    return alert(
        key=alert_key(vendor, name),
        source=vendor,
        fingerprint=name,
        internal_id=f"{vendor.upper()}-{name}",
        kind=Kind.OUTAGE,
        status=Status.RESOLVED if end else Status.FIRING,
        title=title,
        description="",
        labels={"component": component, "region": region},
        started_at=start,
        opened_at=posted,
        posted_at=posted,
        ended_at=end,
        closed_at=end,
    )


def _tie(text: str) -> Tie:
    vendor, _, place = text.partition(":")
    region = regions().known(place)
    return Tie(vendor, region=region) if region else Tie(vendor, component=place)


__all__ = ["MASKED", "MUTE", "OURS", "Scenario", "correlate", "knowing", "known_vendors", "outage", "told"]
