"""Connections that go only where they may and end when their time is up; what is said over them is client.py's.

A host is resolved once, every address of it is checked, and the connection goes to a checked address: a name
that answers differently the second time gains nothing. The host that the configuration names is trusted.
Through a proxy the connection goes to the proxy, and the target is judged by `Guard.check_target`.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection

from service_event_checker.core.errors import OutageCheckerError, Reason
from service_event_checker.http.deadline import Deadline

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_AZURE_WIRE_SERVER = ipaddress.ip_address("168.63.129.16")  # public by number, the host's own by meaning

Place = tuple[str, int]  # host and port
Resolve = Callable[[str, int], list[str]]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_running = threading.local()


class NotConnected(OutageCheckerError):
    """Nothing was sent: the address is forbidden, unknown, or nobody answers there."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides which addresses may be connected to.

    `trusted`: (host, port) pairs that the configuration names. `proxy`: the one that all connections go to, if any.
    """

    trusted: frozenset[Place]
    allow_loopback: bool
    resolve: Resolve
    proxy: Place | None = None

    def connect(self, host: str, port: int, deadline: Deadline, options: Any = None) -> socket.socket:
        """Connect to the first address of `host` that answers; the deadline watches it. Raises NotConnected."""
        for address in self._addresses(host, port, deadline):
            if deadline.over:
                break
            try:
                sock = create_connection((address, port), deadline.left, socket_options=options)
            except OSError:
                continue
            sock.settimeout(deadline.left)  # a TLS handshake keeps to it as a whole
            try:
                deadline.watch(sock)
            except TimeoutError:
                sock.close()
                break
            return sock
        raise self._unreachable(host, port, "no connection in time" if deadline.over else "connection refused")

    def check_target(self, host: str, port: int, deadline: Deadline) -> None:
        """Judge what a proxy is to connect to, as far as it can be seen from here. Raises NotConnected.

        A name that this machine resolves must have public addresses only. One that it cannot resolve is left to the
        proxy, which resolves each name itself: what it connects to may be another address than the one judged here.
        """
        if self.proxy and (_plain(host), port) not in self.trusted:
            self._check_all(_in_time(lambda: self.resolve(host, port), deadline.left / 2))

    def _addresses(self, host: str, port: int, deadline: Deadline) -> list[str]:
        found = _in_time(lambda: self.resolve(host, port), deadline.left)
        if not found:
            raise self._unreachable(host, port, "DNS lookup failed")
        place = (_plain(host), port)
        if place not in self.trusted and place != self.proxy:
            self._check_all(found)
        return found

    def _unreachable(self, host: str, port: int, detail: str) -> NotConnected:
        whose = "the proxy of OUTBOUND_PROXY: " if (_plain(host), port) == self.proxy else ""
        return NotConnected(Reason.UNREACHABLE, whose + detail)

    def _check_all(self, addresses: list[str]) -> None:
        for address in addresses:
            number = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
            if not is_public(number) and not (number.is_loopback and self.allow_loopback):
                raise NotConnected(Reason.FORBIDDEN_ADDRESS, "not a public address")


class GuardedAdapter(HTTPAdapter):
    """requests' transport, with connections that a `Guard` lets through and a `Deadline` watches.

    `proxy_credentials`: headers for the proxy alone. `trust`: what servers are checked with, None for the usual.
    """

    def __init__(self, guard: Guard, proxy_credentials: Mapping[str, str], trust: ssl.SSLContext | None) -> None:
        self._pools = _pools(guard)
        self._proxy_credentials = dict(proxy_credentials)
        self._options: dict[str, Any] = {"ssl_context": trust} if trust else {}
        super().__init__(pool_maxsize=10)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **options, **self._options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options, **self._options)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def proxy_headers(self, _proxy: str) -> dict[str, str]:
        return self._proxy_credentials


@contextmanager
def within(seconds: float) -> Iterator[Deadline]:
    """Let this thread's connections be watched by one deadline, redirects and bodies included."""
    with Deadline(seconds) as deadline:
        _running.deadline = deadline
        try:
            yield deadline
        finally:
            _running.deadline = None


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


def is_platform_address(address: str) -> bool:
    """Whether nothing that a configuration means lies there: link-local (metadata), multicast, "any", Azure's own."""
    number = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    return number.is_link_local or number.is_multicast or number.is_unspecified or number == _AZURE_WIRE_SERVER


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
    deadline: Deadline | None = None

    def _new_conn(self) -> socket.socket:
        return self.guard.connect(self.host, self.port or self.default_port, _running.deadline, self.socket_options)

    def connect(self) -> None:
        super().connect()  # through a proxy's CONNECT and TLS
        self._begin()

    def request(self, *args: Any, **options: Any) -> None:
        self._begin()
        super().request(*args, **options)

    def _begin(self) -> None:
        """Take a kept or new connection for the call that runs; from now on its request counts as sent."""
        if self.sock is None:
            return
        deadline: Deadline = _running.deadline
        self.deadline = deadline
        deadline.watch(self.sock, lambda: self.deadline is deadline)
        deadline.sent = True


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
