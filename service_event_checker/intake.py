"""What becomes of a webhook's payload: read by its source or destination, committed, and what is refused put aside.

The same for a request and for a replay from quarantine. When a function here returns, all that it took is durable.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from service_event_checker import quarantine
from service_event_checker.core.errors import InvalidInput, StoreError
from service_event_checker.core.model import Alert, Event
from service_event_checker.core.ports import Inbound
from service_event_checker.metrics import UNKNOWN_VALUES
from service_event_checker.quarantine import Held
from service_event_checker.reconcile_alerts import remember_truncated
from service_event_checker.render.text import line
from service_event_checker.sources import alertmanager
from service_event_checker.sources.alertmanager import Parsed, Rejected
from service_event_checker.wiring import Services

LINES_MAX = 100  # lines of the log for alerts of one message in which nothing changed
ASIDE_MAX = 100  # rejected alerts of one message that are put aside, each by itself
UNKNOWN = "alertmanager:unknown_severities"  # setting: {word: day of its last mention}
UNKNOWN_MAX = 20
WORD_MAX = 40  # characters
UNKNOWN_FOR = timedelta(days=7)
ENVELOPE_MAX = 2000  # characters of each of these
AHEAD_MAX = timedelta(minutes=5)  # clocks differ
_ENVELOPE = ("version", "groupKey", "externalURL", "receiver")  # what an alert needs of its message to be read again

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Taken:
    """What was accepted of a message, and what was not; `quarantined` maps the place of an alert to its id there."""

    accepted: int
    rejected: tuple[Rejected, ...]
    quarantined: Mapping[int, str]
    warnings: tuple[str, ...]


class NoneUsable(InvalidInput):
    """No alert of a message can be used; `rejected` says why, one by one."""

    def __init__(self, rejected: Sequence[Rejected]) -> None:
        super().__init__("alerts", f"none of {len(rejected)} can be used", f"The first: {rejected[0].error}")
        self.rejected = tuple(rejected)


def take_alerts(services: Services, payload: Any, intake: str, now: datetime) -> Taken:
    """Commit the usable alerts of an Alertmanager's message and put the others aside.

    Raises InvalidInput for what is no message, NoneUsable, and StoreError; then nothing is put aside here.
    """
    parsed = alertmanager.parse(payload, intake)
    if parsed.truncated and parsed.receiver:
        remember_truncated(services.store, intake, parsed.receiver)
    if parsed.rejected and not parsed.events:
        raise NoneUsable(parsed.rejected)
    found = services.pipeline.ingest(_without_echoes(_until(now, parsed.events)), now)
    if parsed.truncated:
        log.warning("alerts_truncated", intake=intake, receiver=parsed.receiver, left_out=parsed.truncated)
        services.reconcile_soon()
    unknown = sorted({line(word, WORD_MAX) for word in parsed.unknown})[:UNKNOWN_MAX]
    _tell(parsed, found, unknown, intake, now)
    _note_unknown(services, unknown, now)
    aside = _put_aside(services, payload, parsed.rejected, intake, now)
    return Taken(len(parsed.events), parsed.rejected, aside, tuple(map(_warning, unknown)))


def take_talk(services: Services, receiver: str, headers: Mapping[str, str], payload: Any, now: datetime) -> int:
    """Commit what a destination tells of its objects and return how many events that were.

    Raises InvalidInput, also where the destination is off, and StoreError.
    """
    destination = services.outbox.destinations.get(receiver)
    if not isinstance(destination, Inbound):
        raise InvalidInput("receiver", f"{receiver} is off, or does not talk back")
    events = _read(receiver, destination, headers, payload)
    services.pipeline.ingest(_until(now, events), now)
    if events:
        log.info("talk_taken", receiver=receiver, events=len(events))
    return len(events)


def replay(services: Services, held: Held, now: datetime) -> int:
    """Take a quarantined body as if it came now, remove it, and return how many events or alerts it held.

    What is still wrong in a part of it is put aside anew. Raises InvalidInput with today's error, and StoreError.
    """
    refused = held.refusal
    payload = quarantine.payload(refused)
    if refused.receiver:
        taken = take_talk(services, refused.receiver, refused.headers, payload, now)
    elif held.source == alertmanager.SOURCE:
        taken = take_alerts(services, payload, refused.route, now).accepted
    else:
        raise InvalidInput(
            "receiver",
            "is not named: it might have been meant for several",
            "Have its sender send it to the address of one",
        )
    quarantine.discard(services.store, held.id)
    log.info("replayed", id=held.id, route=refused.route, taken=taken)
    return taken


def unknown_severities(services: Services, now: datetime) -> list[str]:
    """Return the words of the last days that no table has, so that a person may mend them. Raises StoreError."""
    return sorted(_noted(services, now))


def _read(receiver: str, destination: Inbound, headers: Mapping[str, str], payload: Any) -> list[Event]:
    """Return the events of a payload; a reader that fails on it is a defect, and a sender's repetition no remedy."""
    try:
        return destination.parse(headers, payload)
    except InvalidInput:
        raise
    except Exception:
        log.exception("talk_not_read", receiver=receiver)
        raise InvalidInput("body", "could not be read", "That is a defect here; the log has it") from None


def _tell(parsed: Parsed, found: Mapping[str, Alert], unknown: Iterable[str], intake: str, now: datetime) -> None:
    """Log what became of each alert. The pipeline has told what changed; of very many repeats the rest is counted."""
    quiet = [event for event in parsed.events if not _changed(found.get(event.key), now)]
    for event in quiet[:LINES_MAX]:
        _tell_quiet(event, found.get(event.key))
    for refused in parsed.rejected[:LINES_MAX]:
        log.warning("alert_rejected", intake=intake, index=refused.index, error=refused.error)
    for word in unknown:
        UNKNOWN_VALUES.labels(alertmanager.SOURCE).inc()
        log.warning("unknown_severity", source=alertmanager.SOURCE, severity=word, counts_as="warning")
    log.info(
        "alerts_taken",
        intake=intake,
        receiver=parsed.receiver,
        accepted=len(parsed.events),
        unchanged=len(quiet),
        rejected=len(parsed.rejected),
    )


def _until(now: datetime, events: Iterable[Event]) -> Iterator[Event]:
    """Take what is still to come for now, and such a start for unknown: it would outrank all that is told later."""
    latest = now + AHEAD_MAX
    for event in events:
        starts_at = None if event.starts_at and event.starts_at > latest else event.starts_at
        yield replace(event, starts_at=starts_at, at=now if event.at and event.at > latest else event.at)


def _without_echoes(events: Iterable[Event]) -> Iterator[Event]:
    """Leave out what says the same of an alert as the event before: each costs a round of commits of its own."""
    last: dict[str, Event] = {}
    for event in events:
        if last.get(event.key) != event:
            last[event.key] = event
            yield event


def _tell_quiet(event: Event, alert: Alert | None) -> None:
    if alert is None:
        log.info("alert_unknown", fingerprint=event.fingerprint, title=event.title, why="over before it was ever seen")
    else:
        log.info("alert_repeated", id=alert.internal_id, key=alert.key, status=alert.status.value)


def _note_unknown(services: Services, words: Collection[str], now: datetime) -> None:
    """Keep the words for the page, a day's first mention of each; a store that is away now loses a hint only."""
    today = now.date().isoformat()
    try:
        noted = _noted(services, now) if words else {}
        if any(noted.get(word) != today for word in words):
            newest = sorted((noted | dict.fromkeys(words, today)).items(), key=lambda pair: pair[1])[-UNKNOWN_MAX:]
            services.store.set_setting(UNKNOWN, json.dumps(dict(newest)))
    except StoreError as error:
        log.warning("store_away", during="note of an unknown severity", reason=str(error))


def _noted(services: Services, now: datetime) -> dict[str, str]:
    """Return the words with the day of their last mention."""
    noted: dict[str, str] = json.loads(services.store.setting(UNKNOWN) or "{}")
    earliest = (now - UNKNOWN_FOR).date().isoformat()
    return {word: day for word, day in noted.items() if day >= earliest}


def _changed(alert: Alert | None, now: datetime) -> bool:
    return alert is not None and alert.updated_at == now


def _warning(word: str) -> str:
    return f'the severity "{word}" is in no table and counts as warning'


def _put_aside(
    services: Services, payload: Mapping[str, Any], rejected: Sequence[Rejected], intake: str, now: datetime
) -> dict[int, str]:
    """Put each rejected alert aside as a message of its own; return their ids by place."""
    if not rejected:
        return {}
    envelope = {name: payload[name][:ENVELOPE_MAX] for name in _ENVELOPE if isinstance(payload.get(name), str)}
    refusals = []
    for refused in rejected[:ASIDE_MAX]:
        body = json.dumps({**envelope, "alerts": [payload["alerts"][refused.index]]}, ensure_ascii=False)
        refusals.append(quarantine.refusal(body.encode(), route=intake, error=refused.error))
    ids = quarantine.put(services.store, alertmanager.SOURCE, refusals, now)
    return {refused.index: id for refused, id in zip(rejected, ids, strict=False)}
