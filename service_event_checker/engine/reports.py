"""What a system tells later of a message that it had taken: it did not arrive, so the delivery failed after all."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog

from service_event_checker.core import announcements
from service_event_checker.core.errors import StoreConflict
from service_event_checker.core.model import Alert, Delivery, Transition
from service_event_checker.core.routing import make_transition
from service_event_checker.core.store import Write
from service_event_checker.core.vocabulary import Verb, Why
from service_event_checker.engine.services import Services
from service_event_checker.logs import alert_facts

CONFLICTS_MAX = 20

log = structlog.get_logger()


def take_failure(
    services: Services, receiver: str, key: str, episode: int, verb: Verb, why: str, now: datetime
) -> bool:
    """Record that a message of an episode did not arrive, and tell it through another channel; repeatable.

    Return False if it is known already, or the episode is past. Raises StoreError.
    """
    store = services.store
    for _ in range(CONFLICTS_MAX):
        alert = store.get([key]).get(key)
        if alert is None or alert.episode != episode or any(step.note == why for step in store.timeline(key)):
            return False
        if services.pipeline.commit(_write(services, alert, receiver, verb, why, now), now):
            log.error("delivery_failed", **alert_facts(alert), receiver=receiver, verb=verb.value, reason=why)
            return True
    raise StoreConflict(f"alert {key} was changed by others {CONFLICTS_MAX} times in a row")


def _write(services: Services, alert: Alert, receiver: str, verb: Verb, why: str, now: datetime) -> Write:
    delivery = Delivery(
        key=alert.key, episode=alert.episode, revision=alert.revision, receiver=receiver, verb=verb, note=why
    )
    step: Transition = replace(
        make_transition(alert, Why.GAVE_UP, now, receiver=receiver), note=why, verb=verb, tries=1
    )
    told = announcements.gave_up(delivery, alert, why, services.book, now)
    return replace(told or Write(alert=alert), transitions=(step,))
