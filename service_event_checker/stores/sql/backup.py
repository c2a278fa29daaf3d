"""Copies a SQLite database whole, while it is in use, and puts such a copy back. Knows files only.

https://www.sqlite.org/backup.html, https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from service_event_checker.core.errors import OutageCheckerError

MAGIC = b"SQLite format 3\0"
LOCK_SECONDS = 5.0


class BackupError(OutageCheckerError):
    """The copy was not made; what was there before is as it was. The text says why, and what to do."""


def is_database(file: Path) -> bool:
    """Whether a file begins like a SQLite database."""
    with file.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def back_up(database: Path, copy: Path) -> int:
    """Write a consistent copy of the database, whole or not at all; return its size in bytes. Raises BackupError."""
    if not database.exists():
        raise BackupError(f"{database} does not exist yet: there is nothing to save")
    if copy.exists() and copy.samefile(database):
        raise BackupError(f"{copy} is the database itself; name another file")
    if copy.exists() and not _is_backup(copy):
        raise BackupError(f"{copy} exists and is not a backup; name another file")
    with _draft(copy) as draft:
        _copy(database, draft)
        os.replace(draft, copy)
    _sync(copy.parent)
    return copy.stat().st_size


def restore(copy: Path, database: Path) -> None:
    """Put a copy in the place of the database, whole or not at all. Nobody may use the database. Raises BackupError."""
    if not is_database(copy):
        raise BackupError(f"{copy} is not a SQLite database")
    database.parent.mkdir(parents=True, exist_ok=True)
    with _draft(database) as draft:
        _copy(copy, draft)
        _demand_ours(draft)
        _give_to_the_owner(draft, database)
        if database.exists():
            _close_log(database)
        os.replace(draft, database)
    _sync(database.parent)


@contextmanager
def _draft(beside: Path) -> Iterator[Path]:
    """Give an empty private file in the same folder, which is gone afterwards unless it was renamed."""
    try:
        handle, name = tempfile.mkstemp(dir=beside.parent, prefix=f".{beside.name}.")
    except OSError as error:
        raise BackupError(f"{beside.parent}: {error.strerror}") from None
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
    except OSError as error:
        raise BackupError(f"{beside}: {error.strerror}") from None
    finally:
        for rest in ("", "-journal", "-wal", "-shm"):
            Path(f"{name}{rest}").unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """Copy page by page with SQLite's own means: a reader's view of one moment. The target is one file, and checked."""
    try:
        with closing(_open(source)) as here, closing(_open(target)) as there:
            here.backup(there)
            there.execute("PRAGMA journal_mode=DELETE")
            problems = [str(row[0]) for row in there.execute("PRAGMA quick_check(3)")]
    except sqlite3.Error as error:
        raise BackupError(f"{source} cannot be copied: {error}") from None
    if problems != ["ok"]:
        raise BackupError(f"{source} is damaged: {'; '.join(problems)}")
    with target.open("rb+") as stream:
        os.fsync(stream.fileno())


def _demand_ours(file: Path) -> None:
    """Raise BackupError unless the tables of this product are in the file."""
    if not _is_ours(file):
        raise BackupError("the file is a SQLite database of another program")


def _is_ours(file: Path) -> bool:
    with closing(_open(file)) as connection:
        names = {str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return {"alembic_version", "alerts", "deliveries"} <= names


def _is_backup(file: Path) -> bool:
    """Whether a file may be replaced by a newer backup: it is a database of this product that can be read."""
    try:
        return is_database(file) and _is_ours(file)
    except sqlite3.Error:
        return False


def _give_to_the_owner(draft: Path, database: Path) -> None:
    """Let the file be of whom the database was, or its folder is: whoever restores need not be the app's user."""
    before = database.stat() if database.exists() else None
    owner = before or database.parent.stat()
    if os.geteuid() == 0:
        os.chown(draft, owner.st_uid, owner.st_gid)
    if before:
        draft.chmod(before.st_mode & 0o777)


def _close_log(database: Path) -> None:
    """Take the write-ahead log into the database and delete it: it must not be applied to what comes in its place.

    SQLite does so only where nobody else has the database open.
    """
    if not is_database(database):
        return  # empty or broken: it has no log that could be applied
    try:
        with closing(_open(database)) as connection:
            mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise BackupError("the database is in use: stop the app, and try again") from None
        _set_log_aside(database)
        return
    if mode != "delete":
        raise BackupError("the database is in use: stop the app, and try again")


def _set_log_aside(database: Path) -> None:
    """Remove the log of a database that is damaged, which is what a restore is for."""
    for rest in ("-wal", "-shm", "-journal"):
        Path(f"{database}{rest}").unlink(missing_ok=True)


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=LOCK_SECONDS, isolation_level=None)


def _sync(folder: Path) -> None:
    """Make a rename survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
