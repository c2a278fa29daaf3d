"""`outage detect`: finds out how to read a status page, and writes the entry into config.json where it is asked to."""

from __future__ import annotations

import json
import re

import click

from service_checkers.detect import Found, detect
from service_checkers.vendors import vendor_called, vendors
from service_event_checker.cli.config_edit import with_entry
from service_event_checker.cli.config_write import change_config
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.reachability import REMEDIES
from service_event_checker.cli.tables import print_json
from service_event_checker.config.problems import nearest
from service_event_checker.core.errors import Reason, SourceError

DETECT_SECONDS = 15.0
GUIDE = "docs/adding-a-vendor.md says how to read such a page"
_VENDOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]*")  # no address has neither dot nor colon
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@click.command("detect")
@click.argument("url", metavar="ADDRESS|VENDOR")
@click.option("--add", "name", metavar="NAME", help="Write the entry into config.json under this name.")
@click.option("--json", "as_json", is_flag=True)
@pass_here
def detect_page(here: Here, url: str, name: str | None, *, as_json: bool) -> None:
    """Find out how to read a status page, by its address, or offline by a vendor's name, like stripe.

    Prints the entry for config.json that reads it, and the components that can be selected there.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise click.UsageError(f'"{name}" is not a name: use a-z, 0-9, - and _, at most 40 characters')
    found = _by_name(url) if _VENDOR.fullmatch(url) else _by_page(url)
    if as_json:
        print_json({"entry": _entry(found), "components": list(found.components)})
    else:
        click.echo(json.dumps(_entry(found)))
        for component in found.components:
            click.echo(f"  component: {component}")
    if name is not None:
        _add(here, name, found)


def _by_name(text: str) -> Found:
    """Return what reads the page of a vendor that we know by name; asks nobody."""
    vendor = vendor_called(text)
    if vendor is None:
        known = [name for each in vendors().values() for name in (each.id, each.name)]
        raise click.ClickException(
            f'"{text}" is no vendor that we know.{nearest(text, known)}\nNext: give the address of its status page'
        )
    if not vendor.kind:
        raise click.ClickException(f"{vendor.name}: no checker reads its page, {vendor.page}\nNext: {GUIDE}")
    return Found(vendor.kind, vendor.preset, vendor.url)


def _by_page(url: str) -> Found:
    try:
        return detect(url, DETECT_SECONDS)
    except SourceError as error:
        raise click.ClickException(f"{url}: {_why(error)}\nNext: {_remedy(error.reason)}") from None


def _why(error: SourceError) -> str:
    if error.reason is Reason.NOT_CONFIGURED:
        return f"is {error.detail}"
    return f"{error.reason}" + (f" ({error.detail})" if error.detail else "")


def _remedy(reason: Reason) -> str:
    if reason is Reason.NOT_CONFIGURED:
        return "write the whole address, like https://status.example.com"
    return REMEDIES.get(reason, GUIDE) if reason is not Reason.NOT_FOUND else GUIDE


def _entry(found: Found) -> dict[str, str]:
    return {"kind": found.kind, **({"preset": found.preset} if found.preset else {}), "url": found.url}


def _add(here: Here, name: str, found: Found) -> None:
    """Write the entry into the file."""
    file = change_config(here, lambda text: with_entry(text, "checkers", name, _entry(found)))
    click.echo(f"{name} is in {file}. Try it: ./outage check {name}. The app reads it at its next start.", err=True)
