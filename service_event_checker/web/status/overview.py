"""What the page, /health and /metrics show of checkers and destinations: read from the store, decided here once.

Reading costs the same however many alerts there are: of open alerts, at most SHOWN_MAX are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.roles import Alerts, Outbox
from service_event_checker.core.silences import Holding, Silence, silence_of
from service_event_checker.core.silences import State as Active
from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Severity
from service_event_checker.engine import quarantine
from service_event_checker.engine.heartbeat import last_heartbeat
from service_event_checker.engine.parts import CheckerState as CheckerState
from service_event_checker.engine.parts import PollState as PollState
from service_event_checker.engine.parts import ReceiverState as ReceiverState
from service_event_checker.engine.parts import beats as beats
from service_event_checker.engine.parts import checkers as checkers
from service_event_checker.engine.parts import receivers as receivers
from service_event_checker.engine.quarantine import Held
from service_event_checker.engine.services import Services
from service_event_checker.web.status import warnings as standing

SHOWN_MAX = 200  # open alerts, most severe first
FAILED_MAX = 200  # failed deliveries, newest first
PENDING_MAX = 2000  # deliveries of one receiver; with more, every alert without a link counts as waiting
REFUSED_MAX = 50  # bodies in quarantine that are read, 64 KiB each at most


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`more_open`: there are open alerts beyond the ones read. `heartbeat_at`: when any process last ran the engine.

    `refused` are the newest bodies in quarantine, at most REFUSED_MAX. `warnings`: what a person should fix.
    `pending` are (receiver, alert key) of the open alerts for which a delivery waits.
    `silenced`: by the key of an open alert, the silence that holds it back now. `silences`: those that are active.
    """

    now: datetime
    heartbeat_at: datetime | None
    open_alerts: tuple[Alert, ...]
    more_open: bool
    checkers: tuple[CheckerState, ...]
    receivers: tuple[ReceiverState, ...]
    failed: tuple[Delivery, ...]
    oldest_waiting_at: datetime | None
    refused: tuple[Held, ...]
    warnings: tuple[str, ...]
    pending: frozenset[tuple[str, str]]
    silenced: Mapping[str, Holding]
    silences: tuple[Silence, ...]

    @property
    def beats(self) -> bool:
        return beats(self.heartbeat_at, self.now)


def read(services: Services, now: datetime) -> State:
    """Read it all. Raises StoreError."""
    store = services.store
    found, more = _open_alerts(store)
    destinations = receivers(services)
    silences = services.book.with_silences(store.silences.list()).silences
    return State(
        now=now,
        heartbeat_at=last_heartbeat(services.store),
        open_alerts=found,
        more_open=more,
        checkers=checkers(services, found, now),
        receivers=destinations,
        failed=tuple(store.failed_deliveries(FAILED_MAX)),
        oldest_waiting_at=store.oldest_waiting(),
        refused=tuple(quarantine.held(services.store.holding, limit=REFUSED_MAX)),
        warnings=standing.warnings(services, now),
        pending=frozenset(_pending(store, destinations, found)),
        silenced={each.key: by for each in found if (by := silence_of(each, silences, now))},
        silences=tuple(silence for silence in silences if silence.state(now) is Active.ACTIVE),
    )


def _pending(
    store: Outbox, destinations: Iterable[ReceiverState], alerts: Sequence[Alert]
) -> Iterator[tuple[str, str]]:
    """Yield (receiver, alert key) where a delivery waits. Raises StoreError."""
    for receiver in destinations:
        if receiver.waiting == 0:
            continue
        keys = store.keys_with_pending(receiver.name) if receiver.waiting <= PENDING_MAX else None
        yield from ((receiver.name, alert.key) for alert in alerts if keys is None or alert.key in keys)


def _open_alerts(store: Alerts) -> tuple[tuple[Alert, ...], bool]:
    """Return open alerts, most severe first, and whether there are more of them."""
    found: list[Alert] = []
    for severity in Severity:
        room = SHOWN_MAX - len(found)
        page = store.page(Query(open=True, severities=frozenset({severity}), limit=room + 1))
        found += page.alerts
        if len(found) > SHOWN_MAX:
            return tuple(found[:SHOWN_MAX]), True
    return tuple(found), False
