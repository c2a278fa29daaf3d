"""`outage vendor`: what a vendor's outages cost, and how late it posted them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from service_event_checker.cli.check import complete_checkers
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json, table
from service_event_checker.core.vendor_record import Record
from service_event_checker.engine import vendor_records
from service_event_checker.engine.vendor_records import DAYS_DEFAULT, DAYS_MAX
from service_event_checker.render.text import duration, line, moment
from service_event_checker.render.vendor_record import VendorRecordShape, as_csv

TITLE_MAX = 80


@click.command()
@click.argument("name", shell_complete=complete_checkers)
@click.option("--days", type=click.IntRange(1, DAYS_MAX), default=DAYS_DEFAULT, show_default=True)
@click.option("--csv", "as_table", is_flag=True, help="Its outages as CSV.")
@click.option("--json", "as_json", is_flag=True, help="As GET /api/v1/vendors/{name}.")
@pass_here
def vendor(here: Here, name: str, days: int, *, as_table: bool, as_json: bool) -> None:
    """Show the record of a vendor: its outages, how long they lasted, and how late it posted them."""
    names = [entry.name for entry in here.services.config.checkers]
    if name not in names:
        raise click.UsageError(f'there is no checker "{name}" in the configuration; there are {", ".join(names)}')
    found = vendor_records.of_vendor(here.ready.store, name, days, datetime.now(UTC))
    if as_table:
        click.echo(as_csv(found), nl=False)
    elif as_json:
        print_json(VendorRecordShape.of(found).model_dump(mode="json"))
    else:
        click.echo(_shown(found, days))


def _shown(found: Record, days: int) -> str:
    count = "1 outage" if len(found.outages) == 1 else f"{len(found.outages)} outages"
    on = "1 day" if found.days == 1 else f"{found.days} days"
    lines = [f"{found.name}, last {days} days: {count} on {on}, {duration(found.lost)} in all"]
    lines += [_lags("Posted after its own start", *found.lags)]
    lines += [_lags("Posted after our first alert", *found.symptom_lags)]
    lines += [f"Explained {found.explained} alerts; {found.without_impact} posts explained none"]
    lines += [f"Retracted: {found.retracted}"] if found.retracted else []
    lines += ["More alerts exist than were read: the numbers are of the newest"] if not found.complete else []
    if found.outages:
        rows = [
            (each.id, moment(each.started_at), _span(each.lag), str(each.explained), line(each.title, TITLE_MAX))
            for each in found.outages
        ]
        lines += ["", table(("ID", "BEGAN", "POSTED AFTER", "EXPLAINED", "TITLE"), rows)]
    return "\n".join(lines)


def _lags(what: str, middle: timedelta | None, most: timedelta | None) -> str:
    return f"{what}: median {_span(middle)}, at most {_span(most)}" if middle is not None else f"{what}: not known"


def _span(lag: timedelta | None) -> str:
    if lag is None:
        return "-"
    return duration(lag) if lag >= timedelta(0) else f"{duration(-lag)} before"
