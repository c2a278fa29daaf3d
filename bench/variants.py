"""What is compared: which server, on which store, with how many workers, with how much stored, and how each starts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import psycopg

from bench import alerta, fill, load
from bench.servers import Alerta, Bare, Checker, Measured
from tests.destinations.slack.double import Slack
from tests.real.databases import PostgreSQL
from tests.real.parts import POSTGRESQL

STORED = 50_000


@dataclass(frozen=True, slots=True)
class Variant:
    """`stored`: alerts that are in the store before it starts. `receiver`: whom the product's alerts are sent to."""

    server: Literal["bare", "product", "alerta"]
    store: Literal["SQLite", "PostgreSQL"]
    workers: int
    stored: int = 0
    receiver: Literal["nobody", "slack", "console"] = "nobody"

    @property
    def name(self) -> str:
        plural = "" if self.workers == 1 else "s"
        text = f"{self.server}, {self.store}, {self.workers} worker{plural}"
        text += f", {self.stored:,} stored" if self.stored else ""
        return text if self.receiver == "nobody" else f"{text}, {self.receiver}"

    @property
    def bare(self) -> Variant:
        """The bare app on the same store with as many workers."""
        return Variant("bare", self.store, self.workers)

    @property
    def empty(self) -> Variant:
        return replace(self, stored=0)


SQLITE_1 = Variant("product", "SQLite", 1)
SQLITE_2 = Variant("product", "SQLite", 2)
POSTGRESQL_2 = Variant("product", "PostgreSQL", 2)
ALERTA = Variant("alerta", "PostgreSQL", 4)


class World:
    """The folder, the database and the chat that all variants share. `missing`: what cannot be measured, and why."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.missing: dict[str, str] = {}
        self.postgresql: PostgreSQL | None = None
        self.slack = Slack()
        self._filled: dict[str, str] = {}  # store -> what is copied: a file, or the name of a database
        self._count = 0

    @contextmanager
    def open(self) -> Iterator[World]:
        shutil.rmtree(self.folder, ignore_errors=True)
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            stack.enter_context(self.slack)
            if POSTGRESQL.find() is None:
                self.missing["PostgreSQL"] = POSTGRESQL.reason()
            else:
                self.postgresql = PostgreSQL(self.folder / "postgresql", durable=True)
                stack.callback(self.postgresql.stop)
                self.postgresql.start()
                if why := alerta.install():
                    self.missing["alerta"] = f"Alerta could not be installed: {why}"
            yield self

    def here(self, variants: tuple[Variant, ...]) -> list[Variant]:
        """Return those that can be measured on this machine."""
        return [one for one in variants if not self.missing.keys() & {one.store, one.server}]

    @contextmanager
    def running(self, variant: Variant) -> Iterator[tuple[Measured, float]]:
        """Start it on a store of its own; give it and the seconds until it was ready."""
        self._count += 1
        folder = self.folder / str(self._count)
        folder.mkdir(parents=True)
        address = self._address(variant, folder)
        server = self._server(variant, folder, address)
        os.sync()  # what was copied, or left by the one before, must not be written while this one is measured
        try:
            took = server.start_ready()
            if variant.server == "alerta" and variant.stored:
                fill.alerta(server.url + server.intake, address, variant.stored)
            yield server, took
        except load.NotTaken as error:
            raise SystemExit(f"{variant.name}: requests failed: {error}\n{server.log.read_text()[-2000:]}") from None
        finally:
            server.kill()  # its store is thrown away, so nobody waits for an orderly end
            shutil.rmtree(folder, ignore_errors=True)
            if address.startswith("postgresql:"):
                self._drop(address)

    def _server(self, variant: Variant, folder: Path, address: str) -> Measured:
        server: Measured
        if variant.server == "bare":
            server = Bare(folder, address, variant.workers)
        elif variant.server == "alerta":
            server = Alerta(folder, address, variant.workers)
        else:
            server = Checker(folder, address, variant.workers, self._receiver(variant))
        if self.postgresql is not None and variant.store == "PostgreSQL":
            server.database = self.postgresql.pid
        return server

    def _receiver(self, variant: Variant) -> dict[str, Any] | None:
        if variant.receiver == "nobody":
            return None
        if variant.receiver == "console":
            return {"kind": "console"}
        return {"kind": "slack", "channel": "#outages", "token": "env:SLACK_BOT_TOKEN", "api_url": self.slack.api_url}

    def _address(self, variant: Variant, folder: Path) -> str:
        """Return the address of a new store; "" is a file of SQLite in the server's folder."""
        copied = variant.server == "product" and variant.stored > 0
        if variant.store == "SQLite":
            if copied:
                shutil.copy(self._original(variant), folder / "store.db")
            return ""
        assert self.postgresql is not None
        if not copied:
            return self.postgresql.new_database()
        name = f"copy{self._count}"
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{self._original(variant)}"')
        self._execute("CHECKPOINT")
        return self.postgresql.address(name)

    def _original(self, variant: Variant) -> str:
        """Return the filled store that is copied, a file or the name of a database; it is made once."""
        if variant.store not in self._filled:
            make = self._filled_file if variant.store == "SQLite" else self._filled_database
            self._filled[variant.store] = make(variant.stored)
        return self._filled[variant.store]

    def _filled_file(self, alerts: int) -> str:
        file = self.folder / "filled.db"
        fill.product(f"sqlite:///{file}", alerts)
        return str(file)

    def _filled_database(self, alerts: int) -> str:
        assert self.postgresql is not None
        address = self.postgresql.new_database()
        fill.product(address, alerts)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")  # else it does so by itself, in the middle of a round
        return address.rpartition("/")[2]

    def _drop(self, address: str) -> None:
        self._execute(f'DROP DATABASE "{address.rpartition("/")[2]}" WITH (FORCE)')
        self._execute("CHECKPOINT")

    def _execute(self, statement: str) -> None:
        assert self.postgresql is not None
        with psycopg.connect(self.postgresql.address("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())
