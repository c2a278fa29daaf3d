"""A double takes what a real server would take."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from tests.doubles.statuspages import StatusPages


def test_a_request_whose_client_was_killed_before_its_body_was_sent_is_none() -> None:
    with StatusPages() as double:
        address = urlsplit(double.url)
        with socket.create_connection((address.hostname, address.port), timeout=10) as client:
            client.sendall(b"POST /page/vendor HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            client.shutdown(socket.SHUT_WR)
            answer = client.recv(1024)

        assert answer == b""
        assert double.requests == []
