"""./outage act and ./outage actions: request a run of a configured action, and list what is configured."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from service_event_checker.cli.alerts import alert_id
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.running_app import user
from service_event_checker.cli.tables import table
from service_event_checker.engine.actions import view
from service_event_checker.engine.actions.runs import NotNow
from service_event_checker.render.text import line

VIA = "cli"


@click.command()
@alert_id
@click.argument("action")
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
@pass_here
def act(here: Here, id: str, action: str, parameters: tuple[str, ...]) -> None:
    """Request a run of a configured action for an alert.

    It starts when it is approved, where the action needs that.
    """
    values = dict(_pair(text) for text in parameters)
    alert = here.find_alert(id)
    body = {"alert_id": alert.internal_id, "action_type": action, "parameters": values}
    answer = here.app.act("POST", "/actions/execute", body, alert=alert, scope="act")
    if answer is None:
        try:
            run = here.ready.runs.request(alert, action, values, by=user(), via=VIA, now=datetime.now(UTC))
        except NotNow as error:
            raise click.ClickException(error.message) from None
        answer = view.shown(here.ready.runs, run).model_dump(mode="json")
    why = f": {line(str(answer['why'] or answer['output']), 300)}" if answer["why"] or answer["output"] else ""
    click.echo(f"Run {answer['id']} of {action} for {alert.internal_id} is {answer['state']}{why}")
    if answer["state"] == "waiting":
        click.echo(f"It needs {answer['needed']} approval(s) by {', '.join(answer['approvers'])}.")


@click.command("actions")
@pass_here
def list_actions(here: Here) -> None:
    """List the configured actions, their parameters and who approves."""
    rows = [
        (
            each.name,
            " ".join(f"{name}={pattern}" for name, pattern in each.patterns.items()),
            f"{each.people} of {', '.join(each.by)}" if each.people else "nobody",
            f"{each.per_day} a day",
            each.why_off or "on",
        )
        for each in here.services.runs.policies.values()
    ]
    click.echo(
        table(("ACTION", "PARAMETERS", "APPROVED BY", "LIMIT", "STATE"), rows) if rows else "No action is configured."
    )


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise click.UsageError(f'"{line(text, 60)}" is not NAME=VALUE')
    return name, value
