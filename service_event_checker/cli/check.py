"""`outage check`: what a checker sees now. It changes nothing and tells nobody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from service_event_checker import plugins
from service_event_checker.cli.adopt import adopt
from service_event_checker.cli.context import Here, UserPath, pass_here
from service_event_checker.cli.reachability import REMEDIES
from service_event_checker.cli.tables import print_json, table, when
from service_event_checker.core.errors import OutageCheckerError, SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import Affects, EventStatus, Kind
from service_event_checker.engine.services import Services
from service_event_checker.render.plan import stage
from service_event_checker.render.text import line

TITLE_MAX = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one check: a snapshot, or why there is not one. `off`: it was not asked."""

    name: str
    snapshot: Snapshot | None = None
    why: str = ""
    remedy: str = ""
    off: bool = False


def complete_checkers(ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer the names of the checkers to the shell."""
    here = ctx.find_object(Here)
    try:
        names = [entry.name for entry in here.services.config.checkers] if here else []
    except OutageCheckerError:
        return []  # the command itself will say it
    return [CompletionItem(name) for name in names if name.startswith(begun)]


@click.command()
@click.argument("checker", required=False, shell_complete=complete_checkers)
@click.option("--all", "every", is_flag=True, help="All checkers that are on.")
@click.option("--file", "file", type=UserPath(exists=True), help="Read this saved answer instead of asking.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--adopt", "adopts", is_flag=True, help="Its page changed: write the entry that reads the new one.")
@pass_here
def check(here: Here, checker: str | None, file: Path | None, *, every: bool, as_json: bool, adopts: bool) -> None:
    """Show what a checker sees now.

    With --file, read a saved answer instead. Changes nothing, but with --adopt, and notifies nobody.
    """
    if adopts:
        if checker is None or every or file is not None:
            raise click.UsageError("--adopt is for one checker: ./outage check NAME --adopt")
        adopt(here, checker)
        return
    services = here.services
    names = sorted(services.poller.watches) if every else [checker] if checker else []
    if not names:
        raise click.UsageError(f"name a checker ({_known(services)}) or use --all")
    found = [_check(services, name, file) for name in names]
    if as_json:
        print_json({"checks": [_as_json(services, seen) for seen in found]})
    else:
        for seen in found:
            click.echo(_shown(services, seen))
    if any(seen.snapshot is None and not seen.off for seen in found):
        raise SystemExit(1)


def _check(services: Services, name: str, file: Path | None) -> Seen:
    entry = next((entry for entry in services.config.checkers if entry.name == name), None)
    if entry is None:
        raise click.UsageError(f'there is no checker "{name}" in the configuration; there are {_known(services)}')
    try:
        if file is not None and entry.config is not None:
            return Seen(name, plugins.checker_module(entry.kind).read_file(entry.config, name, file.read_bytes()))
        if name in services.poller.watches:
            return Seen(name, services.poller.watches[name].checker.check(frozenset()))
    except SourceError as error:
        why = f"{error.reason}" + (f" ({error.detail})" if error.detail else "")
        return Seen(name, why=why, remedy=REMEDIES.get(error.reason, ""))
    return Seen(name, why=entry.why_off, off=True)


def _shown(services: Services, seen: Seen) -> str:
    if seen.snapshot is None:
        lines = [f"{seen.name}: {'off,' if seen.off else 'UNKNOWN,'} {seen.why}"]
        return "\n".join(lines + ([f"    → {seen.remedy}"] if seen.remedy else []))
    events, now = seen.snapshot.events, datetime.now(UTC)
    count = "1 event" if len(events) == 1 else f"{len(events)} events"
    lines = [f"{seen.name}: {count}{_limits(seen.snapshot)}"]
    if events:
        rows = [_row(event, _affects(services, seen.name, event), now) for event in events]
        lines.append(table(("KIND", "STATUS", "SEVERITY", "AFFECTS US", "BEGAN", "TITLE"), rows))
    lines += [f"warning: {line(warning, 300)}" for warning in _warnings(services, seen)]
    return "\n".join(lines)


def _limits(snapshot: Snapshot) -> str:
    """Return what the list is not, "" for one that holds all that is open."""
    if snapshot.complete:
        return ""
    if snapshot.own:
        return " (the page shows trouble that its list of incidents does not explain)"
    return " (this page lists only recent incidents)"


def _as_json(services: Services, seen: Seen) -> dict[str, Any]:
    state = "off" if seen.off else "unknown" if seen.snapshot is None else "ok"
    events = seen.snapshot.events if seen.snapshot else ()
    return {
        "checker": seen.name,
        "state": state,
        "why": seen.why,
        "complete": bool(seen.snapshot and seen.snapshot.complete),
        "warnings": _warnings(services, seen),
        "events": [
            {
                "fingerprint": event.fingerprint,
                "kind": event.kind,
                "status": event.status,
                "severity": event.severity,
                "affects_us": _affects(services, seen.name, event),
                "starts_at": event.starts_at.isoformat() if event.starts_at else None,
                "ends_at": event.ends_at.isoformat() if event.ends_at else None,
                "title": event.title,
                "url": event.url,
                "labels": dict(event.labels),
            }
            for event in events
        ],
    }


def _warnings(services: Services, seen: Seen) -> list[str]:
    """Return what the source warns of, and which selected places it does not have."""
    if seen.snapshot is None:
        return []
    watch = services.poller.watches.get(seen.name)
    return [*seen.snapshot.warnings, *(watch.not_listed(seen.snapshot.listed) if watch else ())]


def _affects(services: Services, name: str, event: Event) -> Affects:
    watch = services.poller.watches.get(name)
    return watch.affects(event) if watch else event.affects_us


def _row(event: Event, affects: Affects, now: datetime) -> tuple[str, ...]:
    began, status = when(event.starts_at, now), event.status.value
    if event.kind is Kind.MAINTENANCE:
        status = stage(event.starts_at, now, over=event.status is EventStatus.RESOLVED)
        began += f" to {when(event.ends_at, now).partition(' (')[0]}" if event.ends_at else ""
    title = line(event.title, TITLE_MAX)
    return (event.kind.value, status, event.severity.value, affects.value, began, title)


def _known(services: Services) -> str:
    return ", ".join(entry.name for entry in services.config.checkers) or "none"
