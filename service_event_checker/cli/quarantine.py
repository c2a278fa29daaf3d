"""`outage quarantine`: webhooks that were rejected. It prints; all work is done elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json, table, when
from service_event_checker.core.errors import InvalidInput
from service_event_checker.engine import quarantine
from service_event_checker.engine.quarantine import Held
from service_event_checker.engine.services import Services
from service_event_checker.render.text import clean, line
from service_event_checker.sources.replay import take_again

LISTED_MAX = 200
REPLAYED_AT_ONCE = 10_000
ERROR_MAX = 300  # characters
_NEXT = "Next: --show ID prints the body, --replay ID handles it again, --discard ID deletes it"
_NOT_THERE = "nothing in quarantine has this id; ./outage quarantine lists it"


@click.command("quarantine")
@click.option("--replay", metavar="ID|all", help="Handle this one as if it came now; all: every one.")
@click.option("--discard", metavar="ID", help="Delete this one.")
@click.option("--show", metavar="ID", help="Print the body of this one, as far as it was kept.")
@click.option("--json", "as_json", is_flag=True)
@pass_here
def show_quarantine(here: Here, replay: str | None, discard: str | None, show: str | None, *, as_json: bool) -> None:
    """List rejected webhooks, or replay them.

    The newest first, with the reason.
    """
    if sum(chosen is not None for chosen in (replay, discard, show)) > 1:
        raise click.UsageError("use one of --replay, --discard and --show")
    services = here.ready
    store = services.store
    if replay:
        raise SystemExit(0 if _replay(services, replay) else 1)
    if discard:
        gone = quarantine.discard(store.holding, discard)
        click.echo(f"{discard}: {'deleted' if gone else _NOT_THERE}")
        raise SystemExit(0 if gone else 1)
    if show:
        raise SystemExit(0 if _show(services, show) else 1)
    held = quarantine.held(store.holding, limit=LISTED_MAX)
    if as_json:
        print_json({"quarantine": [_as_json(one) for one in held]})
        return
    now = datetime.now(UTC)
    rows = [(one.id, one.refusal.route, when(one.at, now), line(one.refusal.error, ERROR_MAX)) for one in held]
    click.echo(table(("ID", "ROUTE", "RECEIVED", "ERROR"), rows) if rows else "nothing in quarantine")
    if rows:
        click.echo(_NEXT, err=True)


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
            click.echo(f"{held.id}: still rejected, {error}")
    return good


def _show(services: Services, id: str) -> bool:
    held = quarantine.find(services.store.holding, id)
    click.echo(clean(held.refusal.body, quarantine.BODY_MAX) if held else f"{id}: {_NOT_THERE}")
    return held is not None


def _as_json(one: Held) -> dict[str, Any]:
    return {
        "id": one.id,
        "source": one.source,
        "route": one.refusal.route,
        "received_at": one.at.isoformat(),
        "error": one.refusal.error,
        "cut": one.refusal.cut,
    }
