"""Who is calling: the tokens of API_TOKENS and WEBHOOK_TOKEN, and what a request must show to be let in.

Which route needs what stands in access.py. A secret that is not configured lets in local requests only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Request

from service_event_checker import logs
from service_event_checker.config.api_tokens import API_TOKENS, ApiToken, read_tokens
from service_event_checker.config.api_tokens import Scope as Scope
from service_event_checker.config.settings import WEBHOOK_TOKEN, Settings
from service_event_checker.engine.refusals import Refusal
from service_event_checker.web.errors import Refused
from service_event_checker.web.security.local import is_foreign, is_local

_CHALLENGES = (
    ("WWW-Authenticate", 'Basic realm="Platform Outage Checker", charset="UTF-8"'),
    ("WWW-Authenticate", 'Bearer realm="Platform Outage Checker"'),
)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who was let in, by the name that the timeline will show."""

    name: str
    scopes: frozenset[Scope]


LOCAL = Caller("local", frozenset({Scope.READ, Scope.WRITE}))  # to act or administer always takes a token


@dataclass(frozen=True, slots=True)
class Token:
    """A configured token; only its SHA-256 is kept, so that comparing takes the same time for every guess."""

    caller: Caller
    digest: bytes


@dataclass(frozen=True, slots=True)
class Keys:
    """What the environment configures; `webhooks` maps a variable's name to the SHA-256 of its token.

    `public_host` is that of PUBLIC_URL: behind a proxy, our own pages have this host.
    """

    tokens: tuple[Token, ...] = ()
    webhooks: Mapping[str, bytes] | None = None
    public_host: str = ""


def read_keys(settings: Settings) -> Keys:
    """Read API_TOKENS (`name:scopes:token;…`), WEBHOOK_TOKEN and its variants. Raises ConfigError."""
    logs.hide(settings.webhook_tokens.values())
    return Keys(
        tokens=tuple(map(_token, read_tokens(settings.api_tokens))),
        webhooks={name: _digest(value.encode()) for name, value in settings.webhook_tokens.items()},
        public_host=urlsplit(settings.public_url).netloc.lower(),
    )


def authorize(request: Request, scope: Scope, keys: Keys) -> Caller:
    """Return who calls if they may do what `scope` names. Raises Refused (401 or 403)."""
    if not keys.tokens:
        if scope in LOCAL.scopes and is_local(request):
            return LOCAL
        raise _not_configured(API_TOKENS, always=scope not in LOCAL.scopes)
    caller = _caller(request, keys)
    if caller is None:
        raise _unknown(request, "Send a token of API_TOKENS, as bearer or as the password of basic authentication.")
    if scope not in caller.scopes:
        raise Refused(
            403, f"This token lacks the scope {scope}.", details={"scope": scope.value}, why=Refusal.LACKS_SCOPE
        )
    if request.method not in _SAFE_METHODS and _is_ambient(request) and _is_of_another_site(request, keys):
        raise Refused(403, "Requests from pages of other sites are not allowed.", why=Refusal.OTHER_SITE)
    return caller


def demand_token(caller: Caller) -> Caller:
    """Return the caller if he is known by a token. Raises Refused (403) for a local one without."""
    if caller is LOCAL:
        raise _not_configured(API_TOKENS, always=True)
    return caller


def authorize_webhook(request: Request, sender: str, keys: Keys) -> Caller:
    """Return the caller of a webhook route whose sender cannot sign: `sender` is upper case, like ALERTMANAGER.

    `WEBHOOK_TOKEN_<sender>` takes the place of WEBHOOK_TOKEN. Raises Refused (401 or 403).
    """
    webhooks = keys.webhooks or {}
    expected = webhooks.get(f"{WEBHOOK_TOKEN}_{sender}") or webhooks.get(WEBHOOK_TOKEN)
    caller = Caller(sender.lower(), frozenset({Scope.WRITE}))
    if expected is None:
        if is_local(request):
            return caller
        raise _not_configured(WEBHOOK_TOKEN, always=False)
    given = [*_given(request), _bytes(request.headers.get("X-Webhook-Token", "").strip())]
    matches = [hmac.compare_digest(_digest(secret), expected) for secret in given]
    if not any(matches):
        raise _unknown(request, "Send the token of WEBHOOK_TOKEN: bearer, basic or X-Webhook-Token.")
    return caller


def _token(given: ApiToken) -> Token:
    logs.hide([given.secret])
    return Token(Caller(given.name, given.scopes), _digest(given.secret.encode()))


def _caller(request: Request, keys: Keys) -> Caller | None:
    """Return whose token it is; every token is compared, so that time tells nothing."""
    found: Caller | None = None
    for secret in _given(request):
        digest = _digest(secret)
        for token in keys.tokens:
            if hmac.compare_digest(digest, token.digest):
                found = token.caller
    return found


def _given(request: Request) -> Iterator[bytes]:
    """Yield the secret that the Authorization header carries."""
    scheme, _, rest = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        yield _bytes(rest.strip())
    elif scheme.lower() == "basic":
        try:
            yield base64.b64decode(_bytes(rest.strip()), validate=True).partition(b":")[2]
        except binascii.Error:
            return


def _is_ambient(request: Request) -> bool:
    """Whether a browser may have sent the credentials by itself, as it does with basic ones."""
    return request.headers.get("Authorization", "").lstrip()[:5].lower() == "basic"


def _is_of_another_site(request: Request, keys: Keys) -> bool:
    return is_foreign(request, {request.environ.get("HTTP_HOST", ""), keys.public_host})


def _not_configured(variable: str, *, always: bool) -> Refused:
    why = "This always takes a token" if always else "Only requests from this machine are answered"
    hint = f"{why}: {variable} is not set. Set it, and send the token."
    return Refused(403, hint, details={"set": variable}, why=Refusal.NOT_CONFIGURED)


def _unknown(request: Request, message: str) -> Refused:
    given = request.headers.get("Authorization") or request.headers.get("X-Webhook-Token")
    why = Refusal.WRONG_TOKEN if given else Refusal.MISSING_TOKEN
    return Refused(401, message, headers=_CHALLENGES, why=why)


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _bytes(header: str) -> bytes:
    """Return the bytes of a header as they came over the wire (PEP 3333: decoded as latin-1)."""
    return header.encode("latin-1", "replace")
