"""The steps that tests of a store are made of: open, end, claim, settle; each as the pipeline and the outbox do it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from service_event_checker.core.ids import internal_id, remote_key
from service_event_checker.core.model import Alert, Delivery, Link, Transition
from service_event_checker.core.roles import Store
from service_event_checker.core.store import Claimed, Done, Write
from service_event_checker.core.vocabulary import ResolvedBy, Status, Verb, Why
from tests.factories import NOW, alert

LEASE = timedelta(minutes=1)
Argument = TypeVar("Argument")
Result = TypeVar("Result")


def new_alert(name: str = "one", **changes: Any) -> Alert:
    """An alert that no store has seen."""
    return alert(fingerprint=name, revision=0, **changes) if name != "one" else alert(revision=0, **changes)


def owed(alert: Alert, verb: Verb, receiver: str = "slack", **changes: Any) -> Delivery:
    """What the alert's next commit owes the receiver."""
    base = Delivery(
        key=alert.key,
        episode=alert.episode,
        revision=alert.revision + 1,
        receiver=receiver,
        verb=verb,
        severity=alert.severity,
        created_at=NOW,
    )
    return replace(base, **changes)


def transition(alert: Alert, why: Why, **changes: Any) -> Transition:
    base = Transition(key=alert.key, episode=alert.episode, at=NOW, why=why, before=alert.status, after=alert.status)
    return replace(base, **changes)


def opening(alert: Alert, receivers: Iterable[str] = ("slack",), **changes: Any) -> Write:
    """The write that opens an episode and owes it to the receivers."""
    why = Why.OPENED if alert.episode == 1 else Why.OPENED_AGAIN
    deliveries = tuple(owed(alert, Verb.OPEN, receiver, **changes) for receiver in receivers)
    return Write(alert=alert, transitions=(transition(alert, why, before=None),), deliveries=deliveries)


def writing(alert: Alert, verb: Verb, why: Why = Why.CHANGED, receiver: str = "slack", **changes: Any) -> Write:
    """The write of an open alert's change that owes one verb."""
    return Write(
        alert=alert, transitions=(transition(alert, why),), deliveries=(owed(alert, verb, receiver, **changes),)
    )


def ending(alert: Alert, receivers: Iterable[str] = ("slack",), at: datetime = NOW, **changes: Any) -> Write:
    """The write that resolves the alert and owes the receivers a close."""
    over = replace(
        alert, status=Status.RESOLVED, resolved_by=ResolvedBy.SOURCE, ended_at=at, updated_at=at, withheld={}
    )
    deliveries = tuple(owed(over, Verb.CLOSE, receiver, **changes) for receiver in receivers)
    why = transition(over, Why.RESOLVED_BY_SOURCE, before=alert.status)
    return Write(alert=over, transitions=(why,), deliveries=deliveries)


def next_episode(alert: Alert, **changes: Any) -> Alert:
    """The resolved alert as it fires again."""
    number = alert.episode + 1
    return replace(
        alert,
        episode=number,
        internal_id=internal_id(alert.source, alert.key, number),
        status=Status.FIRING,
        resolved_by=None,
        ended_at=None,
        previous_ended_at=alert.ended_at,
        **changes,
    )


def commit(store: Store, write: Write) -> Alert:
    """Commit one write that must succeed; return the alert as stored."""
    (result,) = store.commit([write], NOW)
    assert isinstance(result, Done), result
    return result.alert


def opened(store: Store, name: str = "one", receivers: Iterable[str] = ("slack",), **changes: Any) -> Alert:
    return commit(store, opening(new_alert(name, **changes), receivers))


def claim(
    store: Store, receiver: str = "slack", now: datetime = NOW, limit: int = 10, owner: str = "w1"
) -> list[Claimed]:
    return store.claim(receiver, limit=limit, owner=owner, now=now, until=now + LEASE)


def claim_one(store: Store, receiver: str = "slack", now: datetime = NOW, owner: str = "w1") -> Delivery:
    (claimed,) = claim(store, receiver, now, owner=owner)
    return claimed.delivery


def verbs_of(claimed: Iterable[Claimed]) -> list[Verb]:
    return [each.delivery.verb for each in claimed]


def pay(store: Store, outcome: Any, receiver: str = "slack", now: datetime = NOW) -> list[Verb]:
    """Claim and settle with the same outcome until nothing is due; return the verbs in their order."""
    paid: list[Verb] = []
    while claimed := claim(store, receiver, now):
        paid += verbs_of(claimed)
        for each in claimed:
            store.settle(each.delivery, outcome, now)
        assert len(paid) < 100
    return paid


def outcome(delivery: Delivery, why: Why = Why.DELIVERED, at: datetime = NOW, **changes: Any) -> Transition:
    """The timeline's row of what became of a delivery."""
    base = Transition(
        key=delivery.key,
        episode=delivery.episode,
        at=at,
        why=why,
        before=Status.FIRING,
        after=Status.FIRING,
        receiver=delivery.receiver,
        verb=delivery.verb,
        tries=delivery.attempts + 1,
    )
    return replace(base, **changes)


def link_of(delivery: Delivery, external_id: str = "T-1", **changes: Any) -> Link:
    base = Link(
        key=delivery.key,
        episode=delivery.episode,
        receiver=delivery.receiver,
        remote_key=remote_key(delivery.key, delivery.episode),
        external_id=external_id,
        url=f"https://tickets.example/{external_id}",
    )
    return replace(base, **changes)


def resolved(store: Store, alert: Alert, at: datetime = NOW) -> Alert:
    """Resolve the alert and owe nobody anything."""
    return commit(store, ending(alert, (), at))


def at_once(work: Callable[[Argument], Result], arguments: Iterable[Argument]) -> list[Result]:
    """Run `work` for all arguments in threads of their own; results in order."""
    wanted = list(arguments)
    with ThreadPoolExecutor(len(wanted)) as pool:
        return list(pool.map(work, wanted))
