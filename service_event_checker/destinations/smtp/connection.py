"""smtplib's client over one of our connections: where it may go, how long it may take and how much it may say."""

from __future__ import annotations

import ipaddress
import smtplib
import socket
import ssl
from typing import BinaryIO

from service_event_checker.destinations.smtp.config import Config
from service_event_checker.http.deadline import Deadline
from service_event_checker.http.guard import Guard, system_addresses

SAID_MAX = 256 * 1024  # bytes; a server says a few hundred, and a line for each recipient


class Line(smtplib.SMTP):
    """smtplib's client, over a connection that the deadline watches and that begins with TLS where it is to."""

    def __init__(self, config: Config, deadline: Deadline, trust: ssl.SSLContext | None) -> None:
        self._deadline, self._trust = deadline, trust
        super().__init__(config.host, config.at_port, local_hostname="localhost", timeout=deadline.left)

    def _get_socket(self, host: str, port: int, _timeout: float) -> socket.socket:  # smtplib's own hook, as of SMTP_SSL
        trusted = frozenset({(host.strip("[]").rstrip(".").lower(), port)})
        guard = Guard(trusted, allow_loopback=False, resolve=system_addresses)
        sock = guard.connect(host, port, self._deadline)
        own = ipaddress.ip_address(sock.getsockname()[0].partition("%")[0])
        # RFC 5321 4.1.3; smtplib would ask the name service for our name, which may take long
        self.local_hostname = f"[IPv6:{own}]" if own.version == 6 else f"[{own}]"
        return self._trust.wrap_socket(sock, server_hostname=host) if self._trust else sock

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Bounded(self.sock.makefile("rb"))
        return super().getreply()


class _Bounded:
    """What a server says, up to SAID_MAX bytes: smtplib keeps every line of an answer that never ends."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = SAID_MAX
        self.close = file.close

    def readline(self, limit: int) -> bytes:
        said = self._file.readline(min(limit, self._left))
        self._left -= len(said)
        return said
