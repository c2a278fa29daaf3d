"""What becomes of an alert when its verdict changes: the change, and once per outage a note to its receivers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from service_event_checker.core.model import Alert, Transition
from service_event_checker.core.replacing import replace
from service_event_checker.core.tracker import Tracked
from service_event_checker.core.verdict import Answer, Verdict
from service_event_checker.core.vocabulary import Verb, Why

REASONS_TOLD = 4
TOLD_MAX = 40  # explanations and corrections that are remembered
_WITHDRAWN = "-"


def opened(change: Tracked, alert: Alert, verdict: Verdict) -> Tracked:
    """Return the opening of an alert with its verdict: its first message tells it."""
    told = tuple(dict.fromkeys((*alert.explanations, *verdict.explained_by)))[-TOLD_MAX:]
    return replace(change, alert=replace(alert, verdict=verdict, explanations=told))


def changed(alert: Alert, verdict: Verdict, now: datetime) -> Tracked:
    """Return the alert with a new verdict, and the rows that tell of it; of each outage, each way once.

    Whatever is judged again and again: an outage explains an alert once, and is withdrawn once.
    """
    before = alert.verdict.explained_by if alert.verdict else ()
    gained = [id for id in verdict.explained_by if id not in before and id not in alert.explanations]
    lost = [id for id in before if id not in verdict.explained_by and _WITHDRAWN + id not in alert.explanations]
    rows = []
    if gained:
        rows.append(_row(alert, Why.EXPLAINED, said(verdict), now))
    if lost:
        note = f"No longer explained by {', '.join(lost)}. {said(verdict)}"
        rows.append(_row(alert, Why.EXPLANATION_WITHDRAWN, note, now))
    if alert.verdict and verdict.explained_by == before and verdict.answer is not alert.verdict.answer:
        why = Why.EXPLANATION_WITHDRAWN if verdict.answer is Answer.UNKNOWN else Why.EXPLAINED
        rows.append(replace(_row(alert, why, said(verdict), now), verbs=()))  # no news to people; rules are asked
    told = (*alert.explanations, *gained, *(_WITHDRAWN + id for id in lost))[-TOLD_MAX:]
    return Tracked(replace(alert, verdict=verdict, explanations=told), tuple(rows))


def said(verdict: Verdict) -> str:
    """Return the verdict and its strongest reasons as one text."""
    reasons = "; ".join(verdict.reasons[:REASONS_TOLD])
    return f"{verdict.sentence}. Reasons: {reasons}." if reasons else f"{verdict.sentence}."


def is_news(alert: Alert, verdict: Verdict, seen: Iterable[str]) -> bool:
    """Whether a verdict is to be kept: it says something else than the last one, of outages that are still looked at.

    `seen`: internal ids of the outages that were judged. What explained the alert and is long over goes on to.
    """
    if alert.verdict is None:
        return bool(verdict.explained_by)
    if set(alert.verdict.explained_by) - set(seen):
        return bool(set(verdict.explained_by) - set(alert.verdict.explained_by))
    return not verdict.same_as(alert.verdict)


def _row(alert: Alert, why: Why, note: str, now: datetime) -> Transition:
    return Transition(
        key=alert.key,
        episode=alert.episode,
        at=now,
        why=why,
        before=alert.status,
        after=alert.status,
        verbs=(Verb.UPDATE, Verb.NOTE),
        note=note,
    )
