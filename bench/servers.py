"""The servers that are compared, each as a real process on a free port of its own."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench import alerta
from bench.processes import cpu_seconds, pss_bytes
from tests.destinations.slack.double import TOKEN
from tests.real.product import Product
from tests.real.server import START_SECONDS, Server
from tests.root import ROOT


class Measured(Server):
    """`intake` and `query`: where alerts are sent and read. `database`: the process of its database, if it has one."""

    intake = "/alert"
    query = ""
    ready = "/readyz"
    database: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start_ready(self) -> float:
        """Start it; return the seconds until it says that it is ready."""
        begun = time.perf_counter()
        self.start()
        while not self._is_ready():
            if self._process is None or self._process.poll() is not None or time.perf_counter() - begun > START_SECONDS:
                raise self._not_started()
            time.sleep(0.02)
        return time.perf_counter() - begun

    def cpu(self) -> float:
        """Return the seconds of CPU that it and its database have used so far."""
        return cpu_seconds(self.pid, *([self.database] if self.database else []))

    def pss(self) -> int:
        """Return the bytes of memory of its own processes, without its database."""
        return pss_bytes(self.pid)

    def count(self) -> int | None:
        """Return how many alerts it has stored, where the answers to messages do not say so."""
        return None

    def _is_ready(self) -> bool:
        try:
            with urlopen(self.url + self.ready, timeout=5) as answer:  # noqa: S310  # loopback
                return bool(answer.status == 200)
        except OSError:  # refused, reset, or 503
            return False


class Bare(Measured):
    def __init__(self, folder: Path, address: str, workers: int) -> None:
        super().__init__(folder)
        self._address = address or str(folder / "bare.db")
        self._workers = workers

    def command(self) -> list[str]:
        settings = ("-c", str(ROOT / "gunicorn.conf.py"), "--chdir", str(ROOT))
        return [sys.executable, "-m", "gunicorn", *settings, "bench.bare:app"]

    def environment(self) -> dict[str, str]:
        own = {"BARE_DATABASE": self._address, "PORT": str(self.port), "WEB_CONCURRENCY": str(self._workers)}
        return {**os.environ, **own}


class Checker(Measured, Product):
    """The product, with its log and its limits as by default; each alert owes `receiver` one message, if any."""

    query = "/api/v1/alerts?status=active&limit=50"

    def __init__(self, folder: Path, address: str, workers: int, receiver: dict[str, Any] | None) -> None:
        config = {
            "checkers": {},
            "destinations": {"chat": receiver} if receiver else {},
            "rules": [{"name": "all", "match": [], "send": ["chat"] if receiver else []}],
        }
        variables = {"SLACK_BOT_TOKEN": TOKEN, **({"DATABASE_URL": address} if address else {})}
        super().__init__(folder, config, WEB_CONCURRENCY=str(workers), **variables)


class Alerta(Measured):
    """Alerta as its documentation starts it: Gunicorn's own worker class, its default plugins, no destination."""

    intake = "/webhooks/prometheus"
    query = "/alerts?status=open&page-size=50"
    ready = "/management/gtg"

    def __init__(self, folder: Path, address: str, workers: int) -> None:
        super().__init__(folder)
        self._address = address
        self._workers = workers

    def command(self) -> list[str]:
        options = ("--workers", str(self._workers), "--bind", f"127.0.0.1:{self.port}", "--timeout", "120")
        return [str(alerta.PYTHON), "-m", "gunicorn", *options, "alerta:create_app()"]

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        nothing = str(self.folder / "none.conf")
        own = {"HOME": str(self.folder), "ALERTA_SVR_CONF_FILE": nothing, "SECRET_KEY": "bench"}
        return {**kept, **own, "DATABASE_URL": self._address}

    def count(self) -> int | None:
        # A message of 100 alerts takes it as long as a round: what a round breaks off was stored in part.
        return alerta.stored(self._address)

    def start(self) -> None:
        # Its workers would make the tables at the same time, and all but one fail.
        self.folder.mkdir(parents=True, exist_ok=True)
        alerta.make_tables(self.environment())
        super().start()
