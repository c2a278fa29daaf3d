"""POST /hooks/{statuspage|instatus}/<checker>/<token>: a status page says that something changed; we look sooner.

What the page sends is a hint and is not read: the checker asks the page itself. The address is the secret.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import structlog
from flask import Blueprint, Flask, request

from service_event_checker.core.errors import StoreError
from service_event_checker.engine.services import Services
from service_event_checker.remote.signature import is_proof
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused
from service_event_checker.web.request_body import raw_body
from service_event_checker.web.security.auth import Caller, Scope
from service_event_checker.web.security.secret_key import token_for

HINTED_EVERY = timedelta(seconds=30)
INSTATUS_SECRET = "INSTATUS_WEBHOOK_SECRET"  # noqa: S105  # the variable's name
BODY_MAX = 1024 * 1024  # bytes
TRIES = 5  # each time somebody else has written the slot first
RUNNING_SECONDS = 1.0  # how often a slot is looked at whose poll is running
RUNNING_LOOKS = 60
KINDS = ("statuspage", "instatus")

blueprint = Blueprint("hooks", __name__, url_prefix="/hooks")
log = structlog.get_logger()
_lock = threading.Lock()
_waiting: set[str] = set()  # checkers whose running poll somebody waits for


@blueprint.post("/<kind>/<checker>/<token>")
def status_page(kind: str, checker: str, token: str) -> dict[str, Any]:
    """Ask the page soon; at most one hinted poll per checker in 30 s, the last hint is not lost."""
    here = services()
    if checker not in here.poller.watches:
        return {"accepted": False, "reason": "the checker is off"}
    return {"accepted": True, "poll_at": hint(here, checker, datetime.now(UTC)).isoformat()}


def admit() -> Caller:
    """Let in who knows the checker's address and, where Instatus' secret is set, signs. Raises Refused (401, 403)."""
    asked: Mapping[str, str] = request.view_args or {}
    kind, checker = asked.get("kind", ""), asked.get("checker", "")
    here = services()
    given = asked.get("token", "").encode("utf-8", "replace")
    known = kind in KINDS and checker in _checkers(here)
    if not known or not hmac.compare_digest(given, hook_token(here, checker).encode()):
        raise Refused(403, "This is not a hook's address. `flask --app app hook-urls` shows them.")
    secret = here.settings.variables.get(INSTATUS_SECRET, "").strip()
    if kind == "instatus" and secret:
        _verify(secret)
    return Caller(f"{kind}:{checker}", frozenset({Scope.WRITE}))


def hint(services: Services, checker: str, now: datetime) -> datetime:
    """Make the checker due and return when it is polled: now, or 30 s after its last hinted poll.

    Settings are shared by all processes; the slot's revision decides between two that come at once. Raises StoreError.
    """
    for _ in range(TRIES):
        slot = services.store.slots().get(checker)
        last = _last_hint(services, checker)
        if last is not None and last > now:
            return last  # one is on its way already
        at = max(now, last + HINTED_EVERY) if last else now
        if slot is None or slot.due_at <= at or (slot.last_run_at is not None and slot.last_run_at >= now):
            return now if slot is None else min(slot.due_at, at)  # it is asked by then anyway
        if slot.lease_until is not None and slot.lease_until > now:
            _wait_for_the_poll(services, checker, at)
            return at
        services.store.set_setting(_setting(checker), at.isoformat())
        if services.store.put_slot(replace(slot, due_at=at)) is not None:
            log.info("poll_hinted", checker=checker, at=at.isoformat())
            return at
    return now  # others have written it so often that it is being polled


def hook_token(services: Services, checker: str) -> str:
    """Return the secret part of a checker's address. Raises StoreError."""
    return token_for(services, f"status page hook\n{checker}")


def register(app: Flask) -> None:
    """Add the command that shows the addresses."""

    @app.cli.command("hook-urls")
    def hook_urls() -> None:
        """Show the address that each status page may call when something changes. Each is a secret."""
        here: Services = app.extensions["services"]
        here.store.prepare()
        base = here.settings.public_url
        if not base:
            click.echo("PUBLIC_URL is not set: put this app's public address before each line.", err=True)
        for name in sorted(here.poller.watches):
            kind = next((part.kind for part in here.parts if part.section == "checker" and part.name == name), "")
            path = f"/hooks/{kind if kind in KINDS else 'statuspage'}/{name}/{hook_token(here, name)}"
            click.echo(f"{name}: {base}{path}")


def _wait_for_the_poll(services: Services, checker: str, at: datetime) -> None:
    """Have the checker polled again after the poll that runs: it may have looked before the page changed.

    A slot that is being polled is not written: its poll could not report any more.
    """
    with _lock:
        if checker in _waiting:
            return
        _waiting.add(checker)
    threading.Thread(target=_poll_after, args=(services, checker, at), name=f"hint-{checker}", daemon=True).start()


def _poll_after(services: Services, checker: str, at: datetime) -> None:
    try:
        services.store.set_setting(_setting(checker), at.isoformat())
        for _ in range(RUNNING_LOOKS):
            threading.Event().wait(RUNNING_SECONDS)
            slot = services.store.slots().get(checker)
            if slot is None or slot.due_at <= at:
                return
            running = slot.lease_until is not None and slot.lease_until > datetime.now(UTC)
            if not running and services.store.put_slot(replace(slot, due_at=at)) is not None:
                return
    except StoreError as error:
        log.warning("store_away", during=f"hint for {checker}", reason=str(error))
    finally:
        with _lock:
            _waiting.discard(checker)


def _verify(secret: str) -> None:
    """Compare Instatus' signature: HMAC-SHA256 of the raw body, in hex. Raises Refused (401)."""
    body = raw_body(request, BODY_MAX)
    given = request.headers.get("X-Instatus-Webhook-Signature", "").strip().lower().removeprefix("sha256=")
    if not is_proof([given], body, secret, scheme=""):
        raise Refused(401, f"This is not signed with {INSTATUS_SECRET}.")


def _last_hint(services: Services, checker: str) -> datetime | None:
    text = services.store.setting(_setting(checker))
    return datetime.fromisoformat(text) if text else None


def _setting(checker: str) -> str:
    return f"hinted:{checker}"


def _checkers(services: Services) -> set[str]:
    return {part.name for part in services.parts if part.section == "checker"}
