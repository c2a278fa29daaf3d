"""What a process works with, on a store of the test's own: one page, which shows an outage, and one chat."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service_event_checker import wiring
from service_event_checker.config.settings import Settings
from service_event_checker.core.model import Alert, Delivery, Link, Snapshot
from service_event_checker.core.vocabulary import Affects, Family, Verb
from service_event_checker.engine.polling import Poller, Watch
from service_event_checker.engine.services import Services
from tests.factories import event

CONFIG = {"destinations": {"chat": {"kind": "console"}}, "rules": [{"name": "all", "send": ["chat"]}]}


class Page:
    """A checker that always shows the same outage."""

    def __init__(self) -> None:
        self.asked = 0
        self.was_asked = threading.Event()

    def check(self, _asked: frozenset[str]) -> Snapshot:
        self.asked += 1
        self.was_asked.set()
        return Snapshot(source="github", events=(event(),), complete=True)


class Chat:
    """A destination that takes everything."""

    family = Family.CHAT
    verbs = frozenset({Verb.OPEN})

    def __init__(self) -> None:
        self.was_told = threading.Event()

    def deliver(self, _delivery: Delivery, _alert: Alert, _link: Link | None) -> Link | None:
        self.was_told.set()
        return None


def services_in(folder: Path, page: Page, chat: Chat) -> Services:
    file = folder / "config.json"
    file.write_text(json.dumps(CONFIG))
    built = wiring.build(Settings.read({"CONFIG_FILE": str(file), "DATABASE_URL": f"sqlite:///{folder}/store.db"}))
    built.store.prepare()
    built.outbox.destinations = {"chat": chat}
    hour = timedelta(hours=1)
    watch = Watch(
        name="github", checker=page, every=hour, lease=hour, resolve_after=2, affects=lambda _event: Affects.YES
    )
    poller = Poller(built.store, built.pipeline, {"github": watch}, clock=lambda: datetime.now(UTC))
    return replace(built, poller=poller)
