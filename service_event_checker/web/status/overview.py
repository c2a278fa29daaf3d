"""What the page, /health and /metrics show of checkers and destinations: read from the store, decided here once.

Reading costs the same however many alerts there are: of open alerts, at most SHOWN_MAX are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.roles import Alerts
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
LETTERS_MAX = 200
REFUSED_MAX = 50  # bodies in quarantine that are read, 64 KiB each at most


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`more_open`: there are open alerts beyond the ones read. `heartbeat_at`: when any process last ran the engine.

    `refused` are the newest bodies in quarantine, at most REFUSED_MAX. `warnings`: what a person should mend.
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

    @property
    def beats(self) -> bool:
        return beats(self.heartbeat_at, self.now)


def read(services: Services, now: datetime) -> State:
    """Read it all. Raises StoreError."""
    store = services.store
    found, more = _open_alerts(store)
    letters = tuple(store.failed_deliveries(LETTERS_MAX))
    return State(
        now=now,
        heartbeat_at=last_heartbeat(services.store),
        open_alerts=found,
        more_open=more,
        checkers=checkers(services, found, now),
        receivers=receivers(services),
        failed=letters,
        oldest_waiting_at=store.oldest_waiting(),
        refused=tuple(quarantine.held(services.store.holding, limit=REFUSED_MAX)),
        warnings=standing.warnings(services, now),
    )


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
