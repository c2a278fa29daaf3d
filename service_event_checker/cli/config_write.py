"""Writes a changed config.json, whole or not at all, if the file is right with the change."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from service_event_checker import wiring
from service_event_checker.cli.config_edit import NotEditable
from service_event_checker.cli.context import Here


def change_config(here: Here, change: Callable[[str], str]) -> str:
    """Write what `change` makes of the file's text and return the file's name.

    Raises ConfigError where the file is wrong, before or after, and ClickException where it cannot be changed.
    """
    file = here.settings.config_file.resolve()
    wiring.load_config(here.settings)  # what is wrong before stays the person's to correct
    try:
        changed = change(file.read_bytes().decode("utf-8-sig"))
    except NotEditable as error:
        raise click.ClickException(f"{file.name}: {error}. Change the entry by hand") from None
    handle, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(changed.encode())
        os.chmod(draft, file.stat().st_mode & 0o7777)
        wiring.load_config(replace(here.settings, config_file=Path(draft)))
        os.replace(draft, file)
    finally:
        Path(draft).unlink(missing_ok=True)
    return file.name
