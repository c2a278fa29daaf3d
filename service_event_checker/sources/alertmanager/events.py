"""What Alertmanager's event recorder (since 0.33) tells of alerts that it mutes by itself. Pure.

protojson: 64-bit numbers are text, names are lowerCamelCase, and what is empty is left out.
https://github.com/prometheus/alertmanager/blob/main/eventrecorder/eventrecorderpb/eventrecorder.proto
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.ids import alert_key
from service_event_checker.core.muted import Mute
from service_event_checker.render.text import line, without_passwords
from service_event_checker.sources.alertmanager.webhook import SOURCE, fingerprint

INTAKE = "/hooks/alertmanager-events"
EVENTS_MAX = 10_000  # of one message; the recorder sends at most 100 by default
_TEXT_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a message tells: `mutes`; `ends` of silences by their id, with the time of each event; `ignored` others."""

    mutes: tuple[Mute, ...] = ()
    ends: tuple[tuple[str, datetime, datetime], ...] = ()
    ignored: int = 0


def parse(body: Any) -> Recorded:
    """Return what one event, or a list of them (`batch: true`), says of mutes. Raises InvalidInput: none is taken."""
    events = body if isinstance(body, list) else [body]
    if len(events) > EVENTS_MAX:
        raise InvalidInput("body", f"holds more than {EVENTS_MAX} events")
    mutes: list[Mute] = []
    ends: list[tuple[str, datetime, datetime]] = []
    for number, event in enumerate(events):
        where = f"[{number}]" if isinstance(body, list) else "body"
        data = _object(_object(event, where).get("data"), f"{where}.data")
        at = _time(event, "@timestamp", where)
        if at is None:
            raise InvalidInput(f"{where}.@timestamp", "is missing")
        if isinstance(told := data.get("silenceMutedAlert"), dict):
            mutes.append(_silenced(told, at, f"{where}.data.silenceMutedAlert"))
        elif isinstance(told := data.get("inhibitionMutedAlert"), dict):
            mutes.append(_inhibited(told, at, f"{where}.data.inhibitionMutedAlert"))
        elif isinstance(told := data.get("silenceUpdated"), dict):
            silence = _object(told.get("silence"), f"{where}.data.silenceUpdated.silence")
            until = _time(silence, "endsAt", f"{where}.data.silenceUpdated.silence")
            if until and isinstance(silence.get("id"), str):
                ends.append((silence["id"], until, at))
    return Recorded(mutes=tuple(mutes), ends=tuple(ends), ignored=len(events) - len(mutes) - len(ends))


def _silenced(told: Mapping[str, Any], at: datetime, where: str) -> Mute:
    silence = _object(told.get("silence"), f"{where}.silence")
    id, author, comment = (_shown(silence.get(name)) for name in ("id", "createdBy", "comment"))
    by = "silence" + (f" of {author}" if author else "") + (f": {comment}" if comment else "")
    return Mute(_key(told, where), by=by, at=at, until=_time(silence, "endsAt", f"{where}.silence"), silence=id)


def _inhibited(told: Mapping[str, Any], at: datetime, where: str) -> Mute:
    rules = told.get("inhibitRules")
    names = [_shown(each.get("name")) for each in rules if isinstance(each, dict)] if isinstance(rules, list) else []
    fired = told.get("inhibitingFingerprints")
    others = [_hex(each) for each in fired] if isinstance(fired, list) else []
    because = ", ".join(filter(None, dict.fromkeys([*names, *filter(None, others)])))
    return Mute(_key(told, where), by=line("inhibition" + (f": {because}" if because else ""), _TEXT_MAX), at=at)


def _key(told: Mapping[str, Any], where: str) -> str:
    """Return the key of the muted alert, by its labels where the number is missing."""
    muted = _object(told.get("mutedAlert"), f"{where}.mutedAlert")
    known = _hex(muted.get("fingerprint")) or fingerprint(_labels(muted.get("labels"), f"{where}.mutedAlert.labels"))
    return alert_key(SOURCE, known)


def _hex(number: Any) -> str:
    """Return a 64-bit number, as text or not, in the 16 digits that Alertmanager's other messages write."""
    text = str(number) if isinstance(number, int | str) and not isinstance(number, bool) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= 20) or not 0 < int(text) < 2**64:
        return ""
    return f"{int(text):016x}"


def _labels(labels: Any, where: str) -> dict[str, str]:
    """Return the labels, an object by name; 0.33 writes a list of pairs."""
    given = labels.get("labels") if isinstance(labels, dict) and isinstance(labels.get("labels"), list) else labels
    pairs = given.items() if isinstance(given, dict) else _pairs(given)
    found = {name: value for name, value in pairs if isinstance(name, str) and isinstance(value, str) and value}
    if not found:
        raise InvalidInput(where, "are missing, and so is the fingerprint")
    return found


def _pairs(given: Any) -> list[tuple[Any, Any]]:
    listed = given if isinstance(given, list) else []
    return [(each.get("key"), each.get("value", "")) for each in listed if isinstance(each, dict)]


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(where, "is missing" if value is None else "is not an object")
    return value


def _time(fields: Mapping[str, Any], name: str, where: str) -> datetime | None:
    text = fields.get(name)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(f"{where}.{name}", "is not a time") from None


def _shown(value: Any) -> str:
    return line(without_passwords(value), _TEXT_MAX) if isinstance(value, str) else ""
