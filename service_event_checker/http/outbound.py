"""What all connections of this process have in common; wiring sets it once, before any is made."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Outbound:
    """`ca_file`: certificates to trust, "" for the usual ones. `contact`: an address at which vendors can reach us.

    `proxy`: http://[user:pass@]host:port, through which all HTTP goes out; "" for none.
    """

    ca_file: str = ""
    contact: str = ""
    proxy: str = field(default="", repr=False)


_shared = [Outbound()]


def use(outbound: Outbound) -> None:
    """Make every client from now on with these."""
    _shared[0] = outbound


def shared() -> Outbound:
    return _shared[0]
