"""`outage start` and `outage demo`: become the programs that run for long."""

from __future__ import annotations

import os
import subprocess
import sys

import click

from service_event_checker.cli.context import ROOT

_PASSED_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": ["--help"]}
_WORLD = ROOT / "tests" / "doubles" / "world.py"


@click.command(context_settings=_PASSED_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def start(arguments: tuple[str, ...]) -> None:
    """Start the app, as ./run does.

    ARGUMENTS are Gunicorn's.
    """
    program = str(ROOT / "run")
    os.execv(program, [program, *arguments])  # noqa: S606  # our own program


@click.command(context_settings=_PASSED_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def demo(arguments: tuple[str, ...]) -> None:
    """Run the app in a small simulated world.

    Offline, as `make demo` does; --once ends after one round. In a clone of the repository only.
    """
    if not _WORLD.exists():
        raise click.ClickException("the demo is in a clone of the repository only, and this is not one")
    install = [str(ROOT / "tools" / "python"), str(ROOT / "tools" / "bootstrap.py"), "install"]
    if subprocess.run(install, check=False).returncode:  # noqa: S603  # our own program
        raise SystemExit(1)
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "tests.doubles.world", *arguments])  # noqa: S606  # our own program
