"""Redis as a private server on loopback that keeps nothing on disk, and Celery's processes beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.real.parts import REDIS
from tests.real.product import Product
from tests.real.server import START_SECONDS, Server
from tests.root import ROOT

BEGUN = {"worker": '"event": "started"', "beat": "celery.beat.Scheduler"}  # in its log


class Redis(Server):
    def command(self) -> list[str]:
        quiet = ("--save", "", "--appendonly", "no", "--dir", str(self.folder))
        return [str(REDIS.find()), "--port", str(self.port), "--bind", "127.0.0.1", *quiet]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def flush(self) -> None:
        """Delete all that it holds, as FLUSHALL by mistake or a restart without its data does."""
        from redis import Redis as Client

        with Client.from_url(self.url) as client:
            client.flushall()


class Celery(Product):
    """`role`: worker or beat, of the product with this configuration."""

    def __init__(self, folder: Path, role: str, config: dict[str, Any], **variables: str) -> None:
        super().__init__(folder, config, **variables)
        self.role = role
        self.port = 1  # it listens nowhere

    def command(self) -> list[str]:
        words = ("-A", "service_event_checker.celery_app", self.role)
        own = ("--hostname", f"{self.folder.name}@test") if self.role == "worker" else ()
        return [sys.executable, "-m", "celery", "--workdir", str(ROOT), *words, *own]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}

    def start(self) -> None:
        """Start it and wait until its log says that it has begun."""
        seen = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = self._spawn(log)
        deadline = time.monotonic() + START_SECONDS
        while BEGUN[self.role] not in self._said(seen):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise self._not_started()
            time.sleep(0.05)

    def _said(self, since: int) -> str:
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")


def run_celery(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `celery -A … words` to its end and return what it said."""
    command = [sys.executable, "-m", "celery", "-A", "service_event_checker.celery_app", *words]
    environment = {**os.environ, "CONFIG_FILE": str(ROOT / "config.json"), **variables}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
