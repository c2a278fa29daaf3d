"""`outage config`: checks config.json, and prints its JSON Schema."""

from __future__ import annotations

import click

from service_event_checker import wiring
from service_event_checker.cli.config_schema import as_text
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json, table
from service_event_checker.config.load import Config


@click.group()
def config() -> None:
    """Check config.json, or print its JSON Schema."""


@config.command("check")
@click.option("--json", "as_json", is_flag=True)
@pass_here
def check_config(here: Here, *, as_json: bool) -> None:
    """Check config.json as the start does.

    Exit code 1, with path and hint, where it is wrong. Asks nobody.
    """
    found = wiring.load_config(here.settings)
    parts = [
        {"section": section, "name": entry.name, "kind": entry.kind, "on": not entry.why_off, "why_off": entry.why_off}
        for section, entry in found.entries()
    ]
    if as_json:
        print_json({"parts": parts, "rules": len(found.rules), "silences": len(found.silences)})
        return
    rows = [(part["section"], part["name"], part["kind"], part["why_off"] or "on") for part in parts]
    click.echo(table(("SECTION", "NAME", "KIND", "STATE"), [tuple(map(str, row)) for row in rows]))
    click.echo(f"{here.settings.config_file.name} can be used: {_counts(found)}")


@config.command("schema")
def schema() -> None:
    """Print the JSON Schema of config.json, for docs/config.schema.json."""
    click.echo(as_text(), nl=False)


def _counts(found: Config) -> str:
    counted = {
        "checkers": found.checkers,
        "destinations": found.destinations,
        "sources": found.sources,
        "rules": found.rules,
        "silences": found.silences,
    }
    return ", ".join(f"{len(entries)} {name}" for name, entries in counted.items())
