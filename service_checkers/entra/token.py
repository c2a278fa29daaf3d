"""Tokens of Microsoft Entra ID for the checkers that ask Microsoft: whose they are, how long kept; not what for.

azure-identity gets them: with a client secret where client, secret and tenant are named, else as the managed
identity of the platform. Its requests go over our own client, so that time, size and addresses stay in bounds.
Each token is asked for with a fresh credential: the library keeps tokens and failures of its own, and would hand
out the very token that was just refused. What is kept is kept here.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from service_checkers.reading.fetch import source_error
from service_event_checker.config.models import CheckerConfig, secret
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http

REFRESH_BEFORE = timedelta(minutes=5)  # what is asked for with a token must arrive before it ends
TOKEN_MAX = 1024 * 1024  # bytes of an answer
PUBLIC_CLOUD = "https://login.microsoftonline.com"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_CODE = re.compile(r"\bAADSTS\d{4,8}\b")  # https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_WORD = re.compile(r"[A-Za-z_]{1,60}")


def _authority(host: str) -> str:
    """Return the address of an Entra authority; plain http would show our secret to the way, except on loopback."""
    address = host if "://" in host else f"https://{host}"
    parts = urlsplit(address)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
        raise ValueError(f"must be an https address like {PUBLIC_CLOUD}")
    return address.rstrip("/ ")


class EntraConfig(CheckerConfig):
    """What a checker that asks with a token has besides. `scope` differs in sovereign clouds, like `authority`.

    `identity_endpoint` only says that the platform offers a managed identity; azure-identity finds it by itself.
    """

    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "client_id": ("AZURE_CLIENT_ID", "CLIENT_ID"),
        "client_secret": ("AZURE_CLIENT_SECRET", "CLIENT_SECRET"),
        "tenant_id": ("AZURE_TENANT_ID", "TENANT_ID"),
        "authority": ("AZURE_AUTHORITY_HOST",),
        "identity_endpoint": ("IDENTITY_ENDPOINT", "MSI_ENDPOINT"),
        "user_object_id": ("USER_OBJECT_ID",),
    }

    client_id: str = ""
    client_secret: SecretStr | None = None
    tenant_id: str = ""
    authority: Annotated[str, AfterValidator(_authority)] = PUBLIC_CLOUD
    identity_endpoint: str = ""
    user_object_id: str = ""
    scope: str = ""

    def lacks(self) -> str:
        """Return why no token can be had, "" if one can be asked for."""
        if self.has_secret or self.identity_endpoint:
            return ""
        named = {
            "AZURE_CLIENT_ID": self.client_id,
            "AZURE_CLIENT_SECRET": self.client_secret,
            "AZURE_TENANT_ID": self.tenant_id,
        }
        unset = [variable for variable, value in named.items() if not value]
        listed = " and ".join([*filter(None, [", ".join(unset[:-1])]), unset[-1]])
        return f"{listed} {'is' if len(unset) == 1 else 'are'} not set, and there is no managed identity"

    @property
    def has_secret(self) -> bool:
        return bool(self.client_id and self.client_secret and self.tenant_id)


class Tokens:
    """The token of one checker, kept until shortly before its end. Thread-safe."""

    def __init__(
        self, source: str, config: EntraConfig, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._source = source
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._ends_at = datetime.min.replace(tzinfo=UTC)

    def token(self, *, refused: str = "") -> str:
        """Return a token; never again the one that was `refused`. Raises SourceError."""
        with self._lock:
            if self._token in ("", refused) or self._clock() >= self._ends_at - REFRESH_BEFORE:
                self._token = ""
                self._token, self._ends_at = _fetched(self._source, self._config)
            return self._token


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


def _fetched(source: str, config: EntraConfig) -> tuple[str, datetime]:
    """Ask for a new token; return it and when it ends. Raises SourceError."""
    if why := config.lacks():
        raise SourceError(source, Reason.NOT_CONFIGURED, why)
    # Late: the library takes a third of a second to import, and most set-ups need no token.
    from azure.core.exceptions import AzureError

    from service_checkers.entra.transport import Transport

    base = config.authority if config.has_secret else config.identity_endpoint
    try:
        # the platform's own endpoint answers to this machine alone; no proxy reaches it, or may see what is asked there
        direct = not config.has_secret
        http = Http(base, timeout=config.timeout.total_seconds(), max_bytes=TOKEN_MAX, direct=direct)
        transport = Transport(http, base)
    except HttpError as error:
        raise source_error(source, error) from None
    try:
        with _credential(config, transport) as credential:
            token = credential.get_token(config.scope)
            return _fit(token.token), datetime.fromtimestamp(token.expires_on, UTC)
    except (AzureError, HttpError, ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError) as error:
        # never chained and never quoted: the library's texts hold what Entra answered
        raise _trouble(source, transport.trouble, type(error).__name__) from None


def _credential(config: EntraConfig, transport: Any) -> Any:
    from azure.identity import ClientSecretCredential, ManagedIdentityCredential

    if not config.has_secret:
        return ManagedIdentityCredential(client_id=config.client_id or None, transport=transport, retry_total=0)
    return ClientSecretCredential(
        config.tenant_id,
        config.client_id,
        secret(config.client_secret),
        authority=f"https://{urlsplit(config.authority).netloc}{urlsplit(config.authority).path}",
        disable_instance_discovery=True,  # the authority is the configuration's; nobody else is asked about it
        transport=transport,
        retry_total=0,
    )


def _fit(token: Any) -> str:
    """Return a token that can stand in a header. Raises ValueError."""
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token.strip():
        raise ValueError
    return token


def _trouble(source: str, error: HttpError | None, name: str) -> SourceError:
    """Translate: an answer 4xx of Entra means that we are not known or not let in."""
    if error is None:
        return SourceError(source, Reason.UNAUTHORIZED, f"Entra gave no usable token ({name})")
    if error.status is None or error.reason is Reason.RATE_LIMITED or error.status >= 500:
        return source_error(source, error)
    return SourceError(source, Reason.UNAUTHORIZED, f"Entra refused us: {_facts(error)}")


def _facts(error: HttpError) -> str:
    """Return the codes of an OAuth error (RFC 6749, 5.2); its prose may name whom and what was tried."""
    try:
        answer = json.loads(error.body)
    except (ValueError, RecursionError):
        answer = None
    answer = answer if isinstance(answer, dict) else {}
    words = _WORD.findall(str(answer.get("error", "")))[:1]
    codes = _CODE.findall(str(answer.get("error_description", "")))[:1]
    return ", ".join([*words, *codes, f"HTTP {error.status}"])
