"""Writes results.md from what the parts measured; a part that was not run this time stays as it was. No dates."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from bench import intake, memory, query, targets
from bench.variants import ALERTA, STORED, Variant
from tests.real.parts import POSTGRESQL
from tests.root import ROOT

RESULTS = Path(__file__).with_name("results.md")
KEPT = ROOT / ".bench" / "results.json"
QUICK_RESULTS = ROOT / ".bench" / "quick.md"
QUICK_KEPT = ROOT / ".bench" / "quick.json"
TEXTS = Path(__file__).with_name("results-notes.md")
NONE = "–"


def keep(part: str, found: dict[str, Any], *, quick: bool) -> Path:
    """Store what a part measured, write all anew and return where; a quick try does not replace real results."""
    results, kept = (QUICK_RESULTS, QUICK_KEPT) if quick else (RESULTS, KEPT)
    parts = json.loads(kept.read_text()) if kept.is_file() else {}
    parts[part] = found
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(parts))
    results.write_text(written(parts, machine()))
    return results


def machine() -> str:
    found = POSTGRESQL.find()
    database = POSTGRESQL.version(found) if found else "none"
    return f"{os.cpu_count()} processors, Python {platform.python_version()}, PostgreSQL {database}"


def written(parts: dict[str, Any], where: str) -> str:
    """Return results.md; `parts` maps names of parts to what their `run` returned."""
    blocks = ["# Speed", f"Written by `make bench`; do not edit. Measured on: {where}."]
    blocks += [f"Not measured: {why}" for why in sorted(_missing(parts))]
    blocks += _targets(parts)
    if "intake" in parts:
        blocks += _intake(parts["intake"])
    if "query" in parts:
        blocks += _query(parts["query"])
    if "memory" in parts:
        blocks += _memory(parts["memory"])
    return "\n\n".join([*blocks, TEXTS.read_text().strip()]) + "\n"


def _missing(parts: dict[str, Any]) -> set[str]:
    return {why for part in parts.values() for why in part["missing"].values()}


def _targets(parts: dict[str, Any]) -> list[str]:
    found = [
        *(targets.of_intake(parts["intake"]["samples"]) if "intake" in parts else ()),
        *(targets.of_query(parts["query"]["samples"]) if "query" in parts else ()),
    ]
    words = {True: "met", False: "**not met**", None: NONE}
    rows = [(one.what, one.wanted, one.measured, words[one.met]) for one in found]
    return ["## Targets", table(("", "wanted", "measured", ""), rows)]


def _intake(part: dict[str, Any]) -> list[str]:
    samples, about = part["samples"], part["about"]
    method = (
        f"Rounds: {about['rounds']}, {about['seconds']:g} s each at 1 / 10 / 100 alerts a message, 8 connections."
        " All servers take their turns in each round, each with a new store. Medians of the rounds; a ratio is the"
        " median of the ratios within a round. CPU is the server's and its database's, p50 and p99 are a message's."
        " Refused: messages that were answered with an error, like 503; their alerts are not counted."
    )
    rows = [tuple(_intake_row(samples, part["starts"], one)) for one in intake.VARIANTS if one.name in samples]
    head = ("", "alerts/s", "of bare", "CPU, ms per alert", "p50, ms", "p99, ms", "refused", "start, s")
    return ["## Taking alerts in", method, table(head, rows)]


def _intake_row(samples: targets.Samples, starts: dict[str, list[float]], one: Variant) -> Iterator[str]:
    def each(value: Callable[[int], float | None], form: str) -> str:
        return " / ".join(_number(value(size), form) for size in intake.SIZES)

    yield one.name
    yield each(lambda size: targets.middle(samples, one, size, "rate"), ",.0f")
    yield NONE if one.server == "bare" else each(lambda size: targets.ratio(samples, one, one.bare, size), ".2f")
    yield each(lambda size: targets.middle(samples, one, size, "cpu"), ".2f")
    yield each(lambda size: targets.middle(samples, one, size, "p50"), ",.0f")
    yield each(lambda size: targets.middle(samples, one, size, "p99"), ",.0f")
    yield str(sum(sample["refused"] for size in samples[one.name].values() for sample in size))
    yield _number(median(starts[one.name]), ".1f")


def _query(part: dict[str, Any]) -> list[str]:
    method = f"One page of 50 out of {STORED:,} open alerts, one call after the other."
    alerta = [one["cpu"] for one in part["samples"].get(replace(ALERTA, stored=STORED).name, [])]
    rows = []
    for one in query.VARIANTS:
        if found := part["samples"].get(one.name):
            shares = [ours["cpu"] / theirs for ours, theirs in zip(found, alerta, strict=False)]
            cpu, p50 = (_number(median(sample[field] for sample in found), ".1f") for field in ("cpu", "p50"))
            rows.append((one.name, cpu, p50, _number(median(shares) if shares else None, ".3f")))
    return ["## Asking", method, table(("", "CPU, ms per call", "p50, ms", "CPU of Alerta's"), rows)]


def _memory(part: dict[str, Any]) -> list[str]:
    method = (
        f"PSS of all processes of the server, without the database: {memory.IDLE_SECONDS:g} s after the start, and"
        f" {part['after']:g} s after a storm of {memory.STORM:,} alerts, {memory.BATCH} a message."
        " A message that was refused with 503 was sent again."
    )
    rows = [
        (name, _mib(found["idle"]), _mib(found.get("after")), str(found.get("refused", NONE)))
        for name, found in part["bytes"].items()
    ]
    return ["## Memory", method, table(("", "idle, MiB", "after the storm, MiB", "refused"), rows)]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _mib(value: int | None) -> str:
    return NONE if value is None else f"{value / 2**20:.0f}"
