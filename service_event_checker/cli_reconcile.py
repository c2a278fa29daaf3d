"""Commands for people: `flask --app app reconcile` and `mirror`. They print; all work is done elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click
from flask import Flask

from service_event_checker.core.model import Family, Why
from service_event_checker.core.reconcile import Repair
from service_event_checker.reconcile_objects import line
from service_event_checker.reconciler import Report
from service_event_checker.text import duration
from service_event_checker.wiring import Services


def register(app: Flask, services: Services) -> None:
    """Add the commands to the app."""

    @app.cli.command("reconcile")
    @click.option("--dry-run", is_flag=True, help="Say what would be mended and change nothing.")
    @click.argument("names", nargs=-1)
    def reconcile(names: tuple[str, ...], *, dry_run: bool) -> None:
        """Compare our alerts with their sources and tickets, and mend what differs; NAMES: only these."""
        _refuse_unknown(services, names)
        services.store.prepare()
        report = services.reconciler.run(dry_run=dry_run, only=names)
        _tell(services, report, dry_run=dry_run)
        if report.failed:
            raise SystemExit(1)

    @app.cli.command("mirror")
    @click.option("--check", is_flag=True, help="List the pairs whose two sides differ. Changes nothing.")
    @click.option("--repair", is_flag=True, help="Mend what --check lists.")
    @click.option("--shadow", is_flag=True, help="List what receivers with `shadow` would have been sent.")
    def mirror(*, check: bool, repair: bool, shadow: bool) -> None:
        """Show how far the pagers and this app agree: which pairs differ, for how long, and what mends it."""
        services.store.prepare()
        if shadow:
            _tell_shadow(services)
        elif check or repair:
            raise SystemExit(_check(services, repair=repair))
        else:
            raise click.UsageError("say --check, --repair or --shadow")


def _refuse_unknown(services: Services, names: Sequence[str]) -> None:
    known = [*services.reconciler.managers, *services.reconciler.destinations]
    for name in names:
        if name not in known:
            raise click.UsageError(f'"{name}" cannot be reconciled; there are {", ".join(known) or "none that are on"}')


def _tell(services: Services, report: Report, *, dry_run: bool) -> None:
    asked = [*services.reconciler.managers, *services.reconciler.destinations]
    if not asked:
        click.echo("nothing to reconcile: no Alertmanager and no ticket system or pager is on")
    for each in report.lines:
        click.echo(("would mend: " if dry_run else "") + each)
    for each in report.failed:
        click.echo(f"failed: {each}", err=True)
    if asked and not report.lines and not report.failed:
        click.echo(f"all agree: {', '.join(asked)}")


def _check(services: Services, *, repair: bool) -> int:
    """Print each pair that differs; return 1 when one does that should not."""
    receivers = services.book.receivers
    pagers = [name for name in services.reconciler.destinations if receivers[name].family is Family.PAGER]
    if not pagers:
        click.echo("no pager is on: nothing to compare")
        return 0
    report = services.reconciler.run(dry_run=not repair, only=pagers)
    wrong = [each for each in report.repairs if not each.left]
    for each in report.repairs:
        click.echo(_pair(each))
    for failure in report.failed:
        click.echo(f"failed: {failure}", err=True)
    click.echo(f"{len(wrong)} disagree, {len(report.repairs) - len(wrong)} differ as they may ({', '.join(pagers)})")
    if wrong and not repair:
        click.echo("mend them with: flask --app app mirror --repair")
    return 1 if report.failed or (wrong and not repair) else 0


def _pair(repair: Repair) -> str:
    age = f", for {duration(datetime.now(UTC) - repair.since)}" if repair.since else ""
    return ("  " if repair.left else "! ") + line(repair) + age


def _tell_shadow(services: Services) -> None:
    """Print what was rendered and not sent, from the timelines of the open alerts."""
    shadows = {name for name, receiver in services.book.receivers.items() if receiver.shadow}
    if not shadows:
        click.echo('no receiver has "shadow": true in config.json')
        return
    said = 0
    for alert in services.store.open_alerts():
        for step in services.store.timeline(alert.key):
            if step.why is Why.DRY_RUN and step.receiver in shadows:
                said += 1
                click.echo(f"{step.at:%Y-%m-%d %H:%M:%S} {alert.internal_id} {step.receiver}: {step.note}")
    click.echo(f"{said} not sent to {', '.join(sorted(shadows))}")
