"""Addresses as client.py needs them: joined to a base, freed of credentials, compared by origin, fit to be logged."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote, urlsplit, urlunsplit

_PORTS = {"http": 80, "https": 443}


def join(base: str, url: str) -> str:
    """Return `url` below the path of `base`; an absolute one stands, and "" is the base with its query."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url):
        return url
    if not url:
        return base
    parts = urlsplit(base)
    path, mark, query = url.partition("?")
    joined = f"{parts.path.rstrip('/')}/{path.lstrip('/')}" if path else parts.path
    return urlunsplit((parts.scheme, parts.netloc, joined, "", "")) + mark + query


def split_credentials(base_url: str) -> tuple[str, dict[str, str]]:
    """Return an address without `user:password@`, and these as a header. Raises ValueError if it is not an address."""
    if not base_url:
        return "", {}
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("not an http or https address")
    if parts.username is None:
        return base_url, {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return without_credentials(base_url), {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def password_in(text: str) -> str:
    """Return the password of an address like https://user:password@host, "" if it has none."""
    try:
        return unquote(urlsplit(text).password or "") if "@" in text else ""
    except ValueError:
        return ""


def password_forms(url: str) -> set[str]:
    """Return every form in which the password of an address may be seen: as written, decoded, in a header."""
    if not password_in(url):
        return set()
    written = urlsplit(url).netloc.rpartition("@")[0]
    header = split_credentials(url)[1]["Authorization"].removeprefix("Basic ")
    return {written, written.partition(":")[2], password_in(url), header}


def without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port: what a server is to us. Raises ValueError for what is not an address."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if not host.isascii():
        host = host.encode("idna").decode()
    return parts.scheme, host, parts.port or _PORTS.get(parts.scheme, 0)


def redact(url: str) -> str:
    """Return an address as it may be logged: no credentials, no query, path segments like tokens masked."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host = (f"[{host}]" if ":" in host else host) + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "(no valid address)"
    path = "/".join("***" if _tokenlike(unquote(part)) else part for part in parts.path.split("/"))
    return f"{parts.scheme}://{host}{path}"


def _tokenlike(segment: str) -> bool:
    """Whether a segment of a path may be a secret: long, and not words. Telegram's has a colon in it."""
    letters = segment.removesuffix(".json")
    mixed = letters != letters.lower() and letters != letters.upper() and "." not in letters
    digits = any(char.isdigit() for char in letters)
    return len(letters) >= 16 and (digits or ":" in letters or (mixed and len(letters) >= 20))
