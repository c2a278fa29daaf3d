"""GET /: one page that answers "is it us or them?", without JavaScript. It shows, and changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from flask import Blueprint, render_template, request

from service_event_checker.core.model import Alert
from service_event_checker.core.store import Query
from service_event_checker.render.names import platform_name
from service_event_checker.render.plan import is_planned
from service_event_checker.web.context import services
from service_event_checker.web.page.headline import judge
from service_event_checker.web.page.rows import (
    alert_row,
    by_urgency,
    checker_row,
    failed_row,
    planned_rows,
    rejected_row,
    silence_row,
)
from service_event_checker.web.status import overview

REFRESH_SECONDS = 30
OVER_SHOWN = 5
REJECTED_SHOWN = 5

blueprint = Blueprint("dashboard", __name__)


@blueprint.get("/")
def page() -> str:
    """Render the page; `?refresh=off` stops the browser's automatic refresh."""
    store, now = services().store, datetime.now(UTC)
    seen = overview.read(services(), now)
    over = store.page(Query(open=False, limit=OVER_SHOWN)).alerts
    known = store.get({delivery.key for delivery in seen.failed})
    return render_template(
        "dashboard.html",
        now=now,
        verdict=judge(seen),
        alerts=[
            alert_row(alert, now, seen.failed, seen.pending, seen.silenced.get(alert.key)) for alert in _by_rank(seen)
        ],
        silences=[silence_row(silence) for silence in seen.silences],
        planned=planned_rows(seen.open_alerts, seen.checkers, now),
        more=seen.more_open,
        over=[alert_row(alert, now) for alert in over],
        checkers=[checker_row(checker, now) for checker in seen.checkers],
        receivers=[replace(receiver, name=platform_name(receiver.name)) for receiver in seen.receivers],
        failed=[failed_row(delivery, known, now) for delivery in seen.failed],
        rejected=[rejected_row(held, now) for held in seen.refused[:REJECTED_SHOWN]],
        rejected_count=f"{len(seen.refused)}{'+' if len(seen.refused) == overview.REFUSED_MAX else ''}",
        warnings=seen.warnings,
        refresh=REFRESH_SECONDS if request.args.get("refresh") != "off" else 0,
    )


def _by_rank(seen: overview.State) -> list[Alert]:
    """Return the open alerts but for planned work, which has a section of its own; silenced ones come last."""
    alerts = [alert for alert in by_urgency(seen.open_alerts) if not is_planned(alert)]
    return sorted(alerts, key=lambda alert: alert.key in seen.silenced)
