"""Validates addresses of APIs at the start."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("is no web address. Write it like https://api.example.com")
    return url.strip().rstrip("/")


Address = Annotated[str, AfterValidator(_checked)]
