"""What people do to an alert, or to all that a filter names: `outage ack`, `unack`, `resolve`, `note`, `ticket`.

The running app does it where it answers, so that who is told hears of it at once; else the store is written and the
app sends what is pending when it runs. What is done stands in `engine.acts`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypedDict, Unpack

import click

from service_event_checker.cli.alerts import alert_id, complete_ids
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.running_app import user
from service_event_checker.cli.tables import table
from service_event_checker.core.model import Alert
from service_event_checker.engine import acts, bulk, search
from service_event_checker.engine.acts import TicketState
from service_event_checker.engine.bulk import Act, Item, OverLimit, Wanted
from service_event_checker.render.labels import alert_title
from service_event_checker.render.text import line

INTAKE = "cli"
NOTE_MAX = 20_000  # characters, as the API takes
_SCOPE = "write"


class Many(TypedDict):
    """The options that name many alerts."""

    filter: tuple[str, ...]
    preview: bool
    limit: int


def one_or_many(command: Callable[..., None]) -> Callable[..., None]:
    """Have a command take one alert's id, or a filter with its preview and limit."""
    limits = click.IntRange(1, bulk.LIMIT_MAX)
    limited = "More alerts than this are refused, and nothing is done."
    command = click.option("--limit", type=limits, default=bulk.LIMIT_DEFAULT, show_default=True, help=limited)(command)
    command = click.option("--preview", is_flag=True, help="With --filter: list what would change, do nothing.")(
        command
    )
    matcher = "All open alerts that match, like 'severity=\"critical\"'; repeat it to narrow it down."
    command = click.option("--filter", multiple=True, metavar="MATCHER", help=matcher)(command)
    return click.argument("id", required=False, default="", shell_complete=complete_ids)(command)


@click.command()
@one_or_many
@click.option("--note", default="", help="Goes on the timeline.")
@pass_here
def ack(here: Here, id: str, note: str, **many: Unpack[Many]) -> None:
    """Acknowledge an alert, or all that match --filter: you have taken it."""
    _change(here, Act.ACKNOWLEDGE, id, note, many)


@click.command()
@one_or_many
@pass_here
def unack(here: Here, id: str, **many: Unpack[Many]) -> None:
    """Take an acknowledgement back: the alert is firing again."""
    _change(here, Act.UNACKNOWLEDGE, id, "", many)


@click.command()
@one_or_many
@click.option("--note", default="", help="How it was resolved; goes on the timeline.")
@pass_here
def resolve(here: Here, id: str, note: str, **many: Unpack[Many]) -> None:
    """Resolve an alert, or all that match --filter.

    Closes its tickets and pages, and records your name.
    """
    _change(here, Act.RESOLVE, id, note, many)


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


def _change(here: Here, act: Act, id: str, note: str, many: Many) -> None:
    if bool(id) == bool(many["filter"]):
        raise click.UsageError("name one alert by its ID, or several by --filter")
    if not many["filter"] and many["preview"]:
        raise click.UsageError("--preview goes with --filter")
    if many["filter"]:
        _change_many(here, act, note, many)
    else:
        _set_status(here, id, bulk.WORDS[act], note)


def _change_many(here: Here, act: Act, note: str, many: Many) -> None:
    items, limit = bulk.matching(here.store, search.read_filters(many["filter"]), act), many["limit"]
    if not many["preview"] and items:
        if len(items) > limit:
            raise click.ClickException(str(OverLimit(len(items), limit)))
        items = _done(here, act, note, items, limit)
    rows = [(item.name, item.result, _title(item.alert) if item.alert else "", item.why) for item in items[:limit]]
    if rows:
        click.echo(table(("ID", "RESULT", "TITLE", "WHY"), rows))
    count = bulk.count(items) if many["preview"] else sum(item.result is bulk.Result.DONE for item in items)
    click.echo(f"{count} would be changed" if many["preview"] else f"{count} changed")


def _done(here: Here, act: Act, note: str, items: list[Item], limit: int) -> list[Item]:
    """Have the running app do it, else do it here."""
    body = {"act": act.value, "ids": [item.name for item in items], "note": note, "limit": limit}
    answer = here.app.act("POST", "/alerts/acts", body, alert=items[0].alert, scope=_SCOPE)
    if answer is None:
        wanted, now = Wanted(act=act, note=note), datetime.now(UTC)
        return bulk.do(here.ready, wanted, items, limit=limit, actor=user(), intake=INTAKE, now=now)
    came = {str(each["id"]): each for each in answer["results"]}
    return [
        replace(item, result=bulk.Result(came[item.name]["result"]), why=line(came[item.name]["why"], 300))
        for item in items
        if item.name in came
    ]


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
