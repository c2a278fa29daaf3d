"""`outage alerts` and `outage show`: what is tracked. They read the store, whether the app runs or not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
from click.shell_completion import CompletionItem

from service_event_checker import logs
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json, table, when
from service_event_checker.core.errors import OutageCheckerError
from service_event_checker.core.model import Alert, Link, Transition
from service_event_checker.core.roles import Store
from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Kind, Severity, Status
from service_event_checker.render.shapes import AlertDetail, AlertSummary
from service_event_checker.render.text import clean, line, web_address

LIMIT_MAX = 500
DESCRIPTION_MAX = 1000  # characters
LABELS_MAX = 300
NOTE_MAX = 200
_ACTIVE = frozenset({Status.FIRING, Status.ACKNOWLEDGED})
_STATUSES: Mapping[str, tuple[bool | None, frozenset[Status]]] = {
    "active": (True, _ACTIVE),
    "firing": (True, frozenset({Status.FIRING})),
    "acknowledged": (True, frozenset({Status.ACKNOWLEDGED})),
    "resolved": (False, frozenset({Status.RESOLVED})),
    "all": (None, frozenset()),
}


def complete_ids(ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer the ids of the open alerts to the shell."""
    here = ctx.find_object(Here)
    try:
        found = here.store.page(Query(open=True, limit=LIMIT_MAX)).alerts if here else ()
    except OutageCheckerError:
        return []  # the command itself will say it
    ids = [CompletionItem(alert.internal_id, help=line(alert.title, 60)) for alert in found]
    return [item for item in ids if item.value.startswith(begun.upper())]


alert_id = click.argument("id", shell_complete=complete_ids)


@click.command()
@click.option("--status", type=click.Choice(list(_STATUSES)), default="active", show_default=True)
@click.option("--severity", type=click.Choice(list(Severity), case_sensitive=False), multiple=True)
@click.option("--kind", type=click.Choice(list(Kind), case_sensitive=False), multiple=True)
@click.option("--source", default="", help="One source: a checker's name, alertmanager, rest:<source>.")
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As GET /api/v1/alerts.")
@pass_here
def alerts(
    here: Here,
    status: str,
    severity: tuple[Severity, ...],
    kind: tuple[Kind, ...],
    source: str,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """List alerts, the most recently changed first."""
    is_open, statuses = _STATUSES[status]
    page = here.store.page(
        Query(
            open=is_open,
            statuses=statuses,
            severities=frozenset(map(Severity, severity)),
            kinds=frozenset(map(Kind, kind)),
            source=source,
            limit=limit,
        )
    )
    if as_json:
        print_json({"alerts": [AlertSummary.of(alert).model_dump(mode="json") for alert in page.alerts]})
    elif not page.alerts:
        click.echo("no alerts" if status == "all" else f"no {status} alerts; --status all lists the others")
    else:
        now = datetime.now(UTC)
        rows = [_row(alert, now) for alert in page.alerts]
        click.echo(table(("ID", "STATUS", "SEVERITY", "BEGAN", "TITLE"), rows))
        if page.cursor:
            click.echo(f"the newest {limit}; --limit shows more")


@click.command()
@alert_id
@click.option("--json", "as_json", is_flag=True, help="As GET /api/v1/alerts/{id}, with the deliveries.")
@pass_here
def show(here: Here, id: str, *, as_json: bool) -> None:
    """Show one alert.

    Its links, who was told, who waits, what failed or is withheld, and the timeline.
    """
    alert = here.find_alert(id)
    store = here.store
    timeline, links = store.timeline(alert.key), store.links([alert.key]).get(alert.key, [])
    deliveries = states(store, alert, links)
    if as_json:
        detail = AlertDetail.with_history(alert, timeline, links).model_dump(mode="json")
        print_json(detail | {"deliveries": deliveries})
        return
    now = datetime.now(UTC)
    click.echo("\n".join(_head(alert, now)))
    if deliveries:
        rows = [(each["receiver"], each["state"], each["url"] or each["why"]) for each in deliveries]
        click.echo("\n" + table(("RECEIVER", "STATE", "WHERE, WHY"), rows, width=0))
    steps = [_step(step, now) for step in timeline if step.episode == alert.episode]
    click.echo("\n" + table(("WHEN", "WHAT", "BY", "NOTE"), steps))


def states(store: Store, alert: Alert, links: list[Link]) -> list[dict[str, Any]]:
    """Return what became of each receiver, as far as the store knows: told, waiting, failed or withheld."""
    failed = {one.receiver: one for one in store.failed_deliveries(key=alert.key) if one.episode == alert.episode}
    urls = {link.receiver: link.url for link in links if link.episode == alert.episode} | dict(alert.links)
    found = []
    for name in alert.receivers:
        state, why = "told", ""
        if name in failed:
            one = failed[name]
            state, why = "failed", f"{one.verb}: {logs.masked(one.reason)}; ./outage failed --retry {one.id}"
        elif alert.key in store.keys_with_pending(name):
            state = "waiting"
        found.append({"receiver": name, "state": state, "url": web_address(urls.get(name, "")), "why": why})
    withheld = ((name, logs.masked(why)) for name, why in alert.withheld.items())
    return found + [{"receiver": name, "state": "withheld", "url": "", "why": why} for name, why in withheld]


def _row(alert: Alert, now: datetime) -> tuple[str, ...]:
    title = line(alert.title, 200) or "(no title)"
    return (
        alert.internal_id,
        alert.status.value,
        alert.severity.value,
        when(alert.started_at, now),
        f"TEST {title}" if alert.test else title,
    )


def _head(alert: Alert, now: datetime) -> list[str]:
    test = ["TEST"] if alert.test else []
    labels = ", ".join(f"{name}={line(value, 80)}" for name, value in alert.labels.items())
    facts = [
        ("began", when(alert.started_at, now)),
        ("opened", when(alert.opened_at, now)),
        ("over", when(alert.ended_at, now) if alert.ended_at else ""),
        ("taken by", line(alert.owner, 80)),
        ("source", line(alert.source, 80)),
        ("labels", line(labels, LABELS_MAX)),
        ("page", web_address(alert.url)),
        ("key", f"{alert.key}, fingerprint {line(alert.fingerprint, 80)}, episode {alert.episode}"),
    ]
    rows = ["  ".join([alert.internal_id, alert.status.value, alert.severity.value, alert.kind.value, *test])]
    rows.append(line(alert.title, 300) or "(no title)")
    rows += [f"{name + ':':10}{text}" for name, text in facts if text]
    described = clean(alert.description, DESCRIPTION_MAX)
    return rows + ["", described] if described else rows


def _step(step: Transition, now: datetime) -> tuple[str, str, str, str]:
    what = f"{step.why.value}: {step.receiver}" if step.receiver else step.why.value
    return when(step.at, now), what, step.actor or step.via, line(logs.masked(step.note), NOTE_MAX)
