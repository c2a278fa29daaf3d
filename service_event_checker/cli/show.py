"""`outage show`: all that the store knows of one alert."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from service_event_checker import logs
from service_event_checker.cli.alerts import alert_id, status_word
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json, table, when
from service_event_checker.core.ledger import Entry, State
from service_event_checker.core.model import Alert, Transition
from service_event_checker.core.replacing import replace
from service_event_checker.core.rules import is_unrouted
from service_event_checker.core.store import Related
from service_event_checker.engine import muted
from service_event_checker.engine.actions.view import shown_runs
from service_event_checker.engine.grouping import related
from service_event_checker.engine.ledger import ledger
from service_event_checker.render.labels import alert_title
from service_event_checker.render.names import platform_name
from service_event_checker.render.plan import is_planned
from service_event_checker.render.shapes import AlertDetail
from service_event_checker.render.text import clean, line, web_address

DESCRIPTION_MAX = 1000  # characters
LABELS_MAX = 300
NOTE_MAX = 200
_STATES = {
    State.DELIVERED: "told",
    State.WAITING: "waiting",
    State.FAILED: "failed",
    State.WITHHELD: "withheld",
    State.SUMMARISED: "summarised",
    State.NOT_MATCHED: "not matched",
}


@click.command()
@alert_id
@click.option("--json", "as_json", is_flag=True, help="As GET /api/v1/alerts/{id}.")
@pass_here
def show(here: Here, id: str, *, as_json: bool) -> None:
    """Show one alert.

    Its links, who was told, who waits, what failed or is withheld, and the timeline.
    """
    alert = here.find_alert(id)
    store, now = here.store, datetime.now(UTC)
    timeline, links = store.timeline(alert.key), store.links([alert.key]).get(alert.key, [])
    told = ledger(store, alert, here.services.book.receivers, timeline)
    unrouted = is_unrouted(alert, here.services.book, now)
    if as_json:
        alert = replace(alert, muted=muted.words(alert, store.holding, datetime.now(UTC)))
        runs = shown_runs(here.services.runs, alert)
        detail = AlertDetail.with_history(alert, timeline, links, told, related(store, alert), runs).model_dump(
            mode="json"
        )
        print_json(detail | {"unrouted": unrouted})
        return
    click.echo("\n".join(_head(alert, now)))
    if unrouted:
        click.echo("\nNobody is told: no rule matched. Add a rule that matches, in config.json")
    if told:
        heads = ("RECEIVER", "WHAT", "STATE", "WHEN", "TRIES", "WHERE, WHY")
        click.echo("\n" + table(heads, [_told(entry, now) for entry in told], width=0))
    if runs := shown_runs(here.services.runs, alert):
        rows = [(run.id, run.action_type, run.state, run.requested_by, line(run.why, 100)) for run in runs]
        click.echo("\n" + table(("RUN", "ACTION", "STATE", "BY", "WHY"), rows))
    others = related(store, alert)
    if others.groups or others.members:
        shown = [_other(each, now) for each in (*others.groups, *others.members)]
        click.echo(f"\n{_heading(alert, others)}:\n" + table(("ID", "STATUS", "SEVERITY", "TITLE"), shown))
    steps = [_step(step, now) for step in timeline if step.episode == alert.episode]
    click.echo("\n" + table(("WHEN", "WHAT", "BY", "NOTE"), steps))


def _heading(alert: Alert, related: Related) -> str:
    return f"open alerts of the group ({related.member_count})" if alert.is_group else "groups that stand for it"


def _other(alert: Alert, now: datetime) -> tuple[str, str, str, str]:
    return alert.internal_id, status_word(alert, now), alert.severity.value, alert_title(alert, 100)


def _told(entry: Entry, now: datetime) -> tuple[str, str, str, str, str, str]:
    """Return the row of one receiver and verb: what became of it, when, and where or why."""
    at = when(entry.at, now) if entry.at else ""
    if entry.state is State.WAITING and at:
        at = f"next {at}"
    retry = f"; ./outage failed --retry {entry.delivery_id}" if entry.delivery_id else ""
    place = web_address(entry.url) or line(logs.masked(entry.why), NOTE_MAX) + retry
    verb = entry.verb.value if entry.verb else ""
    return platform_name(entry.receiver), verb, _STATES[entry.state], at, str(entry.tries or ""), place


def _head(alert: Alert, now: datetime) -> list[str]:
    marks = [*(["TEST"] if alert.test else []), *(["flapping"] if alert.flapping else [])]
    labels = ", ".join(f"{name}={line(value, 80)}" for name, value in alert.labels.items())
    planned = is_planned(alert)
    facts = [
        ("planned" if planned else "began", when(alert.started_at, now)),
        ("until", when(alert.ends_at, now) if alert.ends_at else ""),
        ("opened", when(alert.opened_at, now)),
        ("over", when(alert.ended_at, now) if alert.ended_at else ""),
        ("taken by", line(alert.owner, 80)),
        ("source", line(alert.source, 80)),
        ("labels", line(labels, LABELS_MAX)),
        ("page", web_address(alert.url)),
        ("key", f"{alert.key}, fingerprint {line(alert.fingerprint, 80)}, episode {alert.episode}"),
    ]
    rows = ["  ".join([alert.internal_id, status_word(alert, now), alert.severity.value, alert.kind.value, *marks])]
    rows.append(alert_title(alert, 300))
    rows += [f"{name + ':':10}{text}" for name, text in facts if text]
    described = clean(alert.description, DESCRIPTION_MAX)
    return rows + ["", described] if described else rows


def _step(step: Transition, now: datetime) -> tuple[str, str, str, str]:
    place = " ".join(filter(None, (step.verb.value if step.verb else "", step.receiver)))
    what = f"{step.why.value}: {place}" if place else step.why.value
    note = line(logs.masked(step.note), NOTE_MAX) or web_address(step.url)
    return when(step.at, now), what, step.actor or step.via, note
