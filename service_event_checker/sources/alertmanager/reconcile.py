"""Ends the alerts that their Alertmanager no longer lists, and takes in those that it lists and never sent us.

An empty answer after a restart means nothing: alerts live in its memory only. A silenced alert is still open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from service_event_checker.core.ids import alert_key
from service_event_checker.core.model import Alert, Event
from service_event_checker.core.ports import Comparison
from service_event_checker.core.roles import AlertsAndSettings, Settings
from service_event_checker.core.tracker import SAME_START
from service_event_checker.core.vocabulary import ResolvedBy
from service_event_checker.sources.alertmanager import webhook
from service_event_checker.sources.alertmanager.client import Alertmanager, Config, is_suppressed, receivers_of, same
from service_event_checker.sources.alertmanager.muted import muted
from service_event_checker.sources.alertmanager.truncated import remembered

SOURCE = "alertmanager"
SENDERS = "alertmanager:senders"  # setting: {externalURL: day}
LISTED = "#listed"  # ends the origin of an alert that we know from the API alone: no message named its sender
SENDERS_KNOWN_FOR = timedelta(days=7)
EARLY = 0.8  # of an interval: a pass does not come to the second
SHARE_FROM = 4  # alerts; a share of fewer says nothing


class Source:
    """An Alertmanager, or a pair of them that share an externalURL and so list the same alerts.

    `alone`: no other one is configured.
    """

    def __init__(self, managers: Sequence[Alertmanager], *, alone: bool) -> None:
        self.managers = managers
        self.alone = alone

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(manager.name for manager in self.managers)

    @property
    def every(self) -> timedelta:
        return min(manager.config.every for manager in self.managers)

    def compare(self, store: AlertsAndSettings, now: datetime) -> Comparison:
        """Ask all of them, and decide. Raises SourceError when one of them does not answer, and StoreError."""
        manager = self.managers[0]
        started_at = max(each.started_at() for each in self.managers)
        listed = list({str(alert["fingerprint"]): alert for each in self.managers for alert in each.alerts()}.values())
        open_alerts = [alert for alert in store.open_alerts(SOURCE) if not alert.test]
        senders = _senders(store, open_alerts, now)
        take_in, relisted = _take_in(manager, store, listed, {alert.fingerprint: alert for alert in open_alerts})
        found = Comparison(
            source=SOURCE,
            resolve_after=manager.config.resolve_after,
            take_in=take_in,
            relisted=relisted,
            settings={SENDERS: json.dumps(senders)} if senders else {},
            muted=muted(self.managers, {str(each["fingerprint"]): each for each in listed}, open_alerts),
        )
        if now - started_at < manager.config.grace:
            return replace(found, why_not="was started a moment ago and may not list all yet: nothing is closed")
        only_sender = (
            self.alone and len(senders) == 1 and manager.origin not in senders
        )  # it calls itself something else
        attributable = [
            alert for alert in open_alerts if alert.origin and (only_sender or _sender(alert) == manager.origin)
        ]
        fingerprints = {str(each["fingerprint"]) for each in listed}
        gone = [alert for alert in attributable if alert.fingerprint not in fingerprints]
        over = [alert for alert in gone if alert.missing_polls + 1 >= manager.config.resolve_after]
        confirmed = [alert for alert in over if _is_confirmed(alert, manager, now)]
        allowed = (
            len(confirmed)
            if len(attributable) < SHARE_FROM
            else max(1, int(len(attributable) * manager.config.max_share))
        )
        missing = tuple(alert for alert in gone if alert not in over)
        return replace(found, missing=missing, over=tuple(confirmed[:allowed]), deferred=tuple(confirmed[allowed:]))


def make(entries: Mapping[str, Config]) -> list[Source]:
    """Return what can be asked, by externalURL: those of one pair list the same alerts."""
    pairs: dict[str, list[Alertmanager]] = {}
    for name, config in entries.items():
        manager = Alertmanager(name, config)
        pairs.setdefault(manager.origin, []).append(manager)
    return [Source(members, alone=len(pairs) == 1) for members in pairs.values()]


def _senders(store: Settings, open_alerts: Sequence[Alert], now: datetime) -> dict[str, str]:
    """Return who sent to us lately: an alert of a sender that cannot be asked is not another's to end."""
    known: dict[str, str] = json.loads(store.setting(SENDERS) or "{}")
    since = (now - SENDERS_KNOWN_FOR).date().isoformat()
    recent = {sender: day for sender, day in known.items() if day >= since}
    told = {_sender(alert) for alert in open_alerts if alert.origin and not alert.origin.endswith(LISTED)}
    return recent | dict.fromkeys(told, now.date().isoformat())


def _sender(alert: Alert) -> str:
    return same(alert.origin.removesuffix(LISTED))


def _is_confirmed(alert: Alert, manager: Alertmanager, now: datetime) -> bool:
    """Whether the looks at which it was missing are as far apart as they should be."""
    wanted = manager.config.every * (manager.config.resolve_after - 1)
    return alert.missing_since is not None and now - alert.missing_since >= wanted * EARLY


def _take_in(
    manager: Alertmanager, store: AlertsAndSettings, listed: Sequence[dict[str, Any]], known: Mapping[str, Alert]
) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """Return as events what is listed and has to be told: alerts never sent, closed too early, or missing lately.

    The second: those whose end was told, and that are listed for the first time since.
    """
    truncated = remembered(store)
    unknown_here = [each for each in listed if each["fingerprint"] not in known and not is_suppressed(each)]
    past = store.get(alert_key(SOURCE, str(each["fingerprint"])) for each in unknown_here)
    found: list[Event] = []
    relisted: list[Event] = []
    for each in unknown_here:
        alert = past.get(alert_key(SOURCE, str(each["fingerprint"])))
        if alert is not None and alert.resolved_by is ResolvedBy.PERSON and not alert.source_ended:
            continue
        intakes = alert.intakes if alert else _intakes(truncated, each)
        events = [event for intake in intakes for event in _events(manager, each, intake)]
        first_look = alert is not None and alert.resolved_by is not ResolvedBy.ABSENCE and alert.relisted_at is None
        (relisted if first_look and not _began_later(events, alert) else found).extend(events)
    for each in listed:
        alert = known.get(str(each["fingerprint"]))
        if alert and (alert.missing_polls or not alert.origin) and alert.intakes:
            found += [_unchanged(event, alert) for event in _events(manager, each, alert.intakes[0])]
    return tuple(found), tuple(relisted)


def _began_later(events: Sequence[Event], alert: Alert | None) -> bool:
    """Whether what is listed is another firing than the one whose end was told."""
    if alert is None:
        return False
    latest = (alert.starts_at or alert.started_at) + SAME_START
    return any(event.starts_at is not None and event.starts_at > latest for event in events)


def _intakes(truncated: Mapping[str, Sequence[str]], listed: dict[str, Any]) -> list[str]:
    routed = receivers_of(listed)
    return [intake for intake, receivers in truncated.items() if routed.intersection(receivers)]


def _events(manager: Alertmanager, listed: dict[str, Any], intake: str) -> tuple[Event, ...]:
    """Read a listed alert as the webhook would have told it."""
    told = {"alerts": [{**listed, "status": "firing"}], "groupKey": "api", "externalURL": manager.origin}
    return tuple(
        replace(event, origin=manager.origin + LISTED, listed=True) for event in webhook.parse(told, intake).events
    )


def _unchanged(event: Event, alert: Alert) -> Event:
    """Keep the sender that the alert's own messages named."""
    return replace(event, origin=alert.origin or event.origin)
