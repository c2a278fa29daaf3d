"""`outage silence`: hold announcements back for a while, and see, try and end that. Works on the store.

A running app reads the silences anew with each message, so that it need not be asked. What is done stands in
`engine.silencing`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from pydantic import ValidationError

from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.running_app import user
from service_event_checker.cli.tables import print_json, table, when
from service_event_checker.config.models import parse_duration
from service_event_checker.config.problems import by_field
from service_event_checker.config.silences import NewSilence
from service_event_checker.core.silences import Silence, State
from service_event_checker.engine import silencing
from service_event_checker.engine.silencing import UnknownSilence
from service_event_checker.render.silences import MatchedAlert, SilenceShape

PREVIEWED_MAX = 20
_OPTIONS = {"ends_at": "--for or --until", "reason": "--reason", "repeat.weekly": "--weekly", "match": "MATCHER"}
_OPTIONS |= {"repeat.from": "--from", "repeat.to": "--to", "repeat.tz": "--tz", "starts_at": "--start"}


class _Silence(click.Group):
    """`outage silence MATCHER …` is short for `outage silence add MATCHER …`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["add", *args]
        return super().parse_args(ctx, args)


@click.group("silence", cls=_Silence)
def silence() -> None:
    """Hold announcements back: outage silence 'service="checkout"' --for 2h --reason "upgrade".

    New alerts that all matchers match are not announced while the silence lasts. What was announced is updated and
    ended as usual. What still fires at the end of the silence is announced then.
    """


def _values(command: Callable[..., None]) -> Callable[..., None]:
    """Add what describes a silence."""
    options = (
        click.argument("matchers", nargs=-1, required=True, metavar="MATCHER..."),
        click.option("--for", "lasts", default="", metavar="2h", help="How long from now, like 30m, 2h, 1d."),
        click.option("--until", default="", metavar="TIME", help="Until when, like 2026-11-20T17:00:00Z."),
        click.option("--start", default="", metavar="TIME", help="From when on; now, if left out."),
        click.option("--weekly", default="", metavar="mon,tue", help="Only in a window on these days, each week."),
        click.option("--from", "from_", default="00:00", metavar="22:00", help="When the window begins."),
        click.option("--to", default="24:00", metavar="06:00", help="When it ends; if earlier, on the next day."),
        click.option("--tz", default="UTC", metavar="ZONE", help="The time zone of the window, like Europe/Berlin."),
        click.option("--reason", default="", help="Why: shown with each alert that is held back."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@silence.command()
@_values
@pass_here
def add(here: Here, /, **values: Any) -> None:
    """Make a silence. "add" may be left out."""
    now = datetime.now(UTC)
    made = silencing.create(here.ready, _read(values, now), owner=user(), now=now)
    click.echo(f"{made.id}: silenced until {made.ends_at:%Y-%m-%d %H:%M} UTC: {_match(made)}")
    if made.repeat:
        click.echo(f"each week {made.repeat.text}")
    count = len(silencing.matching(here.ready, made))
    click.echo(f"It matches {_alerts(count, 'open ')}. ./outage silence end {made.id} ends it")


@silence.command()
@_values
@click.option("--json", "as_json", is_flag=True, help="As POST /api/v1/silences/preview.")
@pass_here
def preview(here: Here, /, *, as_json: bool, **values: Any) -> None:
    """Show which open alerts a silence would match. Changes nothing."""
    now = datetime.now(UTC)
    wanted = _read({**values, "lasts": values["lasts"] or "1h", "reason": values["reason"] or "preview"}, now)
    found = silencing.preview(here.ready, wanted)
    shown = [MatchedAlert.of(alert) for alert in found]
    if as_json:
        print_json({"matches": [each.model_dump(mode="json") for each in shown], "count": len(found)})
        return
    rows = [(each.id, each.severity.value, each.source, each.title) for each in shown[:PREVIEWED_MAX]]
    click.echo(table(("ID", "SEVERITY", "SOURCE", "TITLE"), rows) if rows else "no open alert matches")
    if len(found) > PREVIEWED_MAX:
        click.echo(f"…and {len(found) - PREVIEWED_MAX} more")


@silence.command("list")
@click.option("--all", "everything", is_flag=True, help="Ended ones also.")
@click.option("--json", "as_json", is_flag=True, help="As GET /api/v1/silences.")
@pass_here
def list_(here: Here, *, everything: bool, as_json: bool) -> None:
    """List the silences that are active or pending."""
    now = datetime.now(UTC)
    found = [each for each in silencing.listed(here.ready) if everything or each.state(now) is not State.ENDED]
    if as_json:
        print_json({"silences": [SilenceShape.of(each, now).model_dump(mode="json") for each in found]})
        return
    head = ("ID", "STATE", "ENDS", "OWNER", "HITS", "MATCH", "REASON")
    click.echo(table(head, [_row(each, now) for each in found]) if found else "no silences")


@silence.command()
@click.argument("id")
@pass_here
def end(here: Here, id: str) -> None:
    """End a silence now. What it held back and still fires is announced."""
    try:
        ended = silencing.end(here.ready, id, actor=user(), now=datetime.now(UTC))
    except UnknownSilence:
        raise click.ClickException(f'there is no silence "{id}". ./outage silence list shows them') from None
    click.echo(f"{ended.id} is ended. It held back {_alerts(ended.hits)}")


def _read(values: dict[str, Any], now: datetime) -> NewSilence:
    """Return what the options say, checked as the API does. Raises UsageError."""
    if bool(values["lasts"]) is bool(values["until"]):
        raise click.UsageError("give one of --for and --until: a silence has an end")
    body: dict[str, Any] = {"match": values["matchers"], "reason": values["reason"]}
    body["ends_at"] = values["until"] or _later(values["lasts"], now)
    if values["start"]:
        body["starts_at"] = values["start"]
    if values["weekly"]:
        days = [day.strip().lower()[:3] for day in values["weekly"].split(",")]
        body["repeat"] = {"weekly": days, "from": values["from_"], "to": values["to"], "tz": values["tz"]}
    try:
        return NewSilence.model_validate(body)
    except ValidationError as error:
        found = ((_OPTIONS.get(field, field), problem) for field, problem in by_field(error))
        raise click.UsageError("; ".join(f"{field}: {problem}" for field, problem in found)) from None


def _later(lasts: str, now: datetime) -> datetime:
    try:
        span = parse_duration(lasts)
        return now + span if isinstance(span, timedelta) else now
    except (ValueError, OverflowError):
        raise click.UsageError(f'--for: "{lasts}" is not a duration. Write it like 30m, 2h or 1d') from None


def _row(each: Silence, now: datetime) -> tuple[str, ...]:
    state = each.state(now)
    text = f"{state} (ended by {each.ended_by})" if state is State.ENDED and each.ended_by else state.value
    reason = f"{each.reason} [{each.repeat.text}]" if each.repeat else each.reason
    return (each.id, text, when(each.ends_at, now), each.owner, str(each.hits), _match(each), reason)


def _match(made: Silence) -> str:
    return ", ".join(map(str, made.matchers))


def _alerts(number: int, kind: str = "") -> str:
    return f"{number} {kind}{'alert' if number == 1 else 'alerts'}"
