"""What a person should mend though nothing breaks of it: on the page as long as it is so, in the log at the start."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import structlog

from service_event_checker.core.store import Query
from service_event_checker.engine.reconcile import passes
from service_event_checker.engine.services import Services
from service_event_checker.sources.alertmanager.intake import unknown_severities
from service_event_checker.web.webhooks.destinations import is_unauthenticated

LOOKED_AT = 200  # open alerts, the latest; the page costs the same however many there are

log = structlog.get_logger()


def warnings(services: Services, now: datetime) -> tuple[str, ...]:
    """Return the standing warnings. Raises StoreError."""
    found = (*unauthenticated_webhooks(services), *_unknown_severities(services, now), *_not_reconciled(services))
    return (*found, *_left_behind(services))


def unauthenticated_webhooks(services: Services) -> list[str]:
    """Return what is wrong with how our senders prove who they are."""
    kinds = {part.name: part.kind for part in services.parts if part.section == "destination"}
    return [
        f"{name}: who knows its integration id may change alerts through our webhook, as no token is asked for. "
        f"Set WEBHOOK_TOKEN_{kinds[name].upper()}, and have the sender send it"
        for name, destination in services.outbox.destinations.items()
        if is_unauthenticated(services, destination, kinds.get(name, ""))
    ]


def tell(services: Services) -> None:
    """Log the warnings that the configuration alone tells."""
    for text in unauthenticated_webhooks(services):
        log.warning("unauthenticated", text=text)


def _left_behind(services: Services) -> list[str]:
    """Return the receivers that open alerts were told to and that config.json no longer has: renamed, or removed."""
    shown = services.store.page(Query(open=True, limit=LOOKED_AT)).alerts
    gone = Counter(name for alert in shown for name in alert.receivers if name not in services.book.receivers)
    return [
        f"{name}: {number} open alerts were told there, and config.json has no such destination any more. "
        "They are owed their end: put it back under this name until they are over"
        for name, number in sorted(gone.items())
    ]


def _not_reconciled(services: Services) -> list[str]:
    slot = services.store.slots().get(passes.SLOT)
    return [f"reconciliation: {failure}" for failure in slot.warnings] if slot else []


def _unknown_severities(services: Services, now: datetime) -> list[str]:
    words = unknown_severities(services, now)
    return [f'alertmanager: the severity "{word}" is in no table and counts as warning' for word in words]
