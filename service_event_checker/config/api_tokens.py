"""Reads API_TOKENS, `name:scopes:token;…`. No message holds what it holds: a misplaced colon would show a secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from service_event_checker.config.load import ConfigError

API_TOKENS = "API_TOKENS"
SECRET_MIN = 16  # characters of a secret that we choose ourselves; shorter ones can be guessed


class Scope(StrEnum):
    """What a caller may do; `admin` includes the others, which include nothing but themselves."""

    READ = "read"
    WRITE = "write"
    ACT = "act"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiToken:
    name: str
    scopes: frozenset[Scope]
    secret: str = field(repr=False)


def read_tokens(text: str) -> tuple[ApiToken, ...]:
    """Return the tokens of the variable; () if it is empty. Raises ConfigError."""
    if not text.strip():
        return ()
    found: list[ApiToken] = []
    for number, entry in enumerate((part.strip() for part in text.split(";")), start=1):
        if not entry:
            continue
        token = _token(number, entry)
        if any(other.name == token.name or other.secret == token.secret for other in found):
            raise _malformed(number, "repeats the name or the token of an earlier one. Give each its own")
        found.append(token)
    if not found:
        raise _malformed(1, "is empty. Write name:scopes:token, or unset the variable")
    return tuple(found)


def _token(number: int, entry: str) -> ApiToken:
    parts = [part.strip() for part in entry.split(":", 2)]
    if len(parts) != 3 or not all(parts):
        raise _malformed(number, "is not name:scopes:token. Write it like ci:read,write:a-long-random-text")
    name, scopes, secret = parts
    try:
        granted = frozenset(Scope(scope.strip().lower()) for scope in scopes.split(","))
    except ValueError:
        raise _malformed(number, f"has an unknown scope. Known are {', '.join(Scope)}") from None
    if not all("!" <= char <= "~" for char in secret):
        raise _malformed(number, "has a token that no header can carry. Use visible ASCII characters, no space")
    if len(secret) < SECRET_MIN:
        raise _malformed(number, f"has a token of {len(secret)} characters, at least {SECRET_MIN} are needed")
    return ApiToken(name, frozenset(Scope) if Scope.ADMIN in granted else granted, secret)


def _malformed(number: int, problem: str) -> ConfigError:
    return ConfigError("environment", [f"{API_TOKENS}: entry {number} {problem}"])
