"""Prometheus, scraping what a test gives it each second, and telling an Alertmanager what is down.

It knows its Alertmanager some 5 seconds after its start; what it wanted to tell before that it repeats.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.real.http_server import HttpServer
from tests.real.parts import PROMETHEUS

#: the alert that `watching` has: a target that cannot be scraped
TARGET_DOWN = "TargetDown"
_RULE = {
    "alert": TARGET_DOWN,
    "expr": "up == 0",
    "labels": {"severity": "critical"},
    "annotations": {"summary": "{{ $labels.instance }} cannot be scraped"},
}
_RULES_FILE = "rules.yml"


def watching(target: str, alertmanager: str) -> str:
    """Return a configuration that scrapes `target` and, with the one rule, tells when that fails.

    Both are addresses, host:port, without a scheme.
    """
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [_RULES_FILE],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [{"job_name": "target", "static_configs": [{"targets": [target]}]}],
    }
    return json.dumps(config)  # JSON is YAML


class Prometheus(HttpServer):
    """`config` is the text of prometheus.yml: `watching(...)`, or the test's own; rules.yml beside it has one rule."""

    def __init__(self, folder: Path, config: str) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.config_file = folder / "prometheus.yml"
        self.config_file.write_text(config)
        (folder / _RULES_FILE).write_text(json.dumps({"groups": [{"name": "test", "rules": [_RULE]}]}))

    def command(self) -> list[str]:
        own = [f"--config.file={self.config_file}", f"--storage.tsdb.path={self.folder / 'storage'}"]
        # A minute, else. An alert not repeated for four times this is over: were it shorter, a busy machine would lie.
        repeat = "--rules.alert.resend-delay=5s"
        return [str(PROMETHEUS.find()), *own, repeat, f"--web.listen-address=127.0.0.1:{self.port}"]

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that its rules hold now, pending and firing."""
        return self._data("/alerts")["alerts"]  # type: ignore[no-any-return]

    def value(self, query: str) -> float | None:
        """Return what an instant query gives; None when no series answers it."""
        found = self._data("/query", query=query)["result"]
        return float(found[0]["value"][1]) if found else None

    def _data(self, path: str, **query: str) -> dict[str, Any]:
        answer = self.call("GET", f"/api/v1{path}", params=query)
        answer.raise_for_status()
        data: dict[str, Any] = answer.json()["data"]
        return data
