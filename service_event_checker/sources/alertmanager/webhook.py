"""Alertmanager's webhook, version 4 and whatever is written by hand in its shape, parsed into events. Pure.

Each alert is judged by itself, never by its message: a message that fires may hold alerts that are over.
https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service_event_checker.core.clean import clean
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.render.text import line, without_passwords
from service_event_checker.sources.severities import severity_of

SOURCE = "alertmanager"
NAME = "alertname"
_STATUSES = {"firing": EventStatus.FIRING, "resolved": EventStatus.RESOLVED}
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_TIME_HINT = "Write it like 2026-11-20T17:54:22.037Z"
_YEARS = range(1971, 9999)  # Go's zero time is 0001-01-01 and means: no time
_NAME_MAX = 200
_LABELS_HINT = 'Send at least {"alertname": "what it is"}'
_TITLE_LABELS = 3  # named where nothing else says what the alert is
# FNV-1a, 64 bits; http://www.isthe.com/chongo/tech/comp/fnv/
_OFFSET, _PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class Rejected:
    """An alert that cannot be used, by its place in the message; `error` names the field and how to fix it."""

    index: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a message holds. `events` are storable, in its order, and may name one alert more than once.

    `truncated`: so many alerts were left out by Alertmanager (`max_alerts`). `receiver` is Alertmanager's own name of
    what sent it. `unknown`: words for a severity that no table has; they count as warning.
    """

    events: tuple[Event, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    truncated: int = 0
    receiver: str = ""
    unknown: frozenset[str] = frozenset()


def parse(payload: Any, intake: str) -> Parsed:
    """Return the events of a message `{"alerts": [{status, labels, annotations, startsAt, …}], …}`.

    `intake` is the way in, "/alert" or "/webhook". Unknown keys are ignored. Raises InvalidInput if it is not such a
    message at all.
    """
    alerts = _alerts(payload)
    origin = _origin(payload)
    events: list[Event] = []
    rejected: list[Rejected] = []
    for index, alert in enumerate(alerts):
        try:
            events.append(_event(alert, f"alerts[{index}]", intake, origin))
        except InvalidInput as error:
            rejected.append(Rejected(index, str(error)))
    words = {event.labels.get("severity", "") for event in events}
    truncated = payload.get("truncatedAlerts")
    receiver = payload.get("receiver")
    return Parsed(
        events=tuple(events),
        rejected=tuple(rejected),
        truncated=max(truncated, 0) if isinstance(truncated, int) else 0,
        receiver=receiver[:_NAME_MAX] if isinstance(receiver, str) else "",
        unknown=frozenset(word for word in words if severity_of(word) is None),
    )


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return Alertmanager's own fingerprint of an alert: it hangs on every label, and on nothing else.

    `model.LabelSet.Fingerprint` of github.com/prometheus/common: FNV-1a over name, 0xFF, value, 0xFF by sorted name.
    """
    state = _OFFSET
    for name, value in sorted((_bytes(name), _bytes(value)) for name, value in labels.items()):
        for byte in name + b"\xff" + value + b"\xff":
            state = ((state ^ byte) * _PRIME) & _MASK
    return f"{state:016x}"


def _alerts(payload: Any) -> list[Any]:
    if not isinstance(payload, dict):
        raise InvalidInput("body", "is not a JSON object", 'Send {"alerts": [...]}, as Alertmanager\'s webhook does')
    alerts = payload.get("alerts")
    if not isinstance(alerts, list):
        hint = 'Send {"alerts": [...]}. If your webhook_config has a custom `payload`, remove it'
        raise InvalidInput("alerts", "is missing" if alerts is None else "is not a list", hint)
    return alerts


def _origin(payload: Mapping[str, Any]) -> str:
    """Return the address of the Alertmanager that sent this, "" if it cannot be queried.

    Grafana writes the same shape with another version, and has another API.
    """
    address = payload.get("externalURL")
    genuine = isinstance(payload.get("groupKey"), str) and payload.get("version", "4") == "4"
    return without_passwords(address) if genuine and isinstance(address, str) else ""


def _event(alert: Any, where: str, intake: str, origin: str) -> Event:
    if not isinstance(alert, dict):
        raise InvalidInput(where, "is not an object")
    labels = _labels(alert.get("labels"), f"{where}.labels")
    annotations = _annotations(alert.get("annotations"), f"{where}.annotations")
    status = _status(alert.get("status"), f"{where}.status")
    ends_at = _time(alert, "endsAt", where)
    event = Event(
        source=SOURCE,
        fingerprint=_identity(alert.get("fingerprint"), labels, f"{where}.fingerprint"),
        kind=Kind.ALERT,
        status=status,
        title=_title(labels, annotations.get("summary", "")),
        severity=severity_of(labels.get("severity", "")) or Severity.WARNING,
        description=annotations.get("description", "") or annotations.get("message", ""),
        at=ends_at if status is EventStatus.RESOLVED else None,
        starts_at=_time(alert, "startsAt", where),
        url=_address(alert.get("generatorURL")),
        labels={name: without_passwords(labels[name]) for name in sorted(labels)},
        annotations=annotations,
        intake=intake,
        origin=origin,
    )
    try:
        return clean(event)
    except InvalidInput as error:
        raise InvalidInput(f"{where}.{error.where}", error.problem, error.hint) from None


def _labels(labels: Any, where: str) -> dict[str, str]:
    """Return the labels; an empty one is as good as none, as with Prometheus."""
    if not isinstance(labels, dict):
        problem = "are missing" if labels is None else "are not an object"
        raise InvalidInput(where, problem, _LABELS_HINT)
    for name, value in labels.items():
        if not isinstance(value, str):
            raise InvalidInput(f"{where}.{line(name, _NAME_MAX)}", "is not text", "Put the value in quotes")
    found = {name: value for name, value in labels.items() if name and value}
    if not any(map(_shown, found.values())):
        raise InvalidInput(where, "are all empty", _LABELS_HINT)
    return found


def _annotations(annotations: Any, where: str) -> dict[str, str]:
    """Return the annotations; they identify nothing, so that a number is taken as its text."""
    if annotations is None:
        return {}
    if not isinstance(annotations, dict):
        raise InvalidInput(where, "are not an object")
    told = sorted(annotations.items())
    return {name: without_passwords(_plain(value)) for name, value in told if value is not None and name}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _status(status: Any, where: str) -> EventStatus:
    known = _STATUSES.get(status) if isinstance(status, str) else None
    if known is None:
        problem = "is missing" if status is None else "is neither firing nor resolved"
        raise InvalidInput(where, problem, 'Send "firing" or "resolved"')
    return known


def _identity(given: Any, labels: Mapping[str, str], where: str) -> str:
    if given is None or given == "":
        return fingerprint(labels)
    if not isinstance(given, str):
        raise InvalidInput(where, "is not text", "Leave it out to have it computed from the labels")
    return given


def _time(alert: Mapping[str, Any], name: str, where: str) -> datetime | None:
    """Return a time in RFC 3339, to the microsecond; None if it is missing."""
    text = alert.get(name)
    if text is None or text == "":
        return None
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise InvalidInput(f"{where}.{name}", "is not a time with an offset", _TIME_HINT)
    try:
        at = datetime.fromisoformat(text.upper())
        return at.astimezone(UTC) if at.year in _YEARS else None
    except ValueError:
        raise InvalidInput(f"{where}.{name}", "is a time that does not exist", _TIME_HINT) from None


def _title(labels: Mapping[str, str], summary: str) -> str:
    """Return what a person reads first: the alert's name, and its summary where that does not begin with it.

    Prometheus names each alert, other senders do not: then the summary, else what the labels name.
    """
    name, summary = without_passwords(_shown(labels.get(NAME, ""))), summary.strip()
    if not name:
        return summary or without_passwords(_named_by_labels(labels))
    if not summary:
        return name
    return summary if summary.lower().startswith(name.lower()) else f"{name}: {summary}"


def _named_by_labels(labels: Mapping[str, str]) -> str:
    where = [shown for key in ("job", "instance") if (shown := _shown(labels.get(key, "")))]
    if where:
        return ": ".join(where)
    pairs = [f"{key}={value}" for key, value in sorted(labels.items()) if _shown(value)]
    return ", ".join(pairs[:_TITLE_LABELS])


def _shown(value: str) -> str:
    return value.replace("\0", "").strip()


def _address(url: Any) -> str:
    return without_passwords(url) if isinstance(url, str) else ""  # `clean` lets pass web addresses only, and whole


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
