"""What people do with silences: make, change, end, list, try. One implementation for API, command line and Slack."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

import structlog

from service_event_checker.config.silences import NewSilence
from service_event_checker.core import silences as rules
from service_event_checker.core.errors import InvalidInput, OutageCheckerError, StoreConflict
from service_event_checker.core.model import Alert
from service_event_checker.core.names import names_of
from service_event_checker.core.replacing import replace
from service_event_checker.core.silences import Silence, State
from service_event_checker.engine.acts import NotPossible
from service_event_checker.engine.services import Services
from service_event_checker.render.text import line

CONFLICTS_MAX = 5  # tries
LONGEST = timedelta(days=5 * 366)  # a silence has an end that somebody lives to see
TEXT_MAX = 500
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # as in the ids of alerts
_LENGTH = 6

log = structlog.get_logger()


class UnknownSilence(OutageCheckerError):
    """There is no silence with this id."""


class SilenceChanged(OutageCheckerError):
    """Somebody else has changed it since it was read."""


def create(services: Services, wanted: NewSilence, *, owner: str, now: datetime) -> Silence:
    """Store a new silence; `owner`, where it names none. Raises InvalidInput and StoreError."""
    made = _read(wanted, owner, now)
    for _ in range(CONFLICTS_MAX):
        stored = services.store.silences.put(replace(made, id=_new_id(), created_at=now))
        if stored is not None:
            _log("silence_created", stored, owner)
            return stored
    raise StoreConflict("no id is free")


def change(
    services: Services, id: str, wanted: NewSilence, *, actor: str, now: datetime, revision: int | None = None
) -> Silence:
    """Put other values into a silence that is not over; its owner stays unless another one is named.

    `revision`: the one that the caller has seen, if it matters. Raises UnknownSilence, SilenceChanged, NotPossible,
    InvalidInput and StoreError.
    """
    known = _open(services, id, now)
    if revision is not None and known.revision != revision:
        raise SilenceChanged(id)
    made = _read(wanted, known.owner, now, starts_at=known.starts_at)
    stored = services.store.silences.put(
        replace(made, id=known.id, created_at=known.created_at, revision=known.revision)
    )
    if stored is None:
        raise SilenceChanged(id)
    _log("silence_changed", stored, actor)
    services.pipeline.release(now)
    return replace(stored, hits=known.hits)


def end(services: Services, id: str, *, actor: str, now: datetime) -> Silence:
    """End a silence now and tell at once what it withheld and still fires; it stays in the history.

    Raises UnknownSilence, NotPossible and StoreError.
    """
    for _ in range(CONFLICTS_MAX):
        known = _open(services, id, now)
        stored = services.store.silences.put(replace(known, ends_at=now, ended_by=actor))
        if stored is not None:
            _log("silence_ended", stored, actor)
            services.pipeline.release(now)
            return replace(stored, hits=known.hits)
    raise StoreConflict(f"silence {id} is changed by others all the time")


def listed(services: Services) -> list[Silence]:
    """Return all silences: those of config.json, then the stored ones, the latest end first. Raises StoreError."""
    return [*services.book.silences, *services.store.silences.list()]


def find(services: Services, id: str) -> Silence:
    """Return a silence by its id, in upper or lower case. Raises UnknownSilence and StoreError."""
    wanted = id.strip()
    of_config = next((each for each in services.book.silences if each.id == wanted.lower()), None)
    found = of_config or services.store.silences.get(wanted.upper())
    if found is None:
        raise UnknownSilence(id)
    return found


def preview(services: Services, wanted: NewSilence) -> list[Alert]:
    """Return the open alerts that a silence would match, whenever it holds. Raises StoreError."""
    return matching(services, Silence(wanted.matchers, wanted.ends_at, wanted.ends_at, "", ""))


def matching(services: Services, silence: Silence) -> list[Alert]:
    """Return the open alerts that a silence matches, whenever it holds. Raises StoreError."""
    return [alert for alert in services.store.open_alerts() if silence.matches(names_of(alert))]


def silence_like(services: Services, alert: Alert, lasts: timedelta, *, actor: str, now: datetime) -> Silence:
    """Silence what is like an alert; asked again by the same person, the silence lasts longer. Raises StoreError."""
    matchers, ends_at = rules.like(alert), now + lasts
    for known in services.store.silences.live(now):
        if (known.matchers, known.owner, known.repeat) == (matchers, actor, None) and known.state(now) is State.ACTIVE:
            longer = known if known.ends_at >= ends_at else services.store.silences.put(replace(known, ends_at=ends_at))
            if longer is not None:
                return longer
    reason = line(f"like {alert.internal_id}: {alert.title}", TEXT_MAX)
    wanted = NewSilence(match=tuple(map(str, matchers)), ends_at=ends_at, owner=actor, reason=reason)
    return create(services, wanted, owner=actor, now=now)


def _open(services: Services, id: str, now: datetime) -> Silence:
    """Return a stored silence that is not over. Raises UnknownSilence and NotPossible."""
    known = find(services, id)
    if known.revision == 0:
        raise NotPossible(f"{known.id} is in config.json. Change it there.")
    if known.state(now) is State.ENDED:
        raise NotPossible(f"{known.id} is over. Make a new silence.")
    return known


def _read(wanted: NewSilence, owner: str, now: datetime, starts_at: datetime | None = None) -> Silence:
    """Return a silence of checked values. Raises InvalidInput."""
    starts_at = wanted.starts_at or starts_at or now
    if wanted.ends_at <= now:
        raise InvalidInput("ends_at", "is in the past", "Give a later end")
    if wanted.ends_at <= starts_at:
        raise InvalidInput("ends_at", "is not after starts_at", "Give the end of the silence")
    if wanted.ends_at > now + LONGEST:
        raise InvalidInput("ends_at", f"is more than {LONGEST.days} days ahead", "Give an earlier end")
    reason = line(wanted.reason, TEXT_MAX)
    if not reason:
        raise InvalidInput("reason", "is empty", "Say why, for those who wonder later")
    repeat = wanted.repeat.read() if wanted.repeat else None
    return Silence(wanted.matchers, starts_at, wanted.ends_at, line(wanted.owner, 100) or owner, reason, repeat=repeat)


def _new_id() -> str:
    return "S-" + "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def _log(event: str, silence: Silence, actor: str) -> None:
    log.info(event, id=silence.id, owner=silence.owner, actor=actor, ends_at=silence.ends_at.isoformat())
