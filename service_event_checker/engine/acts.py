"""What people do to an alert and to a failed delivery, by API, Slack or command line: one implementation for all.

Each act is durable when it returns, and a repetition changes nothing, except for a note. Texts are the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service_event_checker import logs
from service_event_checker.core.errors import InvalidInput, OutageCheckerError
from service_event_checker.core.model import Alert, Delivery, Event, Receiver
from service_event_checker.core.vocabulary import EventStatus, Family, Status, Verb, Why
from service_event_checker.engine.services import Services
from service_event_checker.render.text import web_address

PREFERRED_KIND = "azure_devops"  # of several ticket systems; else the order of config.json decides
#: the status that a person asks for, by the word of API and command line
STATUSES = {"acknowledged": Status.ACKNOWLEDGED, "resolved": Status.RESOLVED, "active": Status.FIRING}
#: the event that asks for a status
_ASKING = {
    Status.ACKNOWLEDGED: EventStatus.ACKNOWLEDGED,
    Status.RESOLVED: EventStatus.RESOLVED,
    Status.FIRING: EventStatus.UNACKNOWLEDGED,
}


class NotPossible(OutageCheckerError):
    """The state does not allow the act. `id`, `status`: of the alert as it is now, "" where it has no say."""

    def __init__(self, message: str, *, id: str = "", status: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.id = id
        self.status = status


class UnknownDelivery(OutageCheckerError):
    """There is no failed delivery with this id."""


class TicketState(StrEnum):
    """What is to be said of a ticket that was asked for."""

    EXISTS = "exists"
    DRY_RUN = "dry run"
    RETRIED = "tried again"
    FAILED = "failed"
    ASKED_BEFORE = "asked for before"
    REQUESTED = "requested"


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketRequest:
    """What came of asking for a ticket in `receiver`.

    `asked_before`: it was asked for earlier in this episode, by `requester` ("" if a rule did). `failed` is the failed
    delivery that was to open it; `retried`: this act has queued it again.
    """

    alert: Alert
    receiver: str
    asked_before: bool
    requester: str = ""
    failed: Delivery | None = None
    retried: bool = False

    @property
    def url(self) -> str:
        """The ticket's address, "" while it has none."""
        return web_address(self.alert.links.get(self.receiver, ""))

    @property
    def state(self) -> TicketState:
        if self.url:
            return TicketState.EXISTS
        if self.alert.test:
            return TicketState.DRY_RUN
        if self.failed is not None:
            return TicketState.RETRIED if self.retried else TicketState.FAILED
        return TicketState.ASKED_BEFORE if self.asked_before else TicketState.REQUESTED

    def summary(self) -> dict[str, str]:
        """Return what API and command line answer; `reason` is that of the failed delivery, "" without one."""
        return {
            "id": self.alert.internal_id,
            "receiver": self.receiver,
            "state": self.state.value,
            "url": self.url,
            "requested_by": self.requester,
            "reason": logs.masked(self.failed.reason) if self.failed else "",
        }


def change_status(
    services: Services, known: Alert, wanted: Status, *, actor: str, intake: str, now: datetime, note: str = ""
) -> Alert:
    """Commit the change and return the alert as it is then: asked for what it is, or cannot become, it stays so.

    Raises StoreError, and NotPossible where `known` is a past episode.
    """
    event = _event(known, _ASKING[wanted], actor=actor, intake=intake, note=note)
    return _ingest(services, known, event, now)


def set_status(
    services: Services, known: Alert, word: str, *, actor: str, intake: str, now: datetime, note: str = ""
) -> Alert:
    """Like `change_status`, by a key of STATUSES; raises NotPossible also where the alert does not become that."""
    wanted = STATUSES[word]
    found = change_status(services, known, wanted, actor=actor, intake=intake, now=now, note=note)
    if found.status is not wanted:
        raise NotPossible(cannot_become(found, word), id=found.internal_id, status=found.status)
    return found


def change_all(
    services: Services,
    known: Iterable[Alert],
    wanted: Status | None,
    *,
    actor: str,
    intake: str,
    now: datetime,
    note: str = "",
) -> dict[str, Alert]:
    """Like `change_status` for many alerts in one commit, or like `add_note` with None; return them by key.

    The caller has left out past episodes. Raises StoreError.
    """
    asked = _ASKING[wanted] if wanted else EventStatus.NOTED
    events = [_event(alert, asked, actor=actor, intake=intake, note=note) for alert in known]
    return services.pipeline.ingest(events, now)


def cannot_become(alert: Alert, word: str) -> str:
    """Say that a resolved alert does not take a status, a key of STATUSES."""
    return f"{alert.internal_id} cannot become {word}: it is resolved, and only its source opens it again."


def past_episode(known: Alert, newest: Alert) -> str:
    """Say that an episode is past, and which one is the alert's now."""
    return f"{known.internal_id} is over. The alert is {newest.internal_id} now."


def add_note(services: Services, known: Alert, text: str, *, actor: str, intake: str, now: datetime) -> Alert:
    """Put a person's note on the timeline and send it to the alert's receivers. Raises StoreError and NotPossible."""
    return _ingest(services, known, _event(known, EventStatus.NOTED, actor=actor, intake=intake, note=text), now)


def request_ticket(services: Services, known: Alert, *, actor: str, now: datetime, receiver: str = "") -> TicketRequest:
    """Have a ticket opened, one per episode however often it is asked; a failed one is sent again.

    `receiver`: the ticket system, "" for the usual one. Raises StoreError, InvalidInput and NotPossible.
    """
    _refuse_past_episode(services, known)
    receiver = ticket_receiver(services, receiver)
    asked_before = receiver in known.receivers
    after = services.pipeline.request(known.key, receiver, actor=actor, now=now)
    result = TicketRequest(alert=after, receiver=receiver, asked_before=asked_before)
    if result.url or after.test:
        return result
    failed = _failed_open(services, after, receiver) if asked_before else None
    retried = failed is not None and after.open and services.store.requeue(failed.id, now)
    if retried:
        services.wakes.set_all()
    return TicketRequest(
        alert=after,
        receiver=receiver,
        asked_before=asked_before,
        requester=_requester(services, after, receiver),
        failed=failed,
        retried=retried,
    )


def ticket_receiver(services: Services, name: str = "") -> str:
    """Return the ticket system to use: of those that are on, the first Azure DevOps, else the first configured.

    `name`: the one that a person wants, "" for none. Raises NotPossible, saying what to set, and InvalidInput.
    """
    if name:
        return _ticket_system(services, name)
    kinds = {entry.name: entry.kind for entry in services.config.destinations}
    tickets = ticket_systems(services)
    on = [receiver.name for receiver in tickets if not receiver.why_off]
    if on:
        return min(on, key=lambda name: kinds[name] != PREFERRED_KIND)
    if not tickets:
        raise NotPossible("No ticket system is configured. Add one to the destinations in config.json.")
    raise NotPossible("All ticket systems are off. " + "; ".join(f"{one.name}: {one.why_off}" for one in tickets) + ".")


def ticket_systems(services: Services) -> list[Receiver]:
    """Return the configured ticket systems in their order, also those that are off."""
    receivers = services.book.receivers
    found = [receivers[entry.name] for entry in services.config.destinations if entry.name in receivers]
    return [receiver for receiver in found if receiver.family is Family.TICKET]


def retry(services: Services, delivery_id: str, now: datetime) -> None:
    """Send a failed delivery again, as the state of now.

    Raises StoreError, UnknownDelivery, and NotPossible where its episode is over.
    """
    if services.store.requeue(delivery_id, now):
        services.wakes.set_all()
        return
    key = delivery_id.partition(":")[0]
    if any(failed.id == delivery_id for failed in services.store.failed_deliveries(key=key)):
        raise NotPossible("Its episode is over, so there is nothing to send.")
    raise UnknownDelivery(delivery_id)


def discard(services: Services, delivery_id: str) -> None:
    """Delete a failed delivery that nobody wants sent any more. Raises StoreError and UnknownDelivery."""
    if not services.store.discard(delivery_id):
        raise UnknownDelivery(delivery_id)


def _ticket_system(services: Services, name: str) -> str:
    names = [receiver.name for receiver in ticket_systems(services)]
    if name not in names:
        hint = f"Name one of {', '.join(names)}" if names else "Add one to the destinations in config.json"
        raise InvalidInput("receiver", f'"{name}" is not a ticket system', hint)
    return name


def _event(known: Alert, status: EventStatus, *, actor: str, intake: str, note: str) -> Event:
    return Event(
        source=known.source,
        fingerprint=known.fingerprint,
        kind=known.kind,
        status=status,
        intake=intake,
        actor=actor,
        note=note,
        person=True,
        test=known.test,
    )


def _ingest(services: Services, known: Alert, event: Event, now: datetime) -> Alert:
    _refuse_past_episode(services, known)
    return services.pipeline.ingest([event], now)[known.key]


def _refuse_past_episode(services: Services, known: Alert) -> None:
    newest = services.store.get([known.key]).get(known.key)
    if newest is not None and newest.episode != known.episode:
        raise NotPossible(past_episode(known, newest), id=newest.internal_id, status=newest.status)


def _failed_open(services: Services, alert: Alert, receiver: str) -> Delivery | None:
    """Return the failed delivery by which this episode's ticket was to be opened; None if there is not one."""
    for failed in services.store.failed_deliveries(key=alert.key, receiver=receiver):
        if failed.episode == alert.episode:
            return failed if failed.verb is Verb.OPEN else None
    return None


def _requester(services: Services, alert: Alert, receiver: str) -> str:
    """Return who had the receiver added in this episode, "" where a rule did."""
    for step in reversed(services.store.timeline(alert.key)):
        if step.episode == alert.episode and step.why is Why.RECEIVER_ADDED and step.receiver == receiver:
            return step.actor
    return ""
