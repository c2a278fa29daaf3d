"""The former names `flask --app app <command>`: each says the new one and runs it, until 1.0."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import click
from flask import Flask

from service_event_checker.cli.check import check
from service_event_checker.cli.config import schema
from service_event_checker.cli.context import Here, errors_for_people
from service_event_checker.cli.detect import detect_page
from service_event_checker.cli.failed import failed
from service_event_checker.cli.mirror import mirror
from service_event_checker.cli.quarantine import show_quarantine
from service_event_checker.cli.reconcile import reconcile
from service_event_checker.engine.services import Services

New = tuple[str, click.Command, list[str]]  # the words behind ./outage, the command, its arguments
_TAKEN_AS_THEY_ARE = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def register(app: Flask, services: Services) -> None:
    """Add the former commands to the app."""
    for name, renew in _FORMER.items():
        app.cli.add_command(_command(name, renew, services))


def _command(name: str, renew: Callable[[list[str]], New], services: Services) -> click.Command:
    @click.command(name, context_settings=_TAKEN_AS_THEY_ARE, add_help_option=False)
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def former(words: Sequence[str]) -> None:
        new, command, arguments = renew(list(words))
        click.echo(f"flask --app app {name} is ./outage {new} now; the former name goes with 1.0", err=True)
        with errors_for_people():
            here = Here(services.settings.variables, services)
            command.main(arguments, prog_name=f"outage {new}", obj=here, standalone_mode=False)

    former.help = "Former name; see ./outage --help."
    return former


def _check(words: list[str]) -> New:
    """`check --detect URL` has become a command."""
    for number, word in enumerate(words):
        option, _, value = word.partition("=")
        if option == "--detect":
            return "detect", detect_page, [value] if value else words[number + 1 : number + 2]
    return "check", check, words


def _dead_letters(words: list[str]) -> New:
    renamed = [f"--retry{word.removeprefix('--requeue')}" if word.startswith("--requeue") else word for word in words]
    return "failed", failed, renamed


_FORMER: Mapping[str, Callable[[list[str]], New]] = {
    "check": _check,
    "dead-letters": _dead_letters,
    "quarantine": lambda words: ("quarantine", show_quarantine, words),
    "reconcile": lambda words: ("reconcile", reconcile, words),
    "mirror": lambda words: ("mirror", mirror, words),
    "config-schema": lambda words: ("config schema", schema, words),
}
