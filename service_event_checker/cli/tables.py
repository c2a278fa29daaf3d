"""What the commands print: tables as wide as the terminal, times, JSON."""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from service_event_checker.render.text import duration, line

CELL_MAX = 1000  # characters
_GAP = "  "
_NARROWEST = 10  # columns; what is left to a cell that is cut


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, cut: int = -1, width: int | None = None) -> str:
    """Lay out rows in columns as wide as their longest cell; column `cut` loses what the width has no room for.

    Cells may hold what strangers have written: they are put on one line, without what a terminal would obey.
    `width`: columns of the terminal, asked for where it is None; 0 cuts nothing, as for output that is no terminal's.
    """
    lines = [tuple(head), *(tuple(line(cell, CELL_MAX) for cell in row) for row in rows)]
    widths = [max(cells(each[number]) for each in lines) for number in range(len(head))]
    room = terminal_width() if width is None else width
    total = sum(widths) + len(_GAP) * (len(widths) - 1)
    if room and total > room:
        widths[cut] = max(_NARROWEST, widths[cut] - (total - room))
    laid = (_GAP.join(_fit(cell, size) for cell, size in zip(each, widths, strict=True)) for each in lines)
    return "\n".join(each.rstrip() for each in laid)


def terminal_width() -> int:
    """Return the columns to fill: COLUMNS where it is set, the terminal's, or 0 where the output goes elsewhere."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal():
        return int(columns)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def cells(text: str) -> int:
    """Return how many columns a text takes: East Asian characters take two, marks that combine none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def when(at: datetime | None, now: datetime) -> str:
    """Say when, in local time and relative: "19:30 (5 min ago)"; with the date where it is another day. "-": never."""
    if at is None:
        return "-"
    local = at.astimezone()
    clock = f"{local:%H:%M}" if local.date() == now.astimezone().date() else f"{local:%Y-%m-%d %H:%M}"
    return f"{clock} ({duration(now - at)} ago)" if at <= now else f"{clock} (in {duration(at - now)})"


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_iso))


def _iso(at: Any) -> str:
    return at.isoformat() if isinstance(at, datetime) else str(at)


def _fit(cell: str, width: int) -> str:
    """Cut or fill a cell to exactly `width` columns."""
    if cells(cell) > width:
        while cells(cell) > width - 1:
            cell = cell[:-1]
        cell = cell.rstrip() + "…"
    return cell + " " * (width - cells(cell))
