"""`outage mirror`: how far the pagers and this app agree. It prints; all work is done elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import click

from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.reconcile import SENT_SOON, tell_failed
from service_event_checker.cli.tables import print_json
from service_event_checker.core.model import Alert, Transition
from service_event_checker.core.reconcile import Fix, Repair
from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Family, Why
from service_event_checker.engine.reconcile.passes import Report
from service_event_checker.engine.services import Services
from service_event_checker.render.labels import alert_title
from service_event_checker.render.text import duration

TITLE_WIDTH = 60
SHADOWED_ALERTS = 500  # whose timelines are read: those that changed last, open or over
_NOTHING_CHANGED = "Nothing was changed; what stands after → is done by: ./outage mirror --repair"
_FAILED = "Which deliveries failed, and why: ./outage failed; --retry ID sends them again"


@click.command()
@click.option("--check", is_flag=True, help="List what differs between the pagers and this app. Changes nothing.")
@click.option("--repair", is_flag=True, help="Repair what --check lists.")
@click.option("--shadow", is_flag=True, help="List what receivers with `shadow` would have been sent.")
@click.option("--json", "as_json", is_flag=True)
@pass_here
def mirror(here: Here, *, check: bool, repair: bool, shadow: bool, as_json: bool) -> None:
    """Compare the state of alerts with the pagers.

    Shows what differs, for how long, and what repairs it.
    """
    if check + repair + shadow != 1:
        raise click.UsageError("use one of --check, --repair and --shadow")
    if shadow:
        _tell_shadow(here.ready, as_json=as_json)
    else:
        raise SystemExit(_compare(here.ready, repair=repair, as_json=as_json))


def _compare(services: Services, *, repair: bool, as_json: bool) -> int:
    """Print the differences between pagers and this app; return 1 for an unexpected one or a failed query."""
    receivers = services.book.receivers
    pagers = [name for name in services.reconciler.destinations if receivers[name].family is Family.PAGER]
    if not pagers and not as_json:
        click.echo("no pager is on: nothing to compare")
        return 0
    report = services.reconciler.run(dry_run=not repair, only=pagers) if pagers else Report()
    alerts = services.store.get({each.key for each in report.repairs if each.key})
    if as_json:
        found = [_as_json(each, alerts.get(each.key)) for each in report.repairs]
        print_json({"pagers": pagers, "repaired": repair, "differences": found, "failed": report.failed})
    else:
        for each in report.repairs:
            click.echo(_difference(each, alerts.get(each.key)))
        tell_failed(report)
        _sum_up(report, pagers, repair=repair)
    wrong, failed_for_good = _counts(report)
    return 1 if report.failed or failed_for_good or (wrong and not repair) else 0


def _counts(report: Report) -> tuple[int, int]:
    """Return how many differences are unexpected, and how many of them have a failed delivery."""
    wrong = sum(_should_not_be(each) for each in report.repairs)
    return wrong, sum(each.fix is Fix.GIVEN_UP for each in report.repairs)


def _sum_up(report: Report, pagers: Sequence[str], *, repair: bool) -> None:
    """Print how many differ and what a person may do next."""
    wrong, failed_for_good = _counts(report)
    counts = [
        f"{wrong - failed_for_good} repaired, {failed_for_good} with a failed delivery"
        if repair
        else f"{wrong} unexpected"
    ]
    counts += [
        f"{len(report.repairs) - wrong} allowed differences",
        *([f"{len(report.failed)} failed"] if report.failed else []),
    ]
    click.echo(f"{', '.join(counts)}; compared: {', '.join(pagers)}")
    if wrong > failed_for_good:
        click.echo(SENT_SOON if repair else _NOTHING_CHANGED)
    if failed_for_good:
        click.echo(_FAILED)


def _should_not_be(repair: Repair) -> bool:
    """Whether a person should know of it; one with a failed delivery is left, and does not agree."""
    return not repair.left or repair.fix is Fix.GIVEN_UP


def _difference(repair: Repair, alert: Alert | None) -> str:
    """Return a difference in two or three lines: whose it is, where and what → what repairs it, the address there."""
    name = repair.internal_id or "no alert known"
    title = f" “{alert_title(alert, TITLE_WIDTH)}”" if alert else ""
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


def _as_json(repair: Repair, alert: Alert | None) -> dict[str, Any]:
    what, _, remedy = repair.fix.value.partition(": ")
    return {
        "id": repair.internal_id,
        "title": alert.title if alert else "",
        "receiver": repair.receiver,
        "external_id": repair.remote.external_id,
        "url": repair.remote.url,
        "what": what,
        "remedy": remedy,
        "expected": not _should_not_be(repair),
        "since": repair.since.isoformat() if repair.since else None,
    }


def _tell_shadow(services: Services, *, as_json: bool) -> None:
    """Print what was rendered and not sent, the oldest first, from the timelines of the alerts that changed last."""
    shadows = {name for name, receiver in services.book.receivers.items() if receiver.shadow}
    if not shadows and not as_json:
        click.echo('no receiver has "shadow": true in config.json')
        return
    latest = services.store.page(Query(limit=SHADOWED_ALERTS)).alerts
    found = sorted(chain.from_iterable(_unsent(services, alert, shadows) for alert in latest), key=_moment)
    if as_json:
        print_json({"not_sent": [_unsent_as_json(step, alert) for step, alert in found]})
        return
    for step, alert in found:
        click.echo(f"{step.at:%Y-%m-%d %H:%M:%S} UTC {alert.internal_id} {step.receiver}: {step.note}")
    click.echo(f"{len(found)} not sent to {', '.join(sorted(shadows))}")


def _unsent(services: Services, alert: Alert, shadows: set[str]) -> list[tuple[Transition, Alert]]:
    steps = services.store.timeline(alert.key)
    return [(step, alert) for step in steps if step.why is Why.DRY_RUN and step.receiver in shadows]


def _unsent_as_json(step: Transition, alert: Alert) -> dict[str, str]:
    return {"at": step.at.isoformat(), "id": alert.internal_id, "receiver": step.receiver, "text": step.note}


def _moment(unsent: tuple[Transition, Alert]) -> datetime:
    return unsent[0].at
