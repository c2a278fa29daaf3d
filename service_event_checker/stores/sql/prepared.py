"""Statements that are compiled once for each database and run through the driver.

SQLAlchemy's own execution costs more than SQLite needs for a row. It is left out where many rows pass: all columns of
the tables are text, whole numbers and truth values, which drivers take as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Select, bindparam, func
from sqlalchemy.sql.dml import Delete, Insert, ValuesBase

from service_event_checker.stores.sql import arrays
from service_event_checker.stores.sql.driver import Driver

Row = dict[str, Any]
_SIZES = (1, 10, 100, 500)  # of a list in IN, so that few texts are made


def write(driver: Driver, statement: ValuesBase | Delete, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Run an insert, upsert or update of these columns for each row; a row may hold more."""
    if len(rows) > 1 and isinstance(statement, Insert) and arrays.are_taken(driver.dialect, statement, rows):
        arrays.insert(driver, *_compiled_arrays(statement, tuple(columns), driver.dialect), rows)
        return
    text, order = _compiled(statement, tuple(columns), driver.dialect)
    if order is None:
        driver.run_many(text, list(rows))
    else:
        chosen = itemgetter(*order) if len(order) > 1 else lambda row: (row[order[0]],)
        driver.run_many(text, list(map(chosen, rows)))


def read(
    driver: Driver, wanted: Select[Any], column: ColumnElement[Any], values: Iterable[str]
) -> list[tuple[Any, ...]]:
    """Return the rows of a query whose column has one of the values; at most 500 are asked for at once.

    `wanted` is a constant of its module: its texts are kept for good.
    """
    left, found = list(values), list[tuple[Any, ...]]()
    if len(left) > 1 and arrays.are_known(driver.dialect):
        return driver.run(_compiled_any(wanted, column, driver.dialect), {"values": left})
    while left:
        some, left = left[: _SIZES[-1]], left[_SIZES[-1] :]
        size = next(size for size in _SIZES if size >= len(some))
        some += some[-1:] * (size - len(some))
        text, order = _compiled_in(wanted, column, size, driver.dialect)
        given = tuple(some) if order is not None else {f"v{place}": value for place, value in enumerate(some)}
        found += driver.run(text, given)
    return found


@cache
def _compiled(statement: Any, columns: tuple[str, ...], dialect: Dialect) -> tuple[str, tuple[str, ...] | None]:
    made = statement.compile(dialect=dialect, column_keys=list(columns))
    return made.string, tuple(made.positiontup) if made.positional else None


@cache
def _compiled_arrays(statement: Any, columns: tuple[str, ...], dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    text, _ = _compiled(statement, columns, dialect)
    return arrays.text_of(text, statement, columns), columns


@cache
def _compiled_any(wanted: Select[Any], column: Any, dialect: Dialect) -> str:
    text = wanted.where(column == func.any(bindparam("values"))).compile(dialect=dialect).string
    return arrays.with_array(text, "values", "text[]")


@cache
def _compiled_in(wanted: Select[Any], column: Any, size: int, dialect: Dialect) -> tuple[str, tuple[str, ...] | None]:
    values: list[Any] = [bindparam(f"v{place}") for place in range(size)]
    made = wanted.where(column.in_(values)).compile(dialect=dialect)
    return made.string, tuple(made.positiontup or ()) if made.positional else None
