"""The sample alert: what a test message tells, what templates are checked with, and what probes have validated. Pure.

It marks itself as a TEST, is over from the start, and names nothing real.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from service_event_checker.core.ids import alert_key, internal_id
from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.vocabulary import Kind, ResolvedBy, Severity, Status, Verb
from service_event_checker.render.texts import say

SOURCE = "test"


def alert(now: datetime, *, name: str = "sample") -> Alert:
    """Return the sample as it fires; `name` tells several apart."""
    key = alert_key(SOURCE, name)
    return Alert(
        key=key,
        source=SOURCE,
        fingerprint=name,
        kind=Kind.ALERT,
        episode=1,
        internal_id=internal_id(SOURCE, key, 1),
        status=Status.FIRING,
        severity=Severity.INFO,
        title=say("sample.title"),
        description=say("sample.description"),
        started_at=now - timedelta(minutes=5),
        opened_at=now,
        updated_at=now,
        url="https://example.com/",
        labels={"service": "checkout", "instance": "web-1", "region": "eu-west-1"},
        annotations={"runbook_url": "https://example.com/runbook", "summary": "p99 is 4.2 s"},
        test=True,
        revision=1,
    )


def over(firing: Alert, now: datetime) -> Alert:
    """Return an alert as it is when its source has ended it."""
    end = {"ended_at": now, "closed_at": now, "resolved_by": ResolvedBy.SOURCE}
    return replace(firing, status=Status.RESOLVED, revision=firing.revision + 1, **end)  # type: ignore[arg-type]


def delivery(about: Alert, receiver: str, verb: Verb = Verb.OPEN, *, actor: str = "", note: str = "") -> Delivery:
    """Return a delivery that no store holds."""
    return Delivery(
        key=about.key,
        episode=about.episode,
        revision=about.revision,
        receiver=receiver,
        verb=verb,
        severity=about.severity,
        actor=actor,
        note=note,
        created_at=about.updated_at,
    )
