"""How the contract suite of mails sets a destination up, and reads what its server took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service_event_checker.core.ports import Destination

SENDER = "Outages <outages@example.com>"
TO = ("oncall@example.com", "boss@example.com")


@dataclass(frozen=True, kw_only=True)
class SentMail:
    """A mail as the server took it."""

    to: list[str]
    subject: str
    text: str
    html: str
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class MailCase:
    """`adapter` takes a server and changes of the configuration; with those of `nobody` it finds no server."""

    name: str
    server: Callable[[Path], AbstractContextManager[Any]]
    adapter: Callable[..., Destination]
    mails: Callable[[Any], list[SentMail]]
    nobody: Mapping[str, Any]
