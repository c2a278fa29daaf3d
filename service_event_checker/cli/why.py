"""`outage why`: what explains an alert, with the reasons, and what was counted for and against it."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from service_event_checker.cli.alerts import complete_ids
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json, table
from service_event_checker.engine.verdicts import verdict_of
from service_event_checker.render.labels import alert_title
from service_event_checker.render.shapes import VerdictShape
from service_event_checker.render.text import line


@click.command()
@click.argument("id", shell_complete=complete_ids)
@click.option("--json", "as_json", is_flag=True, help="As `verdict` of GET /api/v1/alerts/{id}.")
@pass_here
def why(here: Here, id: str, *, as_json: bool) -> None:
    """Say whether an alert is a vendor's fault or ours, and why."""
    alert = here.find_alert(id)
    found = verdict_of(here.services, alert, datetime.now(UTC))
    if as_json:
        print_json(VerdictShape.of(found).model_dump(mode="json"))
        return
    click.echo(f"{alert.internal_id} · {line(alert_title(alert), 200)}\n{found.sentence}\n")
    rows = [(f"{item.weight:+.1f}", item.text) for item in sorted(found.evidence, key=lambda item: -abs(item.weight))]
    click.echo(table(("WEIGHT", "REASON"), rows) if rows else "Nothing speaks for a vendor or for us.")
    click.echo("\nWeights above 0 speak for the vendor, below 0 against it.")
