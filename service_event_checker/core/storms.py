"""Storms: over a receiver's budget of messages, one summary stands for the alerts that would have been told. Pure.

The summary is an alert of its own, open as long as the storm lasts. It keeps its numbers (`Tally`) in itself, so that
a commit decides which of several processes has counted. What it covers is counted before it is settled; a repetition
after a crash finds it among the counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from service_event_checker.core import failover
from service_event_checker.core.ids import alert_key, internal_id
from service_event_checker.core.model import STORMS, Alert, Budget, Delivery, Link, Transition
from service_event_checker.core.replacing import replace
from service_event_checker.core.routing import make_delivery, make_transition
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.store import Write
from service_event_checker.core.vocabulary import Family, Kind, ResolvedBy, Severity, Status, Verb, Why

NUMBERS = "storm"  # the annotation of a summary that holds its numbers
LINK = "storm link "  # begins the name of an annotation that holds the address of an alert
WORST_SHOWN = 10
CRITICAL_SHOWN = 30
NAMES_SHOWN = 5  # of sources and of groups
NAMES_MAX = 40  # counted by name; the others together
PENDING_MAX = 400  # counted deliveries that are not known to be settled
BUCKETS = 20  # parts of `within` in which openings are counted
COLLECTED_FOR = timedelta(seconds=5)  # before a summary that can be edited is first sent
EDITED_EVERY = timedelta(seconds=15)
SENT_EVERY = timedelta(minutes=1)  # a summary that cannot be edited: the first wait; each further one is twice as long
DOUBLINGS_MAX = 4
_NAME_MAX = 60
_TITLE_MAX = 120
_OTHERS = "others"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a summary covers. `open`: how many of them have not ended.

    `worst`: severity, title, internal id and address of those that are named, the worst first. `recent`: how many
    opened, by the second in which their bucket began. `pending`: marks of what is counted and perhaps not settled.
    `exceeded`: when the budget was last exceeded, `told`: when the summary is or was last sent, both in POSIX seconds.
    `sent`: how often it was sent, `shown`: what it said then.
    """

    total: int = 0
    open: int = 0
    severities: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    worst: Sequence[Sequence[str]] = ()
    recent: Mapping[str, int] = field(default_factory=dict)
    pending: Sequence[str] = ()
    exceeded: float = 0.0
    told: float = 0.0
    sent: int = 0
    shown: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A delivery that is not sent by itself. `opens`: it would have been its alert's first message.

    `summary`: the internal id of the summary that covers its alert already, "" if none does.
    """

    delivery: Delivery
    alert: Alert
    opens: bool = False
    summary: str = ""


def key_of(receiver: str) -> str:
    return alert_key(STORMS, receiver)


def is_exempt(alert: Alert) -> bool:
    """Whether an alert is never covered: a test, a summary, the digest of what a fallback got."""
    return alert.test or alert.source in (STORMS, failover.SOURCE)


def allowed(budget: Budget, severity: Severity) -> int:
    """Return how many messages of a severity fit within the budget; a reserve is kept for critical alerts."""
    return budget.messages + (max(1, budget.messages // 2) if severity is Severity.CRITICAL else 0)


def covers(step: Transition, receiver: str) -> bool:
    return step.why is Why.SUMMARISED and step.receiver == receiver


def note(summary_id: str) -> str:
    """Return what the ledger says of a delivery that a summary covers."""
    return f"in the summary {summary_id}"


def summary_in(text: str) -> str:
    """Return the internal id that a `note` names."""
    return text.removeprefix(note(""))


def link_of(text: str, receiver: str, links: Iterable[Link]) -> str:
    """Return the address of the summary that a `note` names, "" where it has none; `links`: of the summaries."""
    key, code = key_of(receiver), summary_in(text).rpartition("-")[2]
    for link in links:
        shortest = internal_id(STORMS, key, link.episode).rpartition("-")[2]
        if link.receiver == receiver and code.startswith(shortest):
            return link.url
    return ""


def counted(
    known: Alert | None,
    receiver: str,
    batch: Iterable[Covered],
    book: Rulebook,
    now: datetime,
    *,
    budget: Budget,
    own: int,
    settled: Iterable[str] = (),
    page: str = "",
) -> Write | None:
    """Return the commit that counts what a summary is to cover; None if there is nothing to count.

    `known`: the receiver's newest summary; a new storm begins if it is over. `own`: how many alerts had a message of
    their own within the budget's time. `settled`: marks of what need not be remembered any more. `page`: the address
    of our page.
    """
    begins = known is None or not known.open
    send_at = now + (COLLECTED_FOR if _edits(receiver, book) else SENT_EVERY)
    before = Tally(told=send_at.timestamp()) if known is None or begins else tally_of(known)
    gone = frozenset(settled)
    after = replace(before, pending=[each for each in before.pending if each not in gone])
    for one in batch:
        after = _with(after, one, None if begins else known, now, budget, page)
    if after == before or not after.total:
        return None
    if after.total > before.total and own + _lately(after, now, budget) > budget.messages:
        after = replace(after, exceeded=now.timestamp())
    if now.timestamp() < after.told:  # the first sending is still to come, and says the state of then
        after = replace(after, shown=[after.total, after.open])
    after = replace(after, pending=after.pending[-PENDING_MAX:])
    if known is not None and not begins:
        return Write(alert=_shown(replace(known, updated_at=now), after, page))
    new = _shown(_new(known, receiver, page, now), after, page)
    opened = replace(make_transition(new, Why.OPENED, now, receiver=receiver), before=None, verbs=(Verb.OPEN,))
    owed = replace(_owed(new, receiver, Verb.OPEN, book, now), due_at=send_at)
    return Write(alert=new, transitions=(opened,), deliveries=(owed,))


def mark(delivery: Delivery) -> str:
    """Return the mark by which a counted delivery is known again; its place in the lane may change meanwhile."""
    named = f"{delivery.key}:{delivery.episode}:{delivery.receiver}:{delivery.verb}"
    return hashlib.sha256(named.encode()).hexdigest()[:10]


def refreshed(summary: Alert, book: Rulebook, now: datetime, *, waits: bool) -> Write | None:
    """Return the commit that sends an open summary again, if its numbers have changed and it is time; else None.

    `waits`: what was owed before is not sent yet, and will say the state of then.
    """
    tally = tally_of(summary)
    every = EDITED_EVERY if _edits(summary.fingerprint, book) else SENT_EVERY * 2 ** min(tally.sent, DOUBLINGS_MAX)
    same = [tally.total, tally.open] == list(tally.shown)
    if waits or same or now.timestamp() < tally.told + every.total_seconds():
        return None
    told = replace(tally, told=now.timestamp(), sent=tally.sent + 1, shown=[tally.total, tally.open])
    alert = replace(_with_numbers(summary, told), updated_at=now)
    owed = (_owed(alert, name, Verb.UPDATE, book, now) for name in alert.receivers)
    return Write(alert=alert, deliveries=tuple(owed))


def ended(summary: Alert, book: Rulebook, now: datetime) -> Write | None:
    """Return the commit that ends a storm whose budget was not exceeded for its time; None while it goes on.

    It is over at once where its receiver has no budget any more.
    """
    tally, receiver = tally_of(summary), book.receivers.get(summary.fingerprint)
    budget = receiver.storm if receiver else None
    if budget and now.timestamp() < tally.exceeded + budget.within.total_seconds():
        return None
    alerts = "1 alert" if tally.total == 1 else f"{tally.total} alerts"
    alert = replace(
        summary,
        status=Status.RESOLVED,
        resolved_by=ResolvedBy.SOURCE,
        title=f"Storm over: {alerts} summarised, {tally.open} still open",
        updated_at=now,
        ended_at=now,
        closed_at=now,
    )
    step = replace(
        make_transition(alert, Why.RESOLVED_BY_SOURCE, now, receiver=""), before=summary.status, verbs=(Verb.CLOSE,)
    )
    owed = tuple(_owed(alert, name, Verb.CLOSE, book, now) for name in alert.receivers)
    return Write(alert=alert, transitions=(step,), deliveries=owed)


def tally_of(summary: Alert) -> Tally:
    """Return the numbers of a summary."""
    read: dict[str, Any] = json.loads(summary.annotations.get(NUMBERS, "{}"))
    return Tally(**{each.name: read[each.name] for each in fields(Tally) if each.name in read})


def _new(known: Alert | None, receiver: str, page: str, now: datetime) -> Alert:
    key, episode = key_of(receiver), known.episode + 1 if known else 1
    return Alert(
        key=key,
        source=STORMS,
        fingerprint=receiver,
        kind=Kind.ALERT,
        episode=episode,
        internal_id=internal_id(STORMS, key, episode),
        status=Status.FIRING,
        severity=Severity.INFO,
        title="",
        url=page,
        started_at=now,
        opened_at=now,
        updated_at=now,
        previous_ended_at=known.ended_at if known else None,
        receivers=(receiver,),
        revision=known.revision if known else 0,
    )


def _with(tally: Tally, one: Covered, known: Alert | None, now: datetime, budget: Budget, page: str) -> Tally:
    """Count one delivery, unless it is counted already, or belongs to an earlier summary."""
    known_mark = mark(one.delivery)
    if known_mark in tally.pending:
        return tally
    if one.opens:
        bucket = _bucket(now, budget)
        recent = {place: number for place, number in tally.recent.items() if _is_recent(place, now, budget)}
        return replace(
            tally,
            total=tally.total + 1,
            open=tally.open + 1,
            severities=_plus(tally.severities, one.alert.severity.value),
            sources=_plus(tally.sources, one.alert.source),
            groups=_plus(tally.groups, _group(one.alert)),
            worst=_worst(tally.worst, one.alert, page),
            recent=_plus(recent, bucket),
            pending=[*tally.pending, known_mark],
        )
    if one.delivery.verb is not Verb.CLOSE or known is None or one.summary != known.internal_id:
        return tally
    return replace(tally, open=max(0, tally.open - 1), pending=[*tally.pending, known_mark])


def _plus(numbers: Mapping[str, int], name: str) -> dict[str, int]:
    short = _short(name, _NAME_MAX) or _OTHERS
    place = short if short in numbers or len(numbers) < NAMES_MAX else _OTHERS
    return {**numbers, place: numbers.get(place, 0) + 1}


def _group(alert: Alert) -> str:
    """Return what alerts of one sort have in common; a group's alert is one by itself."""
    return alert.internal_id if alert.is_group else alert.labels.get("alertname", "") or alert.title


def _worst(before: Sequence[Sequence[str]], alert: Alert, page: str) -> list[Sequence[str]]:
    """Return who is named: the critical ones, and of the others so many that there are ten; the first keep theirs."""
    url = f"{page.rstrip('/')}/alerts/{alert.internal_id}" if page else alert.url
    new = [alert.severity.value, _short(alert.title, _TITLE_MAX), alert.internal_id, url[:300]]
    ranked = sorted([*before, new], key=lambda each: Severity(each[0]).rank)
    critical = sum(each[0] == Severity.CRITICAL for each in ranked)
    return ranked[: max(WORST_SHOWN, min(critical, CRITICAL_SHOWN))]


def _bucket(now: datetime, budget: Budget) -> str:
    width = max(1.0, budget.within.total_seconds() / BUCKETS)
    return str(int(now.timestamp() // width * width))


def _is_recent(place: str, now: datetime, budget: Budget) -> bool:
    return float(place) > now.timestamp() - budget.within.total_seconds()


def _lately(tally: Tally, now: datetime, budget: Budget) -> int:
    return sum(number for place, number in tally.recent.items() if _is_recent(place, now, budget))


def _shown(alert: Alert, tally: Tally, page: str) -> Alert:
    """Return a summary with its text and numbers."""
    severity = min(map(Severity, tally.severities), key=lambda each: each.rank)
    alerts = "1 alert" if tally.total == 1 else f"{tally.total} alerts"
    critical = tally.severities.get(Severity.CRITICAL, 0)
    links = {f"{LINK}{id}": url for _, _, id, url in tally.worst[:WORST_SHOWN] if url}
    lines = [f"{name}: {title} ({id})" for name, title, id, _ in tally.worst]
    unnamed = critical - sum(each[0] == Severity.CRITICAL for each in tally.worst)
    ranked = {each.value: tally.severities[each] for each in Severity if each in tally.severities}
    text = [
        f"Severity: {_numbers(ranked, len(Severity))}",
        f"Source: {_numbers(_most(tally.sources), NAMES_SHOWN)}",
        f"Group: {_numbers(_most(tally.groups), NAMES_SHOWN)}",
        *lines,
        *([f"and {unnamed} more that are critical"] if unnamed > 0 else []),
        *([f"All alerts: {page}"] if page else []),
    ]
    changed = replace(
        alert,
        severity=severity,
        title=f"Storm: {alerts} in one summary, {critical} critical, {tally.open} open",
        description="\n".join(text),
        annotations=links,
    )
    return _with_numbers(changed, tally)


def _with_numbers(alert: Alert, tally: Tally) -> Alert:
    written = {each.name: getattr(tally, each.name) for each in fields(Tally)}
    return replace(alert, annotations={**alert.annotations, NUMBERS: json.dumps(written, ensure_ascii=False)})


def _most(numbers: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(numbers.items(), key=lambda pair: -pair[1]))


def _numbers(numbers: Mapping[str, int], limit: int) -> str:
    named = [f"{name} {number}" for name, number in list(numbers.items())[:limit]]
    more = len(numbers) - len(named)
    return ", ".join([*named, *([f"and {more} more"] if more > 0 else [])])


def _owed(alert: Alert, receiver: str, verb: Verb, book: Rulebook, now: datetime) -> Delivery:
    """Return what a receiver is owed of a summary; its end never cancels an opening that was not sent."""
    return replace(make_delivery(alert, receiver, verb, None, book, now), cancels=False)


def _edits(receiver: str, book: Rulebook) -> bool:
    known = book.receivers.get(receiver)
    return known is not None and known.edits and known.family is Family.CHAT


def _short(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
