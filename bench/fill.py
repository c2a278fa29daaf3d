"""Fills a store with open alerts that owe nothing: what is measured afterwards is the size, not a backlog."""

from __future__ import annotations

from datetime import UTC, datetime

from bench import alerta as alerta_server
from bench import load
from bench.message import alert
from service_event_checker.core.rules import Rulebook
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.sources.alertmanager import webhook
from service_event_checker.stores.sql.address import database_address
from service_event_checker.stores.sql.store import SqlStore

AT_ONCE = 500


def product(address: str, number: int) -> None:
    """Take in so many alerts as the webhook does, without HTTP and without a rule."""
    store = SqlStore(database_address(address))
    store.prepare()
    taking, now = Pipeline(store, Rulebook((), (), {})), datetime.now(UTC)
    for first in range(0, number, AT_ONCE):
        alerts = [alert(f"{place:016x}", now) for place in range(first, min(first + AT_ONCE, number))]
        taking.ingest(webhook.parse({"alerts": alerts}, "/alert").events, now)
    store.close()


def alerta(intake: str, address: str, number: int) -> None:
    """Send it one alert, and copy that in its database."""
    load.send(intake, alerts=1, seconds=1, connections=1)
    alerta_server.fill(address, number - alerta_server.stored(address))
