"""Connections of the driver's own, from SQLAlchemy's pool.

What every message does goes this way: SQLAlchemy's connections and executions cost more than SQLite needs for a row.
The errors are SQLAlchemy's all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection


class Driver:
    """A connection of the driver and the dialect of its database. Every method raises SQLAlchemyError."""

    __slots__ = ("connection", "dialect")

    def __init__(self, connection: PoolProxiedConnection, dialect: Dialect) -> None:
        self.connection = connection
        self.dialect = dialect

    def run(self, text: str, values: Any) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        cursor = self.connection.cursor()
        try:
            cursor.execute(text, values)
            return list(cursor.fetchall())
        except self.dialect.loaded_dbapi.Error as error:
            raise self._translated(error, text) from error
        finally:
            self._close(cursor)

    def run_many(self, text: str, rows: Any) -> None:
        """Run one statement that returns nothing for each of the rows."""
        cursor = self.connection.cursor()
        try:
            if len(rows) == 1:
                cursor.execute(text, rows[0])  # some drivers make more of many
            else:
                cursor.executemany(text, rows)
        except self.dialect.loaded_dbapi.Error as error:
            raise self._translated(error, text) from error
        finally:
            self._close(cursor)

    @contextmanager
    def transaction(self, begin: Callable[[Any, float], None] | None, patience: float) -> Iterator[None]:
        """Commit what is done meanwhile; take it back after an error. See `dialects.Dialect.begin`."""
        if begin:
            begin(self.connection.dbapi_connection, patience)
        try:
            yield
            self.connection.commit()
        except self.dialect.loaded_dbapi.Error as error:
            self._take_back()
            raise self._translated(error, "COMMIT") from error
        except BaseException:
            self._take_back()
            raise

    def _take_back(self) -> None:
        if self.connection.is_valid:
            with suppress(self.dialect.loaded_dbapi.Error):  # a connection that is gone has taken it back already
                self.connection.rollback()

    def _translated(self, error: Exception, text: str) -> Exception:
        if self.connection.is_valid and self.dialect.is_disconnect(error, self.connection, None):  # type: ignore[arg-type]
            self.connection.invalidate(error)
        return translated(error, text, self.dialect)

    def _close(self, cursor: Any) -> None:
        with suppress(self.dialect.loaded_dbapi.Error):
            cursor.close()


def of(connection: Connection) -> Driver:
    """Return the driver's connection of one of SQLAlchemy's, in its transaction."""
    return Driver(connection.connection, connection.dialect)


@contextmanager
def lent(engine: Engine) -> Iterator[Driver]:
    """Take a connection from the pool for a while. Raises SQLAlchemyError.

    If it turns out to be dead, so are those that wait in the pool, as the database was restarted: each would fail once.
    """
    errors, pool = engine.dialect.loaded_dbapi.Error, engine.pool
    try:
        connection = engine.raw_connection()
    except errors as error:
        raise translated(error, "connect", engine.dialect) from error
    try:
        yield Driver(connection, engine.dialect)
    finally:
        if not connection.is_valid and engine.pool is pool:
            engine.dispose()
        with suppress(errors):
            connection.close()


def translated(error: Exception, text: str, dialect: Dialect) -> Exception:
    """Return SQLAlchemy's error for one of the driver's."""
    return DBAPIError.instance(text, None, error, dialect.loaded_dbapi.Error, dialect=dialect)
