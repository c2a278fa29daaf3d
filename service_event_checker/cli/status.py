"""`outage status`: whether the app runs, what is open, and how checkers and destinations are."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.running_app import OTHER_PORT
from service_event_checker.cli.tables import print_json, table, when
from service_event_checker.core.roles import Alerts
from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Severity
from service_event_checker.engine import parts, quarantine
from service_event_checker.engine.heartbeat import last_heartbeat
from service_event_checker.engine.parts import CheckerState, ReceiverState

COUNTED_MAX = 500  # open alerts of one severity
QUARANTINE_MAX = 50


@click.command()
@click.option("--json", "as_json", is_flag=True)
@pass_here
def status(here: Here, *, as_json: bool) -> None:
    """Show the state of the app, the checkers and the destinations."""
    services, now = here.ready, datetime.now(UTC)
    store = services.store
    found = store.page(Query(open=True, limit=COUNTED_MAX)).alerts
    checkers, receivers = parts.checkers(services, found, now), parts.receivers(services)
    beat = last_heartbeat(store)
    facts = {
        "running": parts.beats(beat, now),
        "answers": here.app.answers(),
        "url": here.app.url,
        "heartbeat_at": beat,
        "open": _open(store),
        "waiting": store.waiting(),
        "oldest_waiting_at": store.oldest_waiting(),
        "failed": sum(store.failed_counts().values()),
        "quarantine": len(quarantine.held(store.holding, limit=QUARANTINE_MAX)),
    }
    if as_json:
        listed = {
            "checkers": [_plain(asdict(each)) for each in checkers],
            "receivers": [_plain(asdict(each)) for each in receivers],
        }
        print_json(_plain(facts) | listed)
        return
    click.echo("\n".join(_summary(facts, now)))
    if checkers:
        rows = [_checker(each, now) for each in checkers]
        click.echo("\n" + table(("CHECKER", "STATE", "LAST CHECK", "NEXT CHECK", "OPEN", "WHY"), rows))
    if receivers:
        head = ("DESTINATION", "KIND", "WAITING", "FAILED", "STATE")
        click.echo("\n" + table(head, [_receiver(each) for each in receivers]))


def _open(store: Alerts) -> dict[str, int]:
    """Count the open alerts by severity, at most COUNTED_MAX of each, the tests left out."""
    counted: Counter[str] = Counter()
    for severity in Severity:
        page = store.page(Query(open=True, severities=frozenset({severity}), limit=COUNTED_MAX))
        counted[severity.value] = sum(not alert.test for alert in page.alerts)
    return dict(counted)


def _summary(facts: dict[str, Any], now: datetime) -> list[str]:
    if facts["running"]:
        where = facts["url"] if facts["answers"] else f"but it does not answer at {facts['url']} ({OTHER_PORT})"
        app = f"running, {where}; last active {when(facts['heartbeat_at'], now)}"
    elif facts["answers"]:
        app = f"answers at {facts['url']}, but nothing polls or delivers yet. ./outage doctor says more"
    else:
        last = f", last active {when(facts['heartbeat_at'], now)}" if facts["heartbeat_at"] else ""
        app = f"not running{last}. Start it: ./outage start"
    opened = ", ".join(f"{number} {name}" for name, number in facts["open"].items() if number)
    waiting = f"{facts['waiting']}"
    if facts["oldest_waiting_at"]:
        waiting += f", the oldest since {when(facts['oldest_waiting_at'], now)}"
    more = "+" if facts["quarantine"] == QUARANTINE_MAX else ""
    return [
        f"app:        {app}",
        f"open:       {opened or 'no alerts'}",
        f"waiting:    {waiting}",
        f"failed:     {facts['failed']}" + (" (./outage failed lists them)" if facts["failed"] else ""),
        f"quarantine: {facts['quarantine']}{more}" + (" (./outage quarantine)" if facts["quarantine"] else ""),
    ]


def _checker(each: CheckerState, now: datetime) -> tuple[str, ...]:
    last, following = when(each.last_run_at, now), when(each.next_run_at, now)
    return each.name, each.reading.value, last, following, str(each.tracked), each.why or "; ".join(each.warnings)


def _receiver(each: ReceiverState) -> tuple[str, ...]:
    state = each.state if each.on else f"off: {each.state}"
    return each.name, each.kind, str(each.waiting), str(each.dead), state


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields as JSON knows them; a receiver's failed deliveries by their name."""
    named = {"failed" if name == "dead" else name: value for name, value in fields.items()}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in named.items()}
