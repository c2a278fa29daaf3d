"""Connections that go only where they may and end when their time is up; what is said over them is client.py's.

A host is resolved once, every address of it is checked, and the connection goes to a checked address: a name
that answers differently the second time gains nothing. The host that the configuration names is trusted.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection

from service_event_checker.core.errors import OutageCheckerError, Reason

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_AZURE_WIRE_SERVER = ipaddress.ip_address("168.63.129.16")  # public by number, the host's own by meaning

Resolve = Callable[[str, int], list[str]]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_running = threading.local()


class NotConnected(OutageCheckerError):
    """Nothing was sent: the address is forbidden, unknown, or nobody answers there."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Call:
    """The time that one request may take, redirects and body included; `with Call(15.0) as call: ...`.

    requests' own time-out counts anew with each read, so a timer shuts the socket down when the time is up.
    `sent`: the request may have left us. `expired`: the timer has struck.
    """

    def __init__(self, seconds: float) -> None:
        self.sent = False
        self.expired = False
        self._deadline = time.monotonic() + seconds
        self._connection: _Watched | None = None
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Call:
        _running.call = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        _running.call = None

    @property
    def left(self) -> float:
        """Seconds until the deadline; never 0, which sockets take for "do not wait"."""
        return max(self._deadline - time.monotonic(), 0.001)

    @property
    def over(self) -> bool:
        return self.expired or time.monotonic() >= self._deadline

    def watch(self, connection: _Watched, sock: socket.socket) -> None:
        """Take charge of a connected socket; from now on the request counts as sent."""
        connection.call = self
        self._connection, self._socket = connection, sock
        if self.over:  # the timer may have struck while there was no socket to shut
            raise TimeoutError
        self.sent = True

    def _cut(self) -> None:
        self.expired = True
        if self._socket is None or self._connection is None or self._connection.call is not self:
            return  # the connection is back in the pool and serves somebody else
        try:
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # SSLSocket's own would race with its reader
        except OSError:
            return  # closed already


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides which addresses may be connected to. `trusted`: (host, port) pairs that the configuration names."""

    trusted: frozenset[tuple[str, int]]
    allow_loopback: bool
    resolve: Resolve

    def connect(self, host: str, port: int, call: Call, options: Any) -> socket.socket:
        """Connect to the first address of `host` that answers. Raises NotConnected."""
        for address in self._addresses(host, port, call):
            if call.over:
                break
            try:
                sock = create_connection((address, port), call.left, socket_options=options)
            except OSError:
                continue
            sock.settimeout(call.left)  # a TLS handshake keeps to it as a whole
            return sock
        raise NotConnected(Reason.UNREACHABLE, "no connection in time" if call.over else "connection refused")

    def _addresses(self, host: str, port: int, call: Call) -> list[str]:
        found = _in_time(lambda: self.resolve(host, port), call.left)
        if not found:
            raise NotConnected(Reason.UNREACHABLE, "no such host, or no answer from the name service")
        if (_plain(host), port) not in self.trusted:
            for address in found:
                self._check(address)
        return found

    def _check(self, address: str) -> None:
        number = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
        if number.is_loopback and self.allow_loopback:
            return
        if not is_public(number):
            raise NotConnected(Reason.FORBIDDEN_ADDRESS, "not a public address")


class GuardedAdapter(HTTPAdapter):
    """requests' transport, with connections that a `Guard` lets through and a `Call` watches."""

    def __init__(self, guard: Guard) -> None:
        self._pools = _pools(guard)
        super().__init__(pool_maxsize=10)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools


def system_addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a host as the system's resolver gives them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: _Address) -> bool:
    """Whether an address is one of the internet at large: no private, local, shared, reserved or multicast one."""
    number = _unwrapped(address)
    if number.is_multicast or number.is_reserved or number == _AZURE_WIRE_SERVER:
        return False
    return number.is_global and not getattr(number, "is_site_local", False)


def _unwrapped(address: _Address) -> _Address:
    """Return the IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _in_time(resolve: Callable[[], list[str]], seconds: float) -> list[str]:
    """Return what `resolve` gives, or [] when it fails or takes too long: the resolver knows no deadline."""
    answers: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve())
        except (OSError, UnicodeError):
            answers.put([])

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return []


class _Watched(HTTPConnection):
    guard: Guard
    call: Call | None = None

    def _new_conn(self) -> socket.socket:
        return self.guard.connect(self.host, self.port or self.default_port, _running.call, self.socket_options)

    def connect(self) -> None:
        super().connect()
        _running.call.watch(self, self.sock)

    def request(self, *args: Any, **options: Any) -> None:
        if self.sock is not None:  # a kept connection
            _running.call.watch(self, self.sock)
        super().request(*args, **options)


class _WatchedTls(_Watched, HTTPSConnection):
    pass


def _pools(guard: Guard) -> dict[str, type[HTTPConnectionPool]]:
    """Make pool classes that carry the guard: urllib3 makes connections by class, not by instance."""
    plain = type("Plain", (_Watched,), {"guard": guard})
    tls = type("Tls", (_WatchedTls,), {"guard": guard})
    return {
        "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("TlsPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
    }
