"""`outage config`: checks config.json, has the running app take it, and prints its JSON Schema and its keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from service_event_checker import wiring
from service_event_checker.cli import config_docs, config_parts
from service_event_checker.cli.config_schema import as_text
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json, table
from service_event_checker.config.load import Config, ConfigError
from service_event_checker.engine import reloads


@click.group()
def config() -> None:
    """Check config.json, reload it, or print its JSON Schema or its keys."""


@config.command("check")
@click.option("--strict", is_flag=True, help="Exit code 1 for warnings as well.")
@click.option("--json", "as_json", is_flag=True)
@pass_here
def check_config(here: Here, *, strict: bool, as_json: bool) -> None:
    """Check config.json and the environment as the start does.

    Prints each mistake with its place and a hint; then the exit code is 1. Sends no request to any system.
    """
    try:
        settings, found = wiring.examine(here.environ)
    except ConfigError as error:
        if not as_json:
            raise
        print_json({"problems": error.problems, "warnings": error.warnings})
        raise SystemExit(1) from None
    parts = [
        {"section": section, "name": entry.name, "kind": entry.kind, "on": not entry.why_off, "why_off": entry.why_off}
        for section, entry in found.entries()
    ]
    if as_json:
        counts = {"rules": len(found.rules), "silences": len(found.silences)}
        print_json({"parts": parts, **counts, "warnings": list(found.warnings)})
    else:
        _show(settings.config_file.name, found, parts)
    if strict and found.warnings:
        raise SystemExit(1)


def _show(file: str, found: Config, parts: Iterable[Mapping[str, object]]) -> None:
    rows = [
        (part["section"], part["name"], part["kind"], f"off: {part['why_off']}" if part["why_off"] else "on")
        for part in parts
    ]
    click.echo(table(("SECTION", "NAME", "KIND", "STATE"), [tuple(map(str, row)) for row in rows]))
    for warning in found.warnings:
        click.echo(f"warning: {warning}")
    click.echo(f"{file} can be used: {_counts(found)}")


@config.command("reload")
@click.option("--json", "as_json", is_flag=True)
@pass_here
def reload_config(here: Here, *, as_json: bool) -> None:
    """Have the running app work with config.json as it is now.

    If config.json is wrong, nothing changes: each mistake is printed, and the exit code is 1. The environment is read
    at start only.
    """
    settings, found = wiring.examine(here.environ)
    answer = here.app.ask("POST", "/config/reload", {}, scope="admin")
    if answer is None:
        reloads.apply(here.store, found.checksum, datetime.now(UTC))
        answer = {"file": settings.config_file.name, "checksum": found.checksum, "warnings": list(found.warnings)}
        told = f"no app here took the request: each process takes the content {found.checksum} of {{}} within seconds"
        said = [told.format(settings.config_file.name), "Next: the log of each process says config_reloaded"]
    else:
        lists = ("added", "removed", "changed")
        said = [f"{name}: {', '.join(map(str, answer[name]))}" for name in lists if answer[name]]
        said = [f"{answer['file']} is reloaded", *(said or ["no part of it has changed"])]
    if as_json:
        print_json(answer)
    else:
        click.echo("\n".join([*said, *(f"warning: {text}" for text in answer["warnings"])]))


@config.command("schema")
def schema() -> None:
    """Print the JSON Schema of config.json, for docs/config.schema.json."""
    click.echo(as_text(), nl=False)


@config.command("docs")
@click.option(
    "--refresh",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Make the generated parts of docs/configuration.md or .env.example anew, in the file itself.",
)
def docs(refresh: Path | None) -> None:
    """Print all keys of config.json by kind, for docs/keys.md."""
    if refresh:
        refresh.write_text(config_parts.refreshed(refresh.read_text("utf-8")), "utf-8")
    else:
        click.echo(config_docs.as_text(), nl=False)


def _counts(found: Config) -> str:
    counted = {
        "checkers": found.checkers,
        "destinations": found.destinations,
        "sources": found.sources,
        "rules": found.rules,
        "silences": found.silences,
    }
    return ", ".join(f"{len(entries)} {name[:-1] if len(entries) == 1 else name}" for name, entries in counted.items())
