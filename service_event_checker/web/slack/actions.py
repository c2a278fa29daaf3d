"""What people do to an alert from Slack, by command or button: create a ticket, acknowledge, resolve.

Each act is in the store when it returns, is found done when it is repeated, and says so in a sentence of mrkdwn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from service_event_checker import logs
from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Status
from service_event_checker.destinations.slack.mrkdwn import escape_mrkdwn
from service_event_checker.engine import acts
from service_event_checker.engine.acts import NotPossible, TicketRequest, TicketState
from service_event_checker.engine.services import Services
from service_event_checker.render.text import line, moment
from service_event_checker.web.errors import Refused

INTAKE = "slack"


def create_ticket(services: Services, alert: Alert, actor: str, now: datetime) -> str:
    """Owe the alert a ticket, one however often it is asked. Raises StoreError, InvalidInput, Refused."""
    with _as_refusals():
        made = acts.request_ticket(services, alert, actor=actor, now=now)
    name, receiver = named(made.alert), made.receiver
    match made.state:
        case TicketState.EXISTS:
            return f"{name} has its ticket already: <{escape_mrkdwn(made.url)}|{receiver}>."
        case TicketState.DRY_RUN:
            return f"{name} is a TEST: its ticket in {receiver} is a dry run, nothing real is opened."
        case TicketState.RETRIED | TicketState.FAILED:
            return _failed(made)
    if made.asked_before or (made.requester and made.requester != actor):
        by = f" by {_person(made.requester)}" if made.requester else ""
        return f"The ticket of {name} in {receiver} was asked for already{by}. Its link follows in the message."
    return f"A ticket of {name} is being opened in {receiver}. Its link follows in the message."


def acknowledge(services: Services, alert: Alert, actor: str, now: datetime) -> str:
    """Take the alert. Raises StoreError, Refused."""
    if not alert.open:
        return over(alert)
    after = _change(services, alert, Status.ACKNOWLEDGED, actor, now)
    if after.status is not Status.ACKNOWLEDGED:
        return over(after)
    if alert.status is Status.ACKNOWLEDGED or after.owner != actor:
        return f"{named(after)} is acknowledged already" + (f" by {_person(after.owner)}." if after.owner else ".")
    return f"You have acknowledged {named(after)}."


def resolve(services: Services, alert: Alert, actor: str, now: datetime) -> str:
    """End the alert for everybody who was told. Raises StoreError, Refused."""
    if not alert.open:
        return over(alert)
    after = _change(services, alert, Status.RESOLVED, actor, now)
    return f"{named(after)} is resolved." if after.owner == actor else over(after)


def over(alert: Alert) -> str:
    """Say that nothing is left to do."""
    when = f" since {moment(alert.ended_at)}" if alert.ended_at else ""
    by = f", resolved by {_person(alert.owner)}" if alert.resolved_by == "person" and alert.owner else ""
    return f"{named(alert)} is over{when}{by}."


def named(alert: Alert) -> str:
    return f"`{alert.internal_id}`"


def _change(services: Services, alert: Alert, wanted: Status, actor: str, now: datetime) -> Alert:
    with _as_refusals():
        return acts.change_status(services, alert, wanted, actor=actor, intake=INTAKE, now=now)


@contextmanager
def _as_refusals() -> Iterator[None]:
    """Raise what the state does not allow as Slack's answers know it."""
    try:
        yield
    except NotPossible as error:
        raise Refused(409, error.message) from None


def _failed(made: TicketRequest) -> str:
    """Say why a ticket failed, and whether it is tried again: the cause may be gone by now."""
    why = escape_mrkdwn(line(logs.masked(made.failed.reason if made.failed else ""), 300))
    text = f"The ticket of {named(made.alert)} in {made.receiver} was given up: {why}."
    if not made.alert.open:
        return f"{text} {over(made.alert)}"
    return f"{text} It is tried again; its link follows in the message, unless that is still wrong."


def _person(name: str) -> str:
    return escape_mrkdwn(line(name, 80))
