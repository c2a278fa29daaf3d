"""What the log says at the start and a minute later: where to look, what is watched, who is told, what is off.

At most eight lines; each names its facts in words for people. `Services.log_components` has the details.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from service_event_checker.engine.services import Part, Services

log = structlog.get_logger()


def log_start(services: Services, port: int) -> None:
    """Log the summary; asks neither the store nor anybody else. `port`: where this process is reached, 0: nowhere."""
    parts, settings = services.parts, services.settings
    watched = [part.name for part in parts if part.section == "checker" and part.on]
    told = [part for part in parts if part.section == "destination" and part.on]
    off = [part for part in parts if not part.on]
    where = {"open": f"{settings.public_url or f'http://127.0.0.1:{port}'}/"} if port else {}
    jobs = {"jobs": "celery"} if settings.broker_url else {}
    log.info("started", **where, store=settings.store_kind, **jobs)
    log.info("watching", pages=len(watched), names=", ".join(watched) or "none: no checker is on")
    log.info("telling", receivers="; ".join(map(_told, told)) or "nobody: no destination is on")
    for section, event in (("checker", "checkers_off"), ("destination", "destinations_off")):
        if found := [part for part in off if part.section == section]:
            log.info(event, why=_reasons(found))
    rules = ", ".join(rule.name for rule in services.book.rules)
    log.info("rules", number=len(services.book.rules), names=rules or "none: nobody is told of anything")
    log.info("who_may_call", page_and_api=_callers(services), webhooks=_senders(services))


def log_sources(services: Services) -> None:
    """Log how many of the watched pages could be read so far. Raises StoreError."""
    slots, names = services.store.slots(), list(services.poller.watches)
    readable = [name for name in names if (slot := slots.get(name)) and slot.last_success_at and not slot.unknown_since]
    reasons = {name: slots[name].unknown_reason for name in names if name in slots and name not in readable}
    unreadable = "; ".join(f"{name}: {reasons.get(name) or 'not read yet'}" for name in names if name not in readable)
    level = log.warning if unreadable else log.info
    level("pages_readable", readable=len(readable), of=len(names), unreadable=unreadable or "none")


def _told(part: Part) -> str:
    return part.name if part.state == "on" else f"{part.name}: {part.state}"


def _reasons(parts: Iterable[Part]) -> str:
    return "; ".join(f"{part.name}: {part.state}" for part in parts)


def _callers(services: Services) -> str:
    if services.settings.api_tokens:
        return "callers with a token of API_TOKENS"
    return "this machine only: API_TOKENS is not set"


def _senders(services: Services) -> str:
    names = ", ".join(sorted(services.settings.webhook_tokens))
    return (
        f"senders with the token of {names}" if names else "this machine and signed requests: no WEBHOOK_TOKEN is set"
    )
