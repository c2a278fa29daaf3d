"""`outage test`: would a destination take what we send? Creates nothing there; --send sends one message marked TEST."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import click
from click.shell_completion import CompletionItem

from service_event_checker import logs
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json
from service_event_checker.core.errors import OutageCheckerError
from service_event_checker.engine import probing
from service_event_checker.engine.probing import Report, Result
from service_event_checker.engine.services import Part

AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Trial:
    """One destination and what came of its test; no report: it is off."""

    part: Part
    report: Report | None

    @property
    def ok(self) -> bool:
        return self.report is not None and self.report.ok


def complete_destinations(ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer the names of the destinations to the shell."""
    here = ctx.find_object(Here)
    try:
        names = [part.name for part in _parts(here)] if here else []
    except OutageCheckerError:
        return []  # the command itself will say it
    return [CompletionItem(name) for name in names if name.startswith(begun)]


@click.command("test")
@click.argument("destination", required=False, shell_complete=complete_destinations)
@click.option("--all", "every", is_flag=True, help="All destinations that are on.")
@click.option("--send", "sends", is_flag=True, help="Send one message marked TEST (chat and mail).")
@click.option("--json", "as_json", is_flag=True)
@pass_here
def test_destination(here: Here, destination: str | None, *, every: bool, sends: bool, as_json: bool) -> None:
    """Test a destination: credentials, channel or project, permission.

    Creates nothing there and notifies nobody. With --send, one message marked TEST is sent. Exit code 1: something
    is wrong."""
    if every and sends:
        raise click.UsageError("--send is for one destination: name it")
    trials = _all(here, _chosen(here, destination, every=every), sends=sends)
    if as_json:
        print_json({"tests": [_as_json(trial) for trial in trials]})
    else:
        for trial in trials:
            click.echo("\n".join(_lines(trial)))
    if not all(trial.ok for trial in trials):
        raise SystemExit(1)


def lines(name: str, report: Report) -> list[str]:
    """Return what people read of a report: a mark, what was found, and the remedy."""
    mark = {Result.WORKS: "✓", Result.UNPROVEN: "-"}.get(report.result, "✗")
    shown = [f"{mark} {name}: {report.result}" + (f", {logs.masked(report.why)}" if report.why else "")]
    shown += [f"    → {report.remedy}"] if report.remedy else []
    shown += [f"    ✓ {logs.masked(text)}" for text in report.proven]
    shown += [f"    ✗ {logs.masked(text)}" for text in report.wrong]
    return shown + [f"    ? not shown by this test: {text}" for text in report.unproven]


def _lines(trial: Trial) -> list[str]:
    if trial.report is None:
        return [f"✗ {trial.part.name}: off, {trial.part.state}"]
    return lines(trial.part.name, trial.report)


def _parts(here: Here) -> list[Part]:
    return [part for part in here.services.parts if part.section == "destination"]


def _chosen(here: Here, name: str | None, *, every: bool) -> list[Part]:
    parts = _parts(here)
    known = ", ".join(part.name for part in parts) or "none"
    if every:
        return [part for part in parts if part.on]
    if name is None:
        raise click.UsageError(f"name a destination ({known}) or use --all")
    found = [part for part in parts if part.name == name]
    if not found:
        raise click.UsageError(f'there is no destination "{name}" in the configuration; there are {known}')
    return found


def _all(here: Here, parts: list[Part], *, sends: bool) -> list[Trial]:
    services = here.services

    def tried(part: Part) -> Trial:
        if not part.on:
            return Trial(part, None)
        destination, timeout = services.outbox.destinations[part.name], services.book.receivers[part.name].deadline
        if sends:
            return Trial(part, probing.send(destination, part.name, timeout, datetime.now(UTC)))
        return Trial(part, probing.probe(destination, timeout))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(tried, parts))


def _as_json(trial: Trial) -> dict[str, object]:
    found = {"name": trial.part.name, "kind": trial.part.kind, "on": trial.part.on, "ok": trial.ok}
    if trial.report is None:
        return {**found, "result": "off", "why": trial.part.state}
    return {**found, **asdict(trial.report), "why": logs.masked(trial.report.why)}
