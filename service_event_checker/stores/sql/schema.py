"""Brings a SQL database to the newest schema. Alembic is imported only when there is something to do."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, inspect, select, table
from sqlalchemy.sql import column

from service_event_checker.core.errors import StoreError
from service_event_checker.stores.sql import dialects

MIGRATIONS = Path(__file__).resolve().parent / "migrations"


def upgrade(engine: Engine) -> None:
    """Run the migrations that the database lacks, in one transaction. Safe to call from several processes at once.

    Raises StoreError when a newer version has been here.
    """
    version, newest = _version(engine), _newest()
    if version == newest:
        return
    if version is not None and version > newest:
        raise StoreError(f"the database has schema {version}, this version knows {newest}: start the newer version")
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection, dialects.of(connection).migrating(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _newest() -> str:
    """Return the newest revision: migrations are numbered files, so it is the last name."""
    return max(path.stem for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]


def _version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.scalar(select(column("version_num")).select_from(table("alembic_version")))
