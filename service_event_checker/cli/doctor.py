"""`outage doctor`: is all well with this installation? One line each, with a remedy"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import click

from service_event_checker.cli import diagnosis, reachability
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.diagnosis import Finding
from service_event_checker.cli.tables import print_json


@click.command()
@click.option("--json", "as_json", is_flag=True)
@pass_here
def doctor(here: Here, *, as_json: bool) -> None:
    """Check the whole installation.

    Python, packages, configuration, disk, store, status pages, credentials, clock, deliveries and the app. Exit code
    1: something is wrong."""
    found: list[Finding] = []
    for finding in _all(here):
        found.append(finding)
        if not as_json:
            click.echo(_line(finding))
    wrong = sum(not finding.ok for finding in found)
    if as_json:
        print_json({"ok": not wrong, "findings": [asdict(finding) for finding in found]})
    else:
        click.echo(f"\n{'1 problem' if wrong == 1 else f'{wrong} problems'} found" if wrong else "\nno problems found")
    if wrong:
        raise SystemExit(1)


def _all(here: Here) -> Iterator[Finding]:
    yield from diagnosis.environment()
    yield from diagnosis.configuration(here)
    yield from diagnosis.disk(here)
    if not diagnosis.is_configured(here):
        return  # all that follows asks what the configuration names
    yield from diagnosis.store(here)
    yield from reachability.pages(here)
    yield from reachability.credentials(here)
    yield from reachability.clock(here)
    yield from diagnosis.app(here)


def _line(finding: Finding) -> str:
    mark = "✓" if finding.ok else "✗"
    return f"{mark} {finding.what}" + (f"\n    → {finding.remedy}" if finding.remedy else "")
