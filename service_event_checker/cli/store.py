"""`outage store copy`: all that one store holds to another one, of whatever kind."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click

from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import table
from service_event_checker.core.roles import Store
from service_event_checker.engine import parts
from service_event_checker.engine.heartbeat import HEARTBEAT_MAX_AGE, last_heartbeat
from service_event_checker.render.text import duration
from service_event_checker.stores import choose, copy
from service_event_checker.stores.copy import CopyRefused
from service_event_checker.stores.sql.address import database_address
from service_event_checker.stores.sql.database_file import file_of

AZURE, VARIABLE = "azure:", "env:"


@click.group()
def store() -> None:
    """Move what the app knows to another store."""


@store.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@pass_here
def copy_store(here: Here, source: str, target: str) -> None:
    """Copy all that the store FROM holds to TO, and compare both.

    FROM and TO are addresses as DATABASE_URL takes them, env:NAME for one that a variable holds, or azure: for the
    tables of AZURE_STORAGE_CONNECTION_STRING. The app must not run. TO must be empty, or hold an earlier copy of FROM:
    a copy that was interrupted goes on. FROM stays as it is.
    """
    if here.app.answers():
        raise click.ClickException(f"the app runs at {here.app.url}. Stop it, then copy")
    with closing(_open(here, source, "FROM", exists=True)) as one, closing(_open(here, target, "TO")) as other:
        _copy(one, other)


def _copy(one: Any, other: Any) -> None:
    now = datetime.now(UTC)
    for name, each in (("FROM", one), ("TO", other)):
        each.prepare()
        _refuse_at_work(each, name, now)
    try:
        with click.progressbar(length=100, label="copying") as bar:
            report = copy.copy(one, other, lambda done, total: bar.update(done * 100 // total - bar.pos))
            bar.update(100 - bar.pos)
    except CopyRefused as error:
        raise click.ClickException(str(error)) from None
    click.echo(table(("WHAT", "IN BOTH STORES"), [(name, str(number)) for name, number in report.held.items()]))
    click.echo(f"{report.written} alerts written, {report.dropped} deleted; both stores hold {report.checksum[:16]}.")
    click.echo("Next: let DATABASE_URL or AZURE_STORAGE_CONNECTION_STRING name TO, and start the app: ./outage start")


def _open(here: Here, text: str, name: str, *, exists: bool = False) -> Any:
    """Return the store that an address names, not prepared. Raises ConfigError, ClickException without the address."""
    if text.startswith(VARIABLE):
        variable = text.removeprefix(VARIABLE)
        text = here.environ.get(variable, "").strip()
        if not text:
            raise click.ClickException(f"{name}: the variable {variable} is not set")
    if text == AZURE:
        if not here.settings.storage_account:
            raise click.ClickException(f"{name}: AZURE_STORAGE_CONNECTION_STRING is not set")
        return choose.make_store(here.settings)
    try:
        file = file_of(database_address(text))
    except ValueError as error:
        raise click.ClickException(f"{name}: {error}, or {AZURE}") from None
    if exists and file is not None and not file.exists():
        raise click.ClickException(f"{name}: {file} does not exist")
    return choose.make_store(replace(here.settings, storage_account="", database_url=text))


def _refuse_at_work(store: Store, name: str, now: datetime) -> None:
    """Raise ClickException where an app was at work on a store within the last half minute, on any machine."""
    beat = last_heartbeat(store)
    if beat is not None and parts.beats(beat, now):
        left = duration(HEARTBEAT_MAX_AGE - abs(now - beat))
        ago = duration(now - beat)
        raise click.ClickException(f"an app was at work on {name} {ago} ago. Stop it; if you have, try again in {left}")
