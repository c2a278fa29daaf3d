"""Rows as one array for each column, which PostgreSQL takes in one statement: a statement for each costs it far more.

Arrays travel in binary: as text, each value would be quoted here and read there.
https://www.postgresql.org/docs/current/functions-array.html (unnest)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import BigInteger, Boolean, Dialect, Integer, SmallInteger, Table
from sqlalchemy.sql.dml import Insert

from service_event_checker.stores.sql.driver import Driver

_VALUES = re.compile(r"VALUES \(.*?\)(?= ON CONFLICT|$)")
_TYPES = ((Boolean, "bool"), (SmallInteger, "int2"), (BigInteger, "int8"), (Integer, "int4"))  # the others are text


def text_of(insert: str, statement: Insert, columns: Sequence[str]) -> str:
    """Return an insert or upsert of one row, compiled with the columns in their order, as one of arrays.

    Raises ValueError for another statement.
    """
    given = ", ".join(f"%({name})b::{_type(_table(statement), name)}[]" for name in columns)
    text, number = _VALUES.subn(f"SELECT * FROM unnest({given})", insert)  # noqa: S608  # names of our own columns
    if number != 1:
        raise ValueError(insert)  # noqa: TRY003
    return text


def are_known(dialect: Dialect) -> bool:
    """Whether the database takes arrays."""
    return dialect.name == "postgresql"


def are_taken(dialect: Dialect, statement: Insert, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether one statement may write the rows: none of them twice."""
    if not are_known(dialect):
        return False
    place = itemgetter(*(column.name for column in _table(statement).primary_key))
    return len(set(map(place, rows))) == len(rows)


def with_array(text: str, name: str, type: str) -> str:
    """Return a statement whose parameter is an array."""
    return re.sub(rf"%\({name}\)s(::[\w ]+)?", f"%({name})b::{type}", text)


def insert(driver: Driver, text: str, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Run what `text_of` returned, for all rows at once; they are distinct."""
    driver.run_many(text, [{name: [row[name] for row in rows] for name in columns}])


def _table(statement: Insert) -> Table:
    return cast(Table, statement.table)


def _type(table: Table, name: str) -> str:
    column = table.columns[name]
    return next((word for kind, word in _TYPES if isinstance(column.type, kind)), "text")
