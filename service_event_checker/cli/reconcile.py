"""`outage reconcile` and `outage mirror`. They print; all work is done elsewhere.

What they repair is pending from then on, and sent by the app that runs beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain

import click
from click.shell_completion import CompletionItem

from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json
from service_event_checker.core.errors import OutageCheckerError
from service_event_checker.core.model import Alert, Transition
from service_event_checker.core.reconcile import Fix, Repair
from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Family, Why
from service_event_checker.engine.reconcile.passes import Report
from service_event_checker.engine.services import Services
from service_event_checker.render.text import duration, line

TITLE_WIDTH = 60
SHADOWED_ALERTS = 500  # whose timelines are read: those that changed last, open or over
_DRY_RUN = "A dry run: nothing was changed. The end of each line is what a pass does about it."
_NOTHING_CHANGED = "Nothing was changed; what stands after → is done by: ./outage mirror --repair"
_FAILED = "Which deliveries failed, and why: ./outage failed; --retry ID sends them again"
_SENT_SOON = "The app sends what is pending for it within seconds, if it runs; ./outage failed lists what fails."


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


@click.command()
@click.option("--check", is_flag=True, help="List what differs between the pagers and this app. Changes nothing.")
@click.option("--repair", is_flag=True, help="Repair what --check lists.")
@click.option("--shadow", is_flag=True, help="List what receivers with `shadow` would have been sent.")
@pass_here
def mirror(here: Here, *, check: bool, repair: bool, shadow: bool) -> None:
    """Show how far the pagers agree with us.

    What differs, for how long, and what repairs it.
    """
    if check + repair + shadow != 1:
        raise click.UsageError("say --check, --repair or --shadow")
    if shadow:
        _tell_shadow(here.ready)
    else:
        raise SystemExit(_compare(here.ready, repair=repair))


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
    _tell_failed(report)
    if not report.lines and not report.failed:
        click.echo(f"all agree: {', '.join(asked)}")
    elif report.lines:
        click.echo(_DRY_RUN if dry_run else _SENT_SOON)


def _compare(services: Services, *, repair: bool) -> int:
    """Print what differs between the pagers and us; return 1 when something should not, or could not be asked."""
    receivers = services.book.receivers
    pagers = [name for name in services.reconciler.destinations if receivers[name].family is Family.PAGER]
    if not pagers:
        click.echo("no pager is on: nothing to compare")
        return 0
    report = services.reconciler.run(dry_run=not repair, only=pagers)
    alerts = services.store.get({each.key for each in report.repairs if each.key})
    for each in report.repairs:
        click.echo(_difference(each, alerts.get(each.key)))
    _tell_failed(report)
    return _sum_up(report, pagers, repair=repair)


def _sum_up(report: Report, pagers: Sequence[str], *, repair: bool) -> int:
    """Print how many differ and what a person may do next; return the exit code."""
    failed_for_good = sum(each.fix is Fix.GIVEN_UP for each in report.repairs)
    wrong = sum(_should_not_be(each) for each in report.repairs)
    counts = [
        f"{wrong - failed_for_good} repaired, {failed_for_good} with a failed delivery"
        if repair
        else f"{wrong} should not differ"
    ]
    counts += [
        f"{len(report.repairs) - wrong} may differ",
        *([f"{len(report.failed)} failed"] if report.failed else []),
    ]
    click.echo(f"{', '.join(counts)}; compared: {', '.join(pagers)}")
    if wrong > failed_for_good:
        click.echo(_SENT_SOON if repair else _NOTHING_CHANGED)
    if failed_for_good:
        click.echo(_FAILED)
    return 1 if report.failed or failed_for_good or (wrong and not repair) else 0


def _should_not_be(repair: Repair) -> bool:
    """Whether a person should know of it; one with a failed delivery is left, and does not agree."""
    return not repair.left or repair.fix is Fix.GIVEN_UP


def _tell_failed(report: Report) -> None:
    for each in report.failed:
        click.echo(f"failed: {each}", err=True)


def _difference(repair: Repair, alert: Alert | None) -> str:
    """Return a difference in two or three lines: whose it is, where and what → what repairs it, the address there."""
    name = repair.internal_id or "no alert known"
    title = f" “{line(alert.title, TITLE_WIDTH)}”" if alert else ""
    what, _, remedy = repair.fix.value.partition(": ")
    other = f" (stays: {repair.original.external_id})" if repair.original else ""
    since = f", since {repair.since:%Y-%m-%d %H:%M} UTC ({_age(repair.since)})" if repair.since else ""
    said = [
        f"{'!' if _should_not_be(repair) else ' '} {name}{title}",
        f"    {repair.receiver} {repair.remote.external_id}: {what} → {remedy}{other}{since}",
    ]
    return "\n".join([*said, f"    {repair.remote.url}"] if repair.remote.url else said)


def _age(since: datetime) -> str:
    return duration(datetime.now(UTC) - since)


def _tell_shadow(services: Services) -> None:
    """Print what was rendered and not sent, the oldest first, from the timelines of the alerts that changed last."""
    shadows = {name for name, receiver in services.book.receivers.items() if receiver.shadow}
    if not shadows:
        click.echo('no receiver has "shadow": true in config.json')
        return
    latest = services.store.page(Query(limit=SHADOWED_ALERTS)).alerts
    found = sorted(chain.from_iterable(_unsent(services, alert, shadows) for alert in latest), key=_moment)
    for step, alert in found:
        click.echo(f"{step.at:%Y-%m-%d %H:%M:%S} UTC {alert.internal_id} {step.receiver}: {step.note}")
    click.echo(f"{len(found)} not sent to {', '.join(sorted(shadows))}")


def _unsent(services: Services, alert: Alert, shadows: set[str]) -> list[tuple[Transition, Alert]]:
    steps = services.store.timeline(alert.key)
    return [(step, alert) for step in steps if step.why is Why.DRY_RUN and step.receiver in shadows]


def _moment(unsent: tuple[Transition, Alert]) -> datetime:
    return unsent[0].at
