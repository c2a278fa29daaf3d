"""`outage check NAME --adopt`: has a checker read its page where, and as, it is now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from service_event_checker import plugins
from service_event_checker.cli.config_edit import with_changed
from service_event_checker.cli.config_write import change_config
from service_event_checker.cli.context import Here
from service_event_checker.config.models import CheckerConfig
from service_event_checker.core.model import Slot
from service_event_checker.engine.page_watch import ACCEPTED

_ADDRESS = ("preset", "mapping")
TRIES = 5  # each time a poll has written the slot first


def adopt(here: Here, name: str) -> None:
    """Write the entry that reads the changed page of a checker; where it is the same one, accept the page as it is.

    Raises ClickException where nothing changed, or no page was found.
    """
    services = here.ready
    config = next((entry.config for entry in services.config.checkers if entry.name == name), None)
    slot = services.store.slots().get(name)
    if config is None or slot is None or slot.change is None:
        raise click.ClickException(f"{name}: no change of its page is known. ./outage check {name} shows what it reads")
    patch = json.loads(slot.change.patch) if slot.change.patch else plugins.find_page(config)
    if patch:
        _write(here, name, config, patch)
    elif slot.change.readable:
        _accept(here, slot)
        click.echo(f"{name}: the page is accepted as it is now. The next poll reads it.", err=True)
    else:
        raise click.ClickException(
            f"{name}: {slot.change.what}. No page was found at its address\n"
            f"Next: find its new address, and change the entry; ./outage detect ADDRESS shows it"
        )


def _write(here: Here, name: str, config: CheckerConfig, patch: Mapping[str, Any]) -> None:
    kind = patch.get("kind", config.kind)
    model = plugins.checker_config(kind)
    known = {field.alias or key for key, field in model.model_fields.items()} if model else set()

    def changed(entry: dict[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in entry.items() if "url" not in patch or key not in _ADDRESS}
        return {key: value for key, value in {**kept, **patch}.items() if key in known}

    file = here.settings.config_file
    if file.suffix != ".json":
        click.echo(json.dumps(patch, ensure_ascii=False))
        click.echo(f"Change checkers.{name} in {file.name} by hand to the keys above.", err=True)
        return
    change_config(here, lambda text: with_changed(text, "checkers", name, changed))
    click.echo(json.dumps(patch, ensure_ascii=False))
    click.echo(f"{name} is changed in {file.name}. The app reads it after ./outage config reload.", err=True)


def _accept(here: Here, slot: Slot) -> None:
    """Have the next poll take the page as that of a changed entry: its alerts are looked for by name."""
    store = here.ready.store
    for _ in range(TRIES):
        now = store.slots()[slot.name]
        if now.page is None or store.put_slot(replace(now, page=replace(now.page, entry=ACCEPTED))) is not None:
            return
    raise click.ClickException(f"{slot.name}: it is being polled. Try again")
