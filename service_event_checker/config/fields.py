"""Values that several models share: addresses, times, and fields that were renamed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from service_event_checker.core.vocabulary import Severity

Value = TypeVar("Value")

API_URL = {"api_url": "url"}  # for a model's RENAMED
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


def web_address(example: str, *, of_name: str = "", base: bool = True) -> AfterValidator:
    """Return the check of an address; "" stays as it is.

    `of_name`: the address that a name alone stands for, with `{}` in its place. `base`: paths are put behind it, so
    that a slash at its end goes.
    """

    def check(text: str) -> str:
        text = text.strip().rstrip("/") if base else text.strip()
        if of_name and _NAME.fullmatch(text):
            return of_name.format(text)
        if text and not is_address(text):
            name = ", or the name alone" if of_name else ""
            raise ValueError(f"must be an address like {example}{name}")
        return text

    return AfterValidator(check)


def by_severity(critical: Value, error: Value, warning: Value, info: Value) -> dict[Severity, Value]:
    """Return a value for each severity."""
    return {Severity.CRITICAL: critical, Severity.ERROR: error, Severity.WARNING: warning, Severity.INFO: info}


def is_address(text: str) -> bool:
    """Whether a text is a web address with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number, a broken IPv6 address
        return False


Address = Annotated[str, Field(min_length=1), web_address("https://api.example.com")]


def with_new_names(raw: Mapping[str, Any], names: Mapping[str, str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return an entry with its old field names replaced (`names`: old -> new), and a warning for each of them.

    An old name stays where the new one is given as well: it is then refused as an unknown key.
    """
    old = {name: new for name, new in names.items() if name in raw and new not in raw}
    return {old.get(name, name): value for name, value in raw.items()}, tuple(f"{a} is now {b}" for a, b in old.items())


def _written(value: object) -> object:
    """Refuse numbers, which pydantic would take for seconds since 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value[1:]):
        raise ValueError("is not a time. Write it like 2026-11-20T17:00:00Z")
    return value


#: a time with a zone, as text
Moment = Annotated[AwareDatetime, BeforeValidator(_written)]
