"""The steps that migrations are made of: each does nothing where it is done already.

MySQL and MariaDB commit after each such statement, so a migration that was cut goes on where it stopped.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import inspect

from service_event_checker.stores.sql import dialects

# Names and ids that differ only in case are different, as in the other databases.
_EXACT: dict[str, Any] = {
    f"{server}_{option}": value
    for server in ("mysql", "mariadb")
    for option, value in (("charset", "utf8mb4"), ("collate", "utf8mb4_bin"), ("engine", "InnoDB"))
}


def create_table(name: str, *parts: Any) -> None:
    if not _may_be_done() or not inspect(op.get_bind()).has_table(name):
        op.create_table(name, *parts, **_EXACT)


def create_index(name: str, table: str, columns: list[str]) -> None:
    if not _may_be_done() or name not in {index["name"] for index in inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns, unique=False)


def _may_be_done() -> bool:
    return dialects.of(op.get_bind()).ddl_commits
