"""`make bench`: measures the product's speed on this machine and writes bench/results.md.

`python -m bench [costs|intake|query|memory]...` runs these parts, without a name all. From the environment:
BENCH_SECONDS: length of one measurement, default 2. 1 is a quick try: one round, into .bench/quick.md.
BENCH_FOLDER: where the stores are.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from bench import costs, intake, load, memory, query, report
from bench.terminal import say
from bench.variants import World
from tests.root import ROOT

ROUNDS = 3
SECONDS = 2.0
QUICK = 1.0  # up to here, one round will do
QUICK_AFTER = 5.0

Part = Callable[[World, float, int], dict[str, Any]]


def measure_memory(world: World, seconds: float, _rounds: int) -> dict[str, Any]:
    return memory.run(world, after=memory.AFTER_SECONDS if seconds > QUICK else QUICK_AFTER)


PARTS: dict[str, Part] = {"intake": intake.run, "query": query.run, "memory": measure_memory}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", choices=["costs", *PARTS, []])
    chosen = parser.parse_args().part or ["costs", *PARTS]
    # What the product does within this process is no news; a server has a log of its own.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if "costs" in chosen:
        costs.run()
    if served := [part for part in PARTS if part in chosen]:
        measure(served)


def measure(parts: list[str]) -> None:
    """Run the parts that start servers, and write what each found as soon as it is there."""
    load.program()
    if not Path("/proc/self/smaps_rollup").exists():
        raise SystemExit("CPU and memory are read from /proc, which only Linux has")
    seconds = float(os.environ.get("BENCH_SECONDS") or SECONDS)
    rounds = ROUNDS if seconds > QUICK else 1
    folder = Path(os.environ.get("BENCH_FOLDER") or ROOT / ".bench") / "outage-bench"
    with World(folder).open() as world:
        for part in parts:
            begun = time.monotonic()
            found = PARTS[part](world, seconds, rounds)
            about = {"seconds": seconds, "rounds": rounds}
            results = report.keep(part, {**found, "about": about}, quick=seconds <= QUICK)
            say(f"{part} took {time.monotonic() - begun:.0f} s: {results}")


if __name__ == "__main__":
    main()
