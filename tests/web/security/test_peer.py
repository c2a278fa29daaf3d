"""Whose address counts: the socket's, or the client's that a trusted proxy names."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from service_event_checker.web.security.peer import peer_of

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.2.2.2", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, nonsense", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("fd00::1", "[2001:db8:1:2:3::4]:99", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "", "2001:db8:1:2::/64"),
        ("", "198.51.100.1", "unknown"),
    ],
)
def test_the_nearest_address_that_is_not_a_trusted_proxy_counts(peer: str, forwarded: str, found: str) -> None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = Request(EnvironBuilder(headers=headers, environ_base={"REMOTE_ADDR": peer}).get_environ())

    assert peer_of(request, TRUSTED) == found
