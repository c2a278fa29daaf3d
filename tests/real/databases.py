"""PostgreSQL and MariaDB as private servers on loopback; each test gets a database of its own.

Both refuse to run as root, so as root they run as `nobody`, in a folder that this user owns. Writes reach the
operating system at each commit and are not synced to its disk: they survive `kill`, not a power cut.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from itertools import count
from pathlib import Path

from tests.real.parts import MARIADB, POSTGRESQL
from tests.real.server import START_SECONDS, Server

_USER, _GROUP = "nobody", "nogroup"
_NAME = "checker"


class Database(Server):
    """Base: lays out the data folder once; a restart after `kill` finds what was committed."""

    SCHEME: str

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._unused = count(1)
        self._data = folder / "data"

    def start(self) -> None:
        if not self._data.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            if os.geteuid() == 0:
                shutil.chown(self.folder, _USER, _GROUP)
            self._lay_out()
        super().start()
        deadline = time.monotonic() + START_SECONDS
        while not self._serves():
            if time.monotonic() > deadline:
                raise self._not_started()
            time.sleep(0.05)

    def new_database(self) -> str:
        """Return the address of an empty database that nobody has used yet."""
        name = f"test{next(self._unused)}"
        self._make(name)
        return self.address(name)

    def address(self, name: str) -> str:
        return f"{self.SCHEME}://{_NAME}@127.0.0.1:{self.port}/{name}"

    def _lay_out(self) -> None:
        raise NotImplementedError

    def _make(self, name: str) -> None:
        raise NotImplementedError

    def _serves(self) -> bool:
        """Whether it takes statements: after a kill it first repairs its files."""
        raise NotImplementedError


class PostgreSQL(Database):
    """`durable`: syncs each commit to the disk, with PostgreSQL's own defaults; for measuring."""

    SCHEME = "postgresql"

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        super().__init__(folder)
        self._durable = durable

    def command(self) -> list[str]:
        quick = () if self._durable else ("fsync=off", "full_page_writes=off", "shared_buffers=32MB")
        here = (f"unix_socket_directories={self.folder}", "listen_addresses=127.0.0.1")
        options = [word for setting in (*quick, *here) for word in ("-c", setting)]
        return _unprivileged(str(POSTGRESQL.find()), "-D", str(self._data), "-p", str(self.port), *options)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.folder)}

    def _lay_out(self) -> None:
        made = ("-D", str(self._data), "-U", _NAME, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        _run(str(_beside(POSTGRESQL.find(), "initdb")), *made, folder=self.folder)

    def _make(self, name: str) -> None:
        import psycopg

        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())

    def _serves(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.address("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True


class MariaDB(Database):
    SCHEME = "mysql+pymysql"

    def command(self) -> list[str]:
        quick = ("--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=2", "--skip-name-resolve")
        here = (f"--datadir={self._data}", f"--socket={self.folder}/s", "--bind-address=127.0.0.1")
        # Trust, as PostgreSQL's: it listens on loopback, for one test run.
        texts = ("--character-set-server=utf8mb4", "--skip-grant-tables", "--skip-networking=0")
        return _unprivileged(str(MARIADB.find()), "--no-defaults", f"--port={self.port}", *here, *quick, *texts)

    def _lay_out(self) -> None:
        made = (f"--datadir={self._data}", "--auth-root-authentication-method=normal", "--skip-test-db")
        _run("mariadb-install-db", "--no-defaults", *made, folder=self.folder)

    def _make(self, name: str) -> None:
        import pymysql

        with pymysql.connect(host="127.0.0.1", port=self.port, user=_NAME) as connection:
            connection.cursor().execute(f"CREATE DATABASE `{name}`")

    def _serves(self) -> bool:
        import pymysql

        try:
            pymysql.connect(host="127.0.0.1", port=self.port, user=_NAME).close()
        except pymysql.OperationalError:
            return False
        return True


def _unprivileged(*command: str) -> list[str]:
    # setpriv becomes the program: so the process that a test kills is the server.
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", "--reuid", _USER, "--regid", _GROUP, "--clear-groups", *command]


def _run(*command: str, folder: Path) -> None:
    environment = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(_unprivileged(*command), cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[0]}: {done.stderr[-2000:]}"


def _beside(program: Path | None, name: str) -> Path:
    assert program is not None
    return program.resolve().with_name(name)
