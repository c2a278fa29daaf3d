"""`outage audit`: who did what, and whether nobody has changed that since."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from service_event_checker.cli.context import Here, UserPath, pass_here
from service_event_checker.cli.tables import print_json, table, when
from service_event_checker.core.audit import Anchor, AuditRow, Verified
from service_event_checker.engine import audit_keeping

LISTED = 50
SHOWN_MAX = 200  # characters of what was done
HASH_DIGITS = 64


def _anchor(text: str) -> Anchor:
    """Read NUMBER:HASH, as `audit_anchor` in the log says them."""
    number, _, digits = text.partition(":")
    if not number.isdecimal() or len(digits) != HASH_DIGITS or set(digits) - set("0123456789abcdef"):
        raise click.BadParameter("write NUMBER:HASH, as the log line audit_anchor shows them")
    return Anchor(int(number), digits)


@click.group()
def audit() -> None:
    """Show and verify who did what."""


@audit.command()
@click.option("--anchor", "anchors", type=_anchor, metavar="NUMBER:HASH", multiple=True, help="Compare with it.")
@click.option("--json", "as_json", is_flag=True)
@pass_here
def verify(here: Here, anchors: tuple[Anchor, ...], *, as_json: bool) -> None:
    """Check that no row was changed, removed, inserted or moved.

    The chain is compared with the anchor of the last day, and with those that you name: the log has one for each day
    (audit_anchor). Only an anchor from elsewhere proves that nobody who may write to the database made the chain anew.
    Exit code 1: it is broken.
    """
    found = audit_keeping.verified(here.store, anchors)
    if as_json:
        print_json(_as_json(found))
    else:
        click.echo("\n".join(_sentences(found)))
    raise SystemExit(1 if found.broken else 0)


@audit.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=LISTED, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@pass_here
def list_rows(here: Here, limit: int, *, as_json: bool) -> None:
    """List the last rows, the newest at the end."""
    head = here.store.audit.head()
    found = list(audit_keeping.rows(here.store.audit, max(0, head.number - limit))) if head else []
    if as_json:
        print_json({"audit": [_row(row) for row in found]})
        return
    now = datetime.now(UTC)
    cells = [(str(row.number), when(row.at, now), row.actor, row.what[:SHOWN_MAX]) for row in found]
    click.echo(table(("NUMBER", "TIME", "ACTOR", "WHAT"), cells) if cells else "the audit is empty")


@audit.command()
@click.argument("file", type=UserPath())
@pass_here
def export(here: Here, file: Path) -> None:
    """Write all rows to FILE, one JSON object a line. FILE must not exist."""
    number = 0
    try:
        with file.open("x", encoding="utf-8") as lines:
            file.chmod(0o600)
            for row in audit_keeping.rows(here.store.audit):
                lines.write(json.dumps(_row(row)) + "\n")
                number += 1
    except FileExistsError:
        raise click.ClickException(f"{file} exists. Name another file") from None
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
    click.echo(f"{number} rows written to {file}")


def _sentences(found: Verified) -> list[str]:
    if found.broken:
        wrong = [f"row {each.number}: {each.flaw}" for each in found.broken]
        return [*wrong, f"the audit is broken: {len(wrong)} {'problem' if len(wrong) == 1 else 'problems'}"]
    if not found.first or not found.head:
        return ["the audit is empty"]
    span = f"{found.rows} rows, {found.first.number} to {found.head.number}: no row was changed, removed or moved"
    return [span, f"anchor: {found.head.number}:{found.head.hash}"]


def _as_json(found: Verified) -> dict[str, Any]:
    return {
        "ok": not found.broken,
        "rows": found.rows,
        "first": found.first.number if found.first else None,
        "anchor": f"{found.head.number}:{found.head.hash}" if found.head else None,
        "broken": [{"number": each.number, "problem": str(each.flaw)} for each in found.broken],
    }


def _row(row: AuditRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "at": row.at.isoformat(timespec="microseconds"),
        "actor": row.actor,
        "what": row.what,
        "previous": row.previous,
        "hash": row.hash,
    }
