"""The Flask app: one blueprint per resource, thin views, one place for errors and access rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from flask import Flask, current_app, request
from jinja2 import StrictUndefined

from service_event_checker import wiring
from service_event_checker.broker import Broker
from service_event_checker.cli import former
from service_event_checker.engine.schedule import Engine
from service_event_checker.engine.services import Services
from service_event_checker.reload import Reloader
from service_event_checker.web import access, body_budget, errors, request_time
from service_event_checker.web.api import (
    actions,
    alerts,
    bulk,
    changes,
    configuration,
    deliveries,
    heartbeats,
    new_alerts,
    parts,
    rules,
    silences,
    stats,
    vendors,
    verdicts,
)
from service_event_checker.web.api import dead_letters as former_deliveries
from service_event_checker.web.api import quarantine as quarantined
from service_event_checker.web.apidocs import routes as apidocs
from service_event_checker.web.page import alert as alert_page
from service_event_checker.web.page import dashboard
from service_event_checker.web.security import auth, headers
from service_event_checker.web.slack import routes
from service_event_checker.web.slack.signature import sunsets
from service_event_checker.web.status import health, metrics, warnings
from service_event_checker.web.status.probes import StoreProbe
from service_event_checker.web.webhooks import (
    alertmanager,
    alertmanager_api,
    azure_monitor,
    destinations,
    github,
    grafana,
    reports,
    status_pages,
)

BODY_MAX = 8 * 1024 * 1024  # bytes; what any route may take, most take less


def create_app(environ: Mapping[str, str]) -> Flask:
    """Build the app from the environment. Starts nothing. Raises ConfigError."""
    settings, config = wiring.examine(environ)
    keys = auth.read_keys(settings)
    services = replace(wiring.build(settings, config), sunsets=sunsets(settings.variables))
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = BODY_MAX
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's default provider
    app.jinja_options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    app.extensions["services"] = services
    broker = Broker(settings.broker_url) if settings.broker_url else None
    engine = Engine(services, broker=broker)
    reloader = Reloader(engine, environ, partial(_renew, app))
    engine.follow = reloader.follow
    app.extensions["engine"], app.extensions["reloader"] = engine, reloader
    app.extensions["broker"] = broker
    app.extensions["store_probe"] = StoreProbe(lambda: services.store.ping())
    app.before_request(_start_under_gunicorn)
    routes.install(app, services)
    request_time.install(app)
    access.install(app, keys)
    errors.install(app)
    body_budget.install(app)
    headers.install(app)
    resources = (
        health,
        metrics,
        alerts,
        new_alerts,
        heartbeats,
        verdicts,
        changes,
        github,
        bulk,
        configuration,
        actions,
        rules,
        silences,
        parts,
        stats,
        vendors,
        apidocs,
        deliveries,
        former_deliveries,
        quarantined,
        dashboard,
        alert_page,
        routes,
        status_pages,
        alertmanager,
        alertmanager_api,
        grafana,
        azure_monitor,
        destinations,
        reports,
    )
    for resource in resources:
        app.register_blueprint(resource.blueprint)
    former.register(app, services)
    warnings.tell(services)
    status_pages.register(app)
    return app


def _renew(app: Flask, services: Services) -> None:
    """Have requests that begin from now on work with what a reload has built."""
    routes.renew(app, services)
    app.extensions["services"] = services
    warnings.tell(services)


def _start_under_gunicorn() -> None:
    """Start the engine where Gunicorn runs without gunicorn.conf.py, which would have done it."""
    if str(request.environ.get("SERVER_SOFTWARE", "")).startswith("gunicorn"):
        current_app.extensions["engine"].start()
