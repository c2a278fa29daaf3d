"""What each route asks of its caller, in one table. A route that is not in it is closed to everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Flask, current_app, g, request

from service_event_checker.engine.refusals import GUESSES
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused
from service_event_checker.web.security import auth
from service_event_checker.web.security.auth import LOCAL, Caller, Keys, Scope
from service_event_checker.web.security.budget import Budget
from service_event_checker.web.security.peer import peer_of
from service_event_checker.web.slack import routes
from service_event_checker.web.webhooks import azure_monitor, destinations, github, reports, status_pages


@dataclass(frozen=True, slots=True)
class Open:
    """Answers everybody, and so tells nothing."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """For senders that cannot sign; `sender` as in WEBHOOK_TOKEN_<sender>."""

    sender: str


@dataclass(frozen=True, slots=True)
class Signed:
    """For senders that sign or know a secret address; `admit` looks at the request. It raises Refused."""

    admit: Callable[[], Caller]


Need = Open | Scope | Webhook | Signed

#: endpoint (blueprint.function) -> what it needs
RULES: Mapping[str, Need] = {
    "health.livez": Open(),
    "health.readyz": Open(),
    "health.health": Open(),  # tells more to those who may read
    "health.database": Scope.READ,
    "health.redis": Scope.READ,
    "metrics.metrics": Scope.READ,
    "alerts.many": Scope.READ,
    "alerts.one": Scope.READ,
    "new_alerts.create": Scope.WRITE,
    "verdicts.of_labels": Scope.READ,
    "verdicts.judge": Scope.WRITE,
    "changes.many": Scope.READ,
    "changes.create": Scope.WRITE,
    "heartbeats.many": Scope.READ,
    "heartbeats.hear": Scope.WRITE,
    "actions.many": Scope.READ,
    "actions.execute": Scope.ACT,
    "actions.waiting": Scope.READ,
    "actions.answer": Scope.ACT,
    "rules.many": Scope.READ,
    "rules.evaluate": Scope.READ,
    "silences.many": Scope.READ,
    "silences.one": Scope.READ,
    "silences.preview": Scope.READ,
    "silences.create": Scope.WRITE,
    "silences.change": Scope.WRITE,
    "silences.end": Scope.WRITE,
    "parts.checkers": Scope.READ,
    "parts.check": Scope.WRITE,
    "parts.destinations": Scope.READ,
    "parts.test": Scope.WRITE,
    "stats.show": Scope.READ,
    "vendors.many": Scope.READ,
    "vendors.one": Scope.READ,
    "alerts.change_status": Scope.WRITE,
    "alerts.add_note": Scope.WRITE,
    "alerts.request_ticket": Scope.WRITE,
    "bulk.act": Scope.WRITE,
    "configuration.reload": Scope.ADMIN,
    "deliveries.many": Scope.READ,
    "deliveries.retry": Scope.ACT,
    "deliveries.discard": Scope.ACT,
    "dead_letters.many": Scope.READ,
    "dead_letters.requeue": Scope.ACT,
    "dashboard.page": Scope.READ,
    "alert_page.page": Scope.READ,
    "slack.commands": Signed(routes.admit),
    "slack.interactions": Signed(routes.admit),
    "hooks.status_page": Signed(status_pages.admit),
    "alertmanager.alert": Webhook("ALERTMANAGER"),
    "alertmanager.webhook": Webhook("ALERTMANAGER"),
    "delivery_reports.take": Signed(reports.admit),
    "alertmanager_api.post": Webhook("ALERTMANAGER"),
    "alertmanager_api.status": Webhook("ALERTMANAGER"),  # a sender's test of its address: it says nothing
    "alertmanager_api.alerts": Scope.READ,
    "alertmanager.events": Webhook("ALERTMANAGER"),
    "grafana.alerts": Webhook("GRAFANA"),
    "github.take": Signed(github.admit),
    "azure_monitor.alert": Signed(azure_monitor.admit),
    "destination_webhooks.ticket": Signed(destinations.admit),
    "destination_webhooks.pagerduty": Signed(destinations.admit_pagerduty),
    "destination_webhooks.opsgenie": Signed(destinations.admit_opsgenie),
    "quarantined.many": Scope.READ,
    "quarantined.one": Scope.READ,
    "quarantined.replay": Scope.ACT,
    "quarantined.discard": Scope.ACT,
    "apidocs.openapi": Scope.READ,
    "apidocs.swagger": Scope.READ,
    "apidocs.redoc": Scope.READ,
    "apidocs.file": Scope.READ,
    "static": Open(),  # a refusal is a page: it needs the style
}

_UNLIMITED = frozenset(
    {"new_alerts.create", "heartbeats.hear"}
)  # alerts come in here, and their senders drop what gets a 429
_BY_NAME = frozenset({"silences.create", "silences.change", "silences.end"})  # a token always, on this machine also


def install(app: Flask, keys: Keys) -> None:
    """Ask every request who it is before anything else is done for it."""
    app.extensions["keys"] = keys
    app.extensions["needs"] = RULES
    app.extensions["budget"] = Budget()
    app.before_request(_let_in)


def _let_in() -> None:
    if request.routing_exception is not None:
        return  # there is no such route: 404, 405
    need = RULES.get(request.endpoint or "")
    if isinstance(need, Open):
        return
    peer = peer_of(request, services().settings.trusted_proxies)
    sender = _sender(need)
    refusals = services().refusals
    try:
        g.caller = _caller(need)
    except Refused as refused:
        if refused.status in (401, 403):
            refusals.note(request.endpoint or "", sender, refused.why, peer, datetime.now(UTC))
        if isinstance(need, Scope) and refused.why in GUESSES and refusals.too_many(peer):
            raise _throttled() from None  # never where alerts come in: their sender is to try on and be seen
        raise
    refusals.accepted(sender, peer)
    if isinstance(need, Scope):
        _count(g.caller)


def _count(caller: Caller) -> None:
    """Refuse (429) a token that asks the API too often."""
    if caller is LOCAL or not request.path.startswith("/api/") or request.endpoint in _UNLIMITED:
        return
    budget: Budget = current_app.extensions["budget"]
    if seconds := budget.take(caller.name):
        raise Refused(429, f"This token asks too often. Wait {seconds} s.", headers=(("Retry-After", str(seconds)),))


def _throttled() -> Refused:
    hint = "Too many wrong tokens came from your address. Wait a minute."
    return Refused(429, hint, headers=(("Retry-After", "60"),))


def _caller(need: Need | None) -> Caller:
    keys: Keys = current_app.extensions["keys"]
    match need:
        case Scope():
            caller = auth.authorize(request, need, keys)
            return auth.demand_token(caller) if request.endpoint in _BY_NAME else caller
        case Webhook(sender=sender):
            return auth.authorize_webhook(request, sender, keys)
        case Signed(admit=admit):
            return admit()
        case _:
            raise Refused(403, "This route has no access rule.")


def _sender(need: Need | None) -> str:
    """Return who should be calling, as the page names it; "" for the page and the API."""
    if isinstance(need, Webhook):
        return need.sender.lower()
    blueprint, _, function = (request.endpoint or "").partition(".")
    if isinstance(need, Signed):
        return function if blueprint == destinations.blueprint.name else blueprint
    return ""
