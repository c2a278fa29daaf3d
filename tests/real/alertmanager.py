"""Alertmanager, alone and without gossip; the webhooks that it posts to are the test's.

It keeps alerts in memory only: after `kill` and `start` it knows none until somebody posts them again, as Prometheus
does each minute.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from tests.real.http_server import HttpServer
from tests.real.parts import ALERTMANAGER


def telling(
    *urls: str, token: str = "", group_by: Sequence[str] = ("alertname",), max_alerts: int = 0, wait: str = "1s"
) -> str:
    """Return a configuration that posts every alert to each of these webhooks, with the token as bearer.

    `wait` is both group_wait and group_interval: what is new or over is told that soon. A flush may last 10 seconds
    however short it is: https://github.com/prometheus/alertmanager/blob/v0.25.0/notify/notify.go (MinTimeout).
    """
    authorization = {"http_config": {"authorization": {"credentials": token}}} if token else {}
    webhooks = [{"url": url, "send_resolved": True, "max_alerts": max_alerts, **authorization} for url in urls]
    route = {"receiver": "test", "group_by": list(group_by), "group_wait": wait, "group_interval": wait}
    # JSON is YAML, and quotes everything.
    return json.dumps({"route": route, "receivers": [{"name": "test", "webhook_configs": webhooks}]})


class Alertmanager(HttpServer):
    """`config` is the text of alertmanager.yml: `telling(...)`, or the test's own."""

    def __init__(self, folder: Path, config: str) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.config_file = folder / "alertmanager.yml"
        self.config_file.write_text(config)

    def command(self) -> list[str]:
        own = [f"--config.file={self.config_file}", f"--storage.path={self.folder / 'storage'}"]
        listen = [f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="]
        return [str(ALERTMANAGER.find()), *own, *listen]

    def post_alerts(self, *alerts: Mapping[str, Any]) -> None:
        """Post alerts as Prometheus does: labels, and if wanted annotations, startsAt, endsAt, generatorURL."""
        self._ask("POST", "/alerts", json=list(alerts))

    def fire(self, **labels: str) -> None:
        """Post one firing alert; without a repetition it is over after resolve_timeout, five minutes."""
        self.post_alerts({"labels": labels, "annotations": {"summary": f"{labels['alertname']} fires"}})

    def resolve(self, **labels: str) -> None:
        """Post that the alert with these labels is over."""
        self.post_alerts({"labels": labels, "endsAt": datetime.now(UTC).isoformat()})

    def alerts(self, **query: str) -> list[dict[str, Any]]:
        """Return what it holds as firing; silenced and inhibited ones too, as `suppressed`."""
        found: list[dict[str, Any]] = self._ask("GET", "/alerts", params=query).json()
        return found

    def status(self) -> dict[str, Any]:
        """Return its own state; `uptime` is the time of its start."""
        found: dict[str, Any] = self._ask("GET", "/status").json()
        return found

    def silence(self, **labels: str) -> str:
        """Mute the alerts with these labels for an hour; return the silence's id."""
        matchers = [{"name": name, "value": value, "isRegex": False} for name, value in labels.items()]
        now = datetime.now(UTC)
        times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat()}
        body = {"matchers": matchers, **times, "createdBy": "test", "comment": "test"}
        return str(self._ask("POST", "/silences", json=body).json()["silenceID"])

    def expire(self, silence: str) -> None:
        """End a silence."""
        self._ask("DELETE", f"/silence/{silence}")

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        answer = self.call(method, f"/api/v2{path}", **options)
        answer.raise_for_status()
        return answer
