"""The key behind what we hand out and want to know again: values of Slack's buttons, addresses of hooks."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import structlog

from service_event_checker import logs
from service_event_checker.core.errors import StoreError
from service_event_checker.core.vocabulary import Family
from service_event_checker.engine.services import Services

SETTING = "secret_key"
_TOKEN_LENGTH = 40  # hex characters, 160 bits

log = structlog.get_logger()


@runtime_checkable
class SignsButtons(Protocol):
    """A destination whose messages carry signed buttons; without a key it leaves them out.

    `ticket_receivers`: whose links make the button for a ticket superfluous.
    """

    button_key: Callable[[], bytes]
    ticket_receivers: frozenset[str]


def secret_key(services: Services) -> bytes:
    """Return SECRET_KEY, or one that is made once and kept in the store for all processes. Raises StoreError."""
    if services.settings.secret_key:
        return services.settings.secret_key.encode()
    store = services.store
    kept = store.setting(SETTING) or store.set_setting(SETTING, secrets.token_hex(32), only_if_new=True)
    logs.hide([kept])
    return kept.encode()


def token_for(services: Services, purpose: str) -> str:
    """Return the token of one purpose: hex, the same in every process, and useless for any other purpose."""
    token = hmac.new(secret_key(services), purpose.encode(), hashlib.sha256).hexdigest()[:_TOKEN_LENGTH]
    logs.hide([token])
    return token


def sign_buttons(services: Services) -> None:
    """Give the key to the destinations that sign buttons; asks the store when the first message is made."""
    tickets = [one.name for one in services.book.receivers.values() if one.family is Family.TICKET]
    for destination in services.outbox.destinations.values():
        if isinstance(destination, SignsButtons):
            destination.button_key = lambda: _key_or_none(services)
            destination.ticket_receivers = frozenset(tickets)


def _key_or_none(services: Services) -> bytes:
    """Return b"" while the store is away: a message without buttons is better than none."""
    try:
        return secret_key(services)
    except StoreError as error:
        log.warning("store_unavailable", during="signing of buttons", reason=str(error))
        return b""
