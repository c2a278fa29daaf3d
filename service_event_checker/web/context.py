"""What a view reaches the rest of the product by."""

from __future__ import annotations

from flask import current_app

from service_event_checker.tasks import Engine
from service_event_checker.wiring import Services


def services() -> Services:
    found: Services = current_app.extensions["services"]
    return found


def engine() -> Engine:
    found: Engine = current_app.extensions["engine"]
    return found
