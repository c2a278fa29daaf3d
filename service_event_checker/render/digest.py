"""The digest of what went to a fallback, in the receiver's language: the store holds facts, not words. Pure."""

from __future__ import annotations

from service_event_checker.core.failover import FALLBACK, NUMBER, RECEIVER, SOURCE
from service_event_checker.core.model import Alert
from service_event_checker.render.texts import say


def is_digest(alert: Alert) -> bool:
    return alert.source == SOURCE


def title(alert: Alert) -> str:
    """Return a digest's title in the receiver's language; that of any other alert as it is."""
    labels = alert.labels
    if not is_digest(alert) or NUMBER not in labels:
        return alert.title
    key = "digest.one" if labels[NUMBER] == "1" else "digest.many"
    return say(key, number=labels[NUMBER], receiver=labels.get(RECEIVER, ""), fallback=labels.get(FALLBACK, ""))
