"""/api/v1/alerts: list, show, and change the status of alerts. What people do is done by `engine.acts`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.http import quote_etag

from service_event_checker.core.model import Alert
from service_event_checker.core.replacing import replace
from service_event_checker.core.store import Page
from service_event_checker.engine import acts, changes, muted
from service_event_checker.engine.actions.view import shown_runs
from service_event_checker.engine.acts import TicketState
from service_event_checker.engine.grouping import related
from service_event_checker.engine.ledger import ledger
from service_event_checker.engine.search import Search, find
from service_event_checker.render.shapes import AlertDetail, AlertPage, CountedAlertPage
from service_event_checker.web.api import search
from service_event_checker.web.api.lookup import find_alert, read_query
from service_event_checker.web.api.schemas import NewNote, NewTicket, StatusChange
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused, invalid
from service_event_checker.web.request_body import json_body
from service_event_checker.web.security.caller import actor

INTAKE = "api"
Answer = tuple[dict[str, Any], int, dict[str, str]]  # body, status, headers

blueprint = Blueprint("alerts", __name__, url_prefix="/api/v1/alerts")


@blueprint.get("")
def many() -> Response:
    """List alerts, the most recently changed first."""
    wanted = search.read(request.args, read_query(request.args))
    shown = AlertPage.of(_page(wanted))
    if total := search.total(services().store, request.args, wanted):
        shown = CountedAlertPage(alerts=shown.alerts, cursor=shown.cursor, total=total)
    # Made text in one step: dashboards ask for it all the time.
    return Response(shown.model_dump_json(), mimetype="application/json")


@blueprint.get("/<path:name>")
def one(name: str) -> Answer:
    """Show one alert, with its timeline and what became of its deliveries."""
    return _shown(find_alert(services().store, name))


@blueprint.put("/<path:name>/status")
def change_status(name: str) -> Answer:
    """Acknowledge, resolve or take an acknowledgement back; asking again for what is so already changes nothing."""
    wanted = StatusChange.model_validate(json_body(request))
    known = find_alert(services().store, name)
    _demand_unchanged(known)
    found = acts.set_status(
        services(), known, wanted.status, actor=actor(), intake=INTAKE, now=_now(), note=wanted.resolution_note
    )
    return _shown(found)


@blueprint.post("/<path:name>/notes")
def add_note(name: str) -> tuple[dict[str, Any], int]:
    """Put a note on the timeline and send it to everybody who was told."""
    wanted = NewNote.model_validate(json_body(request))
    known = find_alert(services().store, name)
    found = acts.add_note(services(), known, wanted.note, actor=actor(), intake=INTAKE, now=_now())
    return _detail(found), 201


@blueprint.post("/<path:name>/tickets")
def request_ticket(name: str) -> tuple[dict[str, Any], int]:
    """Have a ticket opened: 202, or 200 where the alert has one. Repeating it makes no second ticket."""
    wanted = NewTicket.model_validate(json_body(request))
    known = find_alert(services().store, name)
    made = acts.request_ticket(services(), known, actor=actor(), now=_now(), receiver=wanted.receiver)
    return made.summary(), 200 if made.state is TicketState.EXISTS else 202


def _page(wanted: Search) -> Page:
    try:
        return services().store.page(wanted.query) if wanted.is_plain else find(services().store, wanted)
    except (ValueError, OverflowError):  # a cursor of the right form that no store gave
        raise invalid("cursor", "is not a cursor that we issued") from None


def _now() -> datetime:
    return datetime.now(UTC)


def _shown(alert: Alert) -> Answer:
    return _detail(alert), 200, {"ETag": quote_etag(_version(alert))}


def _demand_unchanged(alert: Alert) -> None:
    """Refuse (412) a change of an alert that is not as the caller has seen it, where it says what it has seen."""
    if request.if_match and _version(alert) not in request.if_match:
        raise Refused(412, "The alert has changed since you read it. Read it again.")


def _version(alert: Alert) -> str:
    return f"{alert.episode}-{alert.revision}"


def _detail(alert: Alert) -> dict[str, Any]:
    store = services().store
    links, timeline = store.links([alert.key]).get(alert.key, []), store.timeline(alert.key)
    told = ledger(store, alert, services().book.receivers, timeline)
    shown = replace(alert, muted=muted.words(alert, store.holding, _now()))
    runs, own = shown_runs(services().runs, alert), changes.around(store.holding, alert, _now())
    detail = AlertDetail.with_history(shown, timeline, links, told, related(store, alert), runs, own)
    return detail.model_dump(mode="json")
