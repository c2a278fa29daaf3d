"""What a view reaches the rest of the product by."""

from __future__ import annotations

from flask import current_app

from service_event_checker.engine.schedule import Engine
from service_event_checker.engine.services import Services


def services() -> Services:
    found: Services = current_app.extensions["services"]
    return found


def engine() -> Engine:
    found: Engine = current_app.extensions["engine"]
    return found
