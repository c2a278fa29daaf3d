"""What people do to an alert: `outage ack`, `unack`, `resolve`, `note`, `ticket`.

The running app does it where it answers, so that who is told hears of it at once; else the store is written and the
app sends what is pending when it runs. What is done stands in `engine.acts`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from service_event_checker.cli.alerts import alert_id
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.running_app import user
from service_event_checker.core.model import Alert
from service_event_checker.engine import acts
from service_event_checker.engine.acts import TicketState
from service_event_checker.render.labels import alert_title
from service_event_checker.render.text import line

INTAKE = "cli"
NOTE_MAX = 20_000  # characters, as the API takes
_SCOPE = "write"


@click.command()
@alert_id
@click.option("--note", default="", help="Goes on the timeline.")
@pass_here
def ack(here: Here, id: str, note: str) -> None:
    """Acknowledge an alert: you have taken it."""
    _set_status(here, id, "acknowledged", note)


@click.command()
@alert_id
@pass_here
def unack(here: Here, id: str) -> None:
    """Take an acknowledgement back: the alert is firing again."""
    _set_status(here, id, "active", "")


@click.command()
@alert_id
@click.option("--note", default="", help="How it was resolved; goes on the timeline.")
@pass_here
def resolve(here: Here, id: str, note: str) -> None:
    """Resolve an alert.

    Closes its tickets and pages, and records your name.
    """
    _set_status(here, id, "resolved", note)


@click.command()
@alert_id
@click.argument("text")
@pass_here
def note(here: Here, id: str, text: str) -> None:
    """Add a note to an alert.

    It stands on the timeline and is sent to everybody who was told.
    """
    if not text.strip() or len(text) > NOTE_MAX:
        raise click.UsageError(f"the note is empty or longer than {NOTE_MAX} characters")
    alert = here.find_alert(id)
    path = f"/alerts/{alert.internal_id}/notes"
    if here.app.act("POST", path, {"note": text}, alert=alert, scope=_SCOPE) is None:
        acts.add_note(here.ready, alert, text, actor=user(), intake=INTAKE, now=datetime.now(UTC))
    click.echo(f"{alert.internal_id}: the note is on the timeline.")


@click.command()
@alert_id
@click.option("--in", "receiver", default="", metavar="NAME", help="Which ticket system, where there are several.")
@pass_here
def ticket(here: Here, id: str, receiver: str) -> None:
    """Request a ticket for an alert.

    Repeating it does not create a second ticket. A ticket that failed is tried again.
    """
    alert = here.find_alert(id)
    path, body = f"/alerts/{alert.internal_id}/tickets", {"receiver": receiver}
    answer: dict[str, Any] | None = here.app.act("POST", path, body, alert=alert, scope=_SCOPE)
    if answer is None:
        now = datetime.now(UTC)
        answer = dict(acts.request_ticket(here.ready, alert, actor=user(), now=now, receiver=receiver).summary())
    click.echo(_ticket(answer))


def _set_status(here: Here, id: str, word: str, note: str) -> None:
    alert = here.find_alert(id)
    path, body = f"/alerts/{alert.internal_id}/status", {"status": word, "resolution_note": note}
    wanted = acts.STATUSES[word]
    answer = here.app.act("PUT", path, body, alert=alert, scope=_SCOPE)
    if answer is None:
        now = datetime.now(UTC)
        acts.set_status(here.ready, alert, word, actor=user(), intake=INTAKE, now=now, note=note)
    already = " already" if alert.status is wanted else ""
    click.echo(f"{alert.internal_id} is {wanted.value}{already}: {_title(alert)}")


def _ticket(answer: dict[str, Any]) -> str:
    id, receiver, reason, by = (line(answer[name], 300) for name in ("id", "receiver", "reason", "requested_by"))
    match answer["state"]:
        case TicketState.EXISTS:
            return f"{id} has its ticket already: {answer['url']}"
        case TicketState.DRY_RUN:
            return f"{id} is a TEST: its ticket in {receiver} is a dry run, nothing real is opened."
        case TicketState.FAILED:
            return f"The ticket of {id} in {receiver} failed: {reason}. The alert is over."
        case TicketState.RETRIED:
            return f"The ticket of {id} in {receiver} had failed: {reason}. It is tried again."
        case TicketState.ASKED_BEFORE:
            who = f" by {by}" if by else ""
            return f"The ticket of {id} in {receiver} was asked for already{who}. ./outage show {id} has its link soon."
    return f"A ticket of {id} is being opened in {receiver}. ./outage show {id} has its link soon."


def _title(alert: Alert) -> str:
    return alert_title(alert, 100)
