"""Prints what a chat would have been told: what `./run` shows while Slack has no token. Keeps nothing."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import ClassVar, Literal

from service_event_checker.config.models import CHAT_BUDGET, DestinationConfig
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Budget, Delivery, Link
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.render.notice import notice, with_own
from service_event_checker.render.own import Form
from service_event_checker.render.templates import render

TEXT = "txt"  # the part that templates of users may write
RULE = "-" * 72


class Config(DestinationConfig):
    STORM: ClassVar[Budget | None] = CHAT_BUDGET
    RATE: ClassVar[tuple[float, int]] = (50.0, 50)

    ANY_PLACE: ClassVar[bool] = True

    kind: Literal["console"] = "console"


class Adapter:
    """One readable block per delivery. `write` takes text; standard output unless given."""

    family = Family.CHAT
    verbs = frozenset({Verb.OPEN, Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE})

    def __init__(self, name: str, config: Config, *, write: Callable[[str], object] | None = None) -> None:
        self.name = name
        self.config = config
        self._write = write or _to_stdout
        self._lock = threading.Lock()

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Print the alert as it is now; there is nothing to find again, so a repetition prints again.

        The link has no external id: when Slack gets its token, the message is still to be made.
        """
        said = self.preview(delivery, alert)[TEXT]
        with self._lock:
            self._write(f"{RULE}\n{said}\n{RULE}\n")
        key = remote_key(alert.key, delivery.episode)
        return link or Link(key=alert.key, episode=delivery.episode, receiver=delivery.receiver, remote_key=key)

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return what is printed."""
        told = notice(alert, delivery.verb, datetime.now(UTC), actor=delivery.actor, note=delivery.note)
        return {TEXT: with_own(told, delivery, alert).own.get(TEXT) or render("alert.txt.j2", told)}

    @staticmethod
    def forms(_config: Config) -> Mapping[str, Form]:
        return {TEXT: Form(limit=20_000)}

    def probe(self) -> ProbeResult:
        """Nothing can go wrong: it prints."""
        return ProbeResult(proven=("messages are printed on the standard output of the app",))


def _to_stdout(text: str) -> None:
    """Write in what the terminal can show; a pipe in the C locale must not end a delivery."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
