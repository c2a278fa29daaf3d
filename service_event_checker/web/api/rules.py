"""/api/v1/rules: the rules in their order, and what they would do with an alert. Changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from service_event_checker.core.conditions import short
from service_event_checker.core.rules import Rule
from service_event_checker.sources import evaluate as questions
from service_event_checker.sources.evaluate import Question
from service_event_checker.web.context import services
from service_event_checker.web.request_body import json_body

blueprint = Blueprint("rules", __name__, url_prefix="/api/v1/rules")


@blueprint.get("")
def many() -> dict[str, Any]:
    """List the rules of config.json, as they are evaluated, with when each last matched an alert that opened."""
    last = services().rule_hits.last()
    return {
        "rules": [
            {
                "name": rule.name,
                "match": list(map(str, rule.matchers)),
                "send": list(rule.send),
                "proceed": rule.proceed,
                "last_matched_at": at.isoformat() if (at := last.get(rule.name)) else None,
                **_grouping(rule),
                **_further(rule),
            }
            for rule in services().book.rules
        ]
    }


@blueprint.post("/evaluate")
def evaluate() -> dict[str, Any]:
    """Say which rules match an alert that opens, and who would be told; by the code that routes."""
    question = Question.model_validate(json_body(request))
    here = services()
    stored = here.store.silences.list()  # ended ones also: it may be asked as of an earlier time
    return questions.answer(question, here.book.with_silences(stored), datetime.now(UTC))


def _grouping(rule: Rule) -> dict[str, Any]:
    """Return what a rule for groups says of them; `group_wait` in seconds."""
    if not rule.per_group:
        return {}
    return {"per": "group", "group_by": list(rule.group_by), "group_wait": rule.group_wait.total_seconds()}


def _further(rule: Rule) -> dict[str, Any]:
    """Return the keys that a rule has beside the first four, durations as in config.json."""
    conditions, escalate = rule.conditions, rule.escalate
    found: dict[str, Any] = {"for": short(conditions.lasts)} if conditions.lasts else {}
    if conditions.after:
        found["after"] = {"count": conditions.after.count, "within": short(conditions.after.within)}
    if conditions.windows:
        found["windows"] = [window.text for window in conditions.windows]
    if escalate:
        found["escalate"] = {"after": short(escalate.after), "send": list(escalate.send)}
        found["escalate"] |= {"repeat": short(escalate.repeat)} if escalate.repeat else {}
    return found
