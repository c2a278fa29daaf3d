"""What people do to an alert from Slack, by command or button: create a ticket, acknowledge, resolve.

Each act is in the store when it returns, is found done when it is repeated, and says so in a sentence of mrkdwn.
"""

from __future__ import annotations

from datetime import datetime

from service_event_checker import logs
from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.vocabulary import Family, Status, Verb, Why
from service_event_checker.destinations.slack.mrkdwn import escape_mrkdwn
from service_event_checker.engine.services import Services
from service_event_checker.render.text import line, moment, web_address
from service_event_checker.web.api.changes import change_status
from service_event_checker.web.errors import Refused

INTAKE = "slack"
PREFERRED_KIND = "azure_devops"  # of several ticket systems; else the order of config.json decides


def create_ticket(services: Services, alert: Alert, actor: str, now: datetime) -> str:
    """Owe the alert a ticket, one however often it is asked. Raises StoreError, InvalidInput, Refused."""
    receiver = ticket_receiver(services)
    asked_before = receiver in alert.receivers
    after = services.pipeline.request(alert.key, receiver, actor=actor, now=now)
    link = web_address(after.links.get(receiver, ""))
    if link:
        return f"{named(after)} has its ticket already: <{escape_mrkdwn(link)}|{receiver}>."
    if after.test:
        return f"{named(after)} is a TEST: its ticket in {receiver} is a dry run, nothing real is opened."
    given_up = _given_up(services, after, receiver) if asked_before else None
    if given_up is not None:
        return _tried_again(services, after, given_up, now)
    requester = _requester(services, after, receiver)
    if asked_before or (requester and requester != actor):
        by = f" by {_person(requester)}" if requester else ""
        return f"The ticket of {named(after)} in {receiver} was asked for already{by}. Its link follows in the message."
    return f"A ticket of {named(after)} is being opened in {receiver}. Its link follows in the message."


def acknowledge(services: Services, alert: Alert, actor: str, now: datetime) -> str:
    """Take the alert. Raises StoreError, Refused."""
    if not alert.open:
        return over(alert)
    after = change_status(services, alert, Status.ACKNOWLEDGED, actor=actor, intake=INTAKE, now=now)
    if after.status is not Status.ACKNOWLEDGED:
        return over(after)
    if alert.status is Status.ACKNOWLEDGED or after.owner != actor:
        return f"{named(after)} is acknowledged already" + (f" by {_person(after.owner)}." if after.owner else ".")
    return f"You have acknowledged {named(after)}."


def resolve(services: Services, alert: Alert, actor: str, now: datetime) -> str:
    """End the alert for everybody who was told. Raises StoreError, Refused."""
    if not alert.open:
        return over(alert)
    after = change_status(services, alert, Status.RESOLVED, actor=actor, intake=INTAKE, now=now)
    return f"{named(after)} is resolved." if after.owner == actor else over(after)


def over(alert: Alert) -> str:
    """Say that nothing is left to do."""
    when = f" since {moment(alert.ended_at)}" if alert.ended_at else ""
    by = f", resolved by {_person(alert.owner)}" if alert.resolved_by == "person" and alert.owner else ""
    return f"{named(alert)} is over{when}{by}."


def named(alert: Alert) -> str:
    return f"`{alert.internal_id}`"


def ticket_receiver(services: Services) -> str:
    """Return the ticket system to use: of those that are on, the first Azure DevOps, else the first configured.

    Raises Refused, saying what to set.
    """
    kinds = {entry.name: entry.kind for entry in services.config.destinations}
    receivers = [services.book.receivers[name] for name in kinds if name in services.book.receivers]
    tickets = [receiver for receiver in receivers if receiver.family is Family.TICKET]
    on = [receiver.name for receiver in tickets if not receiver.why_off]
    if on:
        return min(on, key=lambda name: kinds[name] != PREFERRED_KIND)
    if not tickets:
        raise Refused(409, "There is no ticket system: add one to the destinations in config.json.")
    raise Refused(409, "No ticket system is on: " + "; ".join(f"{one.name}: {one.why_off}" for one in tickets) + ".")


def _given_up(services: Services, alert: Alert, receiver: str) -> Delivery | None:
    """Return the dead letter by which this episode's ticket was to be opened."""
    for letter in services.store.failed_deliveries(key=alert.key, receiver=receiver):
        if letter.episode == alert.episode:
            return letter if letter.verb is Verb.OPEN else None
    return None


def _tried_again(services: Services, alert: Alert, letter: Delivery, now: datetime) -> str:
    """Send a given-up ticket again for who asks: what was wrong may be mended by now."""
    why = escape_mrkdwn(line(logs.masked(letter.reason), 300))
    said = f"The ticket of {named(alert)} in {letter.receiver} was given up: {why}."
    if not alert.open:
        return f"{said} {over(alert)}"
    if services.store.requeue(letter.id, now):
        services.wakes.set_all()
    return f"{said} It is tried again; its link follows in the message, unless that is still wrong."


def _requester(services: Services, alert: Alert, receiver: str) -> str:
    """Return who had the receiver added in this episode, "" where a rule did."""
    for step in reversed(services.store.timeline(alert.key)):
        if step.episode == alert.episode and step.why is Why.RECEIVER_ADDED and step.receiver == receiver:
            return step.actor
    return ""


def _person(name: str) -> str:
    return escape_mrkdwn(line(name, 80))
