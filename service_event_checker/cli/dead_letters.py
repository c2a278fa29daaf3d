"""The command `flask --app app dead-letters`: what was given up, to be sent again or thrown away."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask import Flask

from service_event_checker.cli.tables import table
from service_event_checker.engine.services import Services

REQUEUED_AT_ONCE = 10_000


def register(app: Flask, services: Services) -> None:
    """Add the command to the app."""

    @app.cli.command("dead-letters")
    @click.option("--requeue", metavar="ID", help="Send this one again, as the state of now; 'all' for every one.")
    @click.option("--discard", metavar="ID", help="Delete this one: nobody wants it sent any more.")
    def dead_letters(requeue: str | None, discard: str | None) -> None:
        """List deliveries that were given up, the newest first, with the reason."""
        services.store.prepare()
        if requeue:
            raise SystemExit(0 if _requeue(services, requeue) else 1)
        if discard:
            gone = services.store.discard(discard)
            click.echo(f"{discard}: {'deleted' if gone else 'no such dead letter'}")
            raise SystemExit(0 if gone else 1)
        letters = services.store.failed_deliveries()
        rows = [(one.id, one.receiver, one.verb.value, str(one.attempts), one.reason) for one in letters]
        click.echo(table(("ID", "RECEIVER", "VERB", "ATTEMPTS", "REASON"), rows) if rows else "no dead letters")


def _requeue(services: Services, wanted: str) -> bool:
    """Send one dead letter, or all of them, again; say what became of each and return whether all were queued."""
    known = (
        [letter.id for letter in services.store.failed_deliveries(REQUEUED_AT_ONCE)] if wanted == "all" else [wanted]
    )
    if not known:
        click.echo("no dead letters")
    queued = True
    for id in known:
        sent = services.store.requeue(id, datetime.now(UTC))
        queued &= sent
        click.echo(f"{id}: {'queued again' if sent else 'not queued: no such dead letter, or its episode is over'}")
    return queued
