"""Ends the alerts that their Alertmanager no longer lists, and takes in those that it lists and never sent us.

An empty answer after a restart means nothing: alerts live in its memory only. A silenced alert is still open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from service_event_checker.alertmanager_api import Alertmanager, is_suppressed, receivers_of, same
from service_event_checker.core.model import Alert, Event, ResolvedBy, Snapshot, alert_key
from service_event_checker.core.ports import Store
from service_event_checker.pipeline import Pipeline
from service_event_checker.sources import alertmanager

SOURCE = "alertmanager"
TRUNCATED = "alertmanager:truncated"  # setting: {intake: [receivers]} whose messages did not hold all alerts
TRUNCATED_MAX = 100  # receivers of an intake; an Alertmanager has a few
SENDERS = "alertmanager:senders"  # setting: {externalURL: day}
LISTED = "#listed"  # ends the origin of an alert that we know from the API alone: no message named its sender
SENDERS_KNOWN_FOR = timedelta(days=7)
EARLY = 0.8  # of an interval: a pass does not come to the second
SHARE_FROM = 4  # alerts; a share of fewer says nothing

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pass:
    """What one look at an Alertmanager has to do: alerts to count as missing, to close, to leave for the next pass.

    `senders`: which Alertmanagers have sent to us lately, by externalURL, with the day on which that was last seen.
    """

    missing: tuple[Alert, ...] = ()
    over: tuple[Alert, ...] = ()
    held: tuple[Alert, ...] = ()
    senders: Mapping[str, str] = field(default_factory=dict)
    take_in: tuple[Event, ...] = ()
    why_not: str = ""

    def lines(self, name: str) -> list[str]:
        """Return the report of the pass, a line per change."""
        said = [f"{name}: {self.why_not}"] if self.why_not else []
        said += [f"{name}: {alert.internal_id}: no longer listed, closed" for alert in self.over]
        said += [f"{name}: {alert.internal_id}: not listed this time, waits for another look" for alert in self.missing]
        said += [f"{name}: {event.title}: listed there, taken in" for event in self.take_in]
        if self.held:
            said.append(f"{name}: {len(self.held)} more are no longer listed: too many at once, left for the next pass")
        return said


def look(managers: Sequence[Alertmanager], store: Store, *, alone: bool, now: datetime) -> Pass:
    """Ask an Alertmanager, or all members of a pair that share an externalURL, and decide; changes nothing.

    `alone`: no other one is configured. Raises SourceError when one of them does not answer, and StoreError.
    """
    manager = managers[0]
    started_at = max(each.started_at() for each in managers)
    listed = list({str(alert["fingerprint"]): alert for each in managers for alert in each.alerts()}.values())
    open_alerts = [alert for alert in store.open_alerts(SOURCE) if not alert.test]
    fingerprints = {str(each["fingerprint"]) for each in listed}
    take_in = _take_in(manager, store, listed, {alert.fingerprint: alert for alert in open_alerts})
    senders = _senders(store, open_alerts, now)
    if now - started_at < manager.config.grace:
        why_not = "was started a moment ago and may not list all yet: nothing is closed"
        return Pass(take_in=take_in, senders=senders, why_not=why_not)
    lone = alone and len(senders) == 1 and manager.origin not in senders  # it calls itself something else
    vouched = [alert for alert in open_alerts if alert.origin and (lone or _sender(alert) == manager.origin)]
    gone = [alert for alert in vouched if alert.fingerprint not in fingerprints]
    over = [alert for alert in gone if alert.missing_polls + 1 >= manager.config.resolve_after]
    ripe = [alert for alert in over if _is_ripe(alert, manager, now)]
    allowed = len(ripe) if len(vouched) < SHARE_FROM else max(1, int(len(vouched) * manager.config.max_share))
    return Pass(
        missing=tuple(alert for alert in gone if alert not in over),
        over=tuple(ripe[:allowed]),
        held=tuple(ripe[allowed:]),
        take_in=take_in,
        senders=senders,
    )


def apply(found: Pass, manager: Alertmanager, pipeline: Pipeline, now: datetime) -> None:
    """Commit what a look has decided. Raises StoreError; repeatable."""
    if found.senders:
        pipeline.store.set_setting(SENDERS, json.dumps(found.senders))
    pipeline.ingest(found.take_in, now)
    listed = Snapshot(source=SOURCE, complete=True)
    pipeline.absent([*found.missing, *found.over], listed, manager.config.resolve_after, now)
    if found.held:
        log.warning("reconcile_held_back", source=manager.name, closed=len(found.over), held=len(found.held))


def remember_truncated(store: Store, intake: str, receiver: str) -> None:
    """Note durably that this receiver's messages do not hold all alerts; its alerts are taken from the API from now on.

    Raises StoreError.
    """
    known = _truncated(store)
    if receiver not in known.get(intake, ()) and len(known.get(intake, ())) < TRUNCATED_MAX:
        known[intake] = sorted({*known.get(intake, ()), receiver})
        store.set_setting(TRUNCATED, json.dumps(known))


def _truncated(store: Store) -> dict[str, Sequence[str]]:
    return dict(json.loads(store.setting(TRUNCATED) or "{}"))


def _senders(store: Store, open_alerts: Sequence[Alert], now: datetime) -> dict[str, str]:
    """Return who sent to us lately: an alert of a sender that cannot be asked is not another's to end."""
    known: dict[str, str] = json.loads(store.setting(SENDERS) or "{}")
    since = (now - SENDERS_KNOWN_FOR).date().isoformat()
    recent = {sender: day for sender, day in known.items() if day >= since}
    told = {_sender(alert) for alert in open_alerts if alert.origin and not alert.origin.endswith(LISTED)}
    return recent | dict.fromkeys(told, now.date().isoformat())


def _sender(alert: Alert) -> str:
    return same(alert.origin.removesuffix(LISTED))


def _is_ripe(alert: Alert, manager: Alertmanager, now: datetime) -> bool:
    """Whether the looks at which it was missing are as far apart as they should be."""
    wanted = manager.config.every * (manager.config.resolve_after - 1)
    return alert.missing_since is not None and now - alert.missing_since >= wanted * EARLY


def _take_in(
    manager: Alertmanager, store: Store, listed: Sequence[dict[str, Any]], known: Mapping[str, Alert]
) -> tuple[Event, ...]:
    """Return as events what is listed and has to be told: alerts never sent, closed too early, or missing lately."""
    truncated = _truncated(store)
    strangers = [each for each in listed if each["fingerprint"] not in known and not is_suppressed(each)]
    past = store.get(alert_key(SOURCE, str(each["fingerprint"])) for each in strangers)
    found: list[Event] = []
    for each in strangers:
        alert = past.get(alert_key(SOURCE, str(each["fingerprint"])))
        too_early = alert is not None and alert.resolved_by is ResolvedBy.ABSENCE
        if alert is not None and alert.resolved_by is ResolvedBy.PERSON:
            continue
        intakes = alert.intakes if alert and too_early else _intakes(truncated, each)
        found += [event for intake in intakes for event in _events(manager, each, intake)]
    for each in listed:
        alert = known.get(str(each["fingerprint"]))
        if alert and (alert.missing_polls or not alert.origin) and alert.intakes:
            found += [_unchanged(event, alert) for event in _events(manager, each, alert.intakes[0])]
    return tuple(found)


def _intakes(truncated: Mapping[str, Sequence[str]], listed: dict[str, Any]) -> list[str]:
    routed = receivers_of(listed)
    return [intake for intake, receivers in truncated.items() if routed.intersection(receivers)]


def _events(manager: Alertmanager, listed: dict[str, Any], intake: str) -> tuple[Event, ...]:
    """Read a listed alert as the webhook would have told it."""
    told = {"alerts": [{**listed, "status": "firing"}], "groupKey": "api", "externalURL": manager.origin}
    return tuple(replace(event, origin=manager.origin + LISTED) for event in alertmanager.parse(told, intake).events)


def _unchanged(event: Event, alert: Alert) -> Event:
    """Keep the sender that the alert's own messages named."""
    return replace(event, origin=alert.origin or event.origin)
