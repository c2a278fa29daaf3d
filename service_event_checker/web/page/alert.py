"""GET /alerts/{id}: who was told of one alert, when, and if not, why; and what happened. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Blueprint, render_template

from service_event_checker import logs
from service_event_checker.core.knowledge import Change
from service_event_checker.core.ledger import Entry, State
from service_event_checker.core.model import Transition
from service_event_checker.core.replacing import replace
from service_event_checker.core.silences import silence_of
from service_event_checker.core.vocabulary import Verb
from service_event_checker.engine import changes, muted
from service_event_checker.engine.actions.view import shown_runs
from service_event_checker.engine.grouping import related
from service_event_checker.engine.ledger import ledger
from service_event_checker.render.names import platform_name, step_name
from service_event_checker.render.runs import RunShape
from service_event_checker.render.text import clean, line, web_address
from service_event_checker.web.api.lookup import find_alert
from service_event_checker.web.context import services
from service_event_checker.web.page.rows import alert_row

TEXT_MAX = 300
BODY_MAX = 4000
WORDS = {
    State.DELIVERED: "Told",
    State.WAITING: "Waiting",
    State.FAILED: "Failed",
    State.WITHHELD: "Withheld",
    State.SUMMARISED: "Summarised",
    State.NOT_MATCHED: "Not matched",
}
_LOOKS = {State.DELIVERED: "ok", State.SUMMARISED: "ok", State.WAITING: "waiting", State.FAILED: "failed"}
_VERBS = {
    Verb.OPEN: "opening",
    Verb.UPDATE: "update",
    Verb.NOTE: "note",
    Verb.ACK: "acknowledgement",
    Verb.UNACK: "acknowledgement taken back",
    Verb.CLOSE: "end",
}

blueprint = Blueprint("alert_page", __name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldRow:
    """One row of "Who was told": all text for people; `url` is "" or may be followed."""

    receiver: str
    look: str
    state: str
    what: str
    at: str
    tries: int
    url: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One row of the timeline."""

    at: str
    what: str
    who: str
    note: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRow:
    """One run of an action."""

    what: str
    state: str
    why: str
    who: str
    at: str
    output: str


@blueprint.get("/alerts/<path:name>")
def page(name: str) -> str:
    """Render the page of one alert, by any name that the API takes."""
    store, now = services().store, datetime.now(UTC)
    alert = find_alert(store, name)
    timeline = store.timeline(alert.key)
    told = ledger(store, alert, services().book.receivers, timeline)
    silences = services().book.with_silences(store.silences.live(now)).silences
    silence = silence_of(alert, silences, now) if alert.open else None
    shown = replace(alert, muted=muted.words(alert, store.holding, now))
    return render_template(
        "alert.html",
        now=now,
        row=alert_row(shown, now, silence=silence),
        related=related(store, alert),
        body=clean(alert.description, BODY_MAX),
        told=[told_row(entry) for entry in told],
        actions=[action_row(run) for run in shown_runs(services().runs, alert)],
        steps=[step_row(step) for step in timeline if step.episode == alert.episode],
        labels=[(line(name, 100), line(value, TEXT_MAX)) for name, value in sorted(alert.labels.items())],
        changes=[_change(change) for change in changes.around(store.holding, alert, now)],
        record=_record(alert.fingerprint, alert.key, alert.intakes),
    )


def _change(change: Change) -> StepRow:
    at = f"{change.at:%Y-%m-%d %H:%M:%S} UTC"
    url = web_address(change.url)
    return StepRow(at=at, what=change.kind, who=line(change.who, 100), note=line(change.title, TEXT_MAX), url=url)


def told_row(entry: Entry) -> ToldRow:
    """Describe what became of one verb at one receiver."""
    at = f"{entry.at:%Y-%m-%d %H:%M:%S} UTC" if entry.at else ""
    return ToldRow(
        receiver=platform_name(entry.receiver),
        look=_LOOKS.get(entry.state, "off"),
        state=WORDS[entry.state],
        what=_VERBS.get(entry.verb, entry.verb.value) if entry.verb else "",
        at=f"next {at}" if at and entry.state is State.WAITING else at,
        tries=entry.tries,
        url=web_address(entry.url),
        why=line(logs.masked(entry.why), TEXT_MAX),
    )


def action_row(run: RunShape) -> ActionRow:
    """Describe one run of an action."""
    values = ", ".join(f"{name}={value}" for name, value in sorted(run.parameters.items()))
    by = ", ".join(each.actor for each in run.approvals)
    return ActionRow(
        what=line(f"{run.action_type} ({values})" if values else run.action_type, TEXT_MAX),
        state=run.state.value,
        why=line("; ".join(filter(None, (run.why, run.helped))), TEXT_MAX),
        who=line(f"{run.requested_by}, approved by {by}" if by else run.requested_by, TEXT_MAX),
        at=f"{run.started_at or run.requested_at:%Y-%m-%d %H:%M:%S} UTC",
        output=clean(run.output, BODY_MAX),
    )


def step_row(step: Transition) -> StepRow:
    """Describe one row of the timeline."""
    what = [step_name(step.why)]
    if step.receiver:
        what.append(", ".join(platform_name(name) for name in step.receiver.split(", ")))
    if step.verb:
        what.append(_VERBS.get(step.verb, step.verb.value))
    return StepRow(
        at=f"{step.at:%Y-%m-%d %H:%M:%S} UTC",
        what=line(": ".join(what[:2]) + (f", {what[2]}" if len(what) > 2 else ""), TEXT_MAX),
        who=line(step.actor or (platform_name(step.via) if step.via else ""), 100),
        note=line(logs.masked(step.note), TEXT_MAX),
        url=web_address(step.url),
    )


def _record(fingerprint: str, key: str, intakes: Iterable[str]) -> list[tuple[str, str]]:
    return [("Fingerprint", line(fingerprint, 255)), ("Key", key), ("Received by", line(", ".join(intakes), 100))]
