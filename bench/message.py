"""Alertmanager's alerts, as load.lua writes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def alert(fingerprint: str, now: datetime) -> dict[str, Any]:
    """Return an alert of a disk of its own; `fingerprint` has 16 hexadecimal digits."""
    number = int(fingerprint, 16)
    return {
        "status": "firing",
        "labels": {
            "alertname": "DiskIsSlow",
            "instance": f"db-{number}:9100",
            "job": "node",
            "namespace": "shop",
            "severity": ("critical", "warning")[number % 2],
        },
        "annotations": {"summary": f"Disk {number} is slow", "description": "The disk answers late. " * 4},
        "startsAt": now.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.test/graph?g0.expr=up",
        "fingerprint": fingerprint,
    }
