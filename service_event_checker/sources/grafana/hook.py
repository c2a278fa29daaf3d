"""Grafana's webhook: Alertmanager's with more fields, and the one of dashboard alerts before it. Pure.

https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
Dashboard alerts (until version 10): https://grafana.com/docs/grafana/v8.5/alerting/old-alerting/notifications/#webhook
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service_event_checker.core.errors import InvalidInput
from service_event_checker.sources.alertmanager import webhook
from service_event_checker.sources.alertmanager.webhook import Parsed

SOURCE = "hook:grafana"  # a checker may be called grafana
NAME = "Grafana"
INTAKE = "/hooks/grafana"
#: field of an alert -> the annotation that it becomes, unless the alert has one of this name
_ADDRESSES = {
    "dashboardURL": "dashboard_url",
    "panelURL": "panel_url",
    "silenceURL": "silence_url",
    "imageURL": "image_url",
}
#: `state` of a dashboard alert; `paused` and `pending` are not sent
_STATES = {"alerting": "firing", "no_data": "firing", "ok": "resolved"}


def message(payload: Any) -> dict[str, Any]:
    """Return a payload in the shape of Alertmanager's webhook, with the rest of each alert as annotations.

    Raises InvalidInput for a dashboard alert that names no rule or an unknown state.
    """
    if not isinstance(payload, dict):
        raise InvalidInput("body", "is not a JSON object")
    if "alerts" not in payload and "ruleId" in payload:
        return {"alerts": [_dashboard_alert(payload)]}
    alerts = payload.get("alerts")
    if not isinstance(alerts, list):
        return payload
    return {**payload, "alerts": [_annotated(each, payload) for each in alerts]}


def parse(told: Any) -> Parsed:
    """Return the events of `message(...)`. Raises InvalidInput if it is not a message."""
    parsed = webhook.parse(told, INTAKE)
    return replace(parsed, events=tuple(replace(event, source=SOURCE, origin="") for event in parsed.events))


def _annotated(alert: Any, payload: Mapping[str, Any]) -> Any:
    if not isinstance(alert, dict):
        return alert
    given = alert.get("annotations")
    if given is not None and not isinstance(given, dict):
        return alert
    found: dict[str, Any] = {new: alert.get(name) for name, new in _ADDRESSES.items()}
    found["values"] = _values(alert)
    found["org_id"] = payload.get("orgId")
    return {**alert, "annotations": {name: text for name, text in found.items() if text} | (given or {})}


def _values(alert: Mapping[str, Any]) -> str:
    """Return what was measured, like "B=44.24, C=1"; versions before 10 write a text of their own."""
    values = alert.get("values")
    if isinstance(values, dict):
        return ", ".join(f"{name}={value}" for name, value in sorted(values.items()))
    text = alert.get("valueString")
    return text if isinstance(text, str) else ""


def _dashboard_alert(payload: Mapping[str, Any]) -> dict[str, Any]:
    rule, state = payload["ruleId"], payload.get("state")
    if isinstance(rule, bool) or not isinstance(rule, int | str) or rule == "":
        raise InvalidInput("ruleId", "is neither a number nor text")
    status = _STATES.get(state) if isinstance(state, str) else None
    if status is None:
        raise InvalidInput("state", "is not alerting, no_data or ok")
    tags = payload.get("tags")
    name = payload.get("ruleName")
    return {
        "status": status,
        "labels": {**(tags if isinstance(tags, dict) else {}), "alertname": name if name else f"rule {rule}"},
        "annotations": {
            "description": payload.get("message"),
            "image_url": payload.get("imageUrl"),
            "values": _measured(payload.get("evalMatches")),
        },
        "generatorURL": payload.get("ruleUrl"),
        "fingerprint": f"rule:{payload.get('orgId', 1)}:{rule}",
    }


def _measured(matches: Any) -> str | None:
    """Return the series that caused it, like "cpu=91.2"."""
    if not isinstance(matches, list):
        return None
    named = [each for each in matches if isinstance(each, dict)]
    return ", ".join(f"{each.get('metric', '')}={each.get('value', '')}" for each in named) or None
