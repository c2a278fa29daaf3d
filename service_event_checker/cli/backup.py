"""`outage backup` and `outage restore`: the SQLite store as one file. Other stores have means of their own."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from service_event_checker.cli.context import Here, UserPath, pass_here
from service_event_checker.core.errors import StoreError
from service_event_checker.engine import parts
from service_event_checker.engine.heartbeat import HEARTBEAT_MAX_AGE, last_heartbeat
from service_event_checker.render.text import duration
from service_event_checker.stores.sql import backup as sqlite_backup
from service_event_checker.stores.sql.backup import BackupError
from service_event_checker.stores.sql.store import SqlStore

_AZURE = (
    "the store is Azure Tables, which is not one file. Copy the tables {tables} with AzCopy 7.3 or Azure Data Factory "
    "(learn.microsoft.com/azure/storage/tables), or rely on the account's geo-redundancy"
)


@click.command()
@click.argument("file", type=UserPath())
@pass_here
def backup(here: Here, file: Path) -> None:
    """Save the SQLite store to FILE.

    The app may be running. If FILE exists, it is replaced when the new backup is complete.
    """
    database = database_file(here)
    try:
        size = sqlite_backup.back_up(database, file)
    except BackupError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"saved {database} to {file}, {size / 1024 / 1024:.1f} MiB. To restore it: ./outage restore {file}")


@click.command()
@click.argument("file", type=UserPath(exists=True))
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_here
def restore(here: Here, file: Path, *, yes: bool) -> None:
    """Replace the SQLite store with a backup.

    Stop the app first. The present content of the store is lost.
    """
    database = database_file(here)
    _refuse_while_running(here, database)
    if database.exists() and not yes:
        click.confirm(f"Replace {database} with {file}? Its present content is lost", abort=True)
    try:
        sqlite_backup.restore(file, database)
    except BackupError as error:
        raise click.ClickException(f"nothing was changed: {error}") from None
    click.echo(f"restored {database} from {file}. Start the app: ./outage start")


def database_file(here: Here) -> Path:
    """Return where the SQLite store lies. Raises ClickException with what to do for another store."""
    settings = here.settings
    if settings.storage_account:
        raise click.ClickException(_AZURE.format(tables=f"{settings.active_table} and {settings.resolved_table}"))
    path = settings.database_url.removeprefix("sqlite:///").partition("?")[0]
    if not settings.database_url.startswith("sqlite:") or path in ("", ":memory:"):
        raise click.ClickException(
            "DATABASE_URL does not name a SQLite file: use the database's own tools (pg_dump, …)"
        )
    return Path(path).resolve()


def _refuse_while_running(here: Here, database: Path) -> None:
    """Raise ClickException where the app answers, or was at work within the last half minute."""
    if here.app.answers():
        raise click.ClickException(f"the app runs at {here.app.url}. Stop it, then restore")
    if not database.exists():
        return
    now = datetime.now(UTC)
    try:
        with closing(SqlStore(here.settings.database_url)) as store:
            beat = last_heartbeat(store)
    except StoreError:
        return  # a store that cannot be read is what a restore is for
    if beat is not None and parts.beats(beat, now):
        left = duration(HEARTBEAT_MAX_AGE - abs(now - beat))
        raise click.ClickException(
            f"the app was running {duration(now - beat)} ago. Stop it. If it is stopped already, try again in {left}"
        )
