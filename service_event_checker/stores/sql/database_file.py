"""Whether SQLite's file is still the one that was opened: one that is deleted or replaced takes writes and loses them.

A process goes on writing into a deleted file, and a new one beside an old log is damaged. https://www.sqlite.org/howtocorrupt.html
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.pool import PoolProxiedConnection

from service_event_checker.core.errors import StoreError

ID = "database_id"  # setting: random, the same as long as the database is
_READ_ID = "SELECT value FROM settings WHERE name = ?"  # noqa: S105
_SEEN = "files_seen"  # in a connection's `info`: its log files
_SIDES = ("-wal", "-shm")  # they live as long as any connection is open

Place = tuple[int, int]  # device, inode


def file_of(address: URL) -> Path | None:
    """Return the path of a database that is a file; None for one in memory, at a URI, or behind a server."""
    name = str(address.database or "")
    if address.get_backend_name() != "sqlite" or name in ("", ":memory:") or name.startswith("file:"):
        return None
    return Path(name).absolute()


class DatabaseFile:
    """Watches one file; a database without a file (`path` is None) is always the same. Every method raises StoreError.

    Only looks: some system calls per transaction. The same file at its old place is good again.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._real = str(path.resolve()) if path else ""
        self._place: Place | None = None
        self._id = ""

    def remember(self, id: str) -> None:
        """From now on it has to be the file that lies at the path now, with this id."""
        if self.path:
            self._id, self._place = id, _place(str(self.path))

    def check(self, connection: PoolProxiedConnection | None = None) -> None:
        """Raise StoreError where the path no longer leads to the file, or the connection not to what lies there."""
        if self.path is None or self._place is None:
            return
        if _place(str(self.path)) != self._place:
            raise self._replaced(self.path.name)
        if connection is None:
            return
        for side, place in self._sides(connection).items():
            if place is not None and _place(self._real + side) != place:
                raise self._replaced(self.path.name + side)

    def check_before(self, connection: PoolProxiedConnection) -> None:
        """Like `check`, before a transaction that `check` follows: fewer looks, and enough to harm no other file."""
        if self.path is not None and self._place is not None:
            self.check()
            self._sides(connection)

    def _sides(self, connection: PoolProxiedConnection) -> dict[str, Place | None]:
        sides: dict[str, Place | None] | None = connection.info.get(_SEEN)
        if sides is None:
            sides = connection.info[_SEEN] = self._first_seen(connection)
        return sides

    def _first_seen(self, connection: PoolProxiedConnection) -> dict[str, Place | None]:
        """Return the log files of a new connection, which must lead to the database with our id."""
        driver = connection.dbapi_connection
        try:
            row = driver.execute(_READ_ID, (ID,)).fetchone() if driver else None
        except sqlite3.Error:  # not a database, or one without our tables
            row = None
        if row is None or row[0] != self._id:
            raise self._replaced(Path(self._real).name)
        return {side: _place(self._real + side) for side in _SIDES}

    def _replaced(self, name: str) -> StoreError:
        return StoreError(
            f"{name} was deleted or replaced while this process runs, so that nothing is read or written: "
            f"put the same file back at {self.path}, or restart"
        )


def _place(path: str) -> Place | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # twice as fast, and it is called for each transaction
    except OSError:
        return None
    return found.st_dev, found.st_ino
