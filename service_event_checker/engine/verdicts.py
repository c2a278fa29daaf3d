"""What people ask and say of causes: why an alert fires, whether a service's trouble is a vendor's, agree and no."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service_event_checker.core import explaining, routing, tracker
from service_event_checker.core.errors import StoreConflict
from service_event_checker.core.ids import internal_code
from service_event_checker.core.model import Alert, Event, Transition
from service_event_checker.core.replacing import replace
from service_event_checker.core.store import Done, Query
from service_event_checker.core.verdict import Verdict
from service_event_checker.core.vocabulary import EventStatus, Kind, Why
from service_event_checker.engine import learning
from service_event_checker.engine.acts import NotPossible
from service_event_checker.engine.services import Services

LOOKED_AT = 500  # open alerts, the latest
TRIES_MAX = 20
NOTE_MAX = 2000


class Vote(StrEnum):
    CONFIRM = "confirm"
    REJECT = "reject"


_DIRECTIONS: Mapping[str, int] = {Vote.CONFIRM: 1, Vote.REJECT: -1}


@dataclass(frozen=True, slots=True)
class Trouble:
    """The cause of a service's trouble: the verdict, and the alerts that are open for it."""

    verdict: Verdict
    alerts: tuple[Alert, ...]


def verdict_of(services: Services, alert: Alert, now: datetime) -> Verdict:
    """Return the verdict that is kept, else one that is made now. Raises StoreError."""
    return alert.verdict or services.correlation.judge(alert, now)


def trouble(services: Services, labels: Mapping[str, str], now: datetime) -> Trouble:
    """Return what is to be said of all that is open with these labels; where nothing is, of an alert with them.

    Raises StoreError.
    """
    page = services.store.page(Query(open=True, kinds=frozenset({Kind.ALERT}), limit=LOOKED_AT))
    found = tuple(alert for alert in page.alerts if _has(alert, labels) and not alert.test)
    asked = found or _asked(labels, now)
    verdicts = [verdict_of(services, alert, now) for alert in asked]
    return Trouble(max(verdicts, key=lambda each: (bool(each.explained_by), each.score)), found)


def vote(services: Services, known: Alert, word: Vote, *, actor: str, now: datetime, note: str = "") -> Alert:
    """Keep what a person says of the outages that explain an alert, and judge it again; a repetition changes nothing.

    Raises NotPossible where nothing explains it, and StoreError.
    """
    for _ in range(TRIES_MAX):
        alert = services.store.get([known.key]).get(known.key, known)
        outages = _outages(services, alert)
        if not outages:
            raise NotPossible(
                f"No outage explains {alert.internal_id}, so that there is nothing to agree to.",
                id=alert.internal_id,
                status=alert.status,
            )
        votes = {**alert.votes, **{key: f"{word}:{actor}" for key in outages}}
        steps = _steps(alert, outages.items(), word)
        if votes == alert.votes:
            return alert
        voted = replace(alert, votes=votes)
        change = explaining.changed(voted, services.correlation.judge(voted, now), now)
        said = "agreed" if word is Vote.CONFIRM else "said no"
        step = Transition(
            key=alert.key,
            episode=alert.episode,
            at=now,
            why=Why.JUDGED,
            before=alert.status,
            after=alert.status,
            actor=actor,
            note=f"{said}: {alert.explained_by}. {note[:NOTE_MAX]}".strip(),
        )
        judged = replace(change, transitions=(step, *change.transitions))
        book = services.pipeline.book_at(now)
        write = routing.route(judged.alert or voted, judged.transitions, book, now)
        (result,) = services.pipeline.commit_all([write], now)
        if isinstance(result, Done):
            learning.learn(services.store, steps, now)
            return result.alert
    raise StoreConflict(f"alert {known.key} was changed by others {TRIES_MAX} times in a row")


def _outages(services: Services, alert: Alert) -> dict[str, str]:
    """Return the outages that explain an alert, or of which a person has said something before: key -> vendor."""
    ids = alert.verdict.explained_by if alert.verdict else ()
    found = [outage for id in ids if (outage := services.store.by_internal_id(internal_code(id)))]
    return {outage.key: outage.source for outage in found or services.store.get(alert.votes).values()}


def _steps(alert: Alert, outages: Iterable[tuple[str, str]], word: Vote) -> list[tuple[learning.Pair, int]]:
    """Return what a vote teaches of each vendor and the alert's service; what was said before of it is taken back."""
    service = alert.labels.get("service", "")
    found: dict[learning.Pair, int] = {}
    for key, vendor in outages:
        before = alert.votes.get(key, "").partition(":")[0]
        found[vendor, service] = _DIRECTIONS[word] - _DIRECTIONS.get(before, 0)
    return list(found.items())


def _has(alert: Alert, labels: Mapping[str, str]) -> bool:
    return all(alert.labels.get(name, "").casefold() == value.casefold() for name, value in labels.items())


def _asked(labels: Mapping[str, str], now: datetime) -> tuple[Alert, ...]:
    """Return an alert that begins now, with nothing but these labels; it is never kept."""
    event = Event(
        source="asked",
        fingerprint="asked",
        kind=Kind.ALERT,
        status=EventStatus.FIRING,
        starts_at=now,
        labels=labels,
    )
    alert = tracker.track(None, event, now).alert
    return (alert,) if alert else ()
