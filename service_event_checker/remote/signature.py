"""Whether a webhook's body was signed with our secret: HMAC-SHA256 of the raw bytes, in hex; pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from pydantic import SecretStr


def header(headers: Mapping[str, str], name: str) -> str:
    """Return a header's value, "" if it is not there; names are compared without regard to case."""
    return next((value for each, value in headers.items() if each.lower() == name.lower()), "")


def proof(secret: SecretStr | None, given: Iterable[str], body: bytes, *, scheme: str = "sha256=") -> bool | None:
    """Whether one of the signatures is right, see `is_proof`; None where no secret is set."""
    own = secret.get_secret_value() if secret else ""
    return is_proof(given, body, own, scheme=scheme) if own else None


def is_proof(given: Iterable[str], body: bytes, secret: str, *, scheme: str = "sha256=") -> bool:
    """Whether one of the signatures, `<scheme><hex>`, is right; compared in constant time, whatever they hold."""
    right = (scheme + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()).encode()
    parts = [each.strip().encode("utf-8", "replace") for each in given]
    return any([hmac.compare_digest(part, right) for part in parts])  # a list: looks at each of them
