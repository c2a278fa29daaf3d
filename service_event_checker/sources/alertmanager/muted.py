"""What an Alertmanager mutes: by whom, until when, why. Alerts that it silences or inhibits are listed all the same.

API v2: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml (alertStatus, gettableSilence).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from service_event_checker.core.errors import SourceError
from service_event_checker.core.model import Alert
from service_event_checker.render.text import line, moment
from service_event_checker.sources.alertmanager.client import Alertmanager, is_suppressed

TEXT_MAX = 300  # characters
NAME_MAX = 100

Listed = Mapping[str, Any]


def muted(
    managers: Sequence[Alertmanager], listed: Mapping[str, Listed], open_alerts: Sequence[Alert]
) -> dict[str, str]:
    """Return by key what is to be said of the open alerts whose muting has changed; "" for one that is muted no more.

    `listed`: by fingerprint. Silences are asked for only if something is silenced; without an answer, their ids say it.
    """
    suppressed = {id: each for id, each in listed.items() if is_suppressed(each)}
    silences = _silences(managers) if any(_ids(each, "silencedBy") for each in suppressed.values()) else {}
    texts = {id: _text(each, silences, listed) for id, each in suppressed.items()}
    known = {alert.key: texts.get(alert.fingerprint, "") for alert in open_alerts if alert.fingerprint in listed}
    return {alert.key: known[alert.key] for alert in open_alerts if known.get(alert.key, alert.muted) != alert.muted}


def _silences(managers: Sequence[Alertmanager]) -> Mapping[str, Listed]:
    found: dict[str, Listed] = {}
    for manager in managers:
        try:
            found |= manager.silences()
        except SourceError:
            continue  # the alerts say which silences, and what is open is compared all the same
    return found


def _text(each: Listed, silences: Mapping[str, Listed], listed: Mapping[str, Listed]) -> str:
    return line(f"muted in Alertmanager {', and '.join(_causes(each, silences, listed)) or 'by something'}", TEXT_MAX)


def _causes(each: Listed, silences: Mapping[str, Listed], listed: Mapping[str, Listed]) -> Iterator[str]:
    for id in _ids(each, "silencedBy"):
        yield _silence(silences[id]) if id in silences else f"by silence {line(id, NAME_MAX)}"
    for id in _ids(each, "inhibitedBy"):
        labels = listed.get(id, {}).get("labels")
        name = labels.get("alertname") if isinstance(labels, dict) else None
        yield f"as long as {line(str(name or id), NAME_MAX)} fires"
    for name in _ids(each, "mutedBy"):
        yield f"by the time interval {line(name, NAME_MAX)}"


def _silence(silence: Listed) -> str:
    by, why = (line(str(silence.get(name) or ""), NAME_MAX) for name in ("createdBy", "comment"))
    text = f"by {by or 'somebody'}{_until(silence.get('endsAt'))}"
    return f"{text}: {why}" if why else text


def _until(text: object) -> str:
    try:
        at = datetime.fromisoformat(str(text))
        return f" until {moment(at.astimezone(UTC))}" if at.tzinfo else ""
    except (ValueError, OverflowError):
        return ""


def _ids(each: Listed, name: str) -> list[str]:
    """Return a list of texts in an alert's status; [] where an older version tells none."""
    status = each.get("status")
    found = status.get(name) if isinstance(status, dict) else None
    return [id for id in found if isinstance(id, str)] if isinstance(found, list) else []
