"""What a command works with, and how errors reach a person: a sentence and the next step, never a trace."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from service_event_checker import logs, wiring
from service_event_checker.cli.running_app import RunningApp
from service_event_checker.config.load import ConfigError
from service_event_checker.config.settings import Settings
from service_event_checker.core.errors import InvalidInput, StoreError
from service_event_checker.core.model import Alert
from service_event_checker.core.roles import Store
from service_event_checker.engine import lookup
from service_event_checker.engine.acts import NotPossible
from service_event_checker.engine.services import Services
from service_event_checker.stores.choose import store_id

ROOT = Path(__file__).resolve().parent.parent.parent
CALLED_FROM = "OUTAGE_CALLED_FROM"  # set by tools/bootstrap.py
_QUOTES = "\"'`“”‘’ "  # what people paste along with an id


class Here:
    """The configuration, the store and the running app; each is looked for when a command first needs it."""

    def __init__(self, environ: Mapping[str, str], services: Services | None = None) -> None:
        self.environ = environ
        self._given = services

    @cached_property
    def settings(self) -> Settings:
        """Raises ConfigError."""
        return Settings.read(self.environ, wiring.known_variables)

    @cached_property
    def services(self) -> Services:
        """Raises ConfigError."""
        return self._given or wiring.build(*wiring.examine(self.environ))

    @cached_property
    def ready(self) -> Services:
        """Return the services, their store prepared. Raises ConfigError and StoreError."""
        self.services.store.prepare()
        return self.services

    @property
    def store(self) -> Store:
        """Return the store, prepared. Raises ConfigError and StoreError."""
        return self.ready.store

    @cached_property
    def app(self) -> RunningApp:
        return RunningApp(self.environ, lambda: store_id(self.settings))

    def find_alert(self, name: str) -> Alert:
        """Return the alert that a person names. Raises ClickException, with what he may have meant."""
        wanted = name.strip(_QUOTES)
        found = lookup.candidates(self.store, wanted)
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(alert.internal_id for alert in found)
            raise click.ClickException(f'several alerts have the fingerprint "{wanted}". Name one of them: {ids}')
        near = lookup.near(self.store, wanted)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise click.ClickException(f'there is no alert "{wanted}". {hint}./outage alerts --status all lists them')


pass_here = click.make_pass_decorator(Here)


class UserPath(click.Path):
    """A file that is named from the folder in which the person stands."""

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(exists=exists, dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        here = ctx.find_object(Here) if ctx else None
        folder = here.environ.get(CALLED_FROM, "") if here else ""
        return super().convert(os.path.join(folder, value), param, ctx)


@contextmanager
def errors_for_people() -> Iterator[None]:
    """Turn our own errors into click's, which prints them to stderr and exits with 1."""
    try:
        yield
    except ConfigError as error:
        raise click.ClickException(f"{error}") from None
    except StoreError as error:
        message = f"the store cannot be used, so nothing was done: {logs.masked(str(error))}"
        raise click.ClickException(f"{message}\nNext: ./outage doctor says what is wrong") from None
    except NotPossible as error:
        raise click.ClickException(error.message) from None
    except InvalidInput as error:
        raise click.ClickException(f"{error}") from None
