"""What all connections of this process have in common; wiring sets it once, before any is made."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

#: what only this machine can reach: itself, and the endpoints of its platform (identity, metadata)
LOCAL = ("localhost", "127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10")


@dataclass(frozen=True, slots=True)
class Outbound:
    """`ca_file`: certificates to trust, "" for the usual ones. `contact`: an address at which vendors can reach us.

    `proxy`: http://[user:pass@]host:port, through which HTTP goes out; "" for none. `no_proxy`: what is asked past it,
    hosts with all below them and networks, in lower case.
    """

    ca_file: str = ""
    contact: str = ""
    proxy: str = field(default="", repr=False)
    no_proxy: tuple[str, ...] = ()

    def is_direct(self, host: str) -> bool:
        """Whether a host is asked past the proxy."""
        return any(_covers(each, host.rstrip(".").lower()) for each in self.no_proxy)


_shared = [Outbound()]


def use(outbound: Outbound) -> None:
    """Make every client from now on with these."""
    _shared[0] = outbound


def shared() -> Outbound:
    return _shared[0]


def _covers(entry: str, host: str) -> bool:
    if "/" not in entry and ":" not in entry:
        return host == entry or host.endswith(f".{entry}")
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
