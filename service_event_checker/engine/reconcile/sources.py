"""What a pass does about what a source lists no longer, or never told us."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import structlog

from service_event_checker.core.model import Snapshot
from service_event_checker.core.ports import Comparison
from service_event_checker.core.replacing import replace
from service_event_checker.core.roles import Alerts
from service_event_checker.core.store import Write
from service_event_checker.engine.pipeline import Pipeline

log = structlog.get_logger()


def lines(name: str, found: Comparison) -> list[str]:
    """Return the report of a comparison, a line per change."""
    said = [f"{name}: {found.why_not}"] if found.why_not else []
    said += [f"{name}: {alert.internal_id}: no longer listed, closed" for alert in found.over]
    said += [f"{name}: {alert.internal_id}: not listed this time, waits for another look" for alert in found.missing]
    said += [f"{name}: {event.title}: listed there, taken in" for event in found.take_in]
    said += [
        f"{name}: {event.title}: listed there although its end was told, waits for another look"
        for event in found.relisted
    ]
    if found.deferred:
        said.append(
            f"{name}: {len(found.deferred)} more are no longer listed; too many at once, so they wait for the next run"
        )
    return said


def apply(name: str, found: Comparison, pipeline: Pipeline, now: datetime) -> None:
    """Commit what a comparison has decided. Raises StoreError; repeatable."""
    for setting, value in found.settings.items():
        pipeline.store.set_setting(setting, value)
    pipeline.ingest([*found.take_in, *found.relisted], now)
    listed = Snapshot(source=found.source, complete=True)
    pipeline.absent([*found.missing, *found.over], listed, found.resolve_after, now)
    _mark_muted(found.muted, pipeline.store, now)
    if found.deferred:
        log.warning("reconcile_deferred", source=name, closed=len(found.over), held=len(found.deferred))


def _mark_muted(muted: Mapping[str, str], store: Alerts, now: datetime) -> None:
    """Store what the source tells nobody of; an alert that was changed meanwhile waits for the next pass."""
    alerts = store.get(muted) if muted else {}
    writes = [Write(alert=replace(alert, muted=muted[key])) for key, alert in alerts.items() if alert.open]
    store.commit([write for write in writes if write.alert != alerts[write.alert.key]], now)
