"""`outage reconcile`. It prints; all work is done elsewhere.

What it repairs is pending from then on, and sent by the app that runs beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import click
from click.shell_completion import CompletionItem

from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json
from service_event_checker.core.errors import OutageCheckerError
from service_event_checker.engine.reconcile.passes import Report
from service_event_checker.engine.services import Services

_DRY_RUN = "A dry run: nothing was changed. The end of each line is what a pass does about it."
SENT_SOON = "The app sends what is pending for it within seconds, if it runs; ./outage failed lists what fails."


def _complete_names(ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer the shell what can be reconciled."""
    here = ctx.find_object(Here)
    try:
        names = _known(here.services) if here else []
    except OutageCheckerError:
        return []  # the command itself will say it
    return [CompletionItem(name) for name in names if name.startswith(begun)]


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be repaired and change nothing.")
@click.option("--json", "as_json", is_flag=True)
@click.argument("names", nargs=-1, shell_complete=_complete_names)
@pass_here
def reconcile(here: Here, names: tuple[str, ...], *, dry_run: bool, as_json: bool) -> None:
    """Compare with other systems, and repair.

    Our alerts with their sources, tickets and pagers. NAMES: only these.
    """
    _refuse_unknown(here.services, names)
    services = here.ready
    report = services.reconciler.run(dry_run=dry_run, only=names)
    if as_json:
        print_json({"dry_run": dry_run, "lines": list(report.lines), "failed": [str(each) for each in report.failed]})
    else:
        _tell(services, report, names, dry_run=dry_run)
    if report.failed:
        raise SystemExit(1)


def _refuse_unknown(services: Services, names: Sequence[str]) -> None:
    known = _known(services)
    for name in names:
        if name not in known:
            raise click.UsageError(f'"{name}" cannot be reconciled; there are {", ".join(known) or "none that are on"}')


def _known(services: Services) -> list[str]:
    return [
        *chain.from_iterable(source.names for source in services.reconciler.sources),
        *services.reconciler.destinations,
    ]


def _tell(services: Services, report: Report, names: Sequence[str], *, dry_run: bool) -> None:
    asked = list(names) or _known(services)
    if not asked:
        click.echo("nothing to reconcile: no Alertmanager, no ticket system and no pager is on")
        return
    for each in report.lines:
        click.echo(each)
    tell_failed(report)
    if not report.lines and not report.failed:
        click.echo(f"all agree: {', '.join(asked)}")
    elif report.lines:
        click.echo(_DRY_RUN if dry_run else SENT_SOON)


def tell_failed(report: Report) -> None:
    """Print what could not be asked or repaired."""
    for each in report.failed:
        click.echo(f"failed: {each}", err=True)
