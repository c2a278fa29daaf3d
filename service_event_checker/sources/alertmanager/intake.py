"""Takes in a message of Alertmanager: commits the usable alerts, puts the others aside, logs what became of each.

The same for a request and for a replay from quarantine. When `take_alerts` returns, all that it took is durable.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import structlog

from service_event_checker.core.errors import InvalidInput, StoreError
from service_event_checker.core.model import Alert, Event
from service_event_checker.core.vocabulary import EventStatus
from service_event_checker.engine import expiry, muted, quarantine
from service_event_checker.engine.clocks import not_in_future
from service_event_checker.engine.services import Services
from service_event_checker.logs import alert_facts, together
from service_event_checker.metrics import UNKNOWN_VALUES
from service_event_checker.render.text import line
from service_event_checker.sources.alertmanager import api, events, webhook
from service_event_checker.sources.alertmanager.truncated import remember
from service_event_checker.sources.alertmanager.webhook import Parsed, Rejected

INGESTED_AT_ONCE = 1000  # alerts of one message
LINES_MAX = 100  # lines of the log for alerts of one message in which nothing changed
ASIDE_MAX = 100  # rejected alerts of one message that are put aside, each by itself
UNKNOWN = "alertmanager:unknown_severities"  # setting: {word: day of its last mention}
UNKNOWN_MAX = 20
WORD_MAX = 40  # characters
UNKNOWN_FOR = timedelta(days=7)
ENVELOPE_MAX = 2000  # characters of each of these
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
        problem = "the only one is invalid" if len(rejected) == 1 else f"none of {len(rejected)} is valid"
        super().__init__(
            "alerts", problem, f"The first: {rejected[0].error}" if len(rejected) > 1 else rejected[0].error
        )
        self.rejected = tuple(rejected)


def take_alerts(
    services: Services, payload: Any, intake: str, now: datetime, *, sent_at: datetime | None = None
) -> Taken:
    """Commit the usable alerts of an Alertmanager's message and put the others aside.

    `sent_at`: when a message arrived that was kept: an alert that ended since then does not fire again by it.
    Raises InvalidInput if it is not a message, NoneUsable, and StoreError; then nothing is put aside here.
    """
    parsed = webhook.parse(payload, intake)
    if parsed.truncated and parsed.receiver:
        remember(services.store, intake, parsed.receiver)
    return take_parsed(services, payload, parsed, intake, now, sent_at=sent_at)


def take_posted(services: Services, body: Any, now: datetime) -> Taken:
    """Commit the usable alerts that were posted to the API, as `take_alerts` does; it raises the same."""
    posted = api.message(body)
    parsed = api.parse(posted, now)
    if any(event.expires_at for event in parsed.events):
        expiry.note(services.store, webhook.SOURCE)
    return take_parsed(services, posted, parsed, api.INTAKE, now)


def take_recorded(services: Services, body: Any) -> dict[str, int]:
    """Keep what its event recorder tells of mutes: `{"accepted": …, "ignored": …}`. Raises InvalidInput, StoreError."""
    recorded = events.parse(body)
    noted = muted.note(services.store, recorded.mutes)
    for silence, until, at in recorded.ends:
        noted += muted.end(services.store, silence, until, at)
    if noted:
        log.info("alerts_muted_at_source", source=webhook.SOURCE, alerts=noted)
    return {"accepted": len(recorded.mutes) + len(recorded.ends), "ignored": recorded.ignored}


def take_parsed(
    services: Services,
    payload: Mapping[str, Any],
    parsed: Parsed,
    intake: str,
    now: datetime,
    *,
    source: str = webhook.SOURCE,
    sent_at: datetime | None = None,
) -> Taken:
    """Commit what was read of a message of this shape; `source`: whose refused alerts it keeps and logs. As above."""
    if parsed.rejected and not parsed.events:
        raise NoneUsable(parsed.rejected)
    events: Iterable[Event] = parsed.events
    if sent_at:
        events = (replace(event, at=event.at or sent_at) for event in events)
    unknown = sorted({line(word, WORD_MAX) for word in parsed.unknown})[:UNKNOWN_MAX]
    with together():
        unchanged = _ingest(services, _without_echoes(not_in_future(now, events)), now)
        if parsed.truncated:
            log.warning("alerts_truncated", intake=intake, receiver=parsed.receiver, left_out=parsed.truncated)
            services.request_reconciliation()
        _tell(parsed, unchanged, unknown, intake, source)
    _note_unknown(services, unknown, now)
    aside = _put_aside(services, payload, parsed.rejected, intake, now, source)
    return Taken(len(parsed.events), parsed.rejected, aside, tuple(map(_warning, unknown)))


def unknown_severities(services: Services, now: datetime) -> list[str]:
    """Return the unknown severities of the last days, so that a person can correct them. Raises StoreError."""
    return sorted(_noted(services, now))


@dataclass(slots=True)
class _Unchanged:
    """The events in which nothing was new: how many, and the first of them with what is known of each."""

    number: int = 0
    first: list[tuple[Event, Alert | None]] = field(default_factory=list)


def _ingest(services: Services, events: Iterator[Event], now: datetime) -> _Unchanged:
    """Commit the events, some at a time: a message may hold more alerts than should be in memory at once."""
    unchanged = _Unchanged()
    while some := list(islice(events, INGESTED_AT_ONCE)):
        found = services.pipeline.ingest(some, now)
        quiet = [event for event in some if not _changed(found.get(event.key), now)]
        unchanged.number += len(quiet)
        room = LINES_MAX - len(unchanged.first)
        unchanged.first += [(event, found.get(event.key)) for event in quiet[:room]]
    return unchanged


def _tell(parsed: Parsed, unchanged: _Unchanged, unknown: Iterable[str], intake: str, source: str) -> None:
    """Log what became of each alert. The pipeline has told what changed; of very many repeats the rest is counted."""
    for event, alert in unchanged.first:
        _tell_quiet(event, alert)
    for refused in parsed.rejected[:LINES_MAX]:
        log.warning("alert_rejected", source=source, intake=intake, index=refused.index, error=refused.error)
    for word in unknown:
        UNKNOWN_VALUES.labels(source).inc()
        log.warning("unknown_severity", source=source, severity=word, counts_as="warning")
    level = log.debug if unchanged.number == len(parsed.events) and not parsed.rejected else log.info
    level(
        "alerts_received",
        intake=intake,
        receiver=parsed.receiver,
        accepted=len(parsed.events),
        unchanged=unchanged.number,
        rejected=len(parsed.rejected),
    )


def _without_echoes(events: Iterable[Event]) -> Iterator[Event]:
    """Leave out what says the same of an alert as the event before: each costs a round of commits of its own."""
    last: dict[str, Event] = {}
    for event in events:
        if last.get(event.key) != event:
            last[event.key] = event
            yield event


def _tell_quiet(event: Event, alert: Alert | None) -> None:
    if alert is None and event.status is EventStatus.FIRING:
        log.debug("heartbeat_heard", **alert_facts(event))
    elif alert is None:
        log.info("alert_unknown", **alert_facts(event), why="it is resolved, and it was never seen firing")
    else:
        log.debug("alert_repeated", **alert_facts(alert), status=alert.status.value)


def _note_unknown(services: Services, words: Collection[str], now: datetime) -> None:
    """Keep the words for the page, a day's first mention of each; a store that is away now loses a hint only."""
    today = now.date().isoformat()
    try:
        noted = _noted(services, now) if words else {}
        if any(noted.get(word) != today for word in words):
            newest = sorted((noted | dict.fromkeys(words, today)).items(), key=lambda pair: pair[1])[-UNKNOWN_MAX:]
            services.store.set_setting(UNKNOWN, json.dumps(dict(newest)))
    except StoreError as error:
        log.warning("store_unavailable", during="note of an unknown severity", reason=str(error))


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
    services: Services,
    payload: Mapping[str, Any],
    rejected: Sequence[Rejected],
    intake: str,
    now: datetime,
    source: str,
) -> dict[int, str]:
    """Put each rejected alert aside as a message of its own; return their ids by place."""
    if not rejected:
        return {}
    envelope = {name: payload[name][:ENVELOPE_MAX] for name in _ENVELOPE if isinstance(payload.get(name), str)}
    refusals = []
    for refused in rejected[:ASIDE_MAX]:
        body = json.dumps({**envelope, "alerts": [payload["alerts"][refused.index]]}, ensure_ascii=False)
        refusals.append(quarantine.refusal(body.encode(), route=intake, error=refused.error))
    ids = quarantine.put(services.store.holding, source, refusals, now)
    return {refused.index: id for refused, id in zip(rejected, ids, strict=False)}
