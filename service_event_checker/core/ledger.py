"""Who was told of an alert, when and where; who was not, and why: one entry for each receiver and verb. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service_event_checker.core.model import Alert, Delivery, Link, Transition
from service_event_checker.core.replacing import replace
from service_event_checker.core.vocabulary import Verb, Why


class State(StrEnum):
    DELIVERED = "delivered"
    WAITING = "waiting"
    FAILED = "failed"
    WITHHELD = "withheld"
    SUMMARISED = "summarised"
    NOT_MATCHED = "not_matched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of one verb at one receiver.

    `at`: when it was told, failed or withheld; of one that waits, when it is tried next (None: another goes first);
    None where an earlier version did not record it. `why`: the reason; of what was delivered, what was done in another
    way, or "". `delivery_id`: of a failed one that can be sent again.
    """

    receiver: str
    state: State
    verb: Verb | None = None
    at: datetime | None = None
    tries: int = 0
    url: str = ""
    why: str = ""
    delivery_id: str = ""


def entries(
    alert: Alert,
    *,
    steps: Iterable[Transition],
    waiting: Sequence[Delivery],
    failed: Sequence[Delivery],
    links: Iterable[Link],
    receivers: Iterable[str],
) -> list[Entry]:
    """Return the entries of the alert's episode; its own receivers first, in their order, the configured others last.

    `steps`: outcomes, and what else of the timeline names a receiver; one may come twice. `waiting` and `failed`
    deliveries may be of other alerts and episodes also. A failed delivery is shown until it is sent again or discarded,
    but an update that failed only until a later one arrived, as each says the state of its time.
    """
    found: dict[tuple[str, Verb], Entry] = {}
    for step in sorted(steps, key=lambda step: step.at):
        if step.episode == alert.episode and step.receiver and (entry := _outcome(step)):
            found[entry.receiver, step.verb or Verb.OPEN] = entry
    for one in reversed(_own(failed, alert)):  # the newest come first
        known = found.get((one.receiver, one.verb))
        if known is None or known.state is State.FAILED or one.verb is not Verb.UPDATE:
            found[one.receiver, one.verb] = _failed(one, known)
    for one in reversed(_own(waiting, alert)):
        found[one.receiver, one.verb] = _waiting(one)
    urls = {link.receiver: link.url for link in links if link.episode == alert.episode}
    for name in alert.receivers:
        if all(receiver != name for receiver, _ in found):
            found[name, Verb.OPEN] = Entry(receiver=name, state=State.DELIVERED, verb=Verb.OPEN, url=urls.get(name, ""))
    for name, why in alert.withheld.items():
        at = found[name, Verb.OPEN].at if (name, Verb.OPEN) in found else None
        found[name, Verb.OPEN] = Entry(receiver=name, state=State.WITHHELD, verb=Verb.OPEN, at=at, why=why)
    named = dict.fromkeys((*alert.receivers, *alert.withheld, *(name for name, _ in found)))
    told = [found[name, verb] for name in named for verb in Verb if (name, verb) in found]
    return told + [
        Entry(receiver=name, state=State.NOT_MATCHED, why=_NO_RULE) for name in receivers if name not in named
    ]


def with_groups(told: Iterable[Entry], groups: Iterable[tuple[Alert, Iterable[Entry]]]) -> list[Entry]:
    """Return the entries of a member, given those of its groups: where no rule sends it, what its group was told."""
    openings = {
        entry.receiver: replace(
            entry,
            why=_as_part_of(group, entry),
            delivery_id="",
        )
        for group, entries in groups
        for entry in entries
        if entry.verb is Verb.OPEN
    }
    own = list(told)
    return [openings.get(one.receiver, one) if one.state is State.NOT_MATCHED else one for one in own]


def _as_part_of(group: Alert, entry: Entry) -> str:
    if entry.state is State.DELIVERED and not entry.why:
        return f"told as part of the group {group.internal_id}"
    return f"as part of the group {group.internal_id}" + (f": {entry.why}" if entry.why else "")


_NO_RULE = "no rule sends this alert there"
_STATES = {
    Why.DELIVERED: State.DELIVERED,
    Why.DELIVERED_OTHERWISE: State.DELIVERED,
    Why.GAVE_UP: State.FAILED,
    Why.SKIPPED: State.WITHHELD,
    Why.WITHHELD: State.WITHHELD,
    Why.DRY_RUN: State.WITHHELD,
    Why.OVER_BEFORE_SENT: State.WITHHELD,
    Why.SUMMARISED: State.SUMMARISED,
}


def _outcome(step: Transition) -> Entry | None:
    """Return what a row of the timeline says of a delivery; None where it is about something else."""
    state = _STATES.get(step.why)
    if state is None:
        return None
    return Entry(
        receiver=step.receiver,
        state=state,
        verb=step.verb or Verb.OPEN,
        at=step.at,
        tries=step.tries,
        url=step.url,
        why=_reason(step),
    )


def _reason(step: Transition) -> str:
    if step.why in (Why.DRY_RUN, Why.OVER_BEFORE_SENT):
        return f"{step.why}: {step.note}" if step.note else step.why.value
    return step.note


def _failed(delivery: Delivery, known: Entry | None) -> Entry:
    return Entry(
        receiver=delivery.receiver,
        state=State.FAILED,
        verb=delivery.verb,
        at=known.at if known and known.state is State.FAILED else None,
        tries=delivery.attempts + 1,
        why=delivery.reason,
        delivery_id=delivery.id,
    )


def _waiting(delivery: Delivery) -> Entry:
    behind = "" if delivery.due_at else "an earlier one goes first"
    return Entry(
        receiver=delivery.receiver,
        state=State.WAITING,
        verb=delivery.verb,
        at=delivery.due_at,
        tries=delivery.attempts,
        why=delivery.reason or behind,
    )


def _own(deliveries: Iterable[Delivery], alert: Alert) -> list[Delivery]:
    return [one for one in deliveries if (one.key, one.episode) == (alert.key, alert.episode)]
