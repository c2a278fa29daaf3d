"""A command for people: `flask --app app quarantine`. It prints; all work is done elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask import Flask

from service_event_checker.cli.tables import table
from service_event_checker.core.errors import InvalidInput
from service_event_checker.engine import quarantine
from service_event_checker.engine.quarantine import Held
from service_event_checker.engine.services import Services
from service_event_checker.render.text import clean, duration, line
from service_event_checker.sources.replay import take_again

LISTED_MAX = 200
REPLAYED_AT_ONCE = 10_000
ERROR_WIDTH = 100
_NOT_THERE = "nothing of this id in quarantine"


def register(app: Flask, services: Services) -> None:
    """Add the command to the app."""

    @app.cli.command("quarantine")
    @click.option("--replay", metavar="ID", help="Take this one as if it came now; 'all' for every one.")
    @click.option("--discard", metavar="ID", help="Delete this one.")
    @click.option("--show", metavar="ID", help="Print the body of this one, as far as it was kept.")
    def show_quarantine(replay: str | None, discard: str | None, show: str | None) -> None:
        """List bodies that were refused, the newest first, with the reason."""
        services.store.prepare()
        if replay:
            raise SystemExit(0 if _replay(services, replay) else 1)
        if discard:
            gone = quarantine.discard(services.store.holding, discard)
            click.echo(f"{discard}: {'deleted' if gone else _NOT_THERE}")
            raise SystemExit(0 if gone else 1)
        if show:
            raise SystemExit(0 if _show(services, show) else 1)
        held = quarantine.held(services.store.holding, limit=LISTED_MAX)
        rows = [(one.id, one.refusal.route, _age(one), line(one.refusal.error, ERROR_WIDTH)) for one in held]
        click.echo(table(("ID", "ROUTE", "AGE", "ERROR"), rows) if rows else "nothing in quarantine")


def _replay(services: Services, wanted: str) -> bool:
    """Take one, or all, the oldest first, as if they came now; say what became of each, return whether all were."""
    store = services.store
    found = quarantine.find(store.holding, wanted)
    chosen = (
        quarantine.held(store.holding, limit=REPLAYED_AT_ONCE)[::-1] if wanted == "all" else [found] if found else []
    )
    if not chosen:
        click.echo("nothing in quarantine" if wanted == "all" else f"{wanted}: {_NOT_THERE}")
    good = bool(chosen) or wanted == "all"
    for held in chosen:
        try:
            click.echo(f"{held.id}: {take_again(services, held, datetime.now(UTC))} accepted")
        except InvalidInput as error:
            good = False
            click.echo(f"{held.id}: still refused, {error}")
    return good


def _show(services: Services, id: str) -> bool:
    held = quarantine.find(services.store.holding, id)
    click.echo(clean(held.refusal.body, quarantine.BODY_MAX) if held else f"{id}: {_NOT_THERE}")
    return held is not None


def _age(held: Held) -> str:
    return duration(datetime.now(UTC) - held.at)
