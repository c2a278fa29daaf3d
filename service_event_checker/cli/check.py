"""The command `flask --app app check …`: what a checker sees now. It prints; all work is done elsewhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click
from flask import Flask

from service_checkers.detect import detect
from service_event_checker import plugins
from service_event_checker.cli.tables import table
from service_event_checker.core.errors import SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import Affects
from service_event_checker.engine.services import Services
from service_event_checker.render.text import duration

DETECT_SECONDS = 15.0
TITLE_WIDTH = 60


def register(app: Flask, services: Services) -> None:
    """Add the command to the app."""

    @app.cli.command("check")
    @click.argument("checker", required=False)
    @click.option("--all", "every", is_flag=True, help="All checkers that are on.")
    @click.option("--detect", "address", metavar="URL", help="Find out what kind of page this is.")
    @click.option("--file", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    def check(checker: str | None, every: bool, address: str | None, file: Path | None) -> None:
        """Show what a checker sees now, or in a payload file. Changes nothing and tells nobody."""
        if address:
            raise SystemExit(0 if _detect(address) else 1)
        names = sorted(services.poller.watches) if every else [checker] if checker else []
        if not names:
            raise click.UsageError(f"name a checker ({_known(services)}) or say --all")
        failed = False
        for name in names:
            failed |= not _check(services, name, file)
        if failed:
            raise SystemExit(1)


def _check(services: Services, name: str, file: Path | None) -> bool:
    """Print one checker's view; return whether it could be read."""
    entry = next((entry for entry in services.config.checkers if entry.name == name), None)
    if entry is None:
        raise click.UsageError(f'there is no checker "{name}" in the configuration; there are {_known(services)}')
    try:
        if file is not None and entry.config is not None:
            snapshot = plugins.checker_module(entry.kind).read_file(entry.config, name, file.read_bytes())
        elif name in services.poller.watches:
            snapshot = services.poller.watches[name].checker.check(frozenset())
        else:
            click.echo(f"{name}: off, {entry.why_off}")
            return True
    except SourceError as error:
        click.echo(f"{name}: UNKNOWN, {error.reason}" + (f" ({error.detail})" if error.detail else ""))
        return False
    click.echo(_shown(services, name, snapshot))
    return True


def _detect(address: str) -> bool:
    """Print an entry for config.json that reads a page, and what can be selected there; return whether there is one."""
    try:
        found = detect(address, DETECT_SECONDS)
    except SourceError as error:
        click.echo(f"{address}: not understood, {error.reason}" + (f" ({error.detail})" if error.detail else ""))
        return False
    entry = {"kind": found.kind, **({"preset": found.preset} if found.preset else {}), "url": found.url}
    click.echo(json.dumps(entry))
    for component in found.components:
        click.echo(f"  component: {component}")
    return True


def _shown(services: Services, name: str, snapshot: Snapshot) -> str:
    watch = services.poller.watches.get(name)
    lines = [f"{name}: {len(snapshot.events)} events" + ("" if snapshot.complete else " (a list with a window)")]
    if snapshot.events:
        rows = [_row(event, watch.affects(event) if watch else event.affects_us) for event in snapshot.events]
        lines.append(table(("KIND", "STATUS", "SEVERITY", "AFFECTS US", "SINCE", "TITLE"), rows))
    lines += [f"warning: {warning}" for warning in snapshot.warnings]
    return "\n".join(lines)


def _row(event: Event, affects: Affects) -> tuple[str, ...]:
    since = duration(datetime.now(UTC) - event.starts_at) if event.starts_at else "?"
    title = event.title if len(event.title) <= TITLE_WIDTH else event.title[: TITLE_WIDTH - 1] + "…"
    return (event.kind.value, event.status.value, event.severity.value, affects.value, since, title)


def _known(services: Services) -> str:
    return ", ".join(entry.name for entry in services.config.checkers) or "none"
