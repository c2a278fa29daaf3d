"""Tokens of Microsoft Entra ID: whose they are, how long they are kept; not what for.

azure-identity gets them. Its requests go over our own client, so that time, size and addresses stay in bounds.
Each token is asked for with a fresh credential: the library keeps tokens and failures of its own, and would hand
out the very token that was just refused. What is kept is kept here.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from service_event_checker.config.models import secret
from service_event_checker.core.errors import OutageCheckerError, Reason
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.http.entra.identity import METADATA, Identity, Way
from service_event_checker.http.entra.refusals import explained

REFRESH_BEFORE = timedelta(minutes=5)  # what is asked for with a token must arrive before it ends
TOKEN_MAX = 1024 * 1024  # bytes of an answer
_ASSIGN = "assign a managed identity to this app or machine; AZURE_CLIENT_ID names one of several, else leave it out"


class EntraError(OutageCheckerError):
    """No token was had, so nothing was asked with one. `retry_after` in seconds where a pause was asked for."""

    def __init__(self, reason: Reason, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{reason} ({detail})")
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after


class Tokens:
    """The token of one identity for one scope, kept until shortly before its end. Thread-safe.

    `timeout`: of each request for a token.
    """

    def __init__(
        self,
        identity: Identity,
        way: Way,
        scope: str,
        timeout: timedelta,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._identity, self._way, self._scope = identity, way, scope
        self._timeout = timeout.total_seconds()
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._ends_at = datetime.min.replace(tzinfo=UTC)

    def token(self, *, refused: str = "") -> str:
        """Return a token; never again the one that was `refused`. Raises EntraError."""
        with self._lock:
            if self._token in ("", refused) or self._clock() >= self._ends_at - REFRESH_BEFORE:
                self._token = ""
                self._token, self._ends_at = self._fetched()
            return self._token

    def _fetched(self) -> tuple[str, datetime]:
        """Ask for a new token; return it and when it ends. Raises EntraError."""
        # Late: the library takes a third of a second to import, and most set-ups need no token.
        from azure.core.exceptions import AzureError

        from service_event_checker.http.entra.transport import Transport

        # the platform's own endpoint answers to this machine alone; no proxy reaches it, or may see what is asked there
        direct = self._way is Way.MANAGED_IDENTITY
        base = self._identity.identity_endpoint or metadata_host() if direct else self._identity.authority
        try:
            http = Http(base, timeout=self._timeout, max_bytes=TOKEN_MAX, direct=direct)
            transport = Transport(http, base)
        except HttpError as error:
            raise _no_answer(error) from None
        try:
            with _credential(self._identity, self._way, transport) as credential:
                token = credential.get_token(self._scope)
                return _fit(token.token), datetime.fromtimestamp(token.expires_on, UTC)
        except (
            AzureError,
            HttpError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            OverflowError,
            OSError,
        ) as error:
            # never chained and never quoted: the library's texts hold what Entra answered
            raise self._trouble(transport.trouble, type(error).__name__) from None

    def _trouble(self, error: HttpError | None, name: str) -> EntraError:
        """Translate: an answer 4xx of Entra means that we are not known or not let in."""
        if error is None:
            return EntraError(Reason.UNAUTHORIZED, f"Entra gave no usable token ({name})")
        if error.status is None or error.reason is Reason.RATE_LIMITED or error.status >= 500:
            return _no_answer(error)
        if self._way is Way.MANAGED_IDENTITY:
            return EntraError(Reason.UNAUTHORIZED, f"the platform gave no token (HTTP {error.status}): {_ASSIGN}")
        return EntraError(Reason.UNAUTHORIZED, f"Entra refused us: {explained(error)}")


def identity_warning(token: str, user_object_id: str) -> str:
    """Return what is odd about whose token it is: compares its `oid` with the one expected; "" when all is well.

    The token is ours and is only looked at, so its signature is not checked.
    """
    if not user_object_id:
        return ""
    oid = _claims(token).get("oid")
    if not isinstance(oid, str) or not oid:
        return "USER_OBJECT_ID could not be compared: the Entra token names no oid"
    if oid.strip().casefold() == user_object_id.strip().casefold():
        return ""
    shown = re.sub(r"[^0-9A-Za-z-]", "?", oid)[:40]
    return f"USER_OBJECT_ID is not who the Entra token is for: its oid is {shown}"


def _claims(token: str) -> dict[str, Any]:
    """Return the claims of a JSON Web Token (RFC 7519), {} for a token of another kind."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def metadata_host() -> str:
    """Return who gives a virtual machine its identity: what azure-identity asks where no endpoint is set."""
    return os.environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST") or METADATA


def _credential(identity: Identity, way: Way, transport: Any) -> Any:
    from azure.identity import ClientAssertionCredential, ClientSecretCredential, ManagedIdentityCredential

    if way is Way.MANAGED_IDENTITY:
        return ManagedIdentityCredential(
            client_id=identity.client_id or None,
            transport=transport,
            retry_total=0,
            _exclude_workload_identity_credential=True,
        )
    options: dict[str, Any] = {
        "authority": f"https://{urlsplit(identity.authority).netloc}{urlsplit(identity.authority).path}",
        "disable_instance_discovery": True,  # the authority is the configuration's; nobody else is asked about it
        "transport": transport,
        "retry_total": 0,
    }
    if way is Way.SERVICE_PRINCIPAL:
        return ClientSecretCredential(identity.tenant_id, identity.client_id, secret(identity.client_secret), **options)
    assertion = _assertion(identity.federated_token_file)
    return ClientAssertionCredential(identity.tenant_id, identity.client_id, lambda: assertion, **options)


def _assertion(file: str) -> str:
    """Return the pod's own token, which the kubelet replaces. Raises EntraError."""
    try:
        text = Path(file).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        text = ""
    if not text:
        hint = 'label the pod azure.workload.identity/use: "true", and its service account with the client ID'
        raise EntraError(Reason.NOT_CONFIGURED, f"AZURE_FEDERATED_TOKEN_FILE: {file} cannot be read; {hint}")
    return text


def _fit(token: Any) -> str:
    """Return a token that can stand in a header. Raises ValueError."""
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token.strip():
        raise ValueError
    return token


def _no_answer(error: HttpError) -> EntraError:
    return EntraError(error.reason, error.detail, retry_after=error.retry_after)
