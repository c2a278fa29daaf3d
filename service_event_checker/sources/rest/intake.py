"""Takes in alerts by the REST API: commits the usable ones in one batch, puts the others aside, one by one.

The same for a request and for a replay from quarantine. When `take` returns, all that it took is durable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError

from service_event_checker.config.problems import by_field
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Alert, Event
from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.engine import quarantine
from service_event_checker.engine.clocks import not_in_future
from service_event_checker.engine.services import Services
from service_event_checker.metrics import UNKNOWN_VALUES
from service_event_checker.render.text import line
from service_event_checker.sources.rest.payload import INTAKE, SEVERITY, NewAlert, event_of
from service_event_checker.sources.severities import severity_of

SOURCE = "rest"  # in quarantine, logs and metrics
ASIDE_MAX = 100  # rejected bodies of one message that are put aside, each by itself
WORD_MAX = 40  # characters
NAMED_MAX = 20  # unknown words of one message

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Taken:
    """An alert as it is now. `opened`: this opened it, or opened it again; else it was known."""

    alert: Alert
    opened: bool


@dataclass(frozen=True, slots=True)
class NeverSeen:
    """The end of an alert that nobody has ever sent."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A sign of life of a sender: it becomes no alert."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A body that cannot be used: (field, problem), and its id in quarantine ("" when the store is away)."""

    problems: tuple[tuple[str, str], ...]
    quarantined: str = ""

    @property
    def text(self) -> str:
        return "; ".join(f"{field}: {problem}" for field, problem in self.problems)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of each body, in their order; `warnings` are for people."""

    results: tuple[Taken | Heard | NeverSeen | Rejected, ...]
    warnings: tuple[str, ...] = ()


def take(services: Services, bodies: Sequence[Any], now: datetime, *, sent_at: datetime | None = None) -> Answer:
    """Commit what can be used and put the rest aside. `sent_at`: when it came that was kept. Raises StoreError."""
    read = [_read(body, sent_at or now) for body in bodies]
    events = [each for each in read if isinstance(each, Event)]
    found = services.pipeline.ingest(not_in_future(now, events), now)
    aside = _put_aside(services, bodies, read, now)
    words = sorted({line(event.labels.get(SEVERITY, ""), WORD_MAX) for event in events if _is_unknown(event)})
    for word in words[:NAMED_MAX]:
        UNKNOWN_VALUES.labels(SOURCE).inc()
        log.warning("unknown_severity", source=SOURCE, severity=word, counts_as="warning")
    log.info("alerts_received", intake=INTAKE, accepted=len(events), rejected=len(read) - len(events))
    warnings = tuple(f'the severity "{word}" is in no table and counts as warning' for word in words[:NAMED_MAX])
    return Answer(tuple(_results(read, found, aside, now)), warnings)


def _read(body: Any, received_at: datetime) -> Event | Rejected:
    try:
        return event_of(NewAlert.model_validate(body), received_at)
    except ValidationError as error:
        return Rejected(tuple(by_field(error)))
    except InvalidInput as error:
        return Rejected(((error.where, error.problem),))


def _is_unknown(event: Event) -> bool:
    return severity_of(event.labels.get(SEVERITY, "")) is None


def _results(
    read: Iterable[Event | Rejected], found: Mapping[str, Alert], aside: Mapping[int, str], now: datetime
) -> Iterator[Taken | Heard | NeverSeen | Rejected]:
    told: set[str] = set()
    for index, each in enumerate(read):
        if isinstance(each, Rejected):
            yield Rejected(each.problems, aside.get(index, ""))
            continue
        alert = found.get(each.key)
        if alert is None:
            yield Heard() if each.status is EventStatus.FIRING else NeverSeen()
        else:
            yield Taken(alert, opened=alert.opened_at == now and each.key not in told)
            told.add(each.key)


def _put_aside(
    services: Services, bodies: Sequence[Any], read: Sequence[Event | Rejected], now: datetime
) -> dict[int, str]:
    """Put each rejected body aside by itself; return their ids by place."""
    rejected = [(index, each) for index, each in enumerate(read) if isinstance(each, Rejected)][:ASIDE_MAX]
    refusals = [
        quarantine.refusal(
            json.dumps(bodies[index], ensure_ascii=False).encode("utf-8", "replace"), route=INTAKE, error=each.text
        )
        for index, each in rejected
    ]
    ids = quarantine.put(services.store.holding, SOURCE, refusals, now) if refusals else []
    return {index: id for (index, _), id in zip(rejected, ids, strict=False)}
