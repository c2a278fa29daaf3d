"""Azure Monitor's webhook in the common alert schema, parsed into an event. Pure.

https://learn.microsoft.com/en-us/azure/azure-monitor/alerts/alerts-common-schema
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from service_event_checker.core.clean import clean
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import FINGERPRINT_MAX, Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.render.text import without_passwords
from service_event_checker.sources.severities import severity_of

SOURCE = "hook:azure_monitor"
NAME = "Azure Monitor"
INTAKE = "/hooks/azure-monitor"
SCHEMA = "azureMonitorCommonAlertSchema"
PORTAL = "https://portal.azure.com/#@/resource"
_STATUSES = {"fired": EventStatus.FIRING, "resolved": EventStatus.RESOLVED}
_RESOURCE = re.compile(r"^/subscriptions/([^/]+)(?:/resourcegroups/([^/]+))?", re.IGNORECASE)
_CONDITIONS_MAX = 5  # of one alert, in its text


def parse(payload: Any) -> Event:
    """Return the event of `{"schemaId", "data": {"essentials", "alertContext", "customProperties"}}`.

    It is known by its `alertId`, which is that of one firing: the next one has another. Raises InvalidInput.
    """
    if not isinstance(payload, dict) or payload.get("schemaId") != SCHEMA:
        hint = "Turn on the common alert schema in the action group"
        raise InvalidInput("schemaId", f"is not {SCHEMA}", hint)
    data = _object(payload.get("data"), "data")
    essentials = _object(data.get("essentials"), "data.essentials")
    status = _STATUSES.get(_text(essentials, "monitorCondition").lower())
    if status is None:
        raise InvalidInput("data.essentials.monitorCondition", "is neither Fired nor Resolved")
    targets = _texts(essentials.get("alertTargetIDs"))
    labels = _labels(data, essentials, targets)
    context = data.get("alertContext")
    return clean(
        Event(
            source=SOURCE,
            fingerprint=_identity(essentials),
            kind=Kind.ALERT,
            status=status,
            title=_title(labels),
            severity=severity_of(labels.get("severity", "")) or Severity.WARNING,
            description=without_passwords(_text(essentials, "description")),
            at=_time(essentials, "resolvedDateTime") if status is EventStatus.RESOLVED else None,
            starts_at=_time(essentials, "firedDateTime"),
            url=_address(essentials, targets),
            labels=labels,
            annotations=_annotations(context if isinstance(context, dict) else {}),
            intake=INTAKE,
        )
    )


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(where, "is missing" if value is None else "is not an object")
    return value


def _text(fields: Mapping[str, Any], name: str) -> str:
    """Return a field's text; "" where it is missing. Raises InvalidInput where it is something else."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput(f"data.essentials.{name}", "is not text")
    return value.strip()


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str) and each] if isinstance(value, list) else []


def _identity(essentials: Mapping[str, Any]) -> str:
    """Return the alert's id in lower case: Azure writes the same resource in several."""
    given = (_text(essentials, "alertId") or _text(essentials, "originAlertId")).lower()
    if not given:
        raise InvalidInput("data.essentials.alertId", "is missing")
    return given if len(given) <= FINGERPRINT_MAX else hashlib.sha256(given.encode("utf-8", "replace")).hexdigest()


def _labels(data: Mapping[str, Any], essentials: Mapping[str, Any], targets: list[str]) -> dict[str, str]:
    """Return the rule's custom properties, and what the schema says of every alert."""
    custom = data.get("customProperties")
    given = custom.items() if isinstance(custom, dict) else ()
    found = {name: without_passwords(_plain(value)) for name, value in given if name and value is not None}
    place = _RESOURCE.match(targets[0]) if targets else None
    own = {
        "alertname": _last(_text(essentials, "alertRule")),
        "severity": _text(essentials, "severity"),
        "monitoring_service": _text(essentials, "monitoringService"),
        "signal_type": _text(essentials, "signalType"),
        "resource": "\n".join(dict.fromkeys(map(_last, targets))),
        "resource_id": "\n".join(targets),
        "resource_type": _text(essentials, "targetResourceType"),
        "resource_group": _text(essentials, "targetResourceGroup") or (place[2] if place else "") or "",
        "subscription": place[1] if place else "",
        "origin_alert_id": _text(essentials, "originAlertId"),
    }
    return found | {name: text for name, text in own.items() if text}


def _last(resource: str) -> str:
    """Return the name at the end of a resource's id, and any other text as it is."""
    return resource.rpartition("/")[2] if resource.startswith("/") else resource


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _title(labels: Mapping[str, str]) -> str:
    resource = labels.get("resource", "").replace("\n", ", ")
    return ": ".join(filter(None, (labels.get("alertname", ""), resource))) or "Azure Monitor alert"


def _time(essentials: Mapping[str, Any], name: str) -> datetime | None:
    text = _text(essentials, name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"data.essentials.{name}", "is not a time") from None
    if at.tzinfo is None:
        raise InvalidInput(f"data.essentials.{name}", "is a time without an offset")
    return at


def _address(essentials: Mapping[str, Any], targets: list[str]) -> str:
    """Return where a person looks at it: the investigation that Azure names, else the resource in the portal."""
    return _text(essentials, "investigationLink") or (PORTAL + quote(targets[0]) if targets else "")


def _annotations(context: Mapping[str, Any]) -> dict[str, str]:
    """Return what was measured against what, of metric and log alerts."""
    condition = context.get("condition")
    criteria = condition.get("allOf") if isinstance(condition, dict) else None
    some = [each for each in criteria if isinstance(each, dict)] if isinstance(criteria, list) else []
    text = "; ".join(filter(None, map(_criterion, some[:_CONDITIONS_MAX])))
    return {"condition": text} if text else {}


def _criterion(one: Mapping[str, Any]) -> str:
    """Return one criterion like "Percentage CPU GreaterThan 80: 91.2"."""
    wanted = _words(one.get(name) for name in ("metricName", "operator", "threshold"))
    measured = _words([one.get("metricValue")])
    return f"{wanted}: {measured}" if wanted and measured else wanted


def _words(values: Iterable[Any]) -> str:
    return " ".join(str(value) for value in values if isinstance(value, str | int | float) and value != "")
