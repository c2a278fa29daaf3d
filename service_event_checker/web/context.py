"""What a view reaches the rest of the product by."""

from __future__ import annotations

from flask import current_app, g

from service_event_checker.engine.reloads import Reloads
from service_event_checker.engine.schedule import Engine
from service_event_checker.engine.services import Services


def services() -> Services:
    """Return what this request works with to its end, also where the configuration is reloaded meanwhile."""
    if "services" not in g:
        g.services = current_app.extensions["services"]
    found: Services = g.services
    return found


def reloader() -> Reloads:
    found: Reloads = current_app.extensions["reloader"]
    return found


def engine() -> Engine:
    found: Engine = current_app.extensions["engine"]
    return found
