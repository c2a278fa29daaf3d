"""GET /: one page that answers "is it us or them?", without JavaScript. It shows, and changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, render_template, request

from service_event_checker.core.store import Query
from service_event_checker.web.context import services
from service_event_checker.web.page.headline import judge
from service_event_checker.web.page.rows import alert_row, by_urgency, checker_row, letter_row, refused_row
from service_event_checker.web.status import overview

REFRESH_SECONDS = 30
OVER_SHOWN = 5
REFUSED_SHOWN = 5

blueprint = Blueprint("dashboard", __name__)


@blueprint.get("/")
def page() -> str:
    """Render the page; `?refresh=off` keeps the browser from loading it again."""
    store, now = services().store, datetime.now(UTC)
    seen = overview.read(services(), now)
    over = store.page(Query(open=False, limit=OVER_SHOWN)).alerts
    known = store.get({letter.key for letter in seen.failed})
    return render_template(
        "dashboard.html",
        now=now,
        verdict=judge(seen),
        alerts=[alert_row(alert, now, seen.failed) for alert in by_urgency(seen.open_alerts)],
        more=seen.more_open,
        over=[alert_row(alert, now) for alert in over],
        checkers=[checker_row(checker, now) for checker in seen.checkers],
        receivers=seen.receivers,
        letters=[letter_row(letter, known) for letter in seen.failed],
        refused=[refused_row(held, now) for held in seen.refused[:REFUSED_SHOWN]],
        refused_count=f"{len(seen.refused)}{'+' if len(seen.refused) == overview.REFUSED_MAX else ''}",
        warnings=seen.warnings,
        refresh=REFRESH_SECONDS if request.args.get("refresh") != "off" else 0,
    )
