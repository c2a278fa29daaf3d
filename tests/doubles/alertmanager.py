"""An Alertmanager's API v2 on loopback, whose age and list a test sets: what a real one lists takes minutes to arrange.

Shapes: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml (GET /status, /alerts, /silences).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from service_event_checker.sources.alertmanager.webhook import fingerprint
from tests.doubles.base import Answer, Double, Request


class Alertmanager(Double):
    """`started_at` is what its status tells; `listed` its active and suppressed alerts by fingerprint."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.started_at = datetime.now(UTC) - timedelta(days=1)
        self.listed: dict[str, dict[str, Any]] = {}
        self.silences: dict[str, dict[str, Any]] = {}
        self.silences_answer: Answer | None = None  # in place of its silences

    def fire(self, name: str, *, receivers: tuple[str, ...] = ("tickets",), **labels: str) -> dict[str, Any]:
        """List an alert and return it in the shape of a webhook's."""
        named = {"alertname": name, **labels}
        id = fingerprint(named)
        told = {
            "labels": named,
            "annotations": {"summary": f"{name} happens"},
            "startsAt": "2026-11-20T02:59:00.000Z",
            "generatorURL": "http://prometheus.test/graph",
            "fingerprint": id,
        }
        shown = {"endsAt": "2099-01-01T00:00:00.000Z", "updatedAt": "2026-11-20T02:59:00.000Z"}
        status = {"state": "active", "silencedBy": [], "inhibitedBy": []}
        with self.lock:
            self.listed[id] = {**told, **shown, "status": status, "receivers": [{"name": name} for name in receivers]}
        return {**told, "status": "firing", "endsAt": "0001-01-01T00:00:00Z"}

    def silence(self, id: str, **status: list[str]) -> None:
        """Mute an alert: by the silence s-1, or by what the status names."""
        shown = {"id": "s-1", "createdBy": "ada", "comment": "upgrade", "endsAt": "2026-11-20T09:00:00.000Z"}
        by = status or {"silencedBy": ["s-1"]}
        with self.lock:
            self.silences["s-1"] = {**shown, "status": {"state": "active"}, "matchers": []}
            self.listed[id]["status"] = {"state": "suppressed", "silencedBy": [], "inhibitedBy": []} | by

    def message(self, *alerts: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """Return a webhook message that holds these alerts."""
        whole = {
            "version": "4",
            "groupKey": '{}:{alertname="x"}',
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "tickets",
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": self.url,
            "alerts": list(alerts),
        }
        return {**whole, **changes}

    def handle(self, request: Request) -> Answer:
        if (request.method, request.path) == ("GET", "/api/v2/status"):
            return Answer.json({"uptime": self.started_at.isoformat(), "versionInfo": {"version": "0.27.0"}})
        if (request.method, request.path) == ("GET", "/api/v2/alerts"):
            return Answer.json(list(self.listed.values()))
        if (request.method, request.path) == ("GET", "/api/v2/silences"):
            return self.silences_answer or Answer.json(list(self.silences.values()))
        return self.refuse(request, "no such operation", 404)
