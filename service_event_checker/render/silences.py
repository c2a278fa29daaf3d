"""A silence as API and command line show it. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import AwareDatetime, BaseModel

from service_event_checker import logs
from service_event_checker.core.model import Alert
from service_event_checker.core.silences import Holding, Silence, State
from service_event_checker.core.vocabulary import Severity
from service_event_checker.core.weekly import Weekly


class SilenceShape(BaseModel):
    """One silence. `holds_until`: when it stops to hold back, null while it does not; `hits`: alerts it withheld.

    `editable`: false for one of config.json. `created_at`: null for those.
    """

    id: str
    state: State
    match: list[str]
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    holds_until: AwareDatetime | None
    repeat: dict[str, list[str] | str] | None
    owner: str
    reason: str
    created_at: AwareDatetime | None
    ended_by: str
    hits: int
    editable: bool

    @classmethod
    def of(cls, silence: Silence, now: datetime) -> Self:
        return cls(
            id=silence.id,
            state=silence.state(now),
            match=list(map(str, silence.matchers)),
            starts_at=silence.starts_at,
            ends_at=silence.ends_at,
            holds_until=silence.until(now),
            repeat=_repeat(silence.repeat) if silence.repeat else None,
            owner=silence.owner,
            reason=logs.masked(silence.reason),
            created_at=silence.created_at,
            ended_by=silence.ended_by,
            hits=silence.hits,
            editable=silence.revision > 0,
        )


class HoldingShape(BaseModel):
    """A silence that holds an alert back: whose, until when, why."""

    id: str
    owner: str
    until: AwareDatetime
    reason: str
    match: list[str]

    @classmethod
    def of(cls, holding: Holding) -> Self:
        silence = holding.silence
        reason, match = logs.masked(silence.reason), list(map(str, silence.matchers))
        return cls(id=silence.id, owner=silence.owner, until=holding.until, reason=reason, match=match)


class MatchedAlert(BaseModel):
    """An open alert that a silence matches."""

    id: str
    title: str
    source: str
    severity: Severity
    receivers: list[str]

    @classmethod
    def of(cls, alert: Alert) -> Self:
        return cls(
            id=alert.internal_id,
            title=alert.title,
            source=alert.source,
            severity=alert.severity,
            receivers=list(alert.receivers),
        )


def _repeat(repeat: Weekly) -> dict[str, list[str] | str]:
    clock = {"from": f"{repeat.starts:%H:%M}", "to": f"{repeat.ends:%H:%M}"}
    return {"weekly": list(repeat.days), **clock, "tz": repeat.zone}
