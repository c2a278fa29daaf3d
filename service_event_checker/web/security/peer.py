"""The address that a request comes from, for logs and for throttling; nobody is let in for it."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from flask import Request

Networks = Collection[IPv4Network | IPv6Network]


def peer_of(request: Request, trusted: Networks) -> str:
    """Return the socket's peer or, where that is a trusted proxy, the client that the nearest trusted one names.

    X-Forwarded-For is read from its right end: what stands further left may be the client's invention. An IPv6
    address is shortened to its /64, which one client has as a whole.
    """
    peer = _parsed(request.environ.get("REMOTE_ADDR", ""))
    forwarded = request.headers.getlist("X-Forwarded-For")
    for text in reversed(",".join(forwarded).split(",")) if forwarded else ():
        named = _parsed(text)
        if peer is None or named is None or not _is_in(peer, trusted):
            break
        peer = named
    if isinstance(peer, IPv6Address):
        return str(ip_network((peer, 64), strict=False))
    return str(peer or "unknown")


@lru_cache(maxsize=256)
def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address that may have a port, as some proxies write it."""
    plain = text.strip()
    if plain.startswith("["):
        plain = plain[1:].partition("]")[0]
    elif plain.count(":") == 1:
        plain = plain.partition(":")[0]
    try:
        found = ip_address(plain)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _is_in(address: IPv4Address | IPv6Address, networks: Networks) -> bool:
    return any(address in network for network in networks)
