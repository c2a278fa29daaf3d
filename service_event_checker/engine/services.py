"""What a process works with: the parts that wiring has built, for the web, the jobs and the command line."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from service_event_checker.config.load import Config
from service_event_checker.config.settings import Settings
from service_event_checker.config.sunset import Sunset, due
from service_event_checker.core.errors import DeliveryError
from service_event_checker.core.ports import Preflight
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rulebook
from service_event_checker.engine.actions.runs import Runs
from service_event_checker.engine.correlation import Correlation
from service_event_checker.engine.expiry import Expiry
from service_event_checker.engine.outbox import Outbox
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.polling import Poller
from service_event_checker.engine.reconcile.passes import Reconciler
from service_event_checker.engine.refusals import Refusals
from service_event_checker.engine.rule_hits import RuleHits
from service_event_checker.engine.sender_heartbeats import Heartbeats
from service_event_checker.engine.test_mode import TestMode

log = structlog.get_logger()


class WakeEvents:
    """A wake-up per receiver for the outbox's threads of this process; losing one costs a second."""

    def __init__(self) -> None:
        self._events: dict[str, threading.Event] = {}
        self.any = threading.Event()  # set with all others, for who passes it on

    def know(self, receivers: Iterable[str]) -> None:
        """Add receivers; those that are known, and those that are gone, stay."""
        self._events = {**{name: threading.Event() for name in receivers}, **self._events}

    def for_receiver(self, receiver: str) -> threading.Event:
        return self._events[receiver]

    def wake(self, receivers: Iterable[str]) -> None:
        """Wake the threads of these receivers, not those of others: each would look into the store."""
        self.any.set()
        for name in receivers:
            if event := self._events.get(name):
                event.set()

    def set_all(self) -> None:
        self.any.set()
        for event in self._events.values():
            event.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A configured checker, destination or action as people see it: `state` is "on" or why it is off."""

    section: str
    name: str
    kind: str
    on: bool
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """All that a process needs; what the web, the jobs and the command line work with."""

    config: Config
    store: Store
    book: Rulebook
    pipeline: Pipeline
    outbox: Outbox
    poller: Poller
    reconciler: Reconciler
    test_mode: TestMode
    wakes: WakeEvents
    parts: tuple[Part, ...]
    settings: Settings
    look_every: timedelta
    heartbeats: Heartbeats
    rule_hits: RuleHits
    correlation: Correlation
    runs: Runs
    refusals: Refusals = field(default_factory=Refusals)
    expiry: Expiry = field(default_factory=Expiry)
    sunsets: tuple[Sunset, ...] = ()  # of what is in use beside config.json
    loaded_at: datetime = field(default_factory=lambda: datetime.now(UTC))  # when the configuration was read

    def log_components(self) -> None:
        """Log each configured component at DEBUG, and warn of what stands in the configuration and is not used yet."""
        for part in self.parts:
            log.debug("component", section=part.section, name=part.name, kind=part.kind, state=part.state)
        for warning in self.config.warnings:
            path, _, text = warning.partition(": ")
            log.warning("config_warning", path=path, text=text)

    def request_reconciliation(self) -> None:
        """Have sources and destinations compared with what we know at the next tick. Raises StoreError."""
        self.reconciler.request_run()

    def log_sunsets(self) -> None:
        """Log what is in use here and is retired, or soon will be, with the date and the remedy."""
        today = datetime.now(UTC).date()
        for sunset in due(today, (*self.config.sunsets(), *self.sunsets)):
            log.warning("deprecated", name=sunset.name, text=sunset.text(today))

    def ask_destinations(self) -> None:
        """Log what the destinations themselves warn of; asks them, so it may take a while."""
        for name, destination in self.outbox.destinations.items():
            if isinstance(destination, Preflight):
                try:
                    warnings = destination.preflight()
                except DeliveryError as error:
                    warnings = [f"{name}: could not be asked: {error}"]
                for warning in warnings:
                    log.warning("destination_warning", receiver=name, warning=warning)
