"""The probes: /livez, /readyz, /health, /health/db, /health/redis. Strangers see a status and no more.

A status page that cannot be read does not make the app unhealthy, because a restart would not help.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, current_app

from service_event_checker.broker import Broker
from service_event_checker.core.errors import StoreError
from service_event_checker.stores.choose import store_id
from service_event_checker.web.context import engine, services
from service_event_checker.web.security.caller import may_read
from service_event_checker.web.status import overview
from service_event_checker.web.status.probes import StoreProbe, troubles

blueprint = Blueprint("health", __name__)

Answer = tuple[dict[str, Any], int]


@blueprint.get("/livez")
def livez() -> Answer:
    """The process answers; nothing else is asked."""
    return {"status": "ok"}, 200


@blueprint.get("/readyz")
def readyz() -> Answer:
    found = _troubles()
    return ({"status": "not ready", "reasons": sorted(found)}, 503) if found else ({"status": "ready"}, 200)


@blueprint.get("/health")
def health() -> Answer:
    found = _troubles()
    body: dict[str, Any] = {"status": "unhealthy" if found else "healthy"}
    if may_read():
        body |= {"troubles": found} | _details()
    return body, 503 if found else 200


@blueprint.get("/health/db")
def database() -> Answer:
    trouble = _probe().trouble()
    body = {"status": "unhealthy", "trouble": trouble} if trouble else {"status": "healthy"}
    return body | {"store": services().settings.store_kind}, 503 if trouble else 200


@blueprint.get("/health/redis")
def redis() -> Answer:
    """Redis as Celery's broker. While it is away, jobs run here: so it makes the app neither unhealthy nor unready."""
    broker: Broker | None = current_app.extensions["broker"]
    if broker is None:
        return {"status": "off", "reason": "CELERY_BROKER_URL is not set"}, 200
    trouble = broker.trouble()
    return ({"status": "unhealthy", "trouble": trouble}, 503) if trouble else ({"status": "healthy"}, 200)


def _troubles() -> dict[str, str]:
    return troubles(_probe(), engine(), datetime.now(UTC))


def _details() -> dict[str, Any]:
    try:
        seen = overview.read(services(), datetime.now(UTC))
    except StoreError:
        return {}  # told as a trouble already
    return {
        "store_id": store_id(services().settings),
        "heartbeat_at": _text(seen.heartbeat_at),
        "checkers": {checker.name: _checker(checker, seen.now) for checker in seen.checkers},
        "receivers": {
            one.name: {"on": one.on, "state": one.state, "waiting": one.waiting, "dead_letters": one.dead}
            for one in seen.receivers
        },
        "oldest_waiting_at": _text(seen.oldest_waiting_at),
    }


def _checker(checker: overview.CheckerState, now: datetime) -> dict[str, Any]:
    found: dict[str, Any] = {
        "state": checker.reading.value,
        "last_run_at": _text(checker.last_run_at),
        "last_success_at": _text(checker.last_success_at),
        "next_run_at": _text(checker.next_run_at),
        "tracked": checker.tracked,
    }
    if checker.why:
        found["reason"] = checker.why
    if checker.unknown_since:
        found |= {
            "unknown_since": _text(checker.unknown_since),
            "unknown_seconds": round((now - checker.unknown_since).total_seconds()),
        }
    return found | ({"warnings": list(checker.warnings)} if checker.warnings else {})


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _probe() -> StoreProbe:
    probe: StoreProbe = current_app.extensions["store_probe"]
    return probe
