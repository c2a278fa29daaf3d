"""What a person asks the rules about, labels or a whole message of Alertmanager, and what they would do with it.

The same for the API and the command line. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from service_event_checker import logs
from service_event_checker.config.fields import Moment
from service_event_checker.core.clean import clean
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.evaluation import Evaluation, Joined, evaluate
from service_event_checker.core.model import Event
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from service_event_checker.render.silences import HoldingShape
from service_event_checker.sources.alertmanager import webhook
from service_event_checker.sources.rest import payload as rest
from service_event_checker.sources.severities import severity_of

ALERTS_MAX = 100  # of one message
_ALERT = "/alert"
_POLL = "poll"


class Question(BaseModel):
    """An alert by its labels and the names that rules ask for, or an Alertmanager's message as `payload`.

    `severity` is any word of the table; left out, the label of this name counts. `at`: when; left out, now.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    labels: dict[str, str] = {}
    source: str = ""
    kind: Kind = Kind.ALERT
    severity: str = ""
    title: str = ""
    intake: str = Field(default="", max_length=200)
    payload: JsonValue = None
    at: Moment | None = None


def answer(question: Question, book: Rulebook, now: datetime) -> dict[str, Any]:
    """Return `{"receivers", "withheld": [{receiver, reason}], "steps": [{rule, matched, why}], "silences"}` as of `at`.

    `groups` (left out if there are none): `[{rule, key, labels, receivers, wait}]`, those that the alert would join.
    Their receivers, who are told of the group when its wait (seconds) is over, are among the others.
    `silences`: those that hold it back, `[{id, owner, until, reason, match}]`. For a message: who is told of any of its
    alerts, and the steps of each with its `alert`. Raises InvalidInput.
    """
    at = question.at or now
    events = asked(question)
    found = [(event, evaluate(clean(replace(event, starts_at=None, at=None)), book, at)) for event in events]
    told = list(dict.fromkeys(name for _, each in found for name in _told(each)))
    waiting = {name: why for _, each in found for name, why in each.withheld.items()}
    groups = {group.key: group for _, each in found for group in each.groups}
    waiting |= {name: why for group in groups.values() for name, why in group.withheld.items()}
    silenced = dict.fromkeys(holding for _, each in found for holding in each.silences)
    answer = {
        "receivers": told,
        "withheld": [{"receiver": name, "reason": logs.masked(why)} for name, why in waiting.items()],
        "steps": list(_steps(found, named=question.payload is not None)),
        "silences": [HoldingShape.of(each).model_dump(mode="json") for each in silenced],
    }
    return answer | {"groups": list(map(_group, groups.values()))} if groups else answer


def _told(found: Evaluation) -> Iterable[str]:
    yield from found.receivers
    for group in found.groups:
        yield from group.receivers


def _group(joined: Joined) -> dict[str, Any]:
    return {
        "rule": joined.rule.name,
        "key": joined.key,
        "labels": dict(joined.labels),
        "receivers": list(joined.receivers),
        "wait": joined.rule.group_wait.total_seconds(),
    }


def asked(question: Question) -> list[Event]:
    """Return what is asked about as events, firing. Raises InvalidInput."""
    return [_event(question)] if question.payload is None else _events(question)


def _steps(found: Iterable[tuple[Event, Evaluation]], *, named: bool) -> Iterable[dict[str, Any]]:
    for event, each in found:
        for step in each.steps:
            shown = {"rule": step.rule.name, "matched": step.matched, "why": step.why}
            yield {"alert": event.title, **shown} if named else shown


def _event(question: Question) -> Event:
    source = question.source or webhook.SOURCE
    severity = question.severity or question.labels.get("severity", "")
    return Event(
        source=source,
        fingerprint="asked",
        kind=question.kind,
        status=EventStatus.FIRING,
        title=question.title or question.labels.get(webhook.NAME, ""),
        severity=severity_of(severity) or Severity.WARNING,
        labels=question.labels,
        intake=question.intake or _intake(source, question.kind),
    )


def _intake(source: str, kind: Kind) -> str:
    if kind is not Kind.ALERT:
        return _POLL
    return rest.INTAKE if source.startswith(rest.PREFIX) else _ALERT


def _events(question: Question) -> list[Event]:
    if question.labels or question.source:
        raise InvalidInput("payload", "stands beside labels or source", "Send one of the two")
    parsed = webhook.parse(question.payload, question.intake or _ALERT)
    if parsed.rejected:
        raise InvalidInput("payload", parsed.rejected[0].error)
    if not 1 <= len(parsed.events) <= ALERTS_MAX:
        raise InvalidInput("payload.alerts", f"are {len(parsed.events)}", f"Send 1 to {ALERTS_MAX}")
    return [replace(event, status=EventStatus.FIRING) for event in parsed.events]
