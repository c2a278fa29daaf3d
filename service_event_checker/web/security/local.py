"""Tells whether a request was made on this machine: by no other, through no proxy, for no foreign page.

What cannot be told counts as foreign.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from flask import Request

_PROXY_MARKS = ("forwarded", "via", "x-forwarded", "x-real-ip", "x-client-ip")
_OWN_SITES = frozenset({"same-origin", "same-site", "none"})  # https://www.w3.org/TR/fetch-metadata/


def is_local(request: Request) -> bool:
    """Whether peer and Host are this machine's loopback and nothing speaks of a proxy or a foreign page."""
    host = request.environ.get("HTTP_HOST", "")
    peer = request.environ.get("REMOTE_ADDR", "")
    return _is_loopback(peer) and _names_loopback(host) and not _proxied(request) and not is_foreign(request, {host})


def is_foreign(request: Request, own_hosts: Collection[str]) -> bool:
    """Whether a browser says that a page of another site makes this request. `own_hosts`: `name` or `name:port`."""
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    if site is not None and site.strip().lower() not in _OWN_SITES:
        return True
    return origin is not None and _host_of(origin) not in {host.lower() for host in own_hosts if host}


def _proxied(request: Request) -> bool:
    names = (name.lower() for name in request.headers.keys())  # noqa: SIM118  # iterating Headers gives pairs
    return any(name in _PROXY_MARKS or name.startswith("x-forwarded") for name in names)


def _names_loopback(host: str) -> bool:
    name, _, port = host[1:].partition("]") if host.startswith("[") else host.partition(":")
    digits = port.removeprefix(":")
    return (not digits or digits.isdecimal()) and (name.lower() == "localhost" or _is_loopback(name))


@lru_cache(maxsize=256)  # a sender's stays the same, and to read it costs as much as an insert
def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback


def _host_of(origin: str) -> str:
    """Return the host and port of an Origin, "" if it has none (`null`)."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
