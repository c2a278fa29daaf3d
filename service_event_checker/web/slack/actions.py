"""What people do to an alert from Slack, by command or button: create a ticket, acknowledge, resolve, silence.

Each function commits to the store, may be repeated, and returns its result as a sentence of mrkdwn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from service_event_checker import logs
from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Status
from service_event_checker.destinations.slack.mrkdwn import escape_mrkdwn
from service_event_checker.engine import acts, silencing, verdicts
from service_event_checker.engine.acts import NotPossible, TicketRequest, TicketState
from service_event_checker.engine.services import Services
from service_event_checker.engine.verdicts import Vote
from service_event_checker.render.names import platform_name
from service_event_checker.render.text import line, moment
from service_event_checker.web.errors import Refused

INTAKE = "slack"
MATCH_MAX = 1000  # characters


def create_ticket(services: Services, alert: Alert, actor: str, now: datetime) -> str:
    """Request a ticket for the alert: one, however often it is requested. Raises StoreError, InvalidInput, Refused."""
    with _as_refusals():
        made = acts.request_ticket(services, alert, actor=actor, now=now)
    name, system = named(made.alert), _system(made.receiver)
    match made.state:
        case TicketState.EXISTS:
            return f"{name} already has a ticket: <{escape_mrkdwn(made.url)}|{system}>."
        case TicketState.DRY_RUN:
            return f"{name} is a TEST: its ticket in {system} is a dry run, no real ticket is created."
        case TicketState.RETRIED | TicketState.FAILED:
            return _failed(made)
    if made.asked_before or (made.requester and made.requester != actor):
        by = f" by {_person(made.requester)}" if made.requester else ""
        return f"A ticket for {name} in {system} was already requested{by}. Its link will be added to the message."
    return f"Creating a ticket for {name} in {system}. Its link will be added to the message."


def acknowledge(services: Services, alert: Alert, actor: str, now: datetime) -> str:
    """Acknowledge the alert. Raises StoreError, Refused."""
    if not alert.open:
        return over(alert)
    after = _change(services, alert, Status.ACKNOWLEDGED, actor, now)
    if after.status is not Status.ACKNOWLEDGED:
        return over(after)
    if alert.status is Status.ACKNOWLEDGED or after.owner != actor:
        return f"{named(after)} is already acknowledged" + (f" by {_person(after.owner)}." if after.owner else ".")
    return f"You have acknowledged {named(after)}."


def resolve(services: Services, alert: Alert, actor: str, now: datetime) -> str:
    """Resolve the alert for all receivers. Raises StoreError, Refused."""
    if not alert.open:
        return over(alert)
    after = _change(services, alert, Status.RESOLVED, actor, now)
    return f"{named(after)} is resolved." if after.owner == actor else over(after)


def silence(services: Services, alert: Alert, actor: str, now: datetime, *, lasts: timedelta) -> str:
    """Silence what is like the alert, and note that on it. Raises StoreError, InvalidInput, Refused."""
    made = silencing.silence_like(services, alert, lasts, actor=actor, now=now)
    match = escape_mrkdwn(line(", ".join(map(str, made.matchers)), MATCH_MAX))
    until = moment(made.ends_at)
    if made.ends_at > now + lasts:
        return f"Alerts like {named(alert)} are already silenced until {until} (`{made.id}`): {match}"
    if alert.open:
        with _as_refusals():
            text = f"Alerts like this are silenced until {until} ({made.id}): {', '.join(map(str, made.matchers))}"
            acts.add_note(services, alert, text, actor=actor, intake=INTAKE, now=now)
    return f"Alerts like {named(alert)} are silenced until {until} (`{made.id}`): {match}"


def judge(services: Services, alert: Alert, actor: str, now: datetime, *, word: Vote) -> str:
    """Keep whether a person agrees that the outages explain the alert. Raises StoreError, Refused."""
    with _as_refusals():
        after = verdicts.vote(services, alert, word, actor=actor, now=now)
    sentence = escape_mrkdwn(verdicts.verdict_of(services, after, now).sentence)
    said = "You have agreed" if word is Vote.CONFIRM else "You have said no"
    return f"{said}. {named(after)}: {sentence}."


def over(alert: Alert) -> str:
    """Say that the alert has already ended: when, and by whom."""
    when = f" at {moment(alert.ended_at)}" if alert.ended_at else ""
    by = f", resolved by {_person(alert.owner)}" if alert.resolved_by == "person" and alert.owner else ""
    return f"{named(alert)} is over. It ended{when}{by}." if when else f"{named(alert)} is over{by}."


def named(alert: Alert) -> str:
    return f"`{alert.internal_id}`"


def _change(services: Services, alert: Alert, wanted: Status, actor: str, now: datetime) -> Alert:
    with _as_refusals():
        return acts.change_status(services, alert, wanted, actor=actor, intake=INTAKE, now=now)


@contextmanager
def _as_refusals() -> Iterator[None]:
    """Turn NotPossible into Refused."""
    try:
        yield
    except NotPossible as error:
        raise Refused(409, error.message) from None


def _failed(made: TicketRequest) -> str:
    """Say why a ticket failed, and whether it is tried again: the cause may be fixed by now."""
    why = escape_mrkdwn(line(logs.masked(made.failed.reason if made.failed else ""), 300))
    text = f"The ticket for {named(made.alert)} in {_system(made.receiver)} failed: {why}."
    if not made.alert.open:
        return f"{text} {over(made.alert)}"
    return f"{text} Trying again. If it succeeds, its link will be added to the message."


def _system(receiver: str) -> str:
    """Return the name of a ticket system for people, as mrkdwn."""
    return escape_mrkdwn(platform_name(receiver).replace("|", " "))


def _person(name: str) -> str:
    return escape_mrkdwn(line(name, 80))
