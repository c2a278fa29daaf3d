"""Runs `outage` in this process: the real group on a real SQLite store, as `cli.main` does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from service_event_checker.cli.context import Here
from service_event_checker.cli.main import outage
from service_event_checker.engine.services import Services
from tests.real.server import free_port


class Terminal:
    """A person's terminal: `environ` as the environment and .env give it. No app answers at its PORT."""

    def __init__(self, folder: Path, config: object, **variables: str) -> None:
        self.file = folder / "config.json"
        self.file.write_text(config if isinstance(config, str) else json.dumps(config))
        self.database = folder / "store.db"
        self.environ = {
            "CONFIG_FILE": str(self.file),
            "DATABASE_URL": f"sqlite:///{self.database}",
            "PORT": str(free_port()),
            **variables,
        }

    @property
    def services(self) -> Services:
        """What another process would have: built anew, on the same store."""
        return Here(self.environ).ready

    def run(self, *words: str, **more: Any) -> Result:
        answer = CliRunner().invoke(outage, list(words), obj=Here(self.environ), prog_name="outage", **more)
        assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
        return answer
