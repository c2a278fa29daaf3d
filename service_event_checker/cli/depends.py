"""`outage depends suggest`: what could stand under `depends`, by the vendors that stored alerts name."""

from __future__ import annotations

import json

import click

from service_event_checker import plugins
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json, table
from service_event_checker.core.matchers import Matcher
from service_event_checker.engine import suggest as suggesting
from service_event_checker.render.text import line


@click.group()
def depends() -> None:
    """What hangs on which vendor."""


@depends.command()
@click.option("--json", "as_json", is_flag=True, help='Only the entries, as they stand under "depends".')
@pass_here
def suggest(here: Here, *, as_json: bool) -> None:
    """Propose entries for "depends" of the configuration. Changes nothing: an alert may name a vendor by chance."""
    services = here.ready
    found = suggesting.suggest(services.store, plugins.knowledge(services.config))
    entries: dict[str, list[str]] = {}
    for each in found.suggestions:
        entries.setdefault(each.service, []).append(each.vendor)
    proposed = [{"match": [str(Matcher("service", "=", service))], "on": on} for service, on in entries.items()]
    if as_json:
        print_json(proposed)
        return
    if not proposed:
        click.echo(f"Nothing to propose: of {found.looked_at} alerts, no two of a service name the same other vendor.")
    else:
        rows = [_row(each) for each in found.suggestions]
        click.echo(table(("SERVICE", "VENDOR", "ALERTS", "NAMED BY"), rows))
        click.echo('\nIf they are right, add to "depends" in the configuration:')
        click.echo("\n".join(f"  {json.dumps(entry, ensure_ascii=False)}," for entry in proposed).removesuffix(","))
    if found.unlabelled:
        click.echo(f"\n{found.unlabelled} more alerts name a vendor and have no label `service`.")


def _row(each: suggesting.Suggestion) -> tuple[str, ...]:
    return line(each.service, 60), each.vendor, str(each.alerts), ", ".join(each.by)
