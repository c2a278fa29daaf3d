"""The product itself as a real server: Gunicorn on a free port, with a config of the test's own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.real.server import Server
from tests.root import ROOT


class Product(Server):
    """`config` is written to config.json; `variables` are its whole environment beside PATH and the like."""

    def __init__(self, folder: Path, config: dict[str, Any], **variables: str) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.config_file = folder / "config.json"
        self.config_file.write_text(json.dumps(config))
        self.variables = variables

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "--chdir", str(ROOT), "app:app"]

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        own = {"CONFIG_FILE": str(self.config_file), "PORT": str(self.port), "LOG_FORMAT": "json"}
        return {**kept, **own, "DATABASE_URL": f"sqlite:///{self.folder}/store.db", **self.variables}
