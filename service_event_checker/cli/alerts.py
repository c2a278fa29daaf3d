"""`outage alerts`: what is tracked. It reads the store, whether the app runs or not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import click
from click.shell_completion import CompletionItem

from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json, table, when
from service_event_checker.core.errors import OutageCheckerError
from service_event_checker.core.model import Alert
from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Kind, Severity, Status
from service_event_checker.render.labels import alert_title
from service_event_checker.render.plan import is_planned, stage
from service_event_checker.render.shapes import AlertSummary

LIMIT_MAX = 500
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
    ids = [CompletionItem(alert.internal_id, help=alert_title(alert, 60)) for alert in found]
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


def status_word(alert: Alert, now: datetime) -> str:
    """Return the status; of planned work, how far it is."""
    return stage(alert.started_at, now, over=not alert.open) if is_planned(alert) else alert.status.value


def _row(alert: Alert, now: datetime) -> tuple[str, ...]:
    title = alert_title(alert, 200)
    return (
        alert.internal_id,
        status_word(alert, now),
        alert.severity.value,
        when(alert.started_at, now),
        f"TEST {title}" if alert.test else title,
    )
